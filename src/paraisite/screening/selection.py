"""Choose rows of a scan: the lowest or highest κ among the crystals that pass some conditions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from paraisite.atomic import atomic_path
from paraisite.elements import ATOMIC_NUMBERS
from paraisite.reporting.csv_files import open_table, write_csv
from paraisite.screening.query import SCAN_VIEW, QueryError, answer, open_scan, stream_answer

DOMAINS = ("inside", "edge", "outside")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of a scan are wanted: without a condition all of them, in the order of the scan.

    Attributes:
        lowest: Only so many, those of the lowest κ, lowest first.
        highest: Only so many, those of the highest κ, highest first.
        max_atoms: Atoms of the cell, at most.
        elements: Elements that a crystal must all hold.
        without_elements: Elements that it must not hold.
        domain: Place in the model's domain: `inside`, `edge` or `outside`.
        max_relative_spread: Standard deviation over the members divided by their mean, at most; for scans with `members`.
        unique: Only one of the rows with the same graph and formula, that of the smallest cell.
        where: A condition in SQL on any column, also a joined one.
    """

    lowest: int | None = None
    highest: int | None = None
    max_atoms: int | None = None
    elements: tuple[str, ...] = ()
    without_elements: tuple[str, ...] = ()
    domain: str | None = None
    max_relative_spread: float | None = None
    unique: bool = False
    where: str | None = None

    def sql(self) -> str:
        """The selection as one SELECT over the view `scan`.

        Raises:
            QueryError: A condition has no meaning.
        """
        if self.lowest is not None and self.highest is not None:
            raise QueryError("Ask for the lowest or for the highest κ, not for both.")
        parts = [f"SELECT * FROM {SCAN_VIEW}"]  # noqa: S608 - what the user wrote can only read this view
        if conditions := self._conditions():
            # Lines of their own, so that a comment in the user's condition ends with it.
            parts.append("WHERE " + " AND ".join(f"(\n{condition}\n)" for condition in conditions))
        if self.unique:
            order = "PARTITION BY graph_hash, formula ORDER BY n_atoms, position"
            parts.append(f"QUALIFY graph_hash IS NULL OR row_number() OVER ({order}) = 1")
        limit = self.lowest if self.highest is None else self.highest
        if limit is None:
            parts.append("ORDER BY position")
        else:
            order = "ASC" if self.highest is None else "DESC"
            parts.append(f"ORDER BY kappa {order}, position LIMIT {int(limit)}")
        return "\n".join(parts)

    def _conditions(self) -> list[str]:
        conditions = [] if self.lowest is None and self.highest is None else ["kappa IS NOT NULL"]
        if self.max_atoms is not None:
            conditions.append(f"n_atoms <= {int(self.max_atoms)}")
        conditions += [_holds(symbol) for symbol in self.elements]
        conditions += [f"NOT {_holds(symbol)}" for symbol in self.without_elements]
        if self.domain is not None:
            if self.domain not in DOMAINS:
                raise QueryError(f"There is no domain {self.domain!r}; choose {', '.join(DOMAINS)}.")
            conditions.append(f"domain = '{self.domain}'")
        if self.max_relative_spread is not None:
            conditions.append(f"kappa_std <= {float(self.max_relative_spread)} * kappa_mean")
        if self.where:
            conditions.append(self.where)
        return conditions


def _holds(symbol: str) -> str:
    """The condition that a formula holds an element."""
    if symbol not in ATOMIC_NUMBERS:
        raise QueryError(f"There is no element {symbol!r}; write symbols such as Ba,Sb,O.")
    return f"regexp_matches(formula, '{symbol}([^a-z]|$)')"


def select_rows(out: str | Path, selection: Selection, features: str | Path | None = None) -> pd.DataFrame:
    """Choose rows of a scan.

    Args:
        out: The scan's folder.
        selection: Which rows.
        features: A CSV table to join by `material_id`.

    Returns:
        The rows with all columns of the view `scan`; empty where none passes the conditions.

    Raises:
        QueryError: A condition is wrong, or needs a column that the scan does not have.
        RunError: The folder holds no scan.
        DataError: The table to join cannot be used.
    """
    with _opened(out, selection, features) as connection:
        return answer(connection, selection.sql())


def stream_rows(out: str | Path, selection: Selection, features: str | Path | None = None) -> Iterator[pd.DataFrame]:
    """As `select_rows`, a chunk of rows at a time; at least one chunk."""
    with _opened(out, selection, features) as connection:
        yield from stream_answer(connection, selection.sql())


@contextmanager
def _opened(out: str | Path, selection: Selection, features: str | Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_scan(out, features) as connection:
        if selection.domain is not None and not tells(connection, SCAN_VIEW, "domain"):
            raise QueryError(f"The scan in {out} has no domain, since its model knows none; leave out the domain.")
        if selection.max_relative_spread is not None and "kappa_std" not in view_columns(connection):
            raise QueryError(f"The scan in {out} keeps no members to take a spread of; scan with --members.")
        yield connection


def view_columns(connection: duckdb.DuckDBPyConnection, view: str = SCAN_VIEW) -> list[str]:
    """Names of a view's columns."""
    return [str(name) for name in connection.view(view).columns]


def tells(connection: duckdb.DuckDBPyConnection, view: str, column: str) -> bool:
    """Whether a view has a column with a value in it; a model without a domain leaves its columns empty."""
    if column not in view_columns(connection, view):
        return False
    return connection.execute(f"SELECT count({column}) > 0 FROM {view}").fetchall() == [(True,)]  # noqa: S608


def export_csv(
    out: str | Path,
    path: str | Path,
    selection: Selection = Selection(),
    features: str | Path | None = None,
) -> int:
    """Write rows of a scan as one CSV file, whole or not at all.

    Args:
        out: The scan's folder.
        path: File to write.
        selection: Which rows.
        features: A CSV table to join by `material_id`.

    Returns:
        Number of rows.

    Raises:
        QueryError: As for `select_rows`.
        RunError: As for `select_rows`.
        DataError: As for `select_rows`.
    """
    n_rows = 0
    with (
        atomic_path(path) as temporary,
        open_table(temporary) as handle,
    ):
        for chunk in stream_rows(out, selection, features):
            write_csv(chunk, handle, header=n_rows == 0)
            n_rows += len(chunk)
    return n_rows
