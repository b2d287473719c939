"""Progress of a training: epoch, loss, validation error, time left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from paraisite.training.run import Report, StageProgress


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
