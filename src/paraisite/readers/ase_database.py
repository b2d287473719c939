"""ASE databases: SQLite files, and the JSON that ASE writes for databases and for single Atoms."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.stated_columns import check_columns
from paraisite.structures.checks import unreadable
from paraisite.structures.convert import from_cartesian
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record, broken_record, scalar_columns, take_id

SQLITE_START = b"SQLite format 3\x00"


def ase_database_records(path: Path) -> Iterator[Record]:
    """The rows of an SQLite database, one record each.

    Raises:
        StructureError: `unreadable` or `unsupported_format` for a file that is no ASE database.
    """
    _check_tables(path)
    from ase.db import connect  # noqa: PLC0415 - slow to import and seldom needed

    open_database: Any = connect
    rows = open_database(str(path), type="db", use_lock_file=False).select()
    while True:
        try:
            row = next(rows, None)
        except Exception as error:  # ASE decodes a row while it moves to it; the rest cannot be reached after that
            yield broken_record(f"ASE cannot go on reading, {error}")
            return
        if row is None:
            return
        yield partial(_parse_row, row)


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
    """Refuse a foreign SQLite file, in which ASE would create its own tables."""
    with path.open("rb") as stream:
        if stream.read(len(SQLITE_START)) != SQLITE_START:
            raise StructureError(
                f"{path}: the file is no SQLite database; decompress or convert it.", code="unsupported_format"
            )
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'systems'").fetchall()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    if not tables:
        raise StructureError(f"{path}: the SQLite file is no ASE database; convert it.", code="unsupported_format")
