"""Cells that would reduce to a smaller primitive cell if their atoms stood a little more exactly."""

from __future__ import annotations

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
    _, counts = np.unique(crystal.numbers, return_counts=True)
    formula_units = int(np.gcd.reduce(counts))
    if primitive_atoms == crystal.n_atoms // formula_units or crystal.n_atoms > MAX_ATOMS:
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
