"""Features of species and structure, for models without a graph.

They exist for any crystal and change neither with the choice of the cell nor with its orientation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paraisite.elements import PAULING_ELECTRONEGATIVITY, SYMBOLS, atomic_masses, covalent_radii
from paraisite.errors import StructureError
from paraisite.features.row_cache import RowCache
from paraisite.graphs.neighbours import NeighbourPairs, find_neighbours
from paraisite.graphs.settings import GraphSettings
from paraisite.structures.crystal import Crystal
from paraisite.structures.space_group import find_symmetry

CUTOFFS_ANGSTROM = (4.0, 8.0, 20.0)
"""Radii searched in turn until every atom has a neighbour; one without any counts as that far from the next."""
COORDINATION_FACTOR = 1.2
"""Neighbours up to this many times an atom's shortest distance are bonded to it: between the shells of rocksalt (1.41)
and those of a distorted polyhedron; in bcc metals (1.15) the second shell counts too."""
DENSITY_UNIT_G_PER_CM3 = 1.66053906660
"""One atomic mass unit per Å³."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of features.

    Attributes:
        name: What it is.
        unit: Its unit; 1 for a plain number.
    """

    name: str
    unit: str


STRUCTURE_FEATURES: tuple[Feature, ...] = (
    Feature("mean atomic mass", "u"),
    Feature("smallest atomic mass", "u"),
    Feature("largest atomic mass", "u"),
    Feature("largest over smallest atomic mass", "1"),
    Feature("relative variance of the atomic mass", "1"),
    Feature("volume per atom", "Å³"),
    Feature("density", "g/cm³"),
    Feature("atoms in the primitive cell", "1"),
    Feature("number of elements", "1"),
    Feature("mean nearest-neighbour distance", "Å"),
    Feature("smallest nearest-neighbour distance", "Å"),
    Feature("mean bond length over the sum of covalent radii", "1"),
    Feature("mean coordination number", "1"),
    Feature("smallest coordination number", "1"),
    Feature("mean electronegativity", "Pauling"),
    Feature("largest difference of electronegativity", "Pauling"),
    Feature("mean covalent radius", "Å"),
    Feature("order of the point group", "1"),
)


def structure_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Features of species and structure.

    Args:
        crystals: Checked crystals.

    Returns:
        The columns of `STRUCTURE_FEATURES` in their units, [n_crystals, 18], all finite.

    Raises:
        StructureError: Two atoms of a crystal overlap.
    """
    return _structure_rows(crystals)


def _structure_row(crystal: Crystal) -> np.ndarray:
    symmetry = find_symmetry(crystal)
    mass = atomic_masses(crystal.numbers)
    radius = covalent_radii(crystal.numbers)
    volume_per_atom = crystal.volume / crystal.n_atoms
    electronegativity = _electronegativity(crystal.numbers)
    nearest, coordination, relative = _bonds(crystal, radius)
    return np.array([
        mass.mean(), mass.min(), mass.max(), mass.max() / mass.min(), ((1 - mass / mass.mean()) ** 2).mean(),
        volume_per_atom, DENSITY_UNIT_G_PER_CM3 * mass.mean() / volume_per_atom,
        symmetry.n_atoms_primitive, len(np.unique(crystal.numbers)),
        nearest.mean(), nearest.min(), relative.mean(), coordination.mean(), coordination.min(),
        electronegativity.mean(), np.ptp(electronegativity), radius.mean(), symmetry.point_group_order,
    ])  # fmt: skip


def _electronegativity(numbers: np.ndarray) -> np.ndarray:
    """Pauling electronegativities of those atoms that have one; one zero where none has (He, Ne, Ar)."""
    known = [PAULING_ELECTRONEGATIVITY.get(SYMBOLS[number], 9.0) for number in numbers]
    return np.array([value for value in known if value < 9.0] or [0.0])


def _bonds(crystal: Crystal, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance to the nearest neighbour in Å, coordination number, and bond length over covalent radii by atom, [n_atoms]."""
    pairs, cutoff = _pairs(crystal)
    nearest = np.full(crystal.n_atoms, cutoff)
    np.minimum.at(nearest, pairs.destination, pairs.distance)
    bonded = pairs.distance <= COORDINATION_FACTOR * nearest[pairs.destination]
    destination, source, length = pairs.destination[bonded], pairs.source[bonded], pairs.distance[bonded]
    coordination = np.bincount(destination, minlength=crystal.n_atoms)
    ratio = np.bincount(destination, length / (radius[destination] + radius[source]), crystal.n_atoms)
    alone = nearest / (2 * radius)
    return nearest, coordination, np.where(coordination > 0, ratio / np.maximum(coordination, 1), alone)


def _pairs(crystal: Crystal) -> tuple[NeighbourPairs, float]:
    """Neighbour pairs that hold every atom's nearest shell as far as there is one, and the radius searched in Å."""
    pairs = NeighbourPairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 3)))
    for cutoff in CUTOFFS_ANGSTROM:
        try:
            pairs = find_neighbours(crystal, GraphSettings(cutoff_angstrom=cutoff))
        except StructureError as error:
            if error.code != "no_bonds":
                raise
            continue
        nearest = np.full(crystal.n_atoms, np.inf)
        np.minimum.at(nearest, pairs.destination, pairs.distance)
        if COORDINATION_FACTOR * nearest.max() <= cutoff:
            break
    return pairs, cutoff


def _structure_matrix(crystals: Sequence[Crystal]) -> np.ndarray:
    return np.array([_structure_row(crystal) for crystal in crystals])


_structure_rows = RowCache(_structure_matrix)
