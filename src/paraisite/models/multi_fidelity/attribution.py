"""Shapley values of the descriptors, by permutations (Lundberg and Lee, arXiv 1705.07874, with the library shap)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np

from paraisite.models.multi_fidelity.model import MultiFidelity

MISSING_LIBRARY = "Attributions to descriptors need the library shap: pip install 'paraisite[explain]'."
N_BACKGROUND = 50
N_PERMUTATIONS = 5
"""Forward and backward each, which is exact for interactions of two descriptors; of those of more, the sampling error of a
value was at most 0.02 in log10 κ on example crystals, against five times as many."""
_SEED = 0
_MASKS_AT_ONCE = 5
"""Times the background: as many crystals as keep the processes' covariances in a core's cache."""


@dataclass(frozen=True, slots=True)
class Attributor:
    """Attributes log10 κ (the median) to descriptors.

    Attributes:
        library: The module shap.
        model: Model to explain.
        background: Descriptors of the crystals that stand for not knowing one's own, [n_background, 65].
    """

    library: ModuleType
    model: MultiFidelity
    background: np.ndarray

    @classmethod
    def of(cls, model: MultiFidelity) -> Attributor | None:
        """Prepare a model; None where shap is not installed."""
        try:
            library = import_module("shap")
        except ImportError:
            return None
        known = model.data.descriptors
        rows = np.random.default_rng(_SEED).choice(len(known), min(N_BACKGROUND, len(known)), replace=False)
        return cls(library, model, known[np.sort(rows)])

    def attribute(self, descriptors: np.ndarray) -> tuple[float, np.ndarray]:
        """Attribute a prediction.

        Args:
            descriptors: Of one crystal, [65].

        Returns:
            Mean of log10 κ over the background, and each descriptor's part of the difference to it, [65].
        """
        with _own_random_state():
            # A function as masker, not shap's own: that one takes seconds to compile, and leaves out descriptors whose
            # values are equal up to rounding, so that a supercell could be given other permutations.
            explainer = self.library.PermutationExplainer(self._log10_median, self._mask, seed=_SEED)
            n_evaluations = N_PERMUTATIONS * (2 * len(descriptors) + 1)
            found = explainer(descriptors[None], max_evals=n_evaluations, batch_size=_MASKS_AT_ONCE, silent=True)
        return float(found.base_values[0]), np.asarray(found.values[0])

    def _log10_median(self, descriptors: np.ndarray) -> np.ndarray:
        return self.model.log10_median(descriptors)

    def _mask(self, known: np.ndarray, descriptors: np.ndarray) -> np.ndarray:
        return np.where(known, descriptors, self.background)


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Leave numpy's global random state as it was: shap seeds it."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
