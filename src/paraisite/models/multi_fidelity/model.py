"""Multi-fidelity κ: surrogates of cheap values, and Gaussian processes for what first principles add to them.

log10 κ = 1 + Σ ρ (a - 1) + δ, where a is log10 of the value that the surrogate of a low level expects (AGL's, by networks
trained on thousands of AFLOW crystals, is the one level of the shipped model) and δ a Gaussian process over the descriptors
(Kennedy and O'Hagan, doi 10.1093/biomet/87.1.1). δ has zero mean, so far from every first-principles crystal the model falls
back on ρ times the low levels. Prediction needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import erf, log, sqrt

import numpy as np

from paraisite.datasets.levels import Level, Source
from paraisite.features.descriptors import DESCRIPTORS
from paraisite.metrics import NORMAL_90
from paraisite.models.multi_fidelity.covariance import (
    JITTER,
    MIN_VARIANCE,
    CorrectionParameters,
    correction_covariance,
    prior_mean,
)
from paraisite.models.multi_fidelity.likeness import blend, likeness, membership
from paraisite.models.multi_fidelity.shared import SharedProcesses

LOW = Source("low", Level.AGL, low=True)
"""Stands for a data set of a low level that has no name."""
N_CORRECTION = len(DESCRIPTORS) - 1
"""Descriptors that δ depends on: all but the cell's size, which surrogates know and δ would learn as the mark of a
prototype."""
BISECTIONS = 30
"""Of the interval that holds a cautious shift, so that it is exact to a billionth of the variance."""
FEW_VALUES = 200
"""Values up to which Python's error function is fast enough."""


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Networks that give κ of a low level from descriptors.

    Attributes:
        offset: Mean of each descriptor over the training crystals, [65].
        scale: Their standard deviation, [65].
        weights: Of each layer, [n_networks, n_in, n_out] float32; SiLU between the layers.
        biases: Of each layer, [n_networks, 1, n_out] float32.
        target: Mean and standard deviation of log10 κ over the training crystals.
        source: Data set that they were trained on.
    """

    offset: np.ndarray
    scale: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    target: tuple[float, float]
    source: Source = LOW

    def predict(self, descriptors: np.ndarray) -> np.ndarray:
        """Give log10 of that κ at 300 K in W/(m K): [n, 65] → [n] float64, the mean over the networks."""
        values = ((descriptors - self.offset) / self.scale).astype(np.float32)[None]
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weight + bias
            if index < len(self.weights) - 1:
                values = values / (1 + np.exp(-np.clip(values, -60, None)))
        mean: np.ndarray = values[..., 0].astype(np.float64).mean(axis=0)
        return self.target[0] + self.target[1] * mean


@dataclass(frozen=True, slots=True)
class FirstPrinciples:
    """Crystals with κ better than the low levels', as the processes see them.

    Attributes:
        material_id: [n] str.
        composition: Reduced formula of each, [n] str.
        source: Name of each one's data set, [n] str.
        descriptors: [n, 65].
        low: log10 κ of each surrogate, [n_levels, n].
        log10_kappa: [n].
        fold: Member that each crystal is held out of, [n] int64.
        scale: Scale of the descriptors of δ, [64].
        sources: What is known of each data set in `source`.
    """

    material_id: np.ndarray
    composition: np.ndarray
    source: np.ndarray
    descriptors: np.ndarray
    low: np.ndarray
    log10_kappa: np.ndarray
    fold: np.ndarray
    scale: np.ndarray
    sources: tuple[Source, ...] = ()

    @property
    def inputs(self) -> np.ndarray:
        """Inputs of δ, [n, 64]."""
        return np.asarray(self.descriptors[:, :N_CORRECTION] / self.scale)


class Member:
    """One process, conditioned on its training crystals."""

    def __init__(self, parameters: CorrectionParameters, data: FirstPrinciples, known: np.ndarray) -> None:
        """Condition on the crystals of the mask `known`, [n] bool."""
        self.parameters = parameters
        self.known = known
        self.names = tuple(parameters.noise)
        self._membership = membership(data.source[known], self.names)
        self._inputs = data.inputs[known]
        noise = np.array([parameters.noise[name] for name in data.source[known]])
        covariance = correction_covariance(parameters, self._inputs, self._inputs)
        covariance[np.diag_indices_from(covariance)] += noise**2 + JITTER
        factor = np.linalg.cholesky(covariance)
        self._inverse_factor = np.linalg.inv(factor)  # once, so that a prediction needs no triangular solver
        residual = data.log10_kappa[known] - prior_mean(parameters.rho, data.low[:, known])
        self._weights = self._inverse_factor.T @ (self._inverse_factor @ residual)

    def predict(
        self, inputs: np.ndarray, low: np.ndarray, source: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give mean and standard deviation of log10 κ, noise included, each [n], and how much each is like each source.

        Args:
            inputs: Of δ, [n, 64].
            low: log10 κ of each surrogate, [n_levels, n].
            source: Data set of each crystal, [n] str; without it, its noise is that of the sources that it is like. See
                `paraisite.models.multi_fidelity.likeness`.

        Raises:
            KeyError: A data set is none that the process was fitted to.
        """
        if source is not None and (unknown := set(source) - set(self.names)):
            raise KeyError(*unknown)
        covariance = correction_covariance(self.parameters, inputs, self._inputs)
        explained = ((self._inverse_factor @ covariance.T) ** 2).sum(axis=0)
        variance = self.parameters.amplitude**2 - explained
        if source is None:
            weights = likeness(covariance / self.parameters.amplitude**2, self._membership)
        else:
            weights = membership(source, self.names)
        noise = blend(weights, np.array(list(self.parameters.noise.values())) ** 2)
        return self._mean(covariance, low), np.sqrt(np.maximum(variance, MIN_VARIANCE) + noise), weights

    def mean(self, inputs: np.ndarray, low: np.ndarray) -> np.ndarray:
        """Give the mean alone, [n], in half the time."""
        return self._mean(correction_covariance(self.parameters, inputs, self._inputs), low)

    def _mean(self, covariance: np.ndarray, low: np.ndarray) -> np.ndarray:
        return np.asarray(prior_mean(self.parameters.rho, low) + covariance @ self._weights)


@dataclass(frozen=True, slots=True)
class MultiFidelity:
    """The model: surrogates, members, and how their predictions are reported.

    Attributes:
        surrogates: Give κ of the low levels.
        data: Crystals of the processes.
        members: Processes, each without the compositions of its fold; none where `shared` has them.
        widths: Half-width of the 90 % interval in standard deviations, for crystals like those of each source; from the
            crystals that each member held out.
        stated_widths: The same for κ that is stated to be of each source.
        caution: λ of `cautious_shift`.
        shared: The members of a fit to many crystals.
    """

    surrogates: tuple[Surrogate, ...]
    data: FirstPrinciples
    members: tuple[Member, ...]
    widths: dict[str, float]
    stated_widths: dict[str, float]
    caution: float
    shared: SharedProcesses | None = None

    @property
    def n_members(self) -> int:
        """Number of members."""
        return len(self.members) if self.shared is None else self.shared.n_members

    @property
    def parameters(self) -> tuple[CorrectionParameters, ...]:
        """Hyperparameters of each member, or those that all share."""
        return tuple(member.parameters for member in self.members) if self.shared is None else (self.shared.parameters,)

    def predict(self, descriptors: np.ndarray, source: np.ndarray | None = None) -> Prediction:
        """Predict crystals.

        Args:
            descriptors: [n, 65].
            source: Data set whose κ is to lie in the interval, [n] str, where it is one that the model was fitted to; without
                it, noise and width are those of the sources that a crystal is like.
        """
        low, inputs = self._inputs(descriptors)
        if self.shared is None:
            said = [member.predict(inputs, low, source) for member in self.members]
            means, deviations, weights = map(np.array, zip(*said, strict=True))
        else:
            means, deviations, weights = self.shared.predict(inputs, low, source)
        found = self.widths if source is None else self.stated_widths
        widths = np.array([found[name] for name in self.parameters[0].noise])
        deviations *= np.array([blend(one, widths) for one in weights]) / NORMAL_90
        centre = np.median(means, axis=0)
        # How members differ is no further doubt: the errors by which they are calibrated have it in them.
        deviation = np.sqrt((deviations**2).mean(axis=0))
        return Prediction(means + cautious_shift(deviations, self.caution), centre, deviation, low)

    def log10_median(self, descriptors: np.ndarray) -> np.ndarray:
        """Give `Prediction.log10_median` alone, [n]."""
        low, inputs = self._inputs(descriptors)
        if self.shared is not None:
            return np.asarray(np.median(self.shared.means(inputs, low), axis=0))
        return np.asarray(np.median([member.mean(inputs, low) for member in self.members], axis=0))

    def _inputs(self, descriptors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return low_levels(self.surrogates, descriptors), descriptors[:, :N_CORRECTION] / self.data.scale


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of crystals.

    Attributes:
        members: log10 of each member's point estimate of κ at 300 K in W/(m K), [n_members, n].
        log10_median: Median of the predictive distribution of log10 κ, [n].
        log10_std: Its standard deviation, calibrated on held-out crystals, [n].
        low: log10 of the value that the surrogate of each low level expects, [n_levels, n].
    """

    members: np.ndarray
    log10_median: np.ndarray
    log10_std: np.ndarray
    low: np.ndarray

    @property
    def log10_point(self) -> np.ndarray:
        """log10 of the point estimate, [n]: the median over the members, as one may lack a crystal's nearest kin."""
        return np.asarray(np.median(self.members, axis=0))

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 90 % interval of log10 κ, each [n]."""
        half = NORMAL_90 * self.log10_std
        return self.log10_median - half, self.log10_median + half


def low_levels(surrogates: Sequence[Surrogate], descriptors: np.ndarray) -> np.ndarray:
    """log10 κ of each surrogate, [n, 65] → [n_levels, n]."""
    return np.stack([surrogate.predict(descriptors) for surrogate in surrogates])


def cautious_shift(log10_std: np.ndarray, caution: float) -> np.ndarray:
    """Shift of the point estimate below the median, in log10 κ.

    The estimate minimises E|ln κ̂/κ| + λ E|κ̂/κ - 1| under a lognormal κ. The first term alone gives the median; the second
    counts a value ten times too large as 9 and one ten times too small as 0.9, so an uncertain prediction
    is better reported low.

    Args:
        log10_std: Standard deviation of log10 κ, any shape.
        caution: λ, from 0.
    """
    if caution == 0:
        return np.zeros_like(log10_std)
    deviation = np.maximum(log10_std * log(10), 1e-12)
    # The loss falls below minus the variance and rises above zero; between them its slope has one zero.
    low, high = -(deviation**2), np.zeros_like(deviation)
    for _ in range(BISECTIONS):
        shift = (low + high) / 2
        slope = _erf(shift / (sqrt(2) * deviation))
        slope += caution * np.exp(shift + deviation**2 / 2) * _erf((shift + deviation**2) / (sqrt(2) * deviation))
        low, high = np.where(slope > 0, low, shift), np.where(slope > 0, shift, high)
    return np.asarray((low + high) / (2 * log(10)))


def _erf(values: np.ndarray) -> np.ndarray:
    """The error function: scipy's for many values; Python's for those of one crystal, as scipy starts slowly."""
    if values.size <= FEW_VALUES:
        return np.asarray(np.vectorize(erf, otypes=[np.float64])(values))
    return np.asarray(import_module("scipy.special").erf(values))


def assign_folds(compositions: Sequence[str], n_folds: int, seed: int) -> np.ndarray:
    """Fold of each crystal, [n] int64: whole compositions, in folds of nearly equal numbers of compositions."""
    names, group = np.unique(np.asarray(compositions), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    fold = np.empty(len(names), dtype=np.int64)
    fold[order] = np.arange(len(names)) % n_folds
    return np.asarray(fold[group])
