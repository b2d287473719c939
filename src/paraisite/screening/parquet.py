"""Structures in Parquet files, read a few rows at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from paraisite.readers.parquet_rows import BATCH_ROWS, BUFFER_BYTES, RowRecord, lacks_structures, plain_rows
from paraisite.readers.units import Unit
from paraisite.screening.pieces import FailedPiece, Piece, failed_record
from paraisite.structures.origin import Origin, Record


@dataclass(frozen=True, slots=True)
class ParquetPiece(Piece):
    """Rows of a Parquet file.

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

    def records(self) -> Iterator[tuple[Record, Origin]]:
        """Rows, not yet parsed."""
        try:
            rows = _rows(self.path, self.row_group, self.start, self.stop)
        except Exception as error:
            yield failed_record(self.name, f"its rows cannot be read, {error}")
            return
        stem = Path(self.path).stem
        for number, row in enumerate(rows, self.first + 1):
            if isinstance(row, Exception):
                yield failed_record(f"{self.path}#{number}", row)
            else:
                yield RowRecord(row), Origin(f"{self.path}#{number}", f"{stem}#{number}")


class _RowGroup:
    """A row group, read forwards: Parquet cannot be entered in its middle, and most writers make groups of many pieces.

    Attributes:
        key: What tells it from others: the file, also by its size and time of change, and the number of the group.
        first: First row that can still be read.
    """

    def __init__(self, key: tuple[Any, ...]) -> None:
        self.key, self.first = key, 0
        self._file = pq.ParquetFile(key[0], buffer_size=BUFFER_BYTES)
        self._batches = self._file.iter_batches(BATCH_ROWS, row_groups=[key[1]])
        self._batch: Any = next(self._batches, None)

    def rows(self, start: int, stop: int) -> list[dict[str, Any] | Exception]:
        """Rows from `start` to before `stop`."""
        found: list[dict[str, Any] | Exception] = []
        while self._batch is not None:
            begin, end = max(start - self.first, 0), min(stop - self.first, len(self._batch))
            if begin < end:
                found += plain_rows(self._batch.slice(begin, end - begin))
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


_open = threading.local()
"""The row group that a thread is reading."""


def _rows(path: str, row_group: int, start: int, stop: int) -> list[dict[str, Any] | Exception]:
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
        rows = group.rows(start, stop)
    except Exception:
        group.close()
        raise
    if group.finished:
        group.close()
    else:
        _open.group = group
    return rows


def parquet_pieces(path: Path, size: int) -> Iterator[Piece]:
    """Cut a Parquet file by its row groups and `size`."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    except Exception as error:
        yield FailedPiece(str(path), f"it is no readable Parquet file, {error}")
        return
    if reason := lacks_structures(names):
        yield FailedPiece(str(path), reason)
        return
    first = 0
    for group, n_rows in enumerate(rows):
        for start in range(0, n_rows, size):
            yield ParquetPiece(str(path), group, start, min(start + size, n_rows), first + start)
        first += n_rows
