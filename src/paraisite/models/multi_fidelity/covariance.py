"""The prior of the correction δ: its covariance, its hyperparameters, and the mean of log10 κ where δ is zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

REFERENCE_LOG10_KAPPA = 1.0
"""Where ρ has no effect: 10 W/(m K)."""
JITTER = 1e-6
"""Added to every noise's variance, so that equal crystals have a regular covariance."""
MIN_VARIANCE = 1e-6
"""Least variance of δ that a prediction has, in (log10 κ)²: below, rounding decides."""


@dataclass(frozen=True, slots=True)
class CorrectionParameters:
    """Hyperparameters of δ.

    Attributes:
        amplitude: Standard deviation of δ, in log10 κ.
        length: Its length scale, in scaled descriptors.
        rho: ρ of each low level.
        noise: Standard deviation of the noise of each source, in log10 κ.
    """

    amplitude: float
    length: float
    rho: tuple[float, ...]
    noise: dict[str, float]


def prior_mean(rho: Sequence[float] | np.ndarray, low: np.ndarray) -> np.ndarray:
    """log10 κ where δ is zero: [n_levels] and [n_levels, n] → [n]."""
    return np.asarray(REFERENCE_LOG10_KAPPA + (np.asarray(rho)[:, None] * (low - REFERENCE_LOG10_KAPPA)).sum(axis=0))


def correction_covariance(parameters: CorrectionParameters, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Covariance of δ between crystals, [n, 64] × [m, 64] → [n, m]: a Matérn kernel with ν = 5/2."""
    square = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    distance = np.sqrt(np.maximum(square, 0.0)) * (sqrt(5) / parameters.length)
    return np.asarray(parameters.amplitude**2 * (1 + distance + distance**2 / 3) * np.exp(-distance))
