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
    # Most cells have no such translation, so that the exact count, which takes longer, is seldom needed.
    copies = 1 + _count_loose_translations(crystal, sorted(counts, key=lambda number: counts[number]))
    if copies == 1:
        return None
    primitive_atoms = count_primitive_atoms(crystal)
    if copies <= crystal.n_atoms // primitive_atoms or primitive_atoms == crystal.n_atoms // gcd(*counts.values()):
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


def _count_loose_translations(crystal: Crystal, species: list[int]) -> int:
    """How many translations map the first two atoms of each species onto others of it; at least those of the crystal.

    Args:
        crystal: A crystal.
        species: Its atomic numbers, the rarest first.
    """
    rarest = crystal.fractional[crystal.numbers == species[0]]
    translations = rarest[1:] - rarest[0]
    for number in species:
        atoms = crystal.fractional[crystal.numbers == number]
        difference = (atoms[:2] + translations[:, None])[:, :, None] - atoms
        difference -= np.rint(difference)
        squared = ((difference @ crystal.cell) ** 2).sum(axis=3).min(axis=2)
        translations = translations[(squared < LOOSE_TOLERANCE_ANGSTROM**2).all(axis=1)]
        if len(translations) == 0:
            break
    return len(translations)
