"""What a working process does: it loads a potential once and computes crystals one after the other."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from paraisite.errors import ParaisiteError
from paraisite.phonons.calculation import Calculation, CalculationStep
from paraisite.phonons.queue import Entry, crystal_folder, read_input
from paraisite.phonons.record import ComputeRecord, read_record
from paraisite.phonons.settings import ComputeSettings

_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class ComputeTask:
    """One crystal to compute.

    Attributes:
        out: Folder of the computation.
        entry: The crystal.
        deadline: Time of `time.time()` after which nothing is begun.
    """

    out: Path
    entry: Entry
    deadline: float


@dataclass(frozen=True, slots=True)
class Left:
    """A crystal without a record: another process computes it, or time was over.

    Attributes:
        entry: The crystal.
        reason: Why, in one sentence.
    """

    entry: Entry
    reason: str

    @property
    def material_id(self) -> str:
        """The crystal."""
        return self.entry.material_id


Answer = CalculationStep | ComputeRecord | Left


@dataclass(frozen=True, slots=True)
class ComputeService:
    """The service of a working process.

    Attributes:
        potential: Name of the potential.
        device: `auto`, `cpu` or `cuda`.
        settings: Settings of all calculations.
    """

    potential: str
    device: str
    settings: ComputeSettings

    def __call__(self) -> Callable[[ComputeTask], Iterator[Answer]]:
        """Load the potential.

        Raises:
            ParaisiteError: It cannot be loaded.
        """
        from paraisite.phonons.potentials.registry import load_potential  # noqa: PLC0415

        warnings.simplefilter("ignore")
        logging.getLogger("phono3py").setLevel(logging.ERROR)
        potential = load_potential(self.potential, device=self.device)
        return lambda task: compute_crystal(task, potential, self.settings)


def compute_crystal(task: ComputeTask, potential: Any, settings: ComputeSettings) -> Iterator[Answer]:
    """Compute one crystal; steps on the way, then its record, or why there is none yet.

    Args:
        task: The crystal.
        potential: A loaded potential.
        settings: Settings of the computation.
    """
    folder = crystal_folder(task.out, task.entry)
    if (record := read_record(folder)) is not None:
        yield record
        return
    try:
        with FileLock(folder / _LOCK, timeout=0):
            yield from _compute(task, folder, potential, settings)
    except Timeout:
        yield Left(task.entry, "another process computes it")
    except ParaisiteError as error:
        yield Left(task.entry, str(error))


def _compute(task: ComputeTask, folder: Path, potential: Any, settings: ComputeSettings) -> Iterator[Answer]:
    """A thread computes and reports; this generator hands its reports on as they come."""
    import queue  # noqa: PLC0415
    import threading  # noqa: PLC0415

    reports: queue.SimpleQueue[CalculationStep | ComputeRecord | BaseException] = queue.SimpleQueue()
    calculation = Calculation(
        crystal=read_input(folder),
        folder=folder,
        potential=potential,
        settings=settings,
        warnings=list(task.entry.warnings),
        on_step=reports.put,
        deadline=time.monotonic() + task.deadline - time.time(),
    )

    def run() -> None:
        try:
            reports.put(calculation.run())
        except BaseException as error:  # handed to the thread that waits
            reports.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while isinstance(report := reports.get(), CalculationStep):
        yield report
    thread.join()
    if isinstance(report, BaseException):
        raise report
    yield report
