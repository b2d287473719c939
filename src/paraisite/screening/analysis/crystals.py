"""The crystals that several scans predict, joined into one table of numeric columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from paraisite.errors import DataError
from paraisite.prediction.table import member_columns
from paraisite.screening.manifest import Manifest, read_manifest
from paraisite.screening.query import KEY, add_scan, quoted
from paraisite.screening.selection import tells, view_columns
from paraisite.screening.state import usable_parts

TABLE = "crystals"
OWN_FEATURES = ("domain_distance",)
"""Features of a crystal that every model has its own of."""
FIRST = "first_scan"
"""View of the first scan with the joined table, which describes the crystals."""
KEYS = (KEY, "source")
"""Columns that crystals may be matched by."""
_PREDICTED = "kappa IS NOT NULL"
_NUMERIC = {
    "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT",
    "DOUBLE",
}  # fmt: skip
_NO_FEATURES = ("kappa", "position", *OWN_FEATURES)
"""Starts of the names of a scan's own columns that do not describe the crystal."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that an ensemble gives for a crystal.

    Attributes:
        name: Start of the column's name.
        title: Its name for people.
        in_words: What it is, with the unit.
    """

    name: str
    title: str
    in_words: str


KAPPA = Quantity("kappa", "κ", "the model's estimate at 300 K, W/(m K)")
LOG_KAPPA = Quantity("log10_kappa", "log10 κ", "its decadic logarithm")
VARIANCE = Quantity("variance", "var(κ)", "variance of κ over the members, W²/(m K)²")
LOG_SPREAD = Quantity("log10_spread", "spread of log10 κ", "standard deviation of log10 κ over the members")


@dataclass(frozen=True, slots=True)
class Step:
    """One scan among those compared.

    Attributes:
        number: Position, from 1.
        label: Name for people.
        folder: The scan's folder.
        manifest: What it says of itself.
        n_rows: Its structures.
        n_predicted: Those with a prediction.
        own_features: Features that its model has its own of.
        has_domain: Whether it has the domain.
    """

    number: int
    label: str
    folder: Path
    manifest: Manifest
    n_rows: int
    n_predicted: int
    own_features: tuple[str, ...]
    has_domain: bool

    @property
    def view(self) -> str:
        """Name of the scan's view."""
        return f"scan_{self.number}"

    def column(self, name: str) -> str:
        """Name of one of its columns in the joined table."""
        return f"step {self.number} {name}"


@dataclass(frozen=True, slots=True)
class Crystals:
    """The joined table `crystals` in a database, a row per crystal that all scans predict.

    Attributes:
        connection: The database, with a view of each scan beside the table.
        steps: The scans.
        features: Numeric columns that describe the crystal.
        n_crystals: Rows.
        n_with_features: Rows whose crystal is in the joined table of features.
        has_members: Whether every scan keeps the members' κ; else there is nothing to say of their spread.
    """

    connection: duckdb.DuckDBPyConnection
    steps: tuple[Step, ...]
    features: tuple[str, ...]
    n_crystals: int
    n_with_features: int
    has_members: bool

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What the ensembles give for each crystal."""
        return (KAPPA, LOG_KAPPA, VARIANCE, LOG_SPREAD) if self.has_members else (KAPPA, LOG_KAPPA)

    def select(self, chosen: str, source: str) -> list[tuple[Any, ...]]:
        """Rows of a SELECT; names that are not our own are to be quoted."""
        return self.connection.execute(f"SELECT {chosen} FROM {source}").fetchall()  # noqa: S608 - see above

    def values(self, column: str) -> np.ndarray:
        """A column, [n_crystals] float64, NaN where it is null."""
        select = f"SELECT CAST({quoted(column)} AS DOUBLE) AS x FROM {TABLE}"  # noqa: S608 - a quoted name
        found = self.connection.execute(select).fetchnumpy()["x"]
        return np.ma.filled(np.ma.asarray(found, dtype=np.float64), np.nan)


@contextmanager
def join_scans(
    outs: Sequence[str | Path], labels: Sequence[str] = (), features: str | Path | None = None
) -> Iterator[Crystals]:
    """Join scans of the same crystals by different models.

    Crystals are matched by `material_id`, or by `source` where identifiers are not unique.

    Args:
        outs: Folders of the scans.
        labels: Name of each; without them, the names of the models.
        features: A CSV table to join by `material_id`.

    Raises:
        RunError: A folder holds no scan.
        DataError: The scans have no crystal in common, or the table cannot be used.
    """
    if not outs or (labels and len(labels) != len(outs)):
        raise DataError(
            f"There are {len(outs)} scans and {len(labels)} labels; give a scan at least, a label for each."
        )
    with duckdb.connect() as connection:
        names = list(labels) or _model_names(outs)
        if len(set(names)) < len(names):
            raise DataError(f"The labels {', '.join(names)} do not tell the scans apart; give each its own.")
        parts = [usable_parts(out) for out in outs]
        steps = [
            _add_step(connection, Path(out), parts[number - 1], number, names[number - 1])
            for number, out in enumerate(outs, 1)
        ]
        add_scan(connection, parts[0], FIRST, features)
        numeric = _numeric_columns(connection, set(view_columns(connection, steps[0].view)))
        connection.execute(f"CREATE TABLE {TABLE} AS {_join(steps, numeric, _key(connection, steps))}")
        n_crystals = _count(connection, TABLE)
        if n_crystals == 0:
            raise DataError(f"The scans {', '.join(map(str, outs))} have no predicted crystal in common.")
        matched = f"{TABLE} JOIN {FIRST}_features USING ({KEY})"
        n_matched = 0 if features is None else _count(connection, matched)
        has_members = _have_members(steps)
        yield Crystals(connection, tuple(steps), _varying(connection, numeric), n_crystals, n_matched, has_members)


def _model_names(outs: Sequence[str | Path]) -> list[str]:
    """Names of the models, of the folders where two scans are by models of the same name."""
    names = [Path(read_manifest(out).model).name for out in outs]
    return names if len(set(names)) == len(names) else [str(out) for out in outs]


def _add_step(connection: duckdb.DuckDBPyConnection, out: Path, parts: Sequence[Path], number: int, label: str) -> Step:
    view = f"scan_{number}"
    add_scan(connection, parts, view)
    return Step(
        number=number,
        label=label,
        folder=out,
        manifest=read_manifest(out),
        n_rows=_count(connection, view),
        n_predicted=_count(connection, f"{view} WHERE {_PREDICTED}"),
        own_features=tuple(name for name in OWN_FEATURES if tells(connection, view, name)),
        has_domain=tells(connection, view, "domain"),
    )


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0])  # noqa: S608 - our own names


def _numeric_columns(connection: duckdb.DuckDBPyConnection, own: set[str]) -> list[str]:
    """Columns of the first scan, and all that are joined to it, that describe the crystal by a number."""
    described = connection.execute(f"DESCRIBE {FIRST}").fetchall()
    numeric = [name for name, kind, *_ in described if kind in _NUMERIC or kind.startswith("DECIMAL")]
    return [name for name in numeric if not (name in own and name.startswith(_NO_FEATURES))]


def _key(connection: duckdb.DuckDBPyConnection, steps: Sequence[Step]) -> str:
    """The column that tells the crystals of every scan apart."""
    for key in KEYS:
        distinct = f"SELECT count(*) - count(DISTINCT {key}) FROM "  # noqa: S608 - our own names
        if all(connection.execute(f"{distinct} {step.view} WHERE {_PREDICTED}").fetchall() == [(0,)] for step in steps):
            return key
    raise DataError(f"Neither {' nor '.join(KEYS)} tells the crystals of every scan apart; scan each crystal once.")


def _join(steps: Sequence[Step], numeric: Sequence[str], key: str) -> str:
    """The SELECT that joins the scans."""
    chosen = [f"{FIRST}.{quoted(name)}" for name in (*KEYS, "formula", *numeric)]
    for step in steps:
        values = {KAPPA.name: f"{step.view}.kappa", LOG_KAPPA.name: f"log10({step.view}.kappa)"}
        values |= {name: f"{step.view}.{name}" for name in step.own_features}
        if _have_members(steps):
            logarithms = ", ".join(f"log10({step.view}.{name}::DOUBLE)" for name in members_of(step))
            values[VARIANCE.name] = f"{step.view}.kappa_std ** 2"
            values[LOG_SPREAD.name] = f"list_aggregate([{logarithms}], 'stddev_pop')"
        chosen += [f"{value} AS {quoted(step.column(name))}" for name, value in values.items()]
    joins = " ".join(f"JOIN {step.view} ON {step.view}.{key} = {FIRST}.{key}" for step in steps)
    conditions = " AND ".join(f"{view}.{_PREDICTED}" for view in (FIRST, *(step.view for step in steps)))
    return f"SELECT {', '.join(chosen)} FROM {FIRST} {joins} WHERE {conditions}"  # noqa: S608 - quoted names


def members_of(step: Step) -> list[str]:
    """Columns of the members' κ in a scan that keeps them."""
    return member_columns(step.manifest.n_members)


def _have_members(steps: Sequence[Step]) -> bool:
    return all(step.manifest.members for step in steps)


def _varying(connection: duckdb.DuckDBPyConnection, numeric: Sequence[str]) -> tuple[str, ...]:
    """Columns with at least two values; the others correlate with nothing."""
    if not numeric:
        return ()
    checks = ", ".join(f"count(DISTINCT {quoted(name)}) > 1" for name in numeric)
    varies = connection.execute(f"SELECT {checks} FROM {TABLE}").fetchall()[0]  # noqa: S608 - quoted names
    return tuple(name for name, is_varying in zip(numeric, varies, strict=True) if is_varying)
