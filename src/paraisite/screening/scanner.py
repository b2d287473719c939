"""The work on one piece: read, build graphs, predict, write its part. Every engine does it with this class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from paraisite.atomic import atomic_path
from paraisite.prediction.chunks import with_failures
from paraisite.prediction.predict import Predictor
from paraisite.prediction.prepare import CHUNK_CRYSTALS, prepare
from paraisite.processes.watchdog import Watchdog, watched
from paraisite.readers.units import Place, steps_without
from paraisite.screening.checksums import HashedFile, PartRecord, append_record
from paraisite.screening.manifest import part_path
from paraisite.screening.rows import describe, make_rows, schema
from paraisite.sources.pieces import Piece
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions


@dataclass(frozen=True, slots=True)
class ScannerSettings:
    """What a worker needs to know.

    Attributes:
        out: The scan's folder.
        model: Folder of the model.
        device: `cpu` or `cuda`.
        symmetry: Whether to look for space groups.
        reading: What readers let pass.
        members: Whether to give each member's κ, their mean and standard deviation too.
        scan: Identity of the scan, which every part is noted with.
    """

    out: Path
    model: Path
    device: str = "cpu"
    symmetry: bool = False
    reading: ReadOptions = STRICT
    members: bool = False
    scan: str = ""


@dataclass(frozen=True, slots=True)
class PieceResult:
    """What is reported of a finished piece.

    Attributes:
        index: Number of the piece.
        counts: Rows by status.
    """

    index: int
    counts: dict[str, int]


class Scanner:
    """A loaded model that turns pieces into parts."""

    def __init__(self, settings: ScannerSettings) -> None:
        """Load the model."""
        self.settings = settings
        self.predictor = Predictor(settings.model, device=settings.device, threads=1)
        self.schema = schema(self.predictor.n_members if settings.members else None)

    def write_part(self, index: int, piece: Piece) -> PieceResult:
        """Scan a piece and write its part, whole or not at all.

        Raises:
            OSError: The part cannot be written, for example for want of space.
        """
        with Watchdog(self.settings.reading.limits.record_seconds) as watchdog:
            return self._write(index, self.tables(piece, watchdog))

    def write_part_carefully(
        self, index: int, piece: Piece, crashed: frozenset[Place]
    ) -> Iterator[Place | PieceResult]:
        """As `write_part`, one structure at a time: each step is announced, and those that ended a process are left out."""
        tables = []
        with Watchdog(self.settings.reading.limits.record_seconds) as watchdog:
            for step in steps_without(piece.units(), crashed, options=self.settings.reading):
                watchdog.allow()
                if isinstance(step, Place):
                    yield step
                else:
                    tables.append(with_failures([step], self._table))
        yield self._write(index, tables)

    def tables(self, piece: Piece, watchdog: Watchdog | None = None) -> Iterator[pa.Table]:
        """Rows of a piece, a chunk at a time, so that memory stays bounded whatever the piece.

        Args:
            piece: The piece.
            watchdog: Limits the time for each structure, in a working process.
        """
        items = piece.items(self.settings.reading)
        steps = items if watchdog is None else watched(items, watchdog)
        while chunk := list(islice(steps, CHUNK_CRYSTALS)):
            if watchdog is not None:
                watchdog.allow(len(chunk))
            yield with_failures(chunk, self._table)

    def _table(self, chunk: list[Crystal | ReadFailure]) -> pa.Table:
        prepared = prepare(chunk, self.predictor.needs)
        described = describe(chunk, self.settings.reading.limits.symmetry_atoms if self.settings.symmetry else 0)
        said = self.predictor.outputs(prepared)
        return make_rows(prepared, described, said.kappa, said.judgement, members=self.settings.members)

    def _write(self, index: int, tables: Iterable[pa.Table]) -> PieceResult:
        counts: Counter[str] = Counter()
        out = self.settings.out
        with atomic_path(part_path(out, index)) as path:
            with path.open("wb") as handle:
                hashed = HashedFile(handle)
                with pq.ParquetWriter(hashed, self.schema, compression="zstd", write_page_checksum=True) as writer:
                    for table in tables:
                        writer.write_table(table)
                        counts.update(table["status"].to_pylist())
            append_record(out, PartRecord(index, self.settings.scan, hashed.hexdigest(), dict(counts)))
        return PieceResult(index, dict(counts))
