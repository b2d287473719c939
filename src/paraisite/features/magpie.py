"""Magpie's features of the composition (Ward et al. 2016, doi 10.1038/npjcompumats.2016.28), as matminer makes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from paraisite.elements import SYMBOLS
from paraisite.features.structure import structure_features
from paraisite.structures.crystal import Crystal


def magpie_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Magpie's statistics of the composition.

    Args:
        crystals: Crystals; only their reduced compositions count.

    Returns:
        matminer's columns of the preset `magpie`, [n_crystals, 132], all finite: what the tables lack for an element is
        the mean over the others.
    """
    return np.array([_magpie_row(_composition(crystal)) for crystal in crystals])


def structure_and_magpie_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Structure and Magpie features, [n_crystals, 150]."""
    return np.hstack([structure_features(crystals), magpie_features(crystals)])


def _composition(crystal: Crystal) -> tuple[tuple[int, int], ...]:
    """Atomic numbers and their reduced counts, ascending."""
    numbers, counts = np.unique(crystal.numbers, return_counts=True)
    counts //= np.gcd.reduce(counts)
    return tuple(zip(numbers.tolist(), counts.tolist(), strict=True))


@lru_cache(maxsize=1)
def _magpie() -> Any:
    from matminer.featurizers.composition import ElementProperty  # noqa: PLC0415 - slow to import, in an extra

    return ElementProperty.from_preset("magpie", impute_nan=True)


@lru_cache(maxsize=16384)
def _magpie_row(composition: tuple[tuple[int, int], ...]) -> np.ndarray:
    from pymatgen.core.composition import Composition  # noqa: PLC0415 - slow to import

    content = {SYMBOLS[number]: count for number, count in composition}
    return np.array(_magpie().featurize(Composition(content)), dtype=np.float64)
