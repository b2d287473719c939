"""Hyperparameters of the correction δ, by marginal likelihood and priors."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import torch
from torch import Tensor

from paraisite.datasets.levels import Source
from paraisite.models.interface import FitProgress, ignore_progress
from paraisite.models.multi_fidelity.covariance import JITTER, REFERENCE_LOG10_KAPPA, CorrectionParameters
from paraisite.models.multi_fidelity.model import FirstPrinciples
from paraisite.threads import torch_settings

AMPLITUDE, LENGTH = 0.5, 8.0
"""Medians of the priors of δ's standard deviation in log10 κ and of its length scale: √64, of 64 scaled descriptors."""
KERNEL_SPREAD, NOISE_SPREAD, RHO_SPREAD = 0.5, 0.7, 0.2
"""Standard deviations of the priors of ln amplitude and ln length, of ln noise, and of ρ around 1 / number of levels."""
MAX_ITERATIONS = 60
PARAMETER_CRYSTALS = 1000
"""Crystals that the hyperparameters of a fit to many come from."""
CHOICE_SEED = 0


def parameter_crystals(source: np.ndarray, n_crystals: int = PARAMETER_CRYSTALS) -> np.ndarray:
    """Choose crystals to find hyperparameters from: as many of each source, or all of it where it has fewer.

    Args:
        source: Data set of each crystal, [n] str.
        n_crystals: How many.

    Returns:
        [n] bool.
    """
    generator = np.random.default_rng(CHOICE_SEED)
    chosen = np.zeros(len(source), dtype=bool)
    names, count = np.unique(source, return_counts=True)
    left = n_crystals
    for number, name in enumerate(names[np.argsort(count, kind="stable")]):
        rows = generator.permutation(np.flatnonzero(source == name))[: left // (len(names) - number)]
        chosen[rows] = True
        left -= len(rows)
    return chosen


def fit_parameters(
    data: FirstPrinciples, known: np.ndarray, report: Callable[[FitProgress], None] = ignore_progress
) -> CorrectionParameters:
    """Find the hyperparameters with the highest marginal likelihood times prior.

    Args:
        data: Crystals.
        known: Those to use, [n] bool.
        report: Called after every evaluation of the likelihood.
    """
    names, source = np.unique(data.source, return_inverse=True)
    sources = {one.name: one for one in data.sources}
    noise = [sources.get(str(name), Source(str(name))).noise_log10 for name in names]
    n_levels = len(data.low)
    centre = torch.as_tensor([*np.log([AMPLITUDE, LENGTH, *noise]), *[1.0 / n_levels] * n_levels], dtype=torch.float64)
    spreads = [KERNEL_SPREAD] * 2 + [NOISE_SPREAD] * len(names) + [RHO_SPREAD] * n_levels
    spread = torch.as_tensor(spreads, dtype=torch.float64)
    inputs, target = (torch.as_tensor(values[known]) for values in (data.inputs, data.log10_kappa))
    low = torch.as_tensor(data.low[:, known])
    distance = _distances(inputs)
    index = torch.as_tensor(source[known])
    parameters, n_done = centre.clone().requires_grad_(), list[int]()
    optimizer = torch.optim.LBFGS([parameters], max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        n_done.append(0)
        report(FitProgress("hyperparameters", min(len(n_done), MAX_ITERATIONS), MAX_ITERATIONS))
        value = _negative_log_likelihood(parameters, distance, index, low, target)
        value = value + (((parameters - centre) / spread) ** 2).sum() / 2
        value.backward()
        return value

    with torch_settings(1):
        optimizer.step(loss)
    report(FitProgress("hyperparameters", MAX_ITERATIONS, MAX_ITERATIONS))
    amplitude, length, *others = parameters.detach().tolist()
    logarithms, rho = others[: len(names)], others[len(names) :]
    found = {str(name): exp(value) for name, value in zip(names, logarithms, strict=True)}
    return CorrectionParameters(exp(amplitude), exp(length), tuple(rho), found)


def _negative_log_likelihood(
    parameters: Tensor, distance: Tensor, source: Tensor, low: Tensor, target: Tensor
) -> Tensor:
    scaled = distance * (sqrt(5) * torch.exp(-parameters[1]))
    covariance = torch.exp(2 * parameters[0]) * (1 + scaled + scaled**2 / 3) * torch.exp(-scaled)
    rho = parameters[len(parameters) - len(low) :]
    noise = torch.exp(2 * parameters[2 : len(parameters) - len(low)])[source]
    factor = torch.linalg.cholesky(covariance + torch.diag(noise + JITTER))
    residual = target - REFERENCE_LOG10_KAPPA - (rho[:, None] * (low - REFERENCE_LOG10_KAPPA)).sum(dim=0)
    half = torch.linalg.solve_triangular(factor, residual[:, None], upper=False)
    value: Tensor = 0.5 * (half**2).sum() + torch.log(torch.diagonal(factor)).sum()
    return value


def _distances(inputs: Tensor) -> Tensor:
    square = (inputs**2).sum(dim=1)
    return (square[:, None] + square - 2 * inputs @ inputs.T).clamp_min(1e-12).sqrt()
