"""Working processes that read files and build graphs: lists of paths go in, chunks of graphs come out; without PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from paraisite.processes.child import Child
from paraisite.processes.pool import ProcessPool
from paraisite.processes.search import At, answers_without_crashes
from paraisite.processes.watchdog import Watchdog
from paraisite.processes.worker import TaskCrashedError, Worker
from paraisite.readers.units import Place, steps_without
from paraisite.structures.crystal import STRICT, ReadOptions

if TYPE_CHECKING:
    from paraisite.models.inputs import Needs
    from paraisite.prediction.prepare import Prepared

_T = TypeVar("_T")

TASK_PATHS = 64


@dataclass(frozen=True, slots=True)
class CarefulTask:
    """Paths one of which ended its process.

    Attributes:
        paths: Structure files.
        n_skipped: Structures that are done.
        crashed: Places to leave out.
    """

    paths: tuple[str, ...]
    n_skipped: int
    crashed: frozenset[Place]


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a working process is to do with paths; the arguments of `paraisite.prediction.chunks.prepare_paths`.

    Attributes:
        needs: What the model asks of crystals.
        options: What readers let pass.
        format: Format of all files; None where each says its own.
    """

    needs: Needs
    options: ReadOptions = STRICT
    format: str | None = None

    def __call__(self) -> Callable[[tuple[str, ...] | CarefulTask], Iterator[Prepared | At]]:
        """Load what is needed, in the working process."""
        from paraisite.prediction.chunks import prepare_paths  # noqa: PLC0415 - loads gemmi and vesin

        def answers(task: tuple[str, ...] | CarefulTask) -> Iterator[Prepared | At]:
            if isinstance(task, CarefulTask):
                return _careful(task, self)
            watchdog = Watchdog(self.options.limits.record_seconds)
            return prepare_paths(task, self.needs, self.options, self.format, watchdog)

        return answers


def _careful(task: CarefulTask, asked: Preparation) -> Iterator[Prepared | At]:
    """Prepare the next chunk one structure at a time, each step announced; then whole chunks again."""
    from paraisite.prediction.chunks import prepare_stream  # noqa: PLC0415 - as above
    from paraisite.prediction.prepare import CHUNK_CRYSTALS  # noqa: PLC0415
    from paraisite.sources.walk import path_units  # noqa: PLC0415 - as above

    units = (unit for path in task.paths for unit in path_units(Path(path), asked.format, asked.options.limits))
    watchdog = Watchdog(asked.options.limits.record_seconds)
    steps = steps_without(units, task.crashed, task.n_skipped, asked.options)
    n_left = CHUNK_CRYSTALS
    for step in _watched_alone(steps, watchdog):
        if isinstance(step, Place):
            yield At(step)
            continue
        yield from prepare_stream(iter([step]), asked.needs, watchdog)
        n_left -= 1
        if n_left == 0:
            break
    yield At(None)
    yield from prepare_stream((step for step in steps if not isinstance(step, Place)), asked.needs, watchdog)


def _watched_alone(steps: Iterator[_T], watchdog: Watchdog) -> Iterator[_T]:
    """Steps, watched only while each is taken."""
    while True:
        with watchdog:
            step = next(steps, None)
        if step is None:
            return
        yield step


def prepare_pool(n_workers: int, asked: Preparation) -> ProcessPool:
    """Workers that prepare paths; see `prepare_with`."""
    start = partial(Child, asked, without=("torch",))
    return ProcessPool(start, n_workers, _recover, _size)


def prepare_with(pool: ProcessPool, paths: Sequence[str | Path]) -> Iterator[Prepared]:
    """Read structure files and build their graphs, as `prepare_paths` does; the workers begin at once.

    A worker that dies is replaced. A structure that ends its process again and again becomes a row `crashed_reader`.
    """
    starts = range(0, len(paths), TASK_PATHS)
    return pool.in_order(tuple(str(path) for path in paths[start : start + TASK_PATHS]) for start in starts)


def _recover(worker: Worker, crash: TaskCrashedError) -> Iterator[Prepared]:
    return answers_without_crashes(
        worker, crash, lambda n_skipped, crashed: CarefulTask(crash.task, n_skipped, crashed)
    )


def _size(chunk: Prepared) -> int:
    return len(chunk.rows.material_id)
