"""The engine of one machine: workers that each do everything, so that no process waits for another's model or pipe."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial

from paraisite.processes.child import Child
from paraisite.processes.pool import ProcessPool
from paraisite.processes.search import answers_without_crashes
from paraisite.processes.worker import TaskCrashedError, Worker
from paraisite.screening.scanner import PieceResult, ScannerSettings
from paraisite.screening.worker import READY, PieceTask, ScanService
from paraisite.sources.pieces import Piece

Numbered = Iterator[tuple[int, Piece]]


def check_model(settings: ScannerSettings) -> None:
    """Load the model in a process of its own, so that a scan that cannot work is refused before it is begun.

    Raises:
        ParaisiteError: The model cannot be loaded.
    """
    with Child(ScanService(settings)) as child:
        child.send(READY)
        deque(child.answers(), maxlen=0)


def scan_locally(
    pieces: Numbered, settings: ScannerSettings, processes: int, *, ready: Callable[[], None] | None = None
) -> Generator[PieceResult, None, None]:
    """Scan pieces by several processes; results in the order in which they are finished.

    A worker that dies, for example for want of memory, is replaced and its piece tried once more; then the structure that
    ends it is searched, and gets a row `crashed_reader`.

    Args:
        pieces: Pieces with their numbers; read by one thread at a time.
        settings: What the workers need to know.
        processes: Number of workers.
        ready: Called once, when a worker has loaded the model and before the first piece is drawn.

    Raises:
        ParaisiteError: The model cannot be loaded.
        OSError: A part cannot be written.
    """
    start = partial(Child, ScanService(settings))
    tasks = (PieceTask(index, piece) for index, piece in pieces)
    with ProcessPool(start, processes, _recover, _no_items) as pool:
        if ready is not None:
            deque(pool.in_order(iter([READY])), maxlen=0)
            ready()
        with closing(pool.as_finished(tasks)) as results:
            yield from results


def _recover(worker: Worker, crash: TaskCrashedError) -> Iterator[PieceResult]:
    return answers_without_crashes(worker, crash, lambda _, crashed: replace(crash.task, crashed=crashed))


def _no_items(_: object) -> int:
    """A part is written whole: a piece that is done again begins at its start."""
    return 0
