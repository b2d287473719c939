"""Calibrated intervals of κ in ln κ by the jackknife+ after bootstrap (Kim, Xu and Barber, arXiv 2002.09025).

Every crystal of a training set is held out of some members, whose mean is off by its residual. The interval of a new crystal
runs from a lower quantile of {mean of those members - residual} to an upper one of {mean + residual} over all such crystals:
it holds the spread of the members and their true errors. Of the methods for ensembles this is the one for members trained on
random parts; CV+ (doi 10.1214/20-AOS1965) is for parts that do not overlap, and would count the spread of single members
twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from paraisite.metrics import MIN_KAPPA_W_PER_MK

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.9
"""Share of crystals whose κ an interval is to hold."""
MAX_CRYSTALS = 1024
"""Crystals of a calibration that are kept; of more, as many at equal steps of the residuals' rank."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """Errors of an ensemble on crystals that were held out of some of its members.

    Attributes:
        values: |ln κ - mean over those members of ln predicted κ|, [n_crystals].
        held_out: Members that each crystal was held out of, one at least, [n_members, n_crystals] bool.
        source: Where they come from, in words.
    """

    values: np.ndarray
    held_out: np.ndarray
    source: str

    def interval(self, kappa: np.ndarray, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Give the interval of each crystal; NaN where there are too few residuals for the level.

        Args:
            kappa: κ of each member in W/(m K), [n_members, n].
            level: Share of crystals whose κ it is to hold.

        Returns:
            Lower and upper end in W/(m K), each [n].
        """
        nothing = np.full(kappa.shape[1], np.nan)
        rank = quantile_rank(len(self.values), level)
        if rank is None:
            return nothing, nothing.copy()
        centre = log_kappa(kappa).T @ mean_weights(self.held_out)
        n = len(self.values)
        low = np.partition(centre - self.values, n - rank, axis=1)[:, n - rank]
        high = np.partition(centre + self.values, rank - 1, axis=1)[:, rank - 1]
        return np.exp(low), np.exp(high)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Predictions of a stage's members, and which of them held which crystal out.

    Attributes:
        crystals: `material_id`, `formula` and `kappa` in W/(m K), one row per crystal.
        predicted: ln of the predicted κ, [n_members, n_crystals].
        held_out: Whether a crystal is in a member's validation part, [n_members, n_crystals] bool.
    """

    crystals: pd.DataFrame
    predicted: np.ndarray
    held_out: np.ndarray

    @classmethod
    def from_predictions(cls, predictions: pd.DataFrame, column: str = "kappa_selected") -> HeldOut:
        """Take them from a stage's `predictions.csv`, whose runs list the same crystals in the same order."""
        shape = (predictions["run"].nunique(), -1)
        first = predictions[predictions["run"] == predictions["run"].iloc[0]]
        return cls(
            first[["material_id", "formula", "kappa"]].reset_index(drop=True),
            log_kappa(predictions[column].to_numpy()).reshape(shape),
            (predictions["part"] == "validation").to_numpy().reshape(shape),
        )

    def residuals(self, source: str, members: np.ndarray | None = None) -> tuple[Residuals, np.ndarray]:
        """Give the residuals of all crystals that were held out of a member.

        Args:
            source: Where they come from, in words.
            members: Members to make them of, [n_members] bool; without it, all.

        Returns:
            The residuals, and their crystals, [n_crystals] int64.
        """
        chosen = slice(None) if members is None else members
        held_out, predicted = self.held_out[chosen], self.predicted[chosen]
        crystals = np.flatnonzero(held_out.any(axis=0))
        held_out = held_out[:, crystals]
        mean = np.where(held_out, predicted[:, crystals] * mean_weights(held_out), 0).sum(axis=0)
        values = np.abs(np.log(self.crystals["kappa"].to_numpy()[crystals]) - mean)
        # A member without a number is off by any amount.
        return Residuals(np.nan_to_num(values, nan=np.inf), held_out, source), crystals


def held_out_residuals(predictions: pd.DataFrame, source: str, column: str = "kappa_selected") -> Residuals:
    """Take the residuals of a trained stage from its predictions of the validation parts.

    Args:
        predictions: A stage's `predictions.csv`.
        source: Where they come from, in words.
        column: Column of the predicted κ.
    """
    residuals, _ = HeldOut.from_predictions(predictions, column).residuals(source)
    order = np.argsort(residuals.values, kind="stable")
    if len(order) > MAX_CRYSTALS:
        steps = np.ceil((np.arange(MAX_CRYSTALS) + 0.5) * len(order) / MAX_CRYSTALS).astype(np.int64) - 1
        order = order[steps]
    return Residuals(residuals.values[order], residuals.held_out[:, order], source)


def log_kappa(kappa: np.ndarray) -> np.ndarray:
    """Natural logarithm of predicted κ in W/(m K), which may lie at or below zero."""
    return np.asarray(np.log(np.maximum(np.asarray(kappa, dtype=np.float64), MIN_KAPPA_W_PER_MK)))


def mean_weights(held_out: np.ndarray) -> np.ndarray:
    """Weights of the mean over the members that hold each crystal out, in the shape of `held_out`."""
    return np.asarray(held_out / held_out.sum(axis=0))


def quantile_rank(n: int, level: float) -> int | None:
    """Rank, from 1, of the quantile that `n` residuals give for a level; None where they are too few."""
    rank = ceil(round(level * (n + 1), 9))  # rounded: 0.9 × 10 must not become 10
    return rank if rank <= n else None
