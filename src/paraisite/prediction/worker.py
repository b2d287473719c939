"""A worker process that reads files and builds graphs: tasks come in on its standard input, chunks go out on its output.

A process of its own rather than `multiprocessing`: it starts without running the user's script again, and without PyTorch.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from paraisite.errors import ParaisiteError
from paraisite.graphs.settings import GraphSettings

if TYPE_CHECKING:
    from paraisite.prediction.prepare import Prepared

TASK_PATHS = 64
TASKS_AHEAD = 2
"""Tasks that a worker holds at a time; its pipe is full long before, so memory stays bounded."""


class WorkerPool:
    """Worker processes that prepare paths, their results in the order of the paths."""

    def __init__(self, n_workers: int, settings: GraphSettings) -> None:
        """Start the workers."""
        self._stack = ExitStack()
        self._workers = [self._start(settings) for _ in range(n_workers)]

    def __enter__(self) -> Self:
        """Use the pool in a `with` block, which ends the workers."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers, also in the middle of their work."""
        self.kill()
        self._stack.close()

    def kill(self) -> None:
        """End the workers at once."""
        for worker in self._workers:
            worker.kill()

    def prepare(self, paths: Sequence[str | Path]) -> Iterator[Prepared]:
        """Read structure files and build their graphs, as `prepare_paths` does; the workers begin at once.

        Raises:
            ParaisiteError: A worker was killed from outside, for example for want of memory.
        """
        tasks = deque(
            [str(path) for path in paths[start : start + TASK_PATHS]] for start in range(0, len(paths), TASK_PATHS)
        )
        running: deque[subprocess.Popen[bytes]] = deque()
        for _ in range(TASKS_AHEAD):
            for worker in self._workers:
                if tasks:
                    _send(worker.stdin, tasks.popleft())
                    running.append(worker)
        return self._collect(tasks, running)

    def _collect(self, tasks: deque[list[str]], running: deque[subprocess.Popen[bytes]]) -> Iterator[Prepared]:
        while running:
            worker = running.popleft()
            while (chunk := _receive(worker)) is not None:
                yield chunk
            if tasks:
                _send(worker.stdin, tasks.popleft())
                running.append(worker)

    def _start(self, settings: GraphSettings) -> subprocess.Popen[bytes]:
        # One thread each: the workers share the cores by being several.
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        command = [sys.executable, "-m", "paraisite.prediction.worker"]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603
        self._stack.enter_context(worker)
        _send(worker.stdin, settings)
        return worker


def _send(pipe: IO[bytes] | None, content: object) -> None:
    assert pipe is not None  # noqa: S101 - opened with PIPE
    try:
        pickle.dump(content, pipe, protocol=pickle.HIGHEST_PROTOCOL)
        pipe.flush()
    except BrokenPipeError:
        return  # A worker that died is reported where its answer is missed.


def _receive(worker: subprocess.Popen[bytes]) -> Prepared | None:
    assert worker.stdout is not None  # noqa: S101 - opened with PIPE
    try:
        chunk: Prepared | None = pickle.load(worker.stdout)  # noqa: S301 - written by our own child
    except (EOFError, pickle.UnpicklingError) as error:
        raise ParaisiteError(
            f"A reading process ended unexpectedly (exit status {worker.wait()}), perhaps for want of memory; try again "
            "with fewer processes."
        ) from error
    return chunk


def main() -> None:
    """Serve tasks until the standard input ends."""
    # vesin imports PyTorch where it is installed, seconds and hundreds of megabytes that a reader has no use for.
    sys.modules["torch"] = None  # type: ignore[assignment]
    from paraisite.prediction.prepare import prepare_paths  # noqa: PLC0415 - after the line above

    # The output is for chunks alone: whatever a library prints goes to the error stream.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        settings: GraphSettings = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
        while True:
            for chunk in prepare_paths(pickle.load(sys.stdin.buffer), settings):  # noqa: S301
                _send(output, chunk)
            _send(output, None)
    except (EOFError, KeyboardInterrupt):
        return


if __name__ == "__main__":
    main()
