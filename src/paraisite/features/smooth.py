"""Who is bonded to whom, without a threshold: weights of neighbours that fade out, so that no description jumps.

A count of neighbours within a distance jumps when an atom crosses it. Here each neighbour has a weight between 0 and 1 that
is twice continuously differentiable in the distance and zero at the cutoff.
"""

from __future__ import annotations

import numpy as np

CUTOFF_ANGSTROM = 5.0
BOND_FADE_START_ANGSTROM = 4.0
"""From here to the cutoff a neighbour fades out."""
NEAREST_POWER = 16
"""Power of the inverse distance in the mean that stands for the smallest: the second shell of rocksalt counts 0.8 %."""
BOND_START, BOND_END = 1.05, 1.4
"""A neighbour is a bond up to the first multiple of its atom's nearest distance, none from the second (rocksalt: 1.41)."""
TINY = 1e-290
"""Added to a sum of weights that may all be zero."""


def fade(values: np.ndarray, start: float, end: float) -> np.ndarray:
    """Weight that falls from 1 at `start` to 0 at `end` with two continuous derivatives, of the shape of `values`."""
    x = np.clip((values - start) / (end - start), 0.0, 1.0)
    return np.asarray(1 - x**3 * (10 - 15 * x + 6 * x**2))


def soft_nearest(destination: np.ndarray, distance: np.ndarray, count: np.ndarray, n_nodes: int) -> np.ndarray:
    """Distance to the nearest neighbour in Å, as a mean in which farther neighbours hardly count, [n_nodes].

    Args:
        destination: Node of each neighbour pair, [n_edges].
        distance: In Å, [n_edges].
        count: Pairs that each stands for, [n_edges].
        n_nodes: Number of nodes; one without a neighbour is given the cutoff, which is also the limit when all leave.
    """
    shortest = np.full(n_nodes, CUTOFF_ANGSTROM)
    np.minimum.at(shortest, destination, distance)
    weight = count * fade(distance, BOND_FADE_START_ANGSTROM, CUTOFF_ANGSTROM)
    weight *= (shortest[destination] / distance) ** NEAREST_POWER
    total = np.bincount(destination, weight, n_nodes)
    mean = np.bincount(destination, weight * distance, n_nodes) / (total + TINY)
    return np.asarray(np.where(total > TINY, mean, CUTOFF_ANGSTROM))


def bond_weights(distance: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """How much each neighbour is a bond, 0 to 1.

    Args:
        distance: In Å, [n_edges].
        nearest: Nearest distance of the atom that receives, in Å, [n_edges].
    """
    weight = fade(distance / nearest, BOND_START, BOND_END)
    return np.asarray(weight * fade(distance, BOND_FADE_START_ANGSTROM, CUTOFF_ANGSTROM))
