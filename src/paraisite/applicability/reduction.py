"""Cells that would reduce to a smaller primitive cell if their atoms stood a little more exactly."""

from __future__ import annotations

from collections import Counter
from math import gcd

import numpy as np

from paraisite.applicability.concern import Concern
from paraisite.structures.crystal import Crystal
from paraisite.structures.primitive import count_primitive_atoms

LOOSE_TOLERANCE_ANGSTROM = 0.1
"""Tolerance within which the Materials Project takes positions as equal (doi 10.1063/1.4812323)."""
MAX_REDUCED_ATOMS = 400
"""Atoms of a cell that is searched: the time goes with their square."""


def reduction_concern(crystal: Crystal) -> Concern | None:
    """Say what a cell nearly is.

    Args:
        crystal: A checked crystal.
    """
    counts = Counter(crystal.numbers.tolist())
    if gcd(*counts.values()) == 1 or crystal.n_atoms > MAX_REDUCED_ATOMS:
        return None
    primitive_atoms = count_primitive_atoms(crystal)
    if primitive_atoms == crystal.n_atoms // gcd(*counts.values()):
        return None
    if not _may_repeat(crystal, sorted(counts, key=lambda number: counts[number]), crystal.n_atoms // primitive_atoms):
        return None
    loose = count_primitive_atoms(crystal, LOOSE_TOLERANCE_ANGSTROM)
    if loose >= primitive_atoms:
        return None
    return Concern(
        "nearly_reduces",
        f"within {LOOSE_TOLERANCE_ANGSTROM:g} Å the primitive cell of {primitive_atoms} atoms is {primitive_atoms // loose} "
        f"copies of one of {loose} atoms, so give the ideal cell if the difference is noise",
        "edge",
    )


def _may_repeat(crystal: Crystal, species: list[int], copies: int) -> bool:
    """Whether more translations than the primitive cell's map the first two atoms of each species onto others of it.

    Args:
        crystal: A crystal.
        species: Its atomic numbers, the rarest first.
        copies: Primitive cells in the cell.
    """
    rarest = crystal.fractional[crystal.numbers == species[0]]
    translations = rarest[1:] - rarest[0]
    for number in species:
        atoms = crystal.fractional[crystal.numbers == number]
        difference = (atoms[:2] + translations[:, None])[:, :, None] - atoms
        difference -= np.rint(difference)
        squared = ((difference @ crystal.cell) ** 2).sum(axis=3).min(axis=2)
        translations = translations[(squared < LOOSE_TOLERANCE_ANGSTROM**2).all(axis=1)]
        if len(translations) + 1 <= copies:
            return False
    return True
