"""The members of a fit to many crystals, which share their hyperparameters.

With hyperparameters of its own, each member costs a covariance and a quadratic form for every prediction. A handful of
numbers found from a thousand crystals hardly differs from member to member. Shared, one covariance serves all, and the means
are a product with the members' weights. The variance that the data explain, for which the members differ by a ninth of the
data alone, is its mean over the members: one quadratic form for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paraisite.models.multi_fidelity.covariance import (
    MIN_VARIANCE,
    CorrectionParameters,
    correction_covariance,
    prior_mean,
)
from paraisite.models.multi_fidelity.likeness import blend, likeness, membership

ROOT_ROWS = 512
"""Rows of the root that are multiplied at once, without the zeros before them."""


@dataclass(frozen=True, slots=True)
class SharedProcesses:
    """Members with the same hyperparameters, conditioned on the crystals outside their folds.

    Attributes:
        parameters: Their hyperparameters.
        basis: Crystals whose covariances carry the posterior, as rows of the model's data, [m] int64: all of them for the
            exact posterior, the inducing points for a sparse one.
        inputs: Their inputs of δ, [m, 64].
        source: Their data sets, [m] str.
        weights: The mean of δ is its prior covariance with the basis times these, [m, n_members].
        root: Upper triangular R, [m, m] float32; data explain |R k|² of the prior variance where k is the covariance with the
            basis, mean over the members.
    """

    parameters: CorrectionParameters
    basis: np.ndarray
    inputs: np.ndarray
    source: np.ndarray
    weights: np.ndarray
    root: np.ndarray

    @property
    def n_members(self) -> int:
        """Number of members."""
        return int(self.weights.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the data sets."""
        return tuple(self.parameters.noise)

    def predict(
        self, inputs: np.ndarray, low: np.ndarray, source: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `Member.predict`, for all members.

        Returns:
            Means, [n_members, n]; standard deviations, [1, n]; how much each crystal is like each source,
            [1, n, n_sources].
        """
        if source is not None and (unknown := set(source) - set(self.names)):
            raise KeyError(*unknown)
        covariance = correction_covariance(self.parameters, inputs, self.inputs)
        known = membership(self.source, self.names)
        if source is None:
            weights = likeness(covariance / self.parameters.amplitude**2, known)
        else:
            weights = membership(source, self.names)
        noise = blend(weights, np.array(list(self.parameters.noise.values())) ** 2)
        variance = np.maximum(self.parameters.amplitude**2 - self._explained(covariance), MIN_VARIANCE)
        return self._means(covariance, low), np.sqrt(variance + noise)[None], weights[None]

    def means(self, inputs: np.ndarray, low: np.ndarray) -> np.ndarray:
        """Give the means alone, [n_members, n]."""
        return self._means(correction_covariance(self.parameters, inputs, self.inputs), low)

    def _means(self, covariance: np.ndarray, low: np.ndarray) -> np.ndarray:
        return np.asarray(prior_mean(self.parameters.rho, low) + (covariance @ self.weights).T)

    def _explained(self, covariance: np.ndarray) -> np.ndarray:
        """Prior variance that the data explain, [n]; in 32 bits, as a sum of squares loses nothing by it."""
        values = covariance.astype(np.float32)
        total = np.zeros(len(values))
        for start in range(0, len(self.root), ROOT_ROWS):
            part = values[:, start:] @ self.root[start : start + ROOT_ROWS, start:].T
            total += np.einsum("ij,ij->i", part, part, dtype=np.float64)
        return total
