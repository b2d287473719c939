"""What every candidate gives: κ at 300 K of crystals, learned from crystals with κ; the least that a comparison needs.

Every kind of models that can be fitted is a candidate by `paraisite.comparison.candidates.kinds.KindCandidate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from paraisite.datasets.levels import Source
from paraisite.structures.crystal import Crystal

FeatureFunction = Callable[[Sequence[Crystal]], np.ndarray]
"""Gives the inputs of a model for crystals, [n_crystals, n_inputs] float64, one row per crystal whatever the others are."""


@dataclass(frozen=True, slots=True)
class CandidatePrediction:
    """Predictions for a sequence of crystals.

    Attributes:
        log10_kappa: Decimal logarithm of κ at 300 K in W/(m K), [n_crystals].
        log10_std: Standard deviation of it that the candidate expects, noise included, [n_crystals]; None where the
            candidate gives none.
        log10_low: Lower end of the candidate's own calibrated 90 % interval of log10 κ, [n_crystals]; None where it
            gives none.
        log10_high: Upper end of it.
    """

    log10_kappa: np.ndarray
    log10_std: np.ndarray | None = None
    log10_low: np.ndarray | None = None
    log10_high: np.ndarray | None = None


class Candidate(Protocol):
    """A predictor that is fitted to a training part and sees nothing else.

    Attributes:
        name: Name for files and options, in lower case with underscores.
        title: Name for tables and figures.
    """

    name: str
    title: str

    def fit(self, crystals: Sequence[Crystal], kappa: np.ndarray, source: Sequence[Source] | None = None) -> None:
        """Fit from the start, forgetting any earlier fit; settings are chosen inside the part that is given.

        Args:
            crystals: Crystals of the training part.
            kappa: Their κ at 300 K in W/(m K), [n_crystals], all above zero.
            source: Data set that each crystal is from, [n_crystals], for candidates that tell levels and noise apart; the
                others ignore it. None where all are from one.
        """
        ...

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """Predict crystals, those of the training part included."""
        ...

    def settings(self) -> dict[str, Any]:
        """Settings of the last fit, fixed and chosen ones, ready for JSON.

        `n_tried` is the number of settings that were tried on inner splits, where there were any.
        """
        ...


class CandidateFactory(Protocol):
    """Makes a candidate; the data folder is for those that need what the package does not ship."""

    def __call__(self, data_folder: str | Path | None = None) -> Candidate:
        """Make one that has not been fitted."""
        ...
