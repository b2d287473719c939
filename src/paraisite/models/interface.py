"""What every kind of model gives: κ and a judgement of crystals, an explanation, files, and a way to fit it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.levels import Source
from paraisite.errors import ModelFileError, ParaisiteError
from paraisite.metrics import MIN_KAPPA_W_PER_MK
from paraisite.models.explanation import Explanation
from paraisite.models.inputs import Inputs, Needs
from paraisite.models.names import DEFAULT_MODEL
from paraisite.structures.crystal import Crystal
from paraisite.uncertainty.judgement import Judgement

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """What a model says of crystals.

    Attributes:
        kappa: κ at 300 K of each member in W/(m K), [n_members, n].
        judgement: Interval and domain of each crystal.
        log10_point: log10 of the point estimate by which a comparison judges the model, [n]; without it, the median over the
            members.
        log10_std: Standard deviation of log10 κ that the model expects, noise included, [n]; None where it gives none.
    """

    kappa: np.ndarray
    judgement: Judgement
    log10_point: np.ndarray | None = None
    log10_std: np.ndarray | None = None

    @classmethod
    def empty(cls, n_members: int) -> ModelOutput:
        """What is said of no crystal."""
        return cls(np.zeros((n_members, 0)), Judgement.unknown(0), np.zeros(0))

    def where(self, kept: np.ndarray) -> ModelOutput:
        """Leave κ, its interval and what else is said empty where `kept`, [n] bool, is not set."""
        if kept.all():
            return self
        point, deviation = (
            None if one is None else np.where(kept, one, np.nan) for one in (self.log10_point, self.log10_std)
        )
        return ModelOutput(np.where(kept, self.kappa, np.nan), self.judgement.where(kept), point, deviation)

    @property
    def point(self) -> np.ndarray:
        """log10 of the point estimate, [n]."""
        if self.log10_point is not None:
            return self.log10_point
        return np.asarray(np.median(np.log10(np.maximum(self.kappa, MIN_KAPPA_W_PER_MK)), axis=0))


class Explainer(Protocol):
    """Explains the predictions of a loaded model.

    Attributes:
        note: What its explanations lack, and the way to it; empty where they are complete.
    """

    note: str

    def explain(self, inputs: Inputs) -> Iterator[Explanation]:
        """Explain crystals, one at a time, in their order."""
        ...


class Model(ABC):
    """A loaded model of any kind.

    Attributes:
        kind: Name of its kind, as cards give it.
        needs: What it asks of every crystal.
        n_members: Number of members.
    """

    kind: ClassVar[str]
    needs: Needs
    n_members: int

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, device: str = "cpu", threads: int | None = None) -> Self:
        """Load a model from its folder.

        Args:
            folder: Model folder, its card already known to be of this kind.
            device: `cpu` or `cuda`; a kind that works on the CPU alone ignores it.
            threads: CPU threads; the kind's own choice without it.

        Raises:
            ModelFileError: The folder is damaged.
        """

    @abstractmethod
    def save(self, folder: Path, card: dict[str, Any]) -> None:
        """Write a model folder: `card.json` (see `paraisite.models.files.write_card`, called last) and `model.safetensors`.

        Args:
            folder: Folder to make or to write into.
            card: What the model is, in plain values; what is needed to load it is added.
        """

    @abstractmethod
    def predict(self, inputs: Inputs) -> ModelOutput:
        """Predict and judge crystals, of which there may be none."""

    def explainer(self) -> Explainer:
        """Make what explains the model's predictions.

        Raises:
            ModelFileError: Models of this kind cannot be explained.
        """
        raise ModelFileError(
            f"A model of the kind {self.kind!r} cannot be explained; take {DEFAULT_MODEL}, or a model that was "
            "fine-tuned from it."
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """Crystals with κ of one or several data sets, to fit a model to.

    Attributes:
        crystals: The crystals.
        kappa: Their κ at 300 K in W/(m K), [n], all above zero.
        source: Data set of each, [n].
    """

    crystals: Sequence[Crystal]
    kappa: np.ndarray
    source: Sequence[Source]


@dataclass(frozen=True, slots=True)
class FitProgress:
    """How far a fit that has no epochs is.

    Attributes:
        step: What it does, in words.
        done: Parts of it that are done.
        total: All parts.
    """

    step: str
    done: int
    total: int


def ignore_progress(_: FitProgress) -> None:
    """Take no notice of a fit's progress."""


@dataclass(frozen=True, slots=True)
class RefitOptions:
    """How a model is fitted to a user's crystals too; a kind ignores what does not concern it.

    Attributes:
        epochs: Passes over the data.
        selection: Which epoch's weights are kept; see `paraisite.training.network.recipe.StageRecipe`.
        kappa_column: Name of the κ column; empty takes the first usual name that is there.
        seed: Seed of splits and order.
        level: Level of fidelity of the values; that of the data set without it.
        noise_log10: Median of the prior of their noise in log10 κ; that of the data set, or of the level that is given.
        accept_scale: Whether κ may be on quite another scale than the model's predictions, as κ in other units is.
        data_folder: Folder of what the package does not ship.
        device: `cpu` or `cuda`.
        tf32: Whether a GPU may round matrix products to TF32.
        checkpoint_every: Epochs from one checkpoint to the next.
        report: Called after every epoch, or every `FitProgress`.
        force: Replace what is in the way in the folder, such as a model of other data; see `paraisite.outputs`.
    """

    epochs: int = 300
    selection: str = "inner"
    kappa_column: str = ""
    seed: int = 42
    level: str = ""
    noise_log10: float | None = None
    accept_scale: bool = False
    data_folder: Path | None = None
    device: str = "cpu"
    tf32: bool = False
    checkpoint_every: int = 10
    report: Callable[[Any], None] | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Refitted:
    """What a fit to a user's crystals left.

    Attributes:
        folder: Folder of the new model.
        errors: Errors on held-out crystals: a row a metric, a column a way to hold out; numbers, or texts with a spread.
        title: What the errors are of.
        left_out: Why crystals were left out, a sentence each.
        warnings: What was done to the crystals or is doubtful of them, a sentence each.
    """

    folder: Path
    errors: pd.DataFrame
    title: str
    left_out: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Trainer(ABC):
    """Fits models of a kind; it lies above the models, and the registry names both.

    Attributes:
        kind: Name of the kind.
    """

    kind: ClassVar[str]

    def fit(self, training: Labelled) -> tuple[Model, dict[str, Any]]:  # noqa: ARG002 - for those that can
        """Fit a model from its usual start to crystals, and to nothing else that holds their κ.

        Args:
            training: Crystals with κ.

        Returns:
            The model, and the settings of the fit in plain values; `n_tried` is the number that was tried on inner splits.

        Raises:
            ParaisiteError: The data do not suit it, or models of this kind are only fitted in another way.
        """
        raise ParaisiteError(f"A model of the kind {self.kind!r} cannot be fitted to a training part.")

    def refit(
        self,
        model: str | Path,  # noqa: ARG002 - for those that can
        data: str | Path | DataSet,  # noqa: ARG002
        folder: Path,  # noqa: ARG002
        options: RefitOptions,  # noqa: ARG002
    ) -> Refitted:
        """Fit a model to a user's crystals too.

        Args:
            model: Model to start from, as it was named.
            data: Crystals with κ, as `paraisite.datasets.catalogue.load_data_set` takes them.
            folder: Folder of the run.
            options: How.

        Raises:
            ParaisiteError: Data, model or folder cannot be used, or models of this kind are only fitted in another way.
        """
        raise ParaisiteError(f"A model of the kind {self.kind!r} cannot be fitted to your own crystals.")
