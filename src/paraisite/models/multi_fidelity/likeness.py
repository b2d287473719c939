"""Which sources a crystal is like: it decides the noise and the width of the interval of a crystal of no known source.

A data set of consistent calculations and one of mixed measurements differ in noise and in how far a process is off, and so do
the crystals that they hold. A new crystal comes from none of them, so it gets a mean of their values, weighted by how much
its correction is correlated with their crystals; one that is like none of them gets the largest value. The weights are
smooth in the descriptors, so that no interval jumps where the nearest crystal changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

UNLIKE = 0.1
"""Weight of being like no source, against sums of squared correlations: it counts half where the only crystal that is alike
has a correlation of 0.3."""


def membership(source: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Whether each crystal is of each source, [n] str → [n, n_sources] float64."""
    return np.asarray(source[:, None] == np.asarray(names, dtype=str), dtype=np.float64)


def likeness(correlation: np.ndarray, members: np.ndarray) -> np.ndarray:
    """How much crystals are like the crystals of each source.

    Args:
        correlation: Prior correlation of their corrections with those of the known crystals, 0 to 1, [n, n_known].
        members: Whether each known crystal is of each source, [n_known, n_sources].

    Returns:
        Weights, [n, n_sources]; what they lack to 1 is how much a crystal is like none.
    """
    return likeness_of_shares(correlation**2 @ members)


def likeness_of_shares(shares: np.ndarray) -> np.ndarray:
    """As `likeness`, from the sums of the squared correlations by source, [n, n_sources]."""
    return np.asarray(shares / (shares.sum(axis=1, keepdims=True) + UNLIKE))


def blend(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean of the sources' values, [n_sources], by weights of `likeness`: [n]; the rest to 1 counts as the largest value."""
    return np.asarray(weights @ values + (1 - weights.sum(axis=1)) * values.max())
