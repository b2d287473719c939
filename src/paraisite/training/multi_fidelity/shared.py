"""Condition the members of a large fit, which share their hyperparameters: exactly up to 3 500 crystals, else sparsely.

Exactly: one inverse of the covariance of all crystals serves all members, and every way to hold folds out, by the formulas
of a partitioned inverse (Rasmussen and Williams, Gaussian Processes for Machine Learning, equations 5.12 and A.11).

Sparsely: the posterior of inducing points (Titsias, Proc. AISTATS 5, 567, 2009; the same mean and variance as the projected
process of Seeger, Williams and Lawrence, Proc. AISTATS 4, 2003). The hyperparameters are those of an exact process of some of
the crystals, so the bound by which Titsias finds them is not needed. The points are crystals, chosen by randomly pivoted
Cholesky factorisation (Chen, Epperly, Tropp and Webber, arXiv 2207.06503): a crystal is drawn with a probability that is
proportional to the variance that the points before leave open.

What a fold adds to the sparse posterior is a sum, so a member, and every way to hold folds out, costs one factorisation of
the size of the points. A prediction costs the same whatever the number of crystals. An iterative method, such as the
conjugate gradients of GPyTorch, keeps all crystals, but solves a system for the variance of every prediction, and brings a
library of its own; inducing points need numpy and scipy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Protocol

import numpy as np
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular

from paraisite.models.interface import FitProgress
from paraisite.models.multi_fidelity.covariance import (
    JITTER,
    MIN_VARIANCE,
    CorrectionParameters,
    correction_covariance,
    prior_mean,
)
from paraisite.models.multi_fidelity.likeness import blend, likeness_of_shares, membership
from paraisite.models.multi_fidelity.model import FirstPrinciples
from paraisite.models.multi_fidelity.shared import SharedProcesses
from paraisite.training.multi_fidelity.calibration import MIN_ENSEMBLE, HeldOutPredictions

MAX_EXACT = 3500
"""Crystals up to which the posterior is exact: the shipped model's 345 and 3 000 of the user's, with some room."""
N_INDUCING = 2000
PIVOTS_AT_ONCE = 100
PIVOT_SEED = 0
INDUCING_JITTER = 1e-6
"""Added to the variance of inducing points, as a share of it."""
MIN_NEW_SHARE = 1e-6
"""Least share of a crystal's variance that other points leave open and that makes it one itself."""
STEP = "posterior and held-out crystals"


def condition_shared(
    parameters: CorrectionParameters,
    data: FirstPrinciples,
    report: Callable[[FitProgress], None],
    *,
    max_exact: int = MAX_EXACT,
    n_inducing: int = N_INDUCING,
) -> tuple[SharedProcesses, HeldOutPredictions, list[HeldOutPredictions]]:
    """Condition members on the crystals outside their folds.

    Args:
        parameters: Their hyperparameters.
        data: Crystals.
        report: Called after every part.
        max_exact: Crystals up to which the posterior is exact.
        n_inducing: Inducing points of a sparse one.

    Returns:
        The members; each crystal as the member that holds it out predicts it; and as the others do without it, its source
        not stated and stated.
    """
    posterior: _Posterior
    n_folds = int(data.fold.max()) + 1
    n_parts = 2 + n_folds * (n_folds - 1) // 2
    report(FitProgress(STEP, 0, n_parts))
    is_exact = len(data.fold) <= max_exact
    posterior = _Exact(parameters, data) if is_exact else _Sparse(parameters, data, n_inducing)
    report(FitProgress(STEP, 1, n_parts))
    weights, root = posterior.conditioned()
    basis = posterior.basis
    shared = SharedProcesses(
        parameters, basis, data.inputs[basis], data.source[basis], weights, root.astype(np.float32)
    )
    single = _hold_out(posterior, data, [(fold,) for fold in range(n_folds)])
    if n_folds < MIN_ENSEMBLE:
        several = single
    else:
        several = _HeldOut(data)
        for number, pair in enumerate(combinations(range(n_folds), 2), 2):
            several.add(posterior, pair)
            report(FitProgress(STEP, number, n_parts))
    report(FitProgress(STEP, n_parts, n_parts))
    return shared, single.summary(stated=False), [several.summary(stated=stated) for stated in (False, True)]


class _Posterior(Protocol):
    """A posterior of δ from which whole folds can be left out."""

    parameters: CorrectionParameters
    basis: np.ndarray
    shares: np.ndarray
    """Σ of squared correlations of each crystal with those of the basis in each fold and source, [n, n_folds, n_sources]."""

    def conditioned(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and root of `SharedProcesses`."""
        ...

    def without(self, folds: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the crystals of some folds, and mean of log10 κ and variance of δ of each by all other folds."""
        ...


class _HeldOut:
    """What members without some folds say of the crystals of these."""

    def __init__(self, data: FirstPrinciples) -> None:
        n, n_folds = len(data.fold), int(data.fold.max()) + 1
        self._data = data
        self._mean, self._variance = np.full((n, n_folds), np.nan), np.full((n, n_folds), np.nan)
        self._likeness: np.ndarray | None = None
        self._posterior: _Posterior | None = None

    def add(self, posterior: _Posterior, folds: tuple[int, ...]) -> None:
        """Leave out folds: each one's crystals are predicted by the member that stands for the other, or by their own."""
        self._posterior = posterior
        rows, mean, variance = posterior.without(folds)
        fold = self._data.fold[rows]
        member = np.where(fold == folds[0], folds[-1], folds[0])
        self._mean[rows, member] = mean
        self._variance[rows, member] = np.maximum(variance, MIN_VARIANCE)
        shares = posterior.shares[rows]
        known = shares.sum(axis=1) - sum(shares[:, one] for one in folds)
        if self._likeness is None:
            self._likeness = np.full((*self._mean.shape, shares.shape[2]), np.nan)
        self._likeness[rows, member] = likeness_of_shares(known)

    def summary(self, *, stated: bool) -> HeldOutPredictions:
        """Median and mean variance over the members, as a model gives them."""
        assert self._posterior is not None  # noqa: S101 - something was added
        assert self._likeness is not None  # noqa: S101
        noise = self._posterior.parameters.noise
        names, values = tuple(noise), np.array(list(noise.values())) ** 2
        if stated:
            weights = membership(self._data.source, names)
            variance = self._variance + blend(weights, values)[:, None]
        else:
            weights = np.nanmean(self._likeness, axis=1)
            each = self._likeness.reshape(-1, len(names))
            variance = self._variance + blend(each, values).reshape(self._variance.shape)
        return HeldOutPredictions(
            np.nanmedian(self._mean, axis=1), np.sqrt(np.nanmean(variance, axis=1)), weights, names
        )


def _hold_out(posterior: _Posterior, data: FirstPrinciples, ways: Sequence[tuple[int, ...]]) -> _HeldOut:
    held_out = _HeldOut(data)
    for folds in ways:
        held_out.add(posterior, folds)
    return held_out


class _Exact:
    """The posterior by the inverse of the covariance of all crystals."""

    def __init__(self, parameters: CorrectionParameters, data: FirstPrinciples) -> None:
        self.parameters, self._fold = parameters, data.fold
        self.basis = np.arange(len(data.fold))
        covariance = correction_covariance(parameters, data.inputs, data.inputs)
        self.shares = _shares(covariance, parameters, data, self.basis)
        self._noise = _noise_variance(parameters, data)
        covariance[np.diag_indices_from(covariance)] += self._noise
        factor = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        lower, _ = lapack.dpotri(factor, lower=1)
        self._inverse = np.tril(lower) + np.tril(lower, -1).T
        self._residual = _residual(parameters, data)
        self._target = data.log10_kappa
        self._alpha = self._inverse @ self._residual

    def conditioned(self) -> tuple[np.ndarray, np.ndarray]:
        n_folds = int(self._fold.max()) + 1
        weights, mean = np.empty((len(self._fold), n_folds)), self._inverse.copy()
        for fold in range(n_folds):
            rows = np.flatnonzero(self._fold == fold)
            factor = cholesky(self._inverse[np.ix_(rows, rows)], lower=True)
            part = solve_triangular(factor, self._inverse[rows], lower=True)
            half = solve_triangular(factor, self._alpha[rows], lower=True)
            weights[:, fold] = self._alpha - part.T @ half
            weights[rows, fold] = 0.0
            mean -= part.T @ part / n_folds
        return weights, cholesky(mean, lower=False, overwrite_a=True)

    def without(self, folds: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = np.flatnonzero(np.isin(self._fold, folds))
        factor = cholesky(self._inverse[np.ix_(rows, rows)], lower=True)
        inverse = cho_solve((factor, True), np.eye(len(rows)))
        return rows, self._target[rows] - inverse @ self._alpha[rows], np.diagonal(inverse) - self._noise[rows]


class _Sparse:
    """The posterior by inducing points, in coordinates in which their prior is white."""

    def __init__(self, parameters: CorrectionParameters, data: FirstPrinciples, n_inducing: int) -> None:
        self.parameters, self._fold = parameters, data.fold
        self.basis = choose_inducing(parameters, data.inputs, n_inducing)
        points = data.inputs[self.basis]
        prior = correction_covariance(parameters, points, points)
        prior[np.diag_indices_from(prior)] += INDUCING_JITTER * parameters.amplitude**2
        self._factor = cholesky(prior, lower=True, overwrite_a=True, check_finite=False)
        covariance = correction_covariance(parameters, points, data.inputs)
        self.shares = _shares(covariance.T, parameters, data, self.basis)
        self._white = solve_triangular(self._factor, covariance, lower=True, overwrite_b=True, check_finite=False)
        noise, residual = _noise_variance(parameters, data), _residual(parameters, data)
        self._prior_mean = data.log10_kappa - residual
        self._precision, self._vector = [], []
        for fold in range(int(data.fold.max()) + 1):
            part = self._white[:, data.fold == fold]
            scaled = part / noise[data.fold == fold]
            self._precision.append(scaled @ part.T)
            self._vector.append(scaled @ residual[data.fold == fold])

    def conditioned(self) -> tuple[np.ndarray, np.ndarray]:
        n_folds = len(self._precision)
        size = len(self.basis)
        weights, explained = np.empty((size, n_folds)), np.eye(size)
        for fold in range(n_folds):
            factor, vector = self._posterior((fold,))
            inverse = cho_solve((factor, True), np.eye(size))
            explained -= inverse / n_folds
            weights[:, fold] = solve_triangular(self._factor, inverse @ vector, lower=True, trans=1)
        root = cholesky(explained + JITTER * np.eye(size), lower=False)
        product = solve_triangular(self._factor, root.T, lower=True, trans=1).T
        return weights, np.asarray(np.linalg.qr(product, mode="r"))

    def without(self, folds: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = np.flatnonzero(np.isin(self._fold, folds))
        factor, vector = self._posterior(folds)
        white = self._white[:, rows]
        half = solve_triangular(factor, white, lower=True)
        mean = self._prior_mean[rows] + half.T @ solve_triangular(factor, vector, lower=True)
        variance = self.parameters.amplitude**2 - (white**2).sum(axis=0) + (half**2).sum(axis=0)
        return rows, mean, variance

    def _posterior(self, without: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Lower factor of the precision of the white coordinates, and the vector that it is to be solved for."""
        kept = [fold for fold in range(len(self._precision)) if fold not in without]
        precision = np.eye(len(self.basis))
        for fold in kept:
            precision += self._precision[fold]
        vector = np.sum([self._vector[fold] for fold in kept], axis=0)
        return cholesky(precision, lower=True, overwrite_a=True, check_finite=False), vector


def choose_inducing(parameters: CorrectionParameters, inputs: np.ndarray, n_inducing: int) -> np.ndarray:
    """Choose inducing points among crystals by randomly pivoted Cholesky factorisation, some at once.

    Args:
        parameters: Hyperparameters of δ.
        inputs: Of δ, [n, 64].
        n_inducing: How many points; fewer where the crystals are explained by fewer.

    Returns:
        Their rows, in order, [m] int64.
    """
    generator = np.random.default_rng(PIVOT_SEED)
    total = parameters.amplitude**2
    left = np.full(len(inputs), total)
    factor, chosen = np.empty((len(inputs), 0)), np.empty(0, dtype=np.int64)
    while len(chosen) < n_inducing:
        left[left < MIN_NEW_SHARE * total] = 0.0
        n_new = min(PIVOTS_AT_ONCE, n_inducing - len(chosen), int((left > 0).sum()))
        if n_new == 0:
            break
        new = generator.choice(len(inputs), n_new, replace=False, p=left / left.sum())
        columns = correction_covariance(parameters, inputs, inputs[new]) - factor @ factor[new].T
        # Those that the others of this turn explain are left out.
        lower, order, n_apart, _ = lapack.dpstrf(columns[new], lower=1, tol=MIN_NEW_SHARE * total)
        kept = order[:n_apart] - 1
        columns = solve_triangular(lower[:n_apart, :n_apart], columns[:, kept].T, lower=True).T
        factor, chosen = np.hstack([factor, columns]), np.concatenate([chosen, new[kept]])
        left = np.maximum(left - (columns**2).sum(axis=1), 0.0)
        left[new] = 0.0
    return np.sort(chosen)


def _noise_variance(parameters: CorrectionParameters, data: FirstPrinciples) -> np.ndarray:
    return np.array([parameters.noise[name] for name in data.source]) ** 2 + JITTER


def _residual(parameters: CorrectionParameters, data: FirstPrinciples) -> np.ndarray:
    return np.asarray(data.log10_kappa - prior_mean(parameters.rho, data.low))


def _shares(
    covariance: np.ndarray, parameters: CorrectionParameters, data: FirstPrinciples, basis: np.ndarray
) -> np.ndarray:
    """See `_Posterior.shares`; `covariance` is that of all crystals with the basis, [n, m]."""
    members = membership(data.source[basis], tuple(parameters.noise))
    folds = data.fold[basis, None] == np.arange(data.fold.max() + 1)
    columns = (folds[:, :, None] * members[:, None]).reshape(len(basis), -1)
    squared = (covariance / parameters.amplitude**2) ** 2
    return np.asarray(squared @ columns).reshape(len(covariance), folds.shape[1], -1)
