"""A worker process that reads files and builds graphs: lists of paths come in, chunks of graphs go out; without PyTorch."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from paraisite.processes.child import Child, Parent
from paraisite.structures.crystal import STRICT, ReadOptions

if TYPE_CHECKING:
    from paraisite.models.inputs import Needs
    from paraisite.prediction.prepare import Prepared

TASK_PATHS = 64
TASKS_AHEAD = 2
"""Tasks that a worker holds at a time; its pipe is full long before, so memory stays bounded."""


class WorkerPool:
    """Worker processes that prepare paths, their results in the order of the paths."""

    def __init__(
        self,
        n_workers: int,
        needs: Needs,
        options: ReadOptions = STRICT,
        format: str | None = None,  # noqa: A002 - as in `prepare_paths`
    ) -> None:
        """Start the workers, which read as `prepare_paths` does with the same arguments."""
        self._workers = [Child("paraisite.prediction.worker") for _ in range(n_workers)]
        for worker in self._workers:
            worker.send((needs, options, format))

    def __enter__(self) -> Self:
        """Use the pool in a `with` block, which ends the workers."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers, also in the middle of their work."""
        for worker in self._workers:
            worker.close()

    def kill(self) -> None:
        """End the workers at once."""
        for worker in self._workers:
            worker.kill()

    def prepare(self, paths: Sequence[str | Path]) -> Iterator[Prepared]:
        """Read structure files and build their graphs, as `prepare_paths` does; the workers begin at once.

        Raises:
            ChildDiedError: A worker was killed from outside, for example for want of memory.
        """
        tasks = deque(
            [str(path) for path in paths[start : start + TASK_PATHS]] for start in range(0, len(paths), TASK_PATHS)
        )
        running: deque[Child] = deque()
        for _ in range(TASKS_AHEAD):
            for worker in self._workers:
                if tasks:
                    worker.send(tasks.popleft())
                    running.append(worker)
        return self._collect(tasks, running)

    def _collect(self, tasks: deque[list[str]], running: deque[Child]) -> Iterator[Prepared]:
        while running:
            worker = running.popleft()
            while (chunk := worker.receive()) is not None:
                yield chunk
            if tasks:
                worker.send(tasks.popleft())
                running.append(worker)


def main() -> None:
    """Serve tasks until the standard input ends."""
    # vesin imports PyTorch where it is installed, seconds and hundreds of megabytes that a reader has no use for.
    sys.modules["torch"] = None  # type: ignore[assignment]
    from paraisite.prediction.prepare import prepare_paths  # noqa: PLC0415 - after the line above

    parent = Parent()
    try:
        needs, options, kind = parent.receive()
        while True:
            for chunk in prepare_paths(parent.receive(), needs, options, kind):
                parent.send(chunk)
            parent.send(None)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


if __name__ == "__main__":
    main()
