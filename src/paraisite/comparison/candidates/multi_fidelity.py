"""The multi-fidelity model as a candidate: the shipped surrogate of AGL values, processes fitted to the training part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from paraisite.comparison.candidates.interface import CandidatePrediction
from paraisite.features.descriptors import describe_crystals
from paraisite.structures.crystal import Crystal


class MultiFidelityCandidate:
    """The default model's design; the surrogate saw AFLOW's values alone."""

    name = "multi_fidelity"
    title = "Multi-fidelity (AGL surrogate and Gaussian processes)"

    def __init__(self) -> None:
        """Make one that has not been fitted."""
        self._model: Any = None
        self._settings: dict[str, Any] = {}

    def fit(self, crystals: Sequence[Crystal], kappa: np.ndarray, source: np.ndarray | None = None) -> None:
        """See `Candidate.fit`; crystals without a source count as those of one unnamed set."""
        from paraisite.models.files import find_model  # noqa: PLC0415 - PyTorch for this candidate alone
        from paraisite.models.multi_fidelity.files import load_multi_fidelity  # noqa: PLC0415
        from paraisite.models.names import DEFAULT_MODEL  # noqa: PLC0415
        from paraisite.training.multi_fidelity.fit import (  # noqa: PLC0415
            TrainingCrystals,
            describe_fit,
            fit_multi_fidelity,
        )

        sources = ["training"] * len(crystals) if source is None else source.tolist()
        surrogate = load_multi_fidelity(find_model(DEFAULT_MODEL)).surrogate
        training = TrainingCrystals.describe(crystals, kappa, sources)
        self._model, report = fit_multi_fidelity(surrogate, training)
        self._settings = describe_fit(self._model, report)

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """See `Candidate.predict`."""
        prediction = self._model.predict(describe_crystals(crystals))
        return CandidatePrediction(prediction.log10_point, prediction.log10_std, *prediction.interval())

    def settings(self) -> dict[str, Any]:
        """See `Candidate.settings`."""
        return self._settings
