"""Slabs, chains, clusters and atoms in vacuum: the widest empty layer between the atoms' van der Waals spheres.

Layers of a bulk van der Waals crystal touch, so the gap tells them from a monolayer, whatever the dimensionality.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from paraisite.applicability.components import component_dimensions
from paraisite.applicability.concern import Concern
from paraisite.applicability.elements import VAN_DER_WAALS_EXCESS_ANGSTROM, element_table
from paraisite.elements import EMBEDDING_INDEX
from paraisite.structures.crystal import Crystal

EDGE_GAP_ANGSTROM, OUTSIDE_GAP_ANGSTROM = 1.0, 2.0
"""Empty layers of a relaxed bulk crystal are thinner than 1 Å (docs/applicability.md); no bulk crystal has one of 2 Å."""
PLANES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
OBLIQUE_PLANES = tuple(plane for plane in product((0, 1), (-1, 0, 1), (-1, 0, 1)) if np.abs(plane).sum() > 1)
"""Lattice planes other than the faces of the cell, searched where the volume is suspiciously large."""
NAMES = {0: "molecules, clusters or atoms", 1: "chains", 2: "a layer or slab", 3: "a slab"}


def empty_layers(crystals: Sequence[Crystal], planes: Sequence[tuple[int, int, int]] = PLANES) -> np.ndarray:
    """Width of the widest empty layer parallel to one of the lattice planes of each crystal.

    Args:
        crystals: Checked crystals.
        planes: Miller indices of the planes.

    Returns:
        Width in Å, [n_crystals] float64; negative where the spheres overlap.
    """
    counts = np.array([crystal.n_atoms for crystal in crystals])
    owner = np.repeat(np.arange(len(crystals)), counts)
    inverse = np.linalg.inv(np.array([crystal.cell for crystal in crystals]))
    fractional = np.concatenate([crystal.fractional for crystal in crystals])
    numbers = np.concatenate([crystal.numbers for crystal in crystals])
    radius = element_table().radius[EMBEDDING_INDEX[numbers]] + VAN_DER_WAALS_EXCESS_ANGSTROM
    first = np.cumsum(counts) - counts
    widest = np.full(len(crystals), -np.inf)
    for plane in planes:
        spacing = 1 / np.linalg.norm(inverse @ np.array(plane, dtype=float), axis=1)
        position = (fractional @ np.array(plane, dtype=float)) % 1.0
        widest = np.maximum(widest, _widest_gap(position, radius / spacing[owner], owner, first) * spacing)
    return widest


def _widest_gap(position: np.ndarray, radius: np.ndarray, owner: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Widest part of the period 0 to 1 that no interval position ± radius covers, [n_crystals]."""
    order = np.lexsort((position - radius, owner))
    low, high = (position - radius)[order], (position + radius)[order]
    # Running maximum of the upper ends inside each crystal: crystals are moved apart by more than any interval is long.
    shift = owner * (2 * float(np.abs(high).max()) + 4)
    reached = np.maximum.accumulate(high + shift) - shift
    last = np.append(first[1:], len(owner)) - 1
    # An interval that sticks out at the upper end of the period covers its lower end too.
    reached = np.maximum(reached, np.repeat(reached[last] - 1, last - first + 1))
    following = np.empty_like(low)
    following[:-1] = low[1:]
    following[last] = low[first] + 1
    return np.maximum.reduceat(following - reached, first)


def vacuum_concern(crystal: Crystal, gap_angstrom: float) -> Concern:
    """Say what stands in vacuum."""
    what = NAMES[max(component_dimensions(crystal))]
    return Concern(
        "vacuum",
        f"the cell holds {what} and an empty layer {gap_angstrom:.1f} Å wide, but κ is that of a bulk crystal and "
        "changes with the width of the vacuum",
        "outside" if gap_angstrom > OUTSIDE_GAP_ANGSTROM else "edge",
    )
