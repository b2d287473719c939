"""Space group and primitive cell of a crystal, by spglib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gemmi
import numpy as np

from paraisite.structures.crystal import Crystal

if TYPE_CHECKING:
    import spglib

SYMMETRY_TOLERANCE_ANGSTROM = 0.01
"""Positions this close count as equal, the value that the Materials Project uses."""


@dataclass(frozen=True, slots=True)
class Symmetry:
    """Symmetry of a crystal.

    Attributes:
        space_group: Number in the International Tables, 1 to 230.
        n_atoms_primitive: Atoms in the primitive cell.
    """

    space_group: int
    n_atoms_primitive: int

    @property
    def point_group_order(self) -> int:
        """Number of rotations and rotoinversions of the crystal's point group, 1 to 48."""
        return len(gemmi.SpaceGroup(self.space_group).operations().sym_ops)


def symmetry_dataset(
    crystal: Crystal, tolerance_angstrom: float = SYMMETRY_TOLERANCE_ANGSTROM
) -> spglib.SpglibDataset | None:
    """What spglib finds out about a crystal; None where it gives up."""
    import spglib  # noqa: PLC0415 - most predictions need none

    cell = (crystal.cell.tolist(), crystal.fractional.tolist(), crystal.numbers.tolist())
    try:
        return spglib.get_symmetry_dataset(cell, symprec=tolerance_angstrom)
    except spglib.SpglibError:
        return None


def find_symmetry(crystal: Crystal, tolerance_angstrom: float = SYMMETRY_TOLERANCE_ANGSTROM) -> Symmetry:
    """Find the symmetry; a crystal that spglib gives up on counts as P1 with its cell as it is."""
    found = symmetry_dataset(crystal, tolerance_angstrom)
    if found is None:
        return Symmetry(1, crystal.n_atoms)
    return Symmetry(int(found.number), len(np.unique(found.mapping_to_primitive)))
