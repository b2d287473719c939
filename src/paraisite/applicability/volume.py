"""Volumes far from those of relaxed crystals of these elements and bonds: not relaxed, or stretched by a wrong unit.

The expected ln volume is linear in the features of `features.py` and in how loosely the bonds fill space, V / length³. None
of them changes when all lengths do, so a stretched crystal stands out by its whole change of volume.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from paraisite.applicability.concern import Concern
from paraisite.applicability.features import ELEMENT_COLUMNS, Features

GEOMETRY_COLUMNS = (
    "ln volume over cubed bond length",
    "its square",
    "its product with the electronegativity difference",
)


@dataclass(frozen=True, slots=True)
class VolumeModel:
    """Fitted by `scripts/fit_volumes.py`.

    Attributes:
        weights: One weight a column of `volume_columns`, [n_columns].
        edge: Largest |ln volume / expected| of 98 % of the crystals held out of the fit.
        outside: The same of 99.9 %.
    """

    weights: np.ndarray
    edge: float
    outside: float


def volume_columns(features: Features, volume_per_atom: np.ndarray) -> np.ndarray:
    """Columns that the expected ln volume is linear in, [n_graphs, n_columns]."""
    filling = np.log(volume_per_atom) - 3 * features.log_length
    difference = features.columns[:, ELEMENT_COLUMNS.index("electronegativity difference")]
    return np.column_stack([features.columns, filling, filling**2, filling * difference])


@lru_cache(maxsize=1)
def volume_model() -> VolumeModel:
    """Read the model that the package ships."""
    table = json.loads((files("paraisite") / "data" / "expected_volumes.json").read_text(encoding="utf-8"))
    weights = np.array([table["weights"][name] for name in (*ELEMENT_COLUMNS, *GEOMETRY_COLUMNS)])
    return VolumeModel(weights, table["edge"], table["outside"])


def log_volume_ratios(features: Features, volume_per_atom: np.ndarray) -> np.ndarray:
    """Logarithm of volume over expected volume of each crystal, [n_graphs]."""
    return np.asarray(np.log(volume_per_atom) - volume_columns(features, volume_per_atom) @ volume_model().weights)


def volume_concern(log_ratio: float) -> Concern:
    """Say how far a volume is off."""
    percent = 100 * abs(np.expm1(log_ratio))
    side = "larger" if log_ratio > 0 else "smaller"
    return Concern(
        "volume",
        f"the volume is {percent:.0f} % {side} than that of relaxed crystals of these elements and bonds, so check the unit "
        "of the cell or relax the structure",
        "outside" if abs(log_ratio) > volume_model().outside else "edge",
    )
