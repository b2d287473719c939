"""How many distinct surroundings a crystal's atoms have: a continuous measure of the size of its primitive cell.

Two atoms are translations of each other where they see the same neighbours in the same directions. Each atom's neighbours
are expanded in real spherical harmonics, kept in the crystal's own axes, and two atoms of an element are alike by a kernel
of the difference of their expansions. The effective number of kinds is the diversity of order 1 of Leinster and Cobbold
(doi 10.1890/10-2402.1). With surroundings that are equal or wholly unlike it is the number of atoms of the primitive cell,
and unlike that number it is continuous in the positions and the cell: a rattled supercell has that of the ideal cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paraisite.elements import PAULING_ELECTRONEGATIVITY, SYMBOLS
from paraisite.features.smooth import CUTOFF_ANGSTROM, fade, soft_nearest
from paraisite.graphs.neighbours import find_neighbours
from paraisite.graphs.settings import GraphSettings
from paraisite.structures.crystal import Crystal

ENVIRONMENT_FADE_START_ANGSTROM = 3.5
"""From here to the cutoff a neighbour fades out of the surroundings."""
DECAY = 3
"""Power of nearest distance over distance by which farther neighbours count less."""
WIDTH_ANGSTROM = 6.0
"""Difference of two expansions, in Å, from which atoms are no longer alike; chosen by docs/accuracy.md."""
MAX_COMPARED = 2000
"""Atoms of one element that are compared; of more, as many at equal steps stand for all."""
BLOCK_PAIRS = 200_000
"""Neighbour pairs that are expanded together, so that numpy calls are cheap and arrays stay small."""
BLOCK_ELEMENTS = 1_000_000
"""Pairs of atoms that are compared together."""


_PULL = np.array([PAULING_ELECTRONEGATIVITY.get(symbol, 9.0) for symbol in SYMBOLS])
_PULL = np.where(_PULL < 9.0, _PULL, _PULL[_PULL < 9.0].mean())
"""Pauling electronegativity by atomic number; the mean where none is defined."""


def count_environments(crystals: Sequence[Crystal], settings: GraphSettings) -> np.ndarray:
    """Effective number of distinct surroundings of each crystal's atoms, [n_crystals] float64, from 1.

    Args:
        crystals: Crystals that have a graph of `settings`.
        settings: Settings of the search of neighbours; its cutoff is `paraisite.features.smooth.CUTOFF_ANGSTROM`.

    Raises:
        StructureError: A crystal cannot have a graph.
    """
    result: list[np.ndarray] = []
    block: list[Crystal] = []
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    n_pairs = 0
    for crystal in crystals:
        pairs = find_neighbours(crystal, settings)
        block.append(crystal)
        found.append((pairs.destination, pairs.source, pairs.distance, pairs.vector))
        n_pairs += len(pairs.distance)
        if n_pairs > BLOCK_PAIRS:
            result.append(_count_block(block, found))
            block, found, n_pairs = [], [], 0
    if block:
        result.append(_count_block(block, found))
    return np.concatenate(result) if result else np.zeros(0)


def _count_block(
    block: list[Crystal], found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    n_atoms = np.array([crystal.n_atoms for crystal in block])
    start = np.cumsum(n_atoms) - n_atoms
    offset = np.repeat(start, [len(pairs[2]) for pairs in found])
    destination, source, distance, vector = (np.concatenate(parts) for parts in zip(*found, strict=True))
    numbers = np.concatenate([crystal.numbers for crystal in block])
    crystal = np.repeat(np.arange(len(block)), n_atoms)
    pull = _PULL[numbers]
    pull = pull - (np.bincount(crystal, pull) / n_atoms)[crystal]
    surroundings = _expand(destination + offset, source + offset, distance, vector, pull)
    unlike = _unlikeness(surroundings, crystal * len(SYMBOLS) + numbers)
    return np.asarray(np.exp(np.bincount(crystal, np.log(np.repeat(n_atoms, n_atoms)) + unlike) / n_atoms))


def _expand(
    destination: np.ndarray, source: np.ndarray, distance: np.ndarray, vector: np.ndarray, pull: np.ndarray
) -> np.ndarray:
    """Surroundings of each atom, [n_atoms, 32]: harmonics up to degree 3, of neighbours as such and by electronegativity."""
    n_atoms = len(pull)
    nearest = soft_nearest(destination, distance, np.ones(len(distance)), n_atoms)
    weight = (
        fade(distance, ENVIRONMENT_FADE_START_ANGSTROM, CUTOFF_ANGSTROM) * (nearest[destination] / distance) ** DECAY
    )
    # Angles of short bonds move more under the same displacement; times a length, all atoms see it alike.
    weight *= nearest[destination]
    harmonics = _harmonics(vector / distance[:, None])
    row = np.searchsorted(destination, np.arange(n_atoms + 1))
    plain = weight[:, None] * harmonics
    return np.hstack([_sums(plain, row), _sums(plain * pull[source][:, None], row)])


def _sums(values: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Sum over the edges of each atom, [n_edges, n] → [n_atoms, n]; the edges of atom k are `row[k]` to `row[k + 1]`."""
    sums = np.zeros((len(row) - 1, values.shape[1]))
    filled = np.flatnonzero(np.diff(row))
    if len(filled):
        sums[filled] = np.add.reduceat(values, row[filled], axis=0)
    return sums


def _harmonics(direction: np.ndarray) -> np.ndarray:
    """Real spherical harmonics up to degree 3, the squares of a degree l summing to 2 l + 1: [n, 3] → [n, 16]."""
    x, y, z = np.ascontiguousarray(direction.T)
    xx, yy, zz = x * x, y * y, z * z
    root = np.sqrt
    columns = [
        np.ones_like(x), root(3) * x, root(3) * y, root(3) * z,
        root(15) * x * y, root(15) * y * z, root(15) * x * z, root(5) / 2 * (3 * zz - 1), root(15) / 2 * (xx - yy),
        root(35 / 8) * y * (3 * xx - yy), root(105) * x * y * z, root(21 / 8) * y * (5 * zz - 1),
        root(7) / 2 * z * (5 * zz - 3), root(21 / 8) * x * (5 * zz - 1), root(105) / 2 * z * (xx - yy),
        root(35 / 8) * x * (xx - 3 * yy),
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def _unlikeness(surroundings: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Minus ln of the summed likeness of each atom to all of its kind, itself among them, [n_atoms].

    Args:
        surroundings: Of each atom, [n_atoms, n].
        kind: Crystal and element of each atom as one number, [n_atoms].
    """
    order = np.argsort(kind, kind="stable")
    first = np.flatnonzero(np.diff(kind[order], prepend=-1))
    size = np.diff(first, append=len(kind))
    result = np.empty(len(kind))
    for length in np.unique(size):  # all groups of one size at once: a crystal alone is not worth a numpy call
        chosen = np.unique(np.linspace(0, length - 1, min(length, MAX_COMPARED)).astype(np.int64))
        starts = first[size == length]
        step = max(1, BLOCK_ELEMENTS // len(chosen) ** 2)
        for begin in range(0, len(starts), step):
            part = starts[begin : begin + step, None]
            alike = _likeness(surroundings[order[part + chosen]]).mean(axis=2)
            unlike = -np.log(alike * length)
            if len(chosen) < length:
                unlike = np.repeat(unlike.mean(axis=1, keepdims=True), length, axis=1)
            result[order[part + np.arange(length)]] = unlike
    return result


def _likeness(surroundings: np.ndarray) -> np.ndarray:
    """Kernel between all atoms of each group, 0 to 1: [n_groups, n_atoms, n] → [n_groups, n_atoms, n_atoms]."""
    centred = surroundings - surroundings.mean(axis=1, keepdims=True)  # differences of large numbers lose digits
    square = (centred**2).sum(axis=2)
    difference = square[:, :, None] + square[:, None] - 2 * centred @ centred.transpose(0, 2, 1)
    return np.asarray(np.exp(-((np.maximum(difference, 0.0) / (2 * WIDTH_ANGSTROM**2)) ** 2)))
