"""Where and how a training run works, and what it reports on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StageProgress:
    """What a progress display shows after an epoch.

    Attributes:
        run: Name of the recipe.
        stage: Name of the stage.
        epoch: Epochs done.
        epochs: Epochs of the stage.
        train_loss: Mean training loss of the members.
        validation_mape: Mean validation MAPE of the members; NaN where the epoch was not validated.
    """

    run: str
    stage: str
    epoch: int
    epochs: int
    train_loss: float
    validation_mape: float


Report = Callable[[StageProgress], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how a run works; none of it changes the numbers on one kind of machine.

    Attributes:
        data_folder: Folder of data sets and weights that the package does not ship.
        device: `cpu` or `cuda`.
        tf32: Whether a GPU may round matrix products to TF32.
        checkpoint_every: Epochs from one checkpoint to the next.
        report: Called after every epoch.
        force: Replace what is in the way in the run's folder, such as a run of other data; see
            `paraisite.outputs.run_folder`.
    """

    data_folder: Path | None = None
    device: str = "cpu"
    tf32: bool = False
    checkpoint_every: int = 10
    report: Report | None = None
    force: bool = False
