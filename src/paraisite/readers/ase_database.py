"""ASE databases: SQLite files, and the JSON that ASE writes for databases and for single Atoms."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.stated_columns import check_columns
from paraisite.structures.checks import unreadable
from paraisite.structures.convert import from_cartesian
from paraisite.structures.crystal import Crystal
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits, too_large
from paraisite.structures.origin import Origin, Record, broken_record, scalar_columns, take_id

_T = TypeVar("_T")

SQLITE_START = b"SQLite format 3\x00"

_TABLES = frozenset({"systems", "information", "species", "keys", "text_key_values", "number_key_values"})
_LARGEST_VALUE = 1_000_000_000
"""Bytes of a value that SQLite takes at most."""
_STEPS_BETWEEN_LOOKS = 10_000


def ase_database_records(path: Path, limits: ReadingLimits = DEFAULT_READING) -> Iterator[Record]:
    """The rows of an SQLite database, one record each; one that is damaged costs itself alone.

    Args:
        path: The file, which is opened for reading alone.
        limits: What is read at most.

    Raises:
        StructureError: `unreadable` or `unsupported_format` for a file that is no ASE database.
    """
    _check_tables(path)
    from ase.db import connect  # noqa: PLC0415 - slow to import and seldom needed

    with closing(_read_only(path)) as connection:
        damage = _damage(connection)
        _bound(connection, limits)
        open_database: Any = connect
        database = open_database(str(path), type="db", use_lock_file=False)
        # ASE's own connection could write, would hold all rows in memory, and stops at the first bad one.
        database.connection, database.change_count = connection, 0
        for n_rows, number in enumerate(_row_numbers(connection, path.stat().st_size)):
            if n_rows == limits.rows:
                yield partial(_refuse, "the database has more than {} rows", "rows", limits)
                break
            try:
                row = _clocked(connection, limits, partial(database.get, number, include_data=False))
            except sqlite3.DataError:
                yield partial(_refuse, f"a column of row {number} has more than {{}} bytes", "record_bytes", limits)
            except Exception as error:  # ASE's decoder fails in many ways on damaged rows
                yield broken_record(f"ASE cannot read row {number}, {type(error).__name__} {error}")
            else:
                yield partial(_parse_row, row)
    if damage:
        yield broken_record(f"the database is damaged, {damage}; rows may be missing or wrong", "make it anew")


def _row_numbers(connection: sqlite3.Connection, file_bytes: int) -> Iterator[int]:
    """Numbers of all rows; behind damage, all numbers that there may be."""
    last = 0
    try:
        for (number,) in connection.execute("SELECT id FROM systems ORDER BY id"):
            last = number
            yield number
    except sqlite3.Error:
        (largest,) = connection.execute("SELECT max(id) FROM systems").fetchone()
    else:
        return
    for number in range(last + 1, min(largest, last + file_bytes) + 1):
        try:
            if connection.execute("SELECT id FROM systems WHERE id = ?", (number,)).fetchone():
                yield number
        except sqlite3.Error:
            yield number  # reading it says why it is lost


def _damage(connection: sqlite3.Connection) -> str:
    """What SQLite finds wrong in the structure of the file, by which rows may vanish without an error; empty if nothing."""
    try:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        found = str(error)
    return "" if found == "ok" else found


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def _bound(connection: sqlite3.Connection, limits: ReadingLimits) -> None:
    """Let a database compute no more than ASE's own need: names in its tables become part of ASE's queries."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(limits.record_bytes, _LARGEST_VALUE))
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_TRANSACTION}
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY)


def _clocked(connection: sqlite3.Connection, limits: ReadingLimits, read: Callable[[], _T]) -> _T:
    """What a query gives, interrupted where it takes too long."""
    end = time.monotonic() + limits.record_seconds
    connection.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS_BETWEEN_LOOKS)
    try:
        return read()
    finally:
        connection.set_progress_handler(None, 0)


def _refuse(what: str, limit: str, limits: ReadingLimits, origin: Origin) -> Crystal:
    raise too_large(origin.source, what, limit, limits)


def ase_json_records(text: str, name: str) -> Iterator[Record]:
    """The rows of a JSON database, one record each.

    Args:
        text: The file's text.
        name: File for the error message.

    Raises:
        StructureError: `unreadable` if ASE cannot decode it.
    """
    from ase.db.row import AtomsRow  # noqa: PLC0415 - slow to import and seldom needed
    from ase.io.jsonio import decode  # noqa: PLC0415 - slow to import and seldom needed

    untyped_decode: Any = decode
    untyped_row: Any = AtomsRow
    try:
        data = untyped_decode(text)
        ids = list(data["ids"])
    except Exception as error:  # ASE's decoder fails in many ways on foreign JSON
        raise unreadable(name, f"ASE cannot decode the database, {error}") from error
    for number in ids:
        try:
            row = untyped_row({**data[number if number in data else str(number)], "id": number})
        except Exception as error:  # as above, for one row
            yield broken_record(f"ASE cannot decode row {number}, {type(error).__name__} {error}")
        else:
            yield partial(_parse_row, row)


def _parse_row(row: Any, origin: Origin) -> Crystal:
    """Crystal of a database row, with its key-value pairs as properties."""
    pairs = row.key_value_pairs
    stem, mark, index = origin.material_id.rpartition("#")
    if mark and origin.source.endswith(f"#{index}"):
        origin.material_id = f"{stem}#{row.id}"
    used = take_id(origin, pairs)
    try:
        numbers = np.array(row.numbers, dtype=np.int64)
        cell = np.array(row.cell, dtype=np.float64).reshape(3, 3)
        positions = np.array(row.positions, dtype=np.float64).reshape(len(numbers), 3)
        pbc = row.pbc
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise unreadable(origin.source, f"the row is broken, {error}") from error
    properties = scalar_columns(pairs, skip=used)
    crystal = from_cartesian(numbers, cell, positions, pbc=pbc, origin=origin, properties=properties)
    return check_columns(crystal, pairs)


def _check_tables(path: Path) -> None:
    """Refuse a foreign SQLite file, in which ASE would create its own tables, and one that computes its rows."""
    with path.open("rb") as stream:
        if stream.read(len(SQLITE_START)) != SQLITE_START:
            raise StructureError(
                f"{path}: the file is no SQLite database; decompress or convert it.", code="unsupported_format"
            )
    try:
        with closing(_read_only(path)) as connection:
            kinds = dict(connection.execute("SELECT name, type || ' ' || substr(sql, 1, 14) FROM sqlite_master"))
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    if "systems" not in kinds:
        raise StructureError(f"{path}: the SQLite file is no ASE database; convert it.", code="unsupported_format")
    for name in _TABLES & kinds.keys():
        if not str(kinds[name]).upper().startswith("TABLE CREATE TABLE"):
            raise unreadable(path, f"{name} is no table but computed", "write the rows into a new database")
