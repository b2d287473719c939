"""Scan a source: every structure a row, parts that a killed scan keeps, and a scan that goes on where it stopped."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from paraisite.errors import ParaisiteError, RunError
from paraisite.models.files import find_model, model_hash, read_card
from paraisite.outputs import mark_folder
from paraisite.prediction.prepare import predicted_statuses
from paraisite.screening.checksums import check_parts
from paraisite.screening.identity import (
    FileIdentity,
    changed_meanwhile,
    differences,
    fingerprint,
    identify_all,
    read_inventory,
    write_inventory,
)
from paraisite.screening.local import check_model, scan_locally
from paraisite.screening.lock import ScanLock, locked_scan
from paraisite.screening.manifest import (
    Manifest,
    Progress,
    difference,
    done_parts,
    part_path,
    read_manifest,
    read_progress,
    remove_left_overs,
    write_scan_manifest,
)
from paraisite.screening.options import RowOptions, ScanOptions, ScanProgress, row_options
from paraisite.screening.ray_engine import connect, scan_with_ray
from paraisite.screening.remote import find_source, is_remote, words_of
from paraisite.screening.scanner import PieceResult, ScannerSettings
from paraisite.screening.sources import Meter, ScanSource, Work
from paraisite.sources.own_output import MANIFEST, PARTS, SCAN
from paraisite.structures.crystal import ReadOptions
from paraisite.threads import number_of_processes, require_device

NOTE_SECONDS = 10.0
"""Seconds from one note of a running scan's progress to the next."""
_ENGINES = ("local", "ray")
_LOG = logging.getLogger(__name__)

GivenSource = str | Path | Sequence[str | Path]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a scan is to be.

    Attributes:
        out: Its folder.
        given: Its source, as it was given.
        model: Folder of the model.
        rows: Options that decide its rows.
        options: How to work.
        begun: The scan to go on with, if there is one.
    """

    out: Path
    given: GivenSource | ScanSource
    model: Path
    rows: RowOptions
    options: ScanOptions
    begun: Manifest | None

    def source(self, *, remote: bool) -> ScanSource | None:
        """Find the source; None where `remote` does not say rightly whether it is to be fetched from a server."""
        given, options = self.given, self.options
        if isinstance(given, ScanSource):
            return None if remote else given
        if is_remote(given) != remote:
            return None
        return find_source(given, self.out, self.rows.query, options.report_fetch, options.fetch_limits)


@dataclass(frozen=True, slots=True)
class _Job:
    """A scan that is ready to begin, or to go on.

    Attributes:
        out: Its folder.
        source: Its source.
        files: Identities of the source's files.
        manifest: What decides its rows.
        settings: What the workers need to know.
        options: How to work.
        begun: Whether it was begun before.
    """

    out: Path
    source: ScanSource
    files: list[FileIdentity]
    manifest: Manifest
    settings: ScannerSettings
    options: ScanOptions
    begun: bool


def scan(
    source: GivenSource | ScanSource | None,
    out: str | Path,
    options: ScanOptions = ScanOptions(),  # noqa: B008 - frozen
) -> ScanProgress:
    """Predict κ of every structure of a source and write one row each.

    The folder gets `scan.json` and `parts/part-….parquet`. A scan that was stopped at any moment goes on with `resume`, and
    in the end every structure has exactly one row. Parts that were damaged since are made anew then.

    Args:
        source: See `find_source`; None goes on with the source of the scan in the folder.
        out: The scan's folder.
        options: Model and how to work.

    Returns:
        The counts of the finished scan.

    Raises:
        DataError: The source holds nothing.
        FetchError: A server does not answer with its structures.
        ModelFileError: There is no such model, or it is damaged.
        RunError: The folder holds another scan, or one that is not to be resumed, or at which another process works; the
            source, the model or an option is another than at its beginning; or the folder cannot be written.
    """
    out = Path(out)
    begun = _begun(out, resume=options.resume)
    rows = row_options(options, begun, out)
    require_device(options.device)
    if options.engine not in _ENGINES:
        raise RunError(f"There is no engine {options.engine!r}; choose local or ray.")
    # One process per GPU: several would only wait for it in turn.
    processes = number_of_processes(options.processes, None if options.device == "cpu" else 1)
    options = replace(
        options, processes=processes if options.engine == "local" or (options.processes or 0) > 0 else None
    )
    plan = _Plan(out, _given(source, begun), find_model(rows.model), rows, options, begun)
    with _stops_told(out):
        opened = plan.source(remote=False)  # before the folder is made: a mistake leaves nothing behind
        with locked_scan(out) as lock:
            if _begun(out, resume=options.resume) != begun:
                raise RunError(f"Another scan began in {out} meanwhile; give the command again with --resume.")
            opened = opened or plan.source(remote=True)
            assert opened is not None  # noqa: S101 - the one or the other
            return _run(_job(plan, opened), lock)


def _begun(out: Path, *, resume: bool) -> Manifest | None:
    """The scan that is in a folder.

    Raises:
        RunError: There is one, and it is not to be resumed.
    """
    if not resume and (out / MANIFEST).exists():
        raise RunError(f"{out} holds a scan already; go on with it by --resume, or choose another folder.")
    if not resume and done_parts(out):
        raise RunError(
            f"{out} holds parts of a scan without its {MANIFEST}; give that scan's whole command with --resume, or choose "
            "another folder."
        )
    return read_manifest(out) if (out / MANIFEST).exists() else None


def _given(source: GivenSource | ScanSource | None, begun: Manifest | None) -> GivenSource | ScanSource:
    if source is not None:
        return source
    if begun is None or not begun.given:
        raise RunError("Say what to scan; only a scan that goes on with --resume has its source already.")
    return begun.given


def _job(plan: _Plan, source: ScanSource) -> _Job:
    out, rows, files = plan.out, plan.rows, identify_all(source.files)
    manifest = Manifest(
        source=source.name,
        fingerprint=fingerprint(files),
        model=rows.model,
        model_hash=model_hash(plan.model),
        n_members=int(read_card(plan.model)["architecture"]["n_members"]),
        piece_size=rows.piece_size,
        symmetry=rows.symmetry,
        allow_missing_hydrogens=rows.allow_missing_hydrogens,
        members=rows.members,
        limits=asdict(rows.limits),
        given=() if isinstance(plan.given, ScanSource) else words_of(plan.given),
        query=rows.query,
    )
    if plan.begun is not None:
        manifest = _same(out, plan.begun, manifest, files)
    reading = ReadOptions(allow_missing_hydrogens=rows.allow_missing_hydrogens, limits=rows.limits)
    settings = ScannerSettings(
        out.absolute(),
        plan.model.absolute(),
        plan.options.device,
        rows.symmetry,
        reading,
        rows.members,
        manifest.identity(),
    )
    return _Job(out, source, files, manifest, settings, plan.options, plan.begun is not None)


def _same(out: Path, begun: Manifest, now: Manifest, files: list[FileIdentity]) -> Manifest:
    """The manifest of the scan to go on with.

    Raises:
        RunError: Source, model or options are others now.
    """
    differs = difference(begun, now)
    if not differs and begun.fingerprint != now.fingerprint:
        differs = f"other files: {differences(read_inventory(out), files)}"
    if differs:
        raise RunError(f"The scan in {out} was begun with {differs}; choose another folder.")
    return begun


def _run(job: _Job, lock: ScanLock) -> ScanProgress:
    out, before, earlier = job.out, _done(job), read_progress(job.out) if job.begun else Progress()
    count = _Count(before, Meter(job.source.size()), predicted_statuses(job.settings.reading))
    if earlier.complete and set(before) == set(range(earlier.parts)):
        return count.progress()
    work = Work(job.source, job.manifest.piece_size, frozenset(before), job.settings.reading.limits)
    results = _results(job, work, count.meter)
    noted = time.monotonic()
    with ExitStack() as stack:
        stack.callback(lambda: None if lock.lost else remove_left_overs(out))
        stack.enter_context(closing(results))
        for result in results:
            lock.check()
            count.add(result)
            if not earlier.complete and time.monotonic() - noted > NOTE_SECONDS:
                write_scan_manifest(out, job.manifest, count.note())
                noted = time.monotonic()
            if job.options.report is not None:
                job.options.report(count.progress())
    _require_whole(job, count.meter.n_pieces)
    lock.check()
    write_scan_manifest(out, job.manifest, count.note(complete=True), count.rows)
    return count.progress()


def _done(job: _Job) -> dict[int, Counter[str]]:
    """Rows by status of the parts that are as they were written; the others are made anew.

    Raises:
        RunError: The folder has no manifest, and parts of another scan.
    """
    (job.out / PARTS).mkdir(parents=True, exist_ok=True)
    checked = check_parts(job.out, job.manifest.identity())
    broken = sorted((*checked.damaged, *checked.unknown))
    if broken and not job.begun:
        raise RunError(
            f"{job.out} holds parts of another scan, or by another command, without its {MANIFEST}; choose another folder."
        )
    for number in broken:
        what = "damaged" if number in checked.damaged else "without a checksum"
        _LOG.warning("%s is %s and made anew.", part_path(job.out, number), what)
    remove_left_overs(job.out)
    return {number: Counter(record.rows) for number, record in checked.good.items()}


def _begin(job: _Job) -> None:
    """Write what a new scan is; only when its model is loaded: a folder with a manifest holds a scan that can work."""
    if not job.begun:
        write_inventory(job.out, job.files)
        mark_folder(job.out, SCAN)
        write_scan_manifest(job.out, job.manifest, Progress())


def _require_whole(job: _Job, n_pieces: int) -> None:
    """Refuse to call a scan complete that is not.

    Raises:
        RunError: The source gave nothing, a piece has no part, or a file changed meanwhile.
    """
    lacking = sorted(set(range(n_pieces)) - done_parts(job.out))
    if n_pieces == 0:
        raise RunError(f"{job.source.name} gave no structure at all, so the scan is not complete; check the source.")
    if lacking:
        raise RunError(
            f"{len(lacking)} parts are missing, the first is {lacking[0]}; give the command again with --resume."
        )
    if changed := changed_meanwhile(job.files):
        raise RunError(
            f"The source changed while it was scanned: {changed}; scan it into another folder when nothing writes to it."
        )


def _results(job: _Job, work: Work, meter: Meter) -> Generator[PieceResult, None, None]:
    options = job.options
    if options.engine == "ray":
        connect(options.address)
        check_model(replace(job.settings, device="cpu"))
        _begin(job)
        return _own_errors(scan_with_ray(work, job.settings, options.processes, options.address, meter))
    return scan_locally(work.left(meter), job.settings, options.processes or 1, ready=lambda: _begin(job))


def _own_errors(results: Generator[PieceResult, None, None]) -> Generator[PieceResult, None, None]:
    """Raise what a cluster's worker raised, not the exception of the cluster around it."""
    try:
        yield from results
    except ParaisiteError:
        raise
    except Exception as error:
        inner: BaseException | None = error
        while inner is not None and not isinstance(inner, ParaisiteError | OSError):
            inner = getattr(inner, "cause", None) or inner.__cause__
        if inner is None:
            raise
        raise inner from error


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


class _Count:
    """Rows of a scan by status, its time, and the time that is left: bytes left by the bytes per second since the first part.

    The first part comes late, after the model was loaded, so the time to it says nothing of those to come.
    """

    def __init__(self, before: dict[int, Counter[str]], meter: Meter, predicted: frozenset[str]) -> None:
        self.meter, self._predicted = meter, predicted
        self.rows = sum(before.values(), Counter[str]())
        self._n_before, self._n_parts = self.rows.total(), len(before)
        self._start = time.monotonic()
        self._first: tuple[float, float] | None = None
        self._seconds = 0.0
        self._seconds_left: float | None = None

    def add(self, result: PieceResult) -> None:
        """Count a finished piece."""
        self.rows.update(result.counts)
        self._n_parts += 1
        self.meter.finish(result.index)
        self._seconds = time.monotonic() - self._start
        if self._first is None:
            self._first = self._seconds, self.meter.finished
        seconds, n_bytes = self._seconds - self._first[0], self.meter.finished - self._first[1]
        if n_bytes <= 0:  # the first part, or the first of empty files
            seconds, n_bytes = self._seconds, self.meter.finished
        self._seconds_left = self.meter.left * seconds / n_bytes if n_bytes > 0 else None

    def note(self, *, complete: bool = False) -> Progress:
        """What the manifest says of it."""
        share = 1.0 if complete else 1 - self.meter.left / max(self.meter.total, 1)
        return Progress(complete, self._n_parts, self.rows.total(), round(share, 6))

    def progress(self) -> ScanProgress:
        """What the user is told."""
        n_rows = self.rows.total()
        failed = sum(count for status, count in self.rows.items() if status not in self._predicted)
        return ScanProgress(n_rows, n_rows - self._n_before, failed, self._n_parts, self._seconds, self._seconds_left)
