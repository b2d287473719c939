"""The engine of one machine: workers that each do everything, so that no process waits for another's model or pipe."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack

from paraisite.errors import ParaisiteError
from paraisite.processes.child import Child, ChildDiedError
from paraisite.screening.pieces import Piece
from paraisite.screening.scanner import PieceResult, ScannerSettings

Numbered = Iterator[tuple[int, Piece]]


def scan_locally(pieces: Numbered, settings: ScannerSettings, processes: int) -> Generator[PieceResult, None, None]:
    """Scan pieces by several processes; results in the order in which they are finished.

    A worker that dies, for example for want of memory, is replaced and its piece tried once more.

    Args:
        pieces: Pieces with their numbers; read by one thread at a time.
        settings: What the workers need to know.
        processes: Number of workers.

    Raises:
        ParaisiteError: A piece killed its worker twice.
        OSError: A part cannot be written.
    """
    lock, results = threading.Lock(), queue.Queue[PieceResult | Exception | None]()
    stopped = threading.Event()
    with ExitStack() as stack:
        workers = [_Worker(settings, stack, stopped) for _ in range(processes)]
        stack.callback(stopped.set)
        threads = [
            threading.Thread(target=_serve, args=(worker, pieces, lock, results, stopped), daemon=True)
            for worker in workers
        ]
        for thread in threads:
            thread.start()
        at_work = len(threads)
        while at_work:
            result = results.get()
            if isinstance(result, Exception):
                raise result
            if result is None:
                at_work -= 1
            else:
                yield result


class _Worker:
    """A child process that is started anew when it dies."""

    def __init__(self, settings: ScannerSettings, stack: ExitStack, stopped: threading.Event) -> None:
        self._settings, self._stopped = settings, stopped
        self._child = self._start()
        stack.callback(self._close)

    def _start(self) -> Child:
        child = Child("paraisite.screening.worker")
        child.send(self._settings)
        return child

    def _close(self) -> None:
        self._child.close()

    def scan(self, index: int, piece: Piece) -> PieceResult:
        for attempt in (1, 2):
            self._child.send((index, piece))
            try:
                answer = self._child.receive()
            except ChildDiedError as error:
                if self._stopped.is_set():
                    raise  # ended by the scan itself
                self._child.close()
                if attempt == 2:
                    raise ParaisiteError(
                        f"Piece {index} of the source ended its working process twice, perhaps for want of memory; go on "
                        "with --resume, fewer --processes and a smaller --piece-size is another scan."
                    ) from error
                self._child = self._start()
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]
        raise AssertionError  # the loop returns or raises


def _serve(
    worker: _Worker,
    pieces: Numbered,
    lock: threading.Lock,
    results: queue.Queue[PieceResult | Exception | None],
    stopped: threading.Event,
) -> None:
    """Feed one worker until the pieces end."""
    try:
        while not stopped.is_set():
            with lock:
                numbered = next(pieces, None)
            if numbered is None:
                break
            results.put(worker.scan(*numbered))
    except Exception as error:
        if not stopped.is_set():
            results.put(error)
        return
    results.put(None)
