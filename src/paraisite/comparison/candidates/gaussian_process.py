"""Gaussian processes on log10 κ (Rasmussen and Williams 2006, ISBN 978-0-262-18253-9).

One length scale for all features: on 20 draws of 76 + 19 of AFLOW's binary crystals that are not in Togo15, one length
scale a feature was no better in MAE of log10 κ and worse in likelihood; choosing between them by cross-validation gained
nothing. Logarithms of the features made no difference either.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from paraisite.comparison.candidates.aflow_stage import structure_and_aflow_stage_features
from paraisite.comparison.candidates.interface import CandidatePrediction, FeatureFunction
from paraisite.datasets.levels import Source
from paraisite.features.magpie import structure_and_magpie_features
from paraisite.features.structure import structure_features
from paraisite.structures.crystal import Crystal

_SEED = 0
N_RESTARTS = 4
"""Searches of the hyperparameters from a random start, after the one from the default."""
LENGTH_SCALES = (1e-1, 1e3)
"""Bounds in standard deviations of a feature."""
NOISE_LEVELS = (1e-4, 1.0)
"""Bounds of the noise's variance in variances of the target; without noise equal crystals have a singular covariance."""


class GaussianProcess:
    """A Gaussian process on standardised features, with a Matérn kernel (ν = 5/2) and white noise.

    Amplitude, length scale and noise maximise the marginal likelihood of the training part.
    """

    def __init__(self, name: str, title: str, inputs: FeatureFunction) -> None:
        """Keep what it is made of.

        Args:
            name: Name of the candidate.
            title: Its title.
            inputs: Gives the features.
        """
        self.name, self.title = name, title
        self._inputs = inputs
        self._model: Any = None

    def fit(
        self,
        crystals: Sequence[Crystal],
        kappa: np.ndarray,
        source: Sequence[Source] | None = None,  # noqa: ARG002 - one noise for all
    ) -> None:
        """See `Candidate.fit`."""
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - in an extra

        with warnings.catch_warnings():
            # Computed κ has hardly any noise, so its level may end at the lower bound.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model = _make_model().fit(self._inputs(crystals), np.log10(kappa))

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """See `Candidate.predict`; the standard deviation includes the noise."""
        return CandidatePrediction(*self._model.predict(self._inputs(crystals), return_std=True))

    def settings(self) -> dict[str, Any]:
        """See `Candidate.settings`; the kernel is that of standardised features and targets."""
        process = self._model[-1]
        return {
            "kernel": str(process.kernel_),
            "log_marginal_likelihood": float(process.log_marginal_likelihood_value_),
        }


def gaussian_process_structure() -> GaussianProcess:
    """Gaussian process on the structure features."""
    return GaussianProcess("gaussian_process_structure", "Gaussian process (structure)", structure_features)


def gaussian_process_magpie() -> GaussianProcess:
    """Gaussian process on the structure and Magpie features."""
    return GaussianProcess(
        "gaussian_process_magpie", "Gaussian process (structure, Magpie)", structure_and_magpie_features
    )


def gaussian_process_aflow() -> GaussianProcess:
    """Gaussian process on the structure features and the AFLOW-stage network's prediction."""
    return GaussianProcess(
        "gaussian_process_aflow",
        "Gaussian process (structure, AFLOW-stage network)",
        structure_and_aflow_stage_features,
    )


def _make_model() -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor  # noqa: PLC0415 - in an extra
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * Matern(4.0, LENGTH_SCALES, nu=2.5) + WhiteKernel(0.1, NOISE_LEVELS)
    process = GaussianProcessRegressor(
        kernel, alpha=0.0, normalize_y=True, n_restarts_optimizer=N_RESTARTS, random_state=_SEED
    )
    return make_pipeline(StandardScaler(), process)
