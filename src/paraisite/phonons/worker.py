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
from paraisite.models.names import DEFAULT_MODEL
from paraisite.phonons.calculation import Calculation, CalculationStep
from paraisite.phonons.queue import GIVEN_BORN, Entry, crystal_folder, read_input
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
        report: Write a page for the crystal too.
    """

    out: Path
    entry: Entry
    deadline: float
    report: bool = True


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
        born=born if (born := folder / GIVEN_BORN).is_file() else None,
        warnings=list(task.entry.warnings),
        on_step=reports.put,
        deadline=time.monotonic() + task.deadline - time.time(),
    )

    def run() -> None:
        try:
            record = calculation.run()
            if task.report:
                _write_page(folder, task.entry)
            reports.put(record)
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


def _write_page(folder: Path, entry: Entry) -> None:
    """The page of a crystal; a κ is not lost because its page cannot be drawn."""
    from paraisite.phonons.report import write_crystal_report  # noqa: PLC0415
    from paraisite.phonons.report_figures import FastPrediction  # noqa: PLC0415

    prediction = None
    if entry.kappa is not None and entry.kappa_low is not None and entry.kappa_high is not None:
        prediction = FastPrediction(DEFAULT_MODEL, entry.kappa, entry.kappa_low, entry.kappa_high)
    try:
        write_crystal_report(folder, prediction=prediction)
    except Exception as error:
        logging.getLogger(__name__).warning("No page for %s: %s", entry.material_id, error)
