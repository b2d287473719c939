"""Signs that a prediction may fail: rules on what a candidate was trained on, each true or false of the data alone.

A sign says what sets a crystal apart from its training part, not that this made the prediction fail: `errors.csv` has the
errors of all crystals that show a sign beside those of the crystals that show none.
"""

from __future__ import annotations

import numpy as np

from paraisite.comparison.protocols import ComparisonSplit, CrystalPool
from paraisite.elements import SYMBOLS

RARE = 2
"""Most training crystals with an element that counts as rare."""
OTHER_FORM_FACTOR, NEAREST_FACTOR = 2.0, 3.0
"""From which ratio of κ on another form of the crystal, or the crystals nearest in composition, differ from it."""
MOST_NAMES = 3


class TrainingPart:
    """Training crystals of one split, as the rules see them."""

    def __init__(self, pool: CrystalPool, training: np.ndarray, fractions: np.ndarray) -> None:
        """Take the crystals `training` of a pool with the fractions of its elements (see `element_fractions`)."""
        self._fractions = fractions[training]
        self._counts = (self._fractions > 0).sum(axis=0)
        self._formula, self._prototype = pool.formula[training], pool.prototype[training]
        self._log10_kappa = np.log10(pool.kappa[training])

    def signs(self, fractions: np.ndarray, formula: str, prototype: str, kappa: float) -> dict[str, str]:
        """Report the signs that a crystal shows: a sentence by the name of each.

        Args:
            fractions: Of its elements, [119].
            formula: Its reduced formula.
            prototype: Its structure type.
            kappa: Its κ in W/(m K).
        """
        elements = np.flatnonzero(fractions)
        found = {
            "unseen_element": self._elements(elements, 0, "no training crystal contains {}"),
            "rare_element": self._elements(elements, RARE, f"at most {RARE} training crystals contain {{}}"),
            "unseen_structure_type": self._structure_type(prototype),
            "beyond_training": self._range(float(np.log10(kappa))),
            **self._neighbours(fractions, formula, prototype, float(np.log10(kappa))),
        }
        return {name: text for name, text in found.items() if text}

    def _elements(self, elements: np.ndarray, most: int, text: str) -> str:
        counts = self._counts[elements]
        shown = elements[counts == 0] if most == 0 else elements[(counts > 0) & (counts <= most)]
        return text.format(" or ".join(SYMBOLS[number] for number in shown)) if len(shown) else ""

    def _structure_type(self, prototype: str) -> str:
        known = not prototype or (self._prototype == prototype).any()
        return "" if known else f"no training crystal is of its structure type ({prototype})"

    def _range(self, log10_kappa: float) -> str:
        low, high = self._log10_kappa.min(), self._log10_kappa.max()
        if log10_kappa > high:
            return f"its κ is above all of the training ({10**high:.3g} at most)"
        return f"its κ is below all of the training ({10**low:.3g} at least)" if log10_kappa < low else ""

    def _neighbours(self, fractions: np.ndarray, formula: str, prototype: str, log10_kappa: float) -> dict[str, str]:
        """Compare with the other forms of the composition, or else with the crystals that share most of it."""
        forms = (self._formula == formula) & (self._prototype != prototype)
        if forms.any():
            ratio = self._ratio(forms, log10_kappa)
            names = _join(dict.fromkeys(self._prototype[forms].tolist()))
            text = f"its other form in the training ({names}) has {_times(ratio)} κ"
            return {"other_form_differs": text if _differs(ratio, OTHER_FORM_FACTOR) else ""}
        shared = np.minimum(self._fractions, fractions).sum(axis=1)
        nearest = (shared > 0) & (shared >= shared.max() - 1e-9)
        if not nearest.any():
            return {}
        ratio = self._ratio(nearest, log10_kappa)
        names = _join(dict.fromkeys(self._formula[nearest].tolist()))
        text = f"the training crystals nearest in composition ({names}) have {_times(ratio)} κ"
        return {"nearest_differ": text if _differs(ratio, NEAREST_FACTOR) else ""}

    def _ratio(self, chosen: np.ndarray, log10_kappa: float) -> float:
        """Geometric mean of the chosen crystals' κ over that of the crystal."""
        return float(10 ** (self._log10_kappa[chosen].mean() - log10_kappa))


def element_fractions(pool: CrystalPool) -> np.ndarray:
    """Fraction of each element in each crystal, by atomic number, [n_crystals, 119]."""
    counts = np.stack([np.bincount(crystal.numbers, minlength=len(SYMBOLS)) for crystal in pool.crystals])
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def split_signs(split: ComparisonSplit, pool: CrystalPool, fractions: np.ndarray) -> list[dict[str, str]]:
    """Signs of each predicted crystal of a split (see `TrainingPart.signs`), [n_predicted].

    Args:
        split: The split.
        pool: Its crystals.
        fractions: As `element_fractions` gives them.
    """
    part = TrainingPart(pool, split.training, fractions)
    rows = split.predicted
    told = (fractions[rows], pool.formula[rows].tolist(), pool.prototype[rows].tolist(), pool.kappa[rows].tolist())
    return [part.signs(*crystal) for crystal in zip(*told, strict=True)]


def _differs(ratio: float, factor: float) -> bool:
    return max(ratio, 1 / ratio) >= factor


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times its" if ratio >= 1 else f"1/{1 / ratio:.1f} of its"


def _join(names: dict[str, None]) -> str:
    shown = list(names)[:MOST_NAMES]
    return ", ".join(shown) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
