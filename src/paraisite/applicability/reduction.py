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
MAX_ATOMS = 400
"""Atoms of a cell that is searched: the time goes with their square."""


def reduction_concern(crystal: Crystal, primitive_atoms: int) -> Concern | None:
    """Say what a cell nearly is.

    Args:
        crystal: A checked crystal.
        primitive_atoms: Atoms of its primitive cell within the tight tolerance.
    """
    counts = Counter(crystal.numbers.tolist())
    if primitive_atoms == crystal.n_atoms // gcd(*counts.values()) or crystal.n_atoms > MAX_ATOMS:
        return None
    rarest = min(counts, key=lambda number: counts[number])
    if not _may_repeat(crystal.fractional[crystal.numbers == rarest], crystal, crystal.n_atoms // primitive_atoms):
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


def _may_repeat(atoms: np.ndarray, crystal: Crystal, copies: int) -> bool:
    """Whether more translations than the primitive cell's map the first two of some atoms onto others of them.

    Args:
        atoms: Fractional coordinates of the rarest species, [n, 3].
        crystal: Their crystal.
        copies: Primitive cells in the cell.
    """
    translations = atoms[1:] - atoms[0]
    difference = (atoms[:2] + translations[:, None])[:, :, None] - atoms
    difference -= np.rint(difference)
    squared = ((difference @ crystal.cell) ** 2).sum(axis=3).min(axis=2)
    return int((squared < LOOSE_TOLERANCE_ANGSTROM**2).all(axis=1).sum()) + 1 > copies
