"""Structures in Parquet files, read a few rows at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from paraisite.errors import StructureError
from paraisite.readers.json_structures import parse_entry
from paraisite.readers.json_text import JSON_ERRORS, load_json
from paraisite.readers.optimade import STRUCTURE_KEYS
from paraisite.readers.stream import as_structure_error
from paraisite.readers.units import Unit
from paraisite.sources.pieces import ContentsPiece, FailedPiece, Piece, failed_record
from paraisite.structures.checks import unreadable
from paraisite.structures.crystal import Crystal
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits, too_large
from paraisite.structures.origin import Origin, Record

STRUCTURE_COLUMN = "structure"
BATCH_ROWS = 256
"""Rows of a batch; a text that stands in many rows is copied into each of them."""
DICTIONARY_BYTES = (1 << 22, 1 << 26)
"""Columns of text of this size are read as a dictionary, which keeps a text once but all texts of the row group: a smaller
column needs none, and a larger one would be held as a whole."""
DICTIONARY_EXPANSION = 20
"""Columns of text that compression shrinks more than this are read as a dictionary too: the same text stands in many rows."""
FREE_ROWS = 1 << 16
"""Rows that any file may have, however short it is."""
BUFFER_BYTES = 1 << 20
"""Bytes of a column that are read at a time, so that a row group of any length takes little memory."""


@dataclass(frozen=True, slots=True)
class ParquetPiece(Piece):
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

    @property
    def name(self) -> str:
        """Path and number of the first row."""
        return f"{self.path}#{self.first + 1}"

    def units(self) -> Iterator[Unit]:
        """Itself."""
        yield self

    def records(self, limits: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
        """Rows, not yet parsed."""
        last = self.first + self.stop - self.start
        try:
            batches = _batches(self.path, self.row_group, self.start, self.stop)
        except Exception as error:
            yield failed_record(self.name, f"the rows up to #{last} cannot be read, {error}")
            return
        stem, number = Path(self.path).stem, self.first
        for row in (batch.slice(index, 1) for batch in batches for index in range(len(batch))):
            number += 1
            name = f"{self.path}#{number}"
            try:
                yield _RowRecord(_plain(row, name, limits), limits), Origin(name, f"{stem}#{number}")
            except Exception as error:
                yield failed_record(name, error)
        if number < last:
            yield failed_record(f"{self.path}#{number + 1}", f"the rows up to #{last} are missing")


class _RowGroup:
    """A row group, read forwards: Parquet cannot be entered in its middle, and most writers make groups of many pieces.

    Attributes:
        key: What tells it from others: the file, also by its size and time of change, and the number of the group.
        first: First row that can still be read.
    """

    def __init__(self, key: tuple[Any, ...]) -> None:
        self.key, self.first = key, 0
        with pq.ParquetFile(key[0]) as file:
            texts = _repeated_texts(file, key[1])
        # Checksums are compared where the file has them.
        self._file = pq.ParquetFile(
            key[0], buffer_size=BUFFER_BYTES, read_dictionary=texts, page_checksum_verification=True
        )
        self._batches = self._file.iter_batches(BATCH_ROWS, row_groups=[key[1]])
        self._batch: Any = next(self._batches, None)

    def batches(self, start: int, stop: int) -> list[Any]:
        """Rows from `start` to before `stop`."""
        found: list[Any] = []
        while self._batch is not None:
            begin, end = max(start - self.first, 0), min(stop - self.first, len(self._batch))
            if begin < end:
                found.append(self._batch.slice(begin, end - begin))
            if stop < self.first + len(self._batch):
                break
            self.first += len(self._batch)
            self._batch = next(self._batches, None)
        return found

    @property
    def finished(self) -> bool:
        """Whether no row is left."""
        return self._batch is None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _repeated_texts(file: Any, group: int) -> list[str]:
    """Columns of text that may hold the same long text in many rows."""
    texts = {field.name for field in file.schema_arrow if _is_text(field.type)}
    metadata = file.metadata.row_group(group)
    found = []
    for column in map(metadata.column, range(metadata.num_columns)):
        size = column.total_uncompressed_size
        expansion = size / max(column.total_compressed_size, 1)
        fits = DICTIONARY_BYTES[0] <= size <= DICTIONARY_BYTES[1]
        if column.path_in_schema in texts and (fits or expansion > DICTIONARY_EXPANSION):
            found.append(column.path_in_schema)
    return found


def _is_text(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    )


def _plain(row: Any, name: str, limits: ReadingLimits) -> dict[str, Any]:
    """A batch of one row as plain values.

    Raises:
        StructureError: `too_large`.
        Exception: A value is none, such as text that is no text.
    """
    columns = (column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in row.columns)
    if sum(column.nbytes for column in columns) > limits.record_bytes:
        raise too_large(name, "the row has more than {} bytes", "record_bytes", limits)
    plain: dict[str, Any] = row.to_pylist()[0]
    return plain


_open = threading.local()
"""The row group that a thread is reading."""


def _batches(path: str, row_group: int, start: int, stop: int) -> list[Any]:
    """Rows of a row group; a piece that comes after the last one goes on where that ended."""
    status = Path(path).stat()
    key = (path, row_group, status.st_size, status.st_mtime_ns)
    group: _RowGroup | None = getattr(_open, "group", None)
    _open.group = None
    if group is not None and (group.key != key or start < group.first):
        group.close()
        group = None
    group = group or _RowGroup(key)
    try:
        batches = group.batches(start, stop)
    except Exception:
        group.close()
        raise
    if group.finished:
        group.close()
    else:
        _open.group = group
    return batches


@dataclass(frozen=True, slots=True)
class _RowRecord:
    row: dict[str, Any]
    limits: ReadingLimits

    def __call__(self, origin: Origin) -> Crystal:
        structure = self.row.get(STRUCTURE_COLUMN)
        if isinstance(structure, str | bytes):
            try:
                text = structure if isinstance(structure, str) else structure.decode("utf-8")
                row = {**self.row, STRUCTURE_COLUMN: load_json(text, origin.source, self.limits)}
            except JSON_ERRORS:
                row = {}  # of which is said that there is no structure
            return parse_entry(None, row, origin)
        return parse_entry(None, self.row, origin)


def parquet_pieces(path: Path, size: int, limits: ReadingLimits = DEFAULT_READING) -> Iterator[Piece]:
    """Cut a Parquet file by its row groups and `size`."""
    try:
        with pq.ParquetFile(path) as file:
            names, metadata = set(file.schema_arrow.names), file.metadata
            n_rows = [metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
            problem = _over_limit(path, metadata, limits)
    except FileNotFoundError as error:
        yield ContentsPiece(((str(path), as_structure_error(path, error)),))
        return
    except Exception as error:
        yield FailedPiece(str(path), f"it is no readable Parquet file, {error}")
        return
    if STRUCTURE_COLUMN not in names and not names.issuperset(STRUCTURE_KEYS):
        wanted = f"a column {STRUCTURE_COLUMN}, or {', '.join(STRUCTURE_KEYS)}"
        yield FailedPiece(str(path), f"the table has no structures; give it {wanted}")
        return
    if problem is not None:
        yield ContentsPiece(((str(path), problem),))
        return
    if not any(n_rows):
        yield FailedPiece(str(path), "the table has no rows")
        return
    first = 0
    for group, n_in_group in enumerate(n_rows):
        for start in range(0, n_in_group, size):
            yield ParquetPiece(str(path), group, start, min(start + size, n_in_group), first + start)
        first += n_in_group


def _over_limit(path: Path, metadata: Any, limits: ReadingLimits) -> StructureError | None:
    """What a few bytes of the file would grow to, by what its metadata state."""
    n_bytes = path.stat().st_size
    if metadata.num_rows > min(limits.rows, max(n_bytes, FREE_ROWS)):
        if metadata.num_rows > limits.rows:
            return too_large(path, "the table has more than {} rows", "rows", limits)
        return unreadable(
            path, f"the table has {metadata.num_rows} rows in {n_bytes} bytes, which no structures fit into"
        )
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            grown = max(column.total_uncompressed_size, column.num_values)
            if grown > limits.decompressed_bytes(column.total_compressed_size):
                return too_large(path, "a column grows to more than {} times its size", "expansion", limits)
    return None
