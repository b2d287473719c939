"""Median, nearest neighbours and forests of trees, on log10 κ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from paraisite.comparison.candidates.interface import CandidatePrediction
from paraisite.datasets.levels import Source
from paraisite.features.magpie import structure_and_magpie_features
from paraisite.structures.crystal import Crystal

_SEED = 0
N_FOLDS = 5
NEIGHBOURS = (1, 2, 3, 5, 8)
N_TREES = 500
FEATURE_FRACTION = 1 / 3
"""Share of the features that a split of a tree may look at: the usual one for regression (Breiman 2001)."""


class Median:
    """The median of log κ of the training part, for every crystal; its spread is the training part's."""

    name = "median"
    title = "Median"

    def __init__(self) -> None:
        """Make one that has not been fitted."""
        self._median = self._std = math.nan

    def fit(
        self,
        crystals: Sequence[Crystal],  # noqa: ARG002 - the crystals do not matter
        kappa: np.ndarray,
        source: Sequence[Source] | None = None,  # noqa: ARG002 - one noise for all
    ) -> None:
        """See `Candidate.fit`."""
        self._median, self._std = float(np.median(np.log10(kappa))), float(np.log10(kappa).std())

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """See `Candidate.predict`."""
        return CandidatePrediction(np.full(len(crystals), self._median), np.full(len(crystals), self._std))

    def settings(self) -> dict[str, Any]:
        """See `Candidate.settings`."""
        return {"log10_kappa": self._median}


class Regressor:
    """A regressor of scikit-learn on log10 κ, from the structure and Magpie features."""

    def __init__(self, name: str, title: str, build: Callable[[int], Any]) -> None:
        """Keep how to make the estimator.

        Args:
            name: Name of the candidate.
            title: Its title.
            build: Gives a new estimator for a number of training crystals; a search over its settings by cross-validation
                is one too.
        """
        self.name, self.title = name, title
        self._build = build
        self._estimator: Any = None

    def fit(
        self,
        crystals: Sequence[Crystal],
        kappa: np.ndarray,
        source: Sequence[Source] | None = None,  # noqa: ARG002 - one noise for all
    ) -> None:
        """See `Candidate.fit`."""
        self._estimator = self._build(len(crystals)).fit(structure_and_magpie_features(crystals), np.log10(kappa))

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """See `Candidate.predict`."""
        return CandidatePrediction(self._estimator.predict(structure_and_magpie_features(crystals)))

    def settings(self) -> dict[str, Any]:
        """See `Candidate.settings`."""
        best = getattr(self._estimator, "best_estimator_", self._estimator)
        last = best[-1] if hasattr(best, "steps") else best
        settings = {key: value for key, value in last.get_params().items() if value is not None}
        if best is not self._estimator:
            settings["n_tried"] = len(self._estimator.cv_results_["params"])
        return settings


def nearest_neighbours() -> Regressor:
    """Mean over the nearest crystals weighted by 1/distance, in standardised features; how many is chosen by 5 folds."""
    return Regressor("knn", "Nearest neighbours", _nearest_neighbours)


def random_forest() -> Regressor:
    """Random forest of 500 trees grown to the end."""
    return Regressor("random_forest", "Random forest", lambda _: _forest("RandomForestRegressor"))


def extra_trees() -> Regressor:
    """Extremely randomised trees, 500 of them, grown to the end."""
    return Regressor("extra_trees", "Extra trees", lambda _: _forest("ExtraTreesRegressor"))


def _nearest_neighbours(n_crystals: int) -> Any:
    from sklearn.model_selection import GridSearchCV, KFold  # noqa: PLC0415 - in an extra
    from sklearn.neighbors import KNeighborsRegressor  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    n_fitted = n_crystals - math.ceil(n_crystals / N_FOLDS)
    grid = {"kneighborsregressor__n_neighbors": [number for number in NEIGHBOURS if number <= n_fitted]}
    folds = KFold(N_FOLDS, shuffle=True, random_state=_SEED)
    model = make_pipeline(StandardScaler(), KNeighborsRegressor(weights="distance", n_jobs=1))
    return GridSearchCV(model, grid, scoring="neg_mean_absolute_error", cv=folds, n_jobs=1)


def _forest(kind: str) -> Any:
    import sklearn.ensemble  # noqa: PLC0415 - in an extra

    return getattr(sklearn.ensemble, kind)(N_TREES, max_features=FEATURE_FRACTION, random_state=_SEED, n_jobs=1)
