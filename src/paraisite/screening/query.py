"""Ask a scan by SQL: its parts as one view, and nothing else of the machine within reach of the query."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.dataset

from paraisite.errors import DataError, ParaisiteError
from paraisite.screening.state import usable_parts

SCAN_VIEW = "scan"
KEY = "material_id"
ADDED = ("position", "duplicate_of")
"""Columns of the view beside the scan's own."""
CLASH_PREFIX = "joined_"
"""Put before a joined column that has the name of a column of the scan."""
CHUNK_VECTORS = 2
"""DuckDB's vectors of 2048 rows in a chunk."""
_NULLS = ("", "nan", "NaN", "NA", "N/A", "null", "NULL", "None")
_LOCK = (
    # The folder for spilled data is always open to a query, so there is none: too large a query says so.
    "SET temp_directory = ''",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


class QueryError(ParaisiteError):
    """A query, or a choice of rows, that cannot be answered."""

    code = "invalid_query"


def stream_query(out: str | Path, sql: str, features: str | Path | None = None) -> Generator[pd.DataFrame, None, None]:
    """Answer one SELECT over the view `scan`, a chunk of rows at a time.

    The view has the scan's columns, the joined ones, `position`: the number of the row, from 1, and `duplicate_of`: the first
    `material_id` with the same `graph_hash` and `formula`, null for that first one. The query can read nothing else, and
    change nothing. What of the scan is there is said in the log, as a warning where something lacks; see `scan_state`.

    Args:
        out: The scan's folder.
        sql: One SELECT of DuckDB's dialect (https://duckdb.org/docs/stable/sql/introduction).
        features: A CSV table to join by `material_id`.

    Yields:
        Rows of the answer; at least one chunk, empty where nothing is selected.

    Raises:
        QueryError: The query is wrong, or does more than to select.
        RunError: The folder holds no scan, or a part is damaged.
        DataError: The table to join cannot be used.
    """
    with open_scan(out, features) as connection:
        yield from stream_answer(connection, sql)


@contextmanager
def open_scan(out: str | Path, features: str | Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a connection to a database in memory that holds the view `scan`, and is locked against everything else.

    Args:
        out: The scan's folder.
        features: A CSV table to join by `material_id`.

    Raises:
        RunError: The folder holds no scan.
        DataError: The table to join cannot be used.
    """
    with duckdb.connect() as connection:
        add_scan(connection, usable_parts(out), SCAN_VIEW, features)
        for statement in _LOCK:
            connection.execute(statement)
        yield connection


def add_scan(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], view: str, features: str | Path | None = None
) -> None:
    """Add the view of a scan's parts, see `usable_parts`, to a database that is not locked yet; see `stream_query`."""
    # Read by Arrow and not by DuckDB, so that a query needs no right to open a file: COPY may stand inside a SELECT. It also
    # checks the pages, which DuckDB does not.
    checked = pyarrow.dataset.ParquetFragmentScanOptions(page_checksum_verification=True)
    pages = pyarrow.dataset.ParquetFileFormat(default_fragment_scan_options=checked)
    parts = pyarrow.dataset.dataset([str(path) for path in paths], format=pages)
    connection.register(f"{view}_parts", parts)
    same = "WINDOW same AS (PARTITION BY graph_hash, formula ORDER BY position)"
    duplicate = f"graph_hash IS NOT NULL AND row_number() OVER same > 1 THEN first_value({KEY}) OVER same"
    rows = f"SELECT *, row_number() OVER () AS position FROM {view}_parts"  # noqa: S608 - all names are our own
    select = f"SELECT *, CASE WHEN {duplicate} END AS duplicate_of FROM ({rows}) {same}"  # noqa: S608
    if features is not None:
        names = ", ".join(_add_features(connection, Path(features), f"{view}_features", set(parts.schema.names)))
        joined = f"LEFT JOIN {view}_features ON {view}_features.{KEY} = chosen.{KEY}"
        select = f"SELECT chosen.*{', ' if names else ''}{names} FROM ({select}) chosen {joined}"  # noqa: S608
    connection.execute(f"CREATE VIEW {view} AS {select}")


def _add_features(connection: duckdb.DuckDBPyConnection, path: Path, table: str, taken: set[str]) -> list[str]:
    """Read a CSV table into a database; the columns to select of it."""
    if not path.is_file():
        raise DataError(f"There is no table {path}; give a CSV file with a column {KEY}.")
    # A path is no pattern, even with brackets in it.
    name = re.sub(r"([*?\[])", r"[\1]", str(path))
    options = {"sample_size": -1, "na_values": list(_NULLS)}
    try:
        columns = connection.read_csv(name, **options).columns  # type: ignore[arg-type]
        if KEY not in columns:
            raise DataError(f"The table {path} has no column {KEY} to join by; it has {', '.join(columns)}.")
        connection.read_csv(name, dtype={KEY: "VARCHAR"}, **options).create(table)  # type: ignore[arg-type]
    except duckdb.Error as error:
        raise DataError(f"The table {path} cannot be read as CSV, {_first_sentence(error)}; check the file.") from error
    twice = connection.execute(
        f"SELECT {KEY} FROM {table} WHERE {KEY} IS NOT NULL GROUP BY ALL HAVING count(*) > 1 ORDER BY 1 LIMIT 1"  # noqa: S608
    ).fetchone()
    if twice is not None:
        raise DataError(f"The table {path} has {KEY} {twice[0]} more than once; keep one row of each.")
    used = {column.lower() for column in (*taken, *ADDED)}
    return [
        f"{table}.{quoted(column)}" + (f" AS {quoted(CLASH_PREFIX + column)}" if column.lower() in used else "")
        for column in columns
        if column != KEY
    ]


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> pd.DataFrame:
    """Answer one SELECT.

    Raises:
        QueryError: The query is wrong, or does more than to select.
    """
    with _explained():
        return _select(connection, sql).df()


def stream_answer(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[pd.DataFrame]:
    """As `answer`, a chunk of rows at a time; at least one chunk, empty where nothing is selected."""
    with _explained():
        result = _select(connection, sql)
        yield result.fetch_df_chunk(CHUNK_VECTORS)
        while len(chunk := result.fetch_df_chunk(CHUNK_VECTORS)):
            yield chunk


def _select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    kinds = [statement.type for statement in duckdb.extract_statements(sql)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise QueryError(f"A query is one SELECT over the view {SCAN_VIEW}; this is {_named(kinds)}.")
    return connection.execute(sql)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what DuckDB complains of into one sentence."""
    try:
        yield
    except duckdb.Error as error:
        reason = _first_sentence(error)
        raise QueryError(
            f"The query cannot be answered, {reason}; `DESCRIBE {SCAN_VIEW}` lists what it can use."
        ) from error


def _named(kinds: list[Any]) -> str:
    return " and ".join(kind.name for kind in kinds) or "empty"


def quoted(name: str) -> str:
    """The name of a column, as SQL wants it whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def _first_sentence(error: duckdb.Error) -> str:
    """What DuckDB says, in one line without the drawing of the place."""
    return " ".join(str(error).partition("\n\n")[0].split()).rstrip(".!?")
