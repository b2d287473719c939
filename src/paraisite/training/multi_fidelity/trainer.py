"""Fits multi-fidelity models: from the shipped surrogate, or on top of a model that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.levels import Source
from paraisite.errors import DataError
from paraisite.features.descriptors import describe_crystals
from paraisite.models.files import find_model
from paraisite.models.interface import Labelled, RefitOptions, Refitted, Trainer
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.models.multi_fidelity.kind import MultiFidelityModel
from paraisite.models.multi_fidelity.model import Surrogate
from paraisite.models.names import DEFAULT_MODEL, MULTI_FIDELITY
from paraisite.training.multi_fidelity.fit import (
    TrainingCrystals,
    describe_fit,
    fit_multi_fidelity,
    round_surrogate,
    train_surrogate,
)
from paraisite.training.multi_fidelity.refit import refit


class MultiFidelityTrainer(Trainer):
    """See `paraisite.models.interface.Trainer`."""

    kind: ClassVar[str] = MULTI_FIDELITY

    def fit(self, training: Labelled) -> tuple[MultiFidelityModel, dict[str, Any]]:
        """See `Trainer.fit`; the usual start is the shipped surrogate, which saw AFLOW's values alone.

        Crystals of a low level get a surrogate each data set, unless the shipped one was trained on it.
        """
        surrogates = list(load_multi_fidelity(find_model(DEFAULT_MODEL)).surrogates)
        known = {surrogate.source.name for surrogate in surrogates}
        low = [source for source in dict.fromkeys(training.source) if source.low]
        surrogates += [_fit_surrogate(training, source) for source in low if source.name not in known]
        rows = [row for row, source in enumerate(training.source) if not source.low]
        if not rows:
            raise DataError("All crystals are of low levels; give some with κ by first principles or measurement.")
        crystals = TrainingCrystals.describe(
            [training.crystals[row] for row in rows], training.kappa[rows], [training.source[row] for row in rows]
        )
        model, report = fit_multi_fidelity(surrogates, crystals)
        return MultiFidelityModel(model), describe_fit(model, report)

    def refit(self, model: str | Path, data: str | Path | DataSet, folder: Path, options: RefitOptions) -> Refitted:
        """See `Trainer.refit`; the model lies in `folder` itself."""
        refit(data, folder, model, options)
        errors = json.loads((folder / "errors.json").read_text(encoding="utf-8"))
        name = data.name if isinstance(data, DataSet) else Path(data).name
        return Refitted(
            folder,
            pd.DataFrame({"held out": errors["held_out"]}),
            f"{errors['n_crystals']} crystals of {name}, each by the member that held its composition out",
            tuple(failure["message"] for failure in errors["left_out"]),
            tuple(errors["warnings"]),
        )


def _fit_surrogate(training: Labelled, source: Source) -> Surrogate:
    rows = [row for row, one in enumerate(training.source) if one == source]
    descriptors = describe_crystals([training.crystals[row] for row in rows])
    return round_surrogate(train_surrogate(descriptors, np.log10(training.kappa[rows]), source=source))
