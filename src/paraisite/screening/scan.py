"""Scan a source: every structure a row, parts that a killed scan keeps, and a scan that goes on where it stopped."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq

from paraisite.errors import RunError
from paraisite.models.files import WEIGHTS_NAME, find_model, read_card
from paraisite.models.names import DEFAULT_MODEL
from paraisite.prediction.prepare import BONDLESS, OK
from paraisite.screening.local import scan_locally
from paraisite.screening.manifest import (
    PARTS,
    Manifest,
    begin,
    clean,
    done_parts,
    file_hash,
    finish,
    part_path,
    refuse_second,
)
from paraisite.screening.ray_engine import scan_with_ray
from paraisite.screening.remote import find_source
from paraisite.screening.scanner import PieceResult, ScannerSettings
from paraisite.screening.sources import Source, Work

PIECE_SIZE = 1024
PREDICTED = {OK, BONDLESS}
"""Status of rows that carry a prediction."""


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How a scan works.

    Attributes:
        model: Shipped model or model folder.
        device: `cpu` or `cuda`.
        processes: Working processes; one a core if unset.
        piece_size: Structures of a part, at most.
        symmetry: Whether to look for space groups, which takes about a millisecond a crystal.
        resume: Go on with the scan that is in the folder.
        query: Filter of an `optimade:` source.
        engine: `local`, or `ray` for a cluster.
        address: Address of a Ray cluster; without it Ray starts one on this machine.
        report: Called after every part.
    """

    model: str | Path = DEFAULT_MODEL
    device: str = "cpu"
    processes: int | None = None
    piece_size: int = PIECE_SIZE
    symmetry: bool = False
    resume: bool = False
    query: str = ""
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    report: Callable[[ScanProgress], None] | None = None


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How a scan stands.

    Attributes:
        rows: Rows written, those of earlier attempts too.
        rows_now: Rows written by this attempt.
        failed: Rows without a prediction.
        parts: Parts that are finished.
        seconds: Time of this attempt.
    """

    rows: int
    rows_now: int
    failed: int
    parts: int
    seconds: float


def scan(
    source: str | Path | Sequence[str | Path] | Source,
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
        RunError: The folder holds another scan, or one that is not to be resumed.
        OSError: A part cannot be written.
    """
    out = Path(out)
    folder = find_model(options.model)
    refuse_second(out, resume=options.resume)
    opened = source if isinstance(source, Source) else find_source(source, out, options.query)
    manifest = Manifest(
        source=opened.name,
        fingerprint=opened.fingerprint(),
        model=str(options.model),
        model_hash=file_hash(folder / WEIGHTS_NAME),
        n_members=int(read_card(folder)["architecture"]["n_members"]),
        piece_size=options.piece_size,
        symmetry=options.symmetry,
    )
    (out / PARTS).mkdir(parents=True, exist_ok=True)
    begin(out, manifest)
    done = frozenset(done_parts(out))
    before = Counter[str]()
    for index in done:
        before.update(pq.read_table(part_path(out, index), columns=["status"])["status"].to_pylist())
    settings = ScannerSettings(out.absolute(), folder.absolute(), options.device, options.symmetry)
    counts, start, n_parts = Counter[str](), time.monotonic(), len(done)
    progress = _progress(before, counts, n_parts, start)
    results = _results(Work(opened, options.piece_size, done), settings, options)
    with ExitStack() as stack:
        stack.callback(clean, out)
        stack.enter_context(closing(results))
        for result in results:
            counts.update(result.counts)
            n_parts += 1
            progress = _progress(before, counts, n_parts, start)
            if options.report is not None:
                options.report(progress)
    finish(out, manifest, dict(before + counts))
    return progress


def _progress(before: Counter[str], now: Counter[str], n_parts: int, start: float) -> ScanProgress:
    both = before + now
    failed = sum(count for status, count in both.items() if status not in PREDICTED)
    return ScanProgress(both.total(), now.total(), failed, n_parts, time.monotonic() - start)


def _results(work: Work, settings: ScannerSettings, options: ScanOptions) -> Generator[PieceResult, None, None]:
    if options.engine == "ray":
        return scan_with_ray(work, settings, options.processes, options.address)
    if options.engine != "local":
        raise RunError(f"There is no engine {options.engine!r}; choose local or ray.")
    # One process a GPU: several would only wait for it in turn.
    processes = options.processes or (1 if options.device != "cpu" else os.cpu_count() or 1)
    return scan_locally(work.left(), settings, processes)
