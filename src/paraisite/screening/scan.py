"""Scan a source: every structure a row, parts that a killed scan keeps, and a scan that goes on where it stopped."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq

from paraisite.errors import RunError
from paraisite.fetch.common import FetchReporter
from paraisite.fetch.policy import DEFAULT_LIMITS, HttpLimits
from paraisite.models.files import WEIGHTS_NAME, find_model, read_card
from paraisite.models.names import DEFAULT_MODEL
from paraisite.prediction.prepare import predicted_statuses
from paraisite.screening.local import scan_locally
from paraisite.screening.manifest import (
    PARTS,
    Manifest,
    begin,
    done_parts,
    file_hash,
    finish,
    part_path,
    refuse_second,
    remove_left_overs,
)
from paraisite.screening.ray_engine import scan_with_ray
from paraisite.screening.remote import find_source
from paraisite.screening.scanner import PieceResult, ScannerSettings
from paraisite.screening.sources import Meter, ScanSource, Work
from paraisite.structures.crystal import ReadOptions
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits
from paraisite.threads import require_device

PIECE_SIZE = 1024


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How a scan works.

    Attributes:
        model: Shipped model or model folder.
        device: `cpu` or `cuda`.
        processes: Working processes; one per core if unset.
        piece_size: Structures of a part, at most.
        symmetry: Whether to look for space groups, which takes about a millisecond a crystal.
        allow_missing_hydrogens: Predict crystals whose sites lack hydrogens of the stated formula, with the status
            `missing_hydrogens`; else they are refused with it.
        resume: Go on with the scan that is in the folder.
        query: Filter of an `optimade:` source.
        engine: `local`, or `ray` for a cluster.
        address: Address of a Ray cluster; without it Ray starts one on this machine.
        report: Called after every part.
        report_fetch: Called while structures are fetched from a server.
        fetch_limits: What is taken from a server at most.
        limits: What is read of the source at most.
    """

    model: str | Path = DEFAULT_MODEL
    device: str = "cpu"
    processes: int | None = None
    piece_size: int = PIECE_SIZE
    symmetry: bool = False
    allow_missing_hydrogens: bool = False
    members: bool = False
    resume: bool = False
    query: str = ""
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    report: Callable[[ScanProgress], None] | None = None
    report_fetch: FetchReporter | None = None
    fetch_limits: HttpLimits = DEFAULT_LIMITS
    limits: ReadingLimits = DEFAULT_READING


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How a scan stands.

    Attributes:
        rows: Rows written, those of earlier attempts too.
        rows_now: Rows written by this attempt.
        failed: Rows without a prediction.
        parts: Parts that are finished.
        seconds: Time of this attempt.
        seconds_left: Time that is left, by the bytes of the source that are done and left; None while nothing is known.
    """

    rows: int
    rows_now: int
    failed: int
    parts: int
    seconds: float
    seconds_left: float | None = None


def scan(
    source: str | Path | Sequence[str | Path] | ScanSource,
    out: str | Path,
    options: ScanOptions = ScanOptions(),
) -> ScanProgress:
    """Predict κ of every structure of a source and write one row each.

    The folder gets `scan.json` and `parts/part-….parquet`. A scan that was stopped at any moment goes on with `resume`, and
    in the end every structure has exactly one row.

    Args:
        source: See `find_source`.
        out: The scan's folder.
        options: Model and how to work.

    Returns:
        The counts of the finished scan.

    Raises:
        DataError: The source holds nothing.
        FetchError: A server does not answer with its structures.
        ModelFileError: There is no such model.
        RunError: The folder holds another scan, or one that is not to be resumed; or it cannot be written.
    """
    out = Path(out)
    folder = find_model(options.model)
    require_device(options.device)
    refuse_second(out, resume=options.resume)
    with _stops_told(out):
        return _scan(source, out, folder, options)


def _scan(
    source: str | Path | Sequence[str | Path] | ScanSource, out: Path, folder: Path, options: ScanOptions
) -> ScanProgress:
    opened = source if isinstance(source, ScanSource) else _find_source(source, out, options)
    manifest = Manifest(
        source=opened.name,
        fingerprint=opened.fingerprint(),
        model=str(options.model),
        model_hash=file_hash(folder / WEIGHTS_NAME),
        n_members=int(read_card(folder)["architecture"]["n_members"]),
        piece_size=options.piece_size,
        symmetry=options.symmetry,
        allow_missing_hydrogens=options.allow_missing_hydrogens,
        members=options.members,
        limits=asdict(options.limits),
    )
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    begin(out, manifest)
    done = frozenset(done_parts(out))
    before = Counter[str]()
    for index in done:
        before.update(pq.read_table(part_path(out, index), columns=["status"])["status"].to_pylist())
    reading = ReadOptions(allow_missing_hydrogens=options.allow_missing_hydrogens, limits=options.limits)
    settings = ScannerSettings(
        out.absolute(), folder.absolute(), options.device, options.symmetry, reading, options.members
    )
    counts, n_parts, clock = Counter[str](), len(done), _Clock(Meter(opened.size()))
    predicted = predicted_statuses(reading)
    progress = _progress(before, counts, n_parts, clock, predicted)
    results = _results(Work(opened, options.piece_size, done, options.limits), settings, options, clock.meter)
    with ExitStack() as stack:
        stack.callback(remove_left_overs, out)
        stack.enter_context(closing(results))
        for result in results:
            counts.update(result.counts)
            n_parts += 1
            clock.tick(result.index)
            progress = _progress(before, counts, n_parts, clock, predicted)
            if options.report is not None:
                options.report(progress)
    finish(out, manifest, dict(before + counts))
    return progress


def _find_source(source: str | Path | Sequence[str | Path], out: Path, options: ScanOptions) -> ScanSource:
    return find_source(source, out, options.query, options.report_fetch, options.fetch_limits)


@contextmanager
def _stops_told(out: Path) -> Iterator[None]:
    """Say in one sentence what a full disk, a folder that is read-only, or a drive that is gone means for the scan."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RunError(
            f"The scan stopped at {error.filename or out}: {reason}; mend that, or choose another folder, and give the "
            "command again with --resume."
        ) from error


class _Clock:
    """Time of a scan, and time that is left: bytes left by the bytes per second since the first part.

    The first part comes late, after the model was loaded, so the time to it says nothing of those to come.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._start = time.monotonic()
        self._first: tuple[float, float] | None = None
        self.seconds = 0.0
        self.seconds_left: float | None = None

    def tick(self, index: int) -> None:
        """Note that a piece is finished."""
        self.meter.finish(index)
        self.seconds = time.monotonic() - self._start
        if self._first is None:
            self._first = self.seconds, self.meter.finished
        seconds, n_bytes = self.seconds - self._first[0], self.meter.finished - self._first[1]
        if n_bytes <= 0:  # the first part, or the first of empty files
            seconds, n_bytes = self.seconds, self.meter.finished
        self.seconds_left = self.meter.left * seconds / n_bytes if n_bytes > 0 else None


def _progress(
    before: Counter[str], now: Counter[str], n_parts: int, clock: _Clock, predicted: frozenset[str]
) -> ScanProgress:
    both = before + now
    failed = sum(count for status, count in both.items() if status not in predicted)
    return ScanProgress(both.total(), now.total(), failed, n_parts, clock.seconds, clock.seconds_left)


def _results(
    work: Work, settings: ScannerSettings, options: ScanOptions, meter: Meter
) -> Generator[PieceResult, None, None]:
    if options.engine == "ray":
        return scan_with_ray(work, settings, options.processes, options.address, meter)
    if options.engine != "local":
        raise RunError(f"There is no engine {options.engine!r}; choose local or ray.")
    # One process per GPU: several would only wait for it in turn.
    processes = options.processes or (1 if options.device != "cpu" else os.cpu_count() or 1)
    return scan_locally(work.left(meter), settings, processes)
