"""Intervals and caution of the multi-fidelity model, from the crystals that each of its members held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paraisite.metrics import NORMAL_90
from paraisite.models.multi_fidelity.likeness import blend
from paraisite.models.multi_fidelity.model import FirstPrinciples, Member, cautious_shift
from paraisite.uncertainty.conformal import LEVEL

CAUTIONS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
CAUTION_COST = 1.02
"""A caution may raise the held-out MAE of log10 κ by this factor at most."""
MIN_ENSEMBLE = 3
"""Members from which on one can be left out together with a fold, and crystals stay."""


@dataclass(frozen=True, slots=True)
class HeldOutPredictions:
    """Every crystal of a fit as members without its composition predict it.

    Attributes:
        log10_mean: Mean of log10 κ, [n].
        log10_std: Its standard deviation, before it is calibrated, [n].
        likeness: How much it is like each source, [n, n_sources]; see `paraisite.models.multi_fidelity.likeness`. Where the
            source is stated, 1 for its own.
        names: Names of the sources.
    """

    log10_mean: np.ndarray
    log10_std: np.ndarray
    likeness: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, members: Sequence[Member], data: FirstPrinciples) -> HeldOutPredictions:
        """Predict each crystal of a fit by the member that holds it out."""
        return cls._by_fold([[member] for member in members], data, stated=False)

    @classmethod
    def of_ensemble(cls, members: Sequence[Member], data: FirstPrinciples, *, stated: bool) -> HeldOutPredictions:
        """Predict each crystal as the model predicts a new one: by the median of members, none of which knows it.

        The median of several is better than one, so intervals from the errors of single members would be too wide. The
        members of the other folds are conditioned again, without the crystal's fold too; their hyperparameters, a handful
        from hundreds of crystals, stay.

        Args:
            members: Members, one a fold.
            data: The crystals.
            stated: Whether the members are to know the crystals' sources.
        """
        folds = range(len(members))
        if len(members) < MIN_ENSEMBLE:
            return cls._by_fold([[member] for member in members], data, stated=stated)
        without = [
            [
                Member(members[other].parameters, data, (data.fold != fold) & (data.fold != other))
                for other in folds
                if other != fold
            ]
            for fold in folds
        ]
        return cls._by_fold(without, data, stated=stated)

    @classmethod
    def _by_fold(
        cls, members: Sequence[Sequence[Member]], data: FirstPrinciples, *, stated: bool
    ) -> HeldOutPredictions:
        """Predict the crystals of each fold by members that do not know them, [n_folds] lists of members."""
        names = members[0][0].names
        mean, deviation = np.empty(len(data.fold)), np.empty(len(data.fold))
        weights = np.empty((len(data.fold), len(names)))
        for fold, several in enumerate(members):
            rows = data.fold == fold
            source = data.source[rows] if stated else None
            said = [member.predict(data.inputs[rows], data.low[:, rows], source) for member in several]
            means, deviations, each = map(np.array, zip(*said, strict=True))
            mean[rows], deviation[rows] = np.median(means, axis=0), np.sqrt((deviations**2).mean(axis=0))
            weights[rows] = each.mean(axis=0)
        return cls(mean, deviation, weights, names)

    def widths(self, log10_kappa: np.ndarray) -> dict[str, float]:
        """Half-width of the 90 % interval of each source, in standard deviations.

        A weighted conformal quantile of |error| over standard deviation (normalised scores: doi
        10.1080/01621459.2017.1307116, section 5.2; weights: arXiv 1904.06019 and 2106.08460): a crystal counts for a source
        as much as it is like it. With weights of 0 and 1 this is Mondrian conformal prediction, by the source whose crystals
        a crystal is like: that is known of new crystals too, unlike a source of their own. A source with too few such
        crystals gets the quantile of all.
        """
        score = np.abs(self.log10_mean - log10_kappa) / self.log10_std
        all_of_them = weighted_quantile(score, np.ones(len(score)))
        pooled = float(score.max()) if all_of_them is None else all_of_them
        found = [weighted_quantile(score, weights) for weights in self.likeness.T]
        return {name: pooled if one is None else one for name, one in zip(self.names, found, strict=True)}

    def calibrated_std(self, widths: dict[str, float]) -> np.ndarray:
        """Standard deviations of log10 κ, scaled so that a normal's 90 % interval is the calibrated one, [n]."""
        width = blend(self.likeness, np.array([widths[name] for name in self.names]))
        return np.asarray(self.log10_std * width / NORMAL_90)


def weighted_quantile(score: np.ndarray, weight: np.ndarray, level: float = LEVEL) -> float | None:
    """Smallest score that holds the level's share of the weights and of one more crystal of weight 1.

    Args:
        score: [n].
        weight: From 0 to 1, [n].
        level: The share.

    Returns:
        None where the weights are too small for the level.
    """
    order = np.argsort(score, kind="stable")
    held = np.cumsum(weight[order])
    needed = level * (held[-1] + 1)
    # Rounded as ranks are: 0.9 × 10 must not need more than 9.
    position = int(np.searchsorted(held, needed - 1e-9))
    return float(score[order[position]]) if position < len(score) else None


def choose_caution(log10_kappa: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> float:
    """Lowest held-out MAPE among the cautions that keep the MAE of log10 κ."""
    errors = {}
    for caution in CAUTIONS:
        error = mean + cautious_shift(deviation, caution) - log10_kappa
        errors[caution] = float(np.abs(error).mean()), float(np.abs(10**error - 1).mean())
    allowed = {caution: mape for caution, (mae, mape) in errors.items() if mae <= CAUTION_COST * errors[0.0][0]}
    return min(allowed, key=allowed.__getitem__)
