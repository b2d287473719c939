"""Bonded components of a crystal and their dimensionality, by rank determination (Larsen et al., doi
10.1103/PhysRevMaterials.3.034003), as ASE keeps it."""

from __future__ import annotations

import numpy as np
from vesin import NeighborList

from paraisite.applicability.elements import element_table
from paraisite.elements import EMBEDDING_INDEX
from paraisite.structures.crystal import Crystal

COVALENT_REACH, IONIC_REACH = 1.2, 1.45
"""Bonds are up to this many sums of covalent radii long: between two molecule formers, and with another element, whose
ionic bonds are long (TlCl 1.34). Neighbours in solid I2 are 1.26 apart."""


def component_dimensions(crystal: Crystal) -> list[int]:
    """Dimensionalities of the bonded components of a crystal, ascending: 0 a molecule, 1 a chain, 2 a layer, 3 a network.

    Takes milliseconds, so that it is meant for suspects.
    """
    from ase.geometry.dimensionality.rank_determination import RDA  # noqa: PLC0415 - rarely needed

    table = element_table()
    element = EMBEDDING_INDEX[crystal.numbers]
    radius, former = table.radius[element], table.molecule_former[element]
    cutoff = 2 * float(radius.max()) * IONIC_REACH
    first, second, shift, distance = NeighborList(cutoff=cutoff, full_list=False).compute(
        points=crystal.positions, box=crystal.cell, periodic=True, quantities="ijSd"
    )
    reach = np.where(former[first] & former[second], COVALENT_REACH, IONIC_REACH)
    bonded = distance < reach * (radius[first] + radius[second])
    analysis = RDA(crystal.n_atoms)
    for i, j, offset in zip(first[bonded].tolist(), second[bonded].tolist(), shift[bonded].tolist(), strict=True):
        analysis.insert_bond(i, j, tuple(int(value) for value in offset))
    return [dimension for dimension, count in enumerate(analysis.check()) if count]
