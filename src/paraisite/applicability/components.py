"""Bonded components of a crystal and their dimensionality.

The dimensionality is by rank determination (Larsen et al., doi 10.1103/PhysRevMaterials.3.034003), as ASE keeps it.
"""

from __future__ import annotations

import numpy as np

from paraisite.applicability.elements import element_table
from paraisite.elements import EMBEDDING_INDEX
from paraisite.graphs.neighbours import NeighborList
from paraisite.structures.crystal import Crystal

Offset = tuple[int, int, int]
COVALENT_REACH, IONIC_REACH = 1.2, 1.45
"""Bonds are up to this many sums of covalent radii long: between two molecule formers, and with another element, whose
ionic bonds are long (TlCl 1.34). Neighbours in solid I2 are 1.26 apart."""


def component_dimensions(crystal: Crystal) -> list[int]:
    """Dimensionalities of the bonded components of a crystal, ascending: 0 a molecule, 1 a chain, 2 a layer, 3 a network.

    Takes milliseconds, so that it is meant for suspects.
    """
    from ase.geometry.dimensionality.rank_determination import RDA  # noqa: PLC0415 - rarely needed, and slow to import

    analysis = RDA(crystal.n_atoms)
    for first, second, offset in _bonds(crystal):
        analysis.insert_bond(first, second, offset)
    return [dimension for dimension, count in enumerate(analysis.check()) if count]


def is_molecular(crystal: Crystal) -> bool:
    """Whether no bonded component of a crystal reaches its own image: all its dimensionalities are 0."""
    neighbours: list[list[tuple[int, Offset]]] = [[] for _ in range(crystal.n_atoms)]
    for first, second, offset in _bonds(crystal):
        neighbours[first].append((second, offset))
        neighbours[second].append((first, (-offset[0], -offset[1], -offset[2])))
    image: dict[int, Offset] = {}
    for start in range(crystal.n_atoms):
        if start in image:
            continue
        image[start] = (0, 0, 0)
        waiting = [start]
        while waiting:
            atom = waiting.pop()
            a, b, c = image[atom]
            for other, (i, j, k) in neighbours[atom]:
                there = (a + i, b + j, c + k)
                if other not in image:
                    image[other] = there
                    waiting.append(other)
                elif image[other] != there:
                    return False
    return True


def _bonds(crystal: Crystal) -> list[tuple[int, int, Offset]]:
    """Bonds of a cell, each once: two atoms, and the cell of the second as seen from the first."""
    table = element_table()
    element = EMBEDDING_INDEX[crystal.numbers]
    radius, former = table.radius[element], table.molecule_former[element]
    first, second, shift, distance = NeighborList(
        cutoff=2 * float(radius.max()) * IONIC_REACH, full_list=False
    ).compute(points=crystal.positions, box=crystal.cell, periodic=True, quantities="ijSd")
    reach = np.where(former[first] & former[second], COVALENT_REACH, IONIC_REACH)
    bonded = distance < reach * (radius[first] + radius[second])
    offsets = [(int(i), int(j), int(k)) for i, j, k in shift[bonded].tolist()]
    return list(zip(first[bonded].tolist(), second[bonded].tolist(), offsets, strict=True))
