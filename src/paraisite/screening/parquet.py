"""Structures in Parquet files, read a few rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from paraisite.screening.pieces import FailedPiece, Piece, failure
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.json_structures import parse_entry
from paraisite.structures.optimade import STRUCTURE_KEYS
from paraisite.structures.origin import Origin
from paraisite.structures.readers import parse_record

STRUCTURE_COLUMN = "structure"


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return path.suffix.lower() in {".parquet", ".pq"}


@dataclass(frozen=True, slots=True)
class ParquetPiece:
    """Rows of a Parquet file.

    A row holds its structure as JSON text or as nested fields in the column `structure` (a pymatgen dictionary or OPTIMADE
    attributes), or as the OPTIMADE columns `lattice_vectors`, `cartesian_site_positions`, `species_at_sites` themselves.

    Attributes:
        path: The file.
        row_group: Number of the row group.
        start: First row in it.
        stop: Row after the last.
        first: Number of the first row in the file.
    """

    path: str
    row_group: int
    start: int
    stop: int
    first: int

    def items(self) -> Iterator[Crystal | ReadFailure]:
        """Crystals of the rows."""
        try:
            with pq.ParquetFile(self.path) as file:
                table = file.read_row_group(self.row_group).slice(self.start, self.stop - self.start)
            rows = table.to_pylist()
        except (pa.ArrowException, OSError) as error:
            yield failure(f"{self.path}#{self.first + 1}", f"its rows cannot be read, {error}")
            return
        stem = Path(self.path).stem
        for number, row in enumerate(rows, self.first + 1):
            origin = Origin(f"{self.path}#{number}", f"{stem}#{number}")
            yield parse_record(_RowRecord(row), origin)


@dataclass(frozen=True, slots=True)
class _RowRecord:
    row: dict[str, Any]

    def __call__(self, origin: Origin) -> Crystal:
        structure = self.row.get(STRUCTURE_COLUMN)
        if isinstance(structure, str | bytes):
            try:
                return parse_entry(None, {**self.row, STRUCTURE_COLUMN: json.loads(structure)}, origin)
            except (ValueError, RecursionError):
                return parse_entry(None, {}, origin)  # says that there is no structure
        return parse_entry(None, self.row, origin)


def parquet_pieces(path: Path, size: int) -> Iterator[Piece]:
    """Cut a Parquet file by its row groups and `size`."""
    try:
        with pq.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        yield FailedPiece((failure(str(path), f"it is no readable Parquet file, {error}"),))
        return
    if STRUCTURE_COLUMN not in names and not names.issuperset(STRUCTURE_KEYS):
        wanted = f"a column {STRUCTURE_COLUMN}, or {', '.join(STRUCTURE_KEYS)}"
        yield FailedPiece((failure(str(path), f"the table has no structures; give it {wanted}"),))
        return
    first = 0
    for group, n_rows in enumerate(rows):
        for start in range(0, n_rows, size):
            yield ParquetPiece(str(path), group, start, min(start + size, n_rows), first + start)
        first += n_rows
