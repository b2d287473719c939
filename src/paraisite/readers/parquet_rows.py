"""Structures in the rows of Parquet tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paraisite.errors import StructureError
from paraisite.readers.json_structures import parse_entry
from paraisite.readers.optimade import STRUCTURE_KEYS
from paraisite.structures.checks import unreadable
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record, broken_record

STRUCTURE_COLUMN = "structure"
BATCH_ROWS = 1024
BUFFER_BYTES = 1 << 20
"""Bytes of a column that are read at a time, so that a row group of any length takes little memory."""


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return path.suffix.lower() in {".parquet", ".pq"}


@dataclass(frozen=True, slots=True)
class RowRecord:
    """A row, not yet parsed.

    It holds its structure as JSON text or as nested fields in the column `structure` (a pymatgen dictionary or OPTIMADE
    attributes), or as the OPTIMADE columns `lattice_vectors`, `cartesian_site_positions`, `species_at_sites` themselves.

    Attributes:
        row: Its columns.
    """

    row: dict[str, Any]

    def __call__(self, origin: Origin) -> Crystal:
        """Parse it."""
        structure = self.row.get(STRUCTURE_COLUMN)
        if isinstance(structure, str | bytes):
            try:
                return parse_entry(None, {**self.row, STRUCTURE_COLUMN: json.loads(structure)}, origin)
            except (ValueError, RecursionError):
                return parse_entry(None, {}, origin)  # says that there is no structure
        return parse_entry(None, self.row, origin)


def lacks_structures(columns: Iterable[str]) -> str:
    """Why a table with these columns holds no structures; empty where it may."""
    names = set(columns)
    if STRUCTURE_COLUMN in names or names.issuperset(STRUCTURE_KEYS):
        return ""
    return f"the table has no structures; give it a column {STRUCTURE_COLUMN}, or {', '.join(STRUCTURE_KEYS)}"


def plain_rows(batch: Any) -> list[dict[str, Any] | Exception]:
    """Rows of a batch as plain values; in the place of one that has none, such as text that is no text, the reason."""
    try:
        rows: list[dict[str, Any] | Exception] = batch.to_pylist()
    except Exception as error:
        return [error] if len(batch) == 1 else [plain_rows(batch.slice(row, 1))[0] for row in range(len(batch))]
    return rows


def parquet_records(path: Path) -> Iterator[Record]:
    """The rows of a Parquet file, one record each.

    Raises:
        StructureError: `unreadable` for a file that is no readable table of structures, behind the rows before the damage.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - half a second, for Parquet alone

    try:
        with pq.ParquetFile(path, buffer_size=BUFFER_BYTES) as file:
            if reason := lacks_structures(file.schema_arrow.names):
                raise unreadable(path, reason, "check the table")
            for batch in file.iter_batches(BATCH_ROWS):
                for row in plain_rows(batch):
                    yield (
                        broken_record(f"the row cannot be read, {row}")
                        if isinstance(row, Exception)
                        else RowRecord(row)
                    )
    except StructureError:
        raise
    except Exception as error:
        raise unreadable(path, f"it is no readable Parquet file, {error}") from error
