"""Live lines: of a training (epoch, loss, validation error, time left), of a scan, and of a fetch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from paraisite.fetch.common import FetchProgress
    from paraisite.models.interface import FitProgress
    from paraisite.phonons.worker import Answer
    from paraisite.screening.options import ScanProgress
    from paraisite.training.network.options import Report, StageProgress


@contextmanager
def training_progress(console: Console) -> Iterator[Report]:
    """Show a bar a stage while the block trains; give the function that reports an epoch."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("epochs  loss {task.fields[loss]}  validation MAPE {task.fields[error]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _reporter(progress)


@contextmanager
def fit_progress(console: Console) -> Iterator[Callable[[StageProgress | FitProgress], None]]:
    """Show how far a fit of any kind is while the block fits; give the function that reports."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        shown: list[Callable[[Any], None]] = []

        def report(update: StageProgress | FitProgress) -> None:
            if not shown:
                if hasattr(update, "epoch"):
                    shown.append(stack.enter_context(training_progress(console)))
                else:
                    shown.append(_step_reporter(stack.enter_context(Progress(*columns, console=console))))
            shown[0](update)

        yield report


def _step_reporter(progress: Progress) -> Callable[[FitProgress], None]:
    """A bar a step."""
    tasks: dict[str, TaskID] = {}

    def report(update: FitProgress) -> None:
        if update.step not in tasks:
            tasks[update.step] = progress.add_task(update.step, total=update.total)
        progress.update(tasks[update.step], completed=update.done, total=update.total)

    return report


def _reporter(progress: Progress) -> Report:
    tasks: dict[str, TaskID] = {}
    last_error: dict[str, str] = {}

    def report(update: StageProgress) -> None:
        key = f"{update.run} {update.stage}"
        if key not in tasks:
            # A resumed stage begins at its checkpoint, so that the time left is that of the epochs that are left.
            tasks[key] = progress.add_task(key, total=update.epochs, completed=update.epoch - 1, loss="", error="")
        if not math.isnan(update.validation_mape):
            last_error[key] = f"{update.validation_mape:.3f}"
        error = last_error.get(key, "–")
        progress.update(tasks[key], completed=update.epoch, loss=f"{update.train_loss:.3f}", error=error)

    return report


@dataclass(frozen=True, slots=True)
class ScanLine:
    """The live line of a scan.

    Attributes:
        progress: What shows it.
        task: The line.
    """

    progress: Progress
    task: TaskID

    def fetched(self, now: FetchProgress) -> None:
        """Show how far the fetching of a source on a server is."""
        self.progress.update(self.task, description=f"fetching {fetch_sentence(now)}")

    def scanned(self, now: ScanProgress) -> None:
        """Show how far the scan is."""
        self.progress.update(self.task, description=scan_sentence(now))


@contextmanager
def scan_progress(console: Console) -> Iterator[ScanLine]:
    """Show a line while the block fetches and scans."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield ScanLine(progress, progress.add_task("starting"))


def scan_sentence(now: ScanProgress) -> str:
    """Crystals, crystals per second, errors and time left of a scan."""
    rate = now.rows_now / max(now.seconds, 1e-9)
    parts = [f"{now.rows} crystals", f"{rate:.0f} crystals/s", f"{now.failed} errors"]
    if now.seconds_left is not None:
        parts.append(f"{_clock_time(now.seconds_left)} left")
    return ", ".join(parts)


def fetch_sentence(now: FetchProgress) -> str:
    """Steps and records of a fetch."""
    total = f" of {now.total}" if now.total else ""
    records = f", {now.records} records" if now.records else ""
    return f"{now.name}: {now.done}{total} {now.unit}{records}"


def _clock_time(seconds: float) -> str:
    """Hours, minutes and seconds; days beyond."""
    whole = math.ceil(seconds)
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days} d {clock}" if days else clock


class ComputeLine:
    """The live line of a computation: crystals done, the stage of each that is at work, and force calls.

    Attributes:
        progress: What shows it.
        task: The line.
        total: Crystals of the computation.
    """

    def __init__(self, progress: Progress, task: TaskID, total: int) -> None:
        """Begin with nothing done."""
        self.progress, self.task, self.total = progress, task, total
        self._done = 0
        self._at_work: dict[str, str] = {}

    def answered(self, answer: Answer) -> None:
        """Show what a worker reports."""
        from paraisite.phonons.calculation import CalculationStep

        if isinstance(answer, CalculationStep):
            self._at_work[answer.material_id] = f"{answer.stage} ({answer.force_calls} force calls)"
        else:
            self._done += 1
            self._at_work.pop(answer.material_id, None)
        parts = [f"{name} {doing}" for name, doing in self._at_work.items()]
        sentence = "; ".join([f"{self._done} of {self.total} crystals", *parts])
        self.progress.update(self.task, description=sentence, completed=self._done)


@contextmanager
def compute_progress(console: Console, total: int) -> Iterator[ComputeLine]:
    """Show a line while the block computes, with the time left once a crystal is done."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield ComputeLine(progress, progress.add_task("starting", total=total), total)
