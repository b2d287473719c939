"""Atoms of the primitive cell, mostly by numpy: a scan asks for them of every crystal, and spglib takes a millisecond."""

from __future__ import annotations

import numpy as np

from paraisite.structures.crystal import Crystal
from paraisite.structures.space_group import SYMMETRY_TOLERANCE_ANGSTROM, find_symmetry

MAX_CANDIDATES = 64
"""Atoms of the rarest species up to which numpy looks for translations; with more, spglib is the faster."""
MAX_ATOMS = 2000
"""Atoms of a cell that is searched at all: the time goes with their square, seconds at this size."""


def count_primitive_atoms(crystal: Crystal, tolerance_angstrom: float = SYMMETRY_TOLERANCE_ANGSTROM) -> int:
    """Count the atoms of the primitive cell.

    A cell of more than `MAX_ATOMS` atoms counts as primitive.

    Args:
        crystal: A checked crystal.
        tolerance_angstrom: Atoms this close to each other in Å count as equal.
    """
    species, counts = np.unique(crystal.numbers, return_counts=True)
    divisor = int(np.gcd.reduce(counts))
    if divisor == 1 or crystal.n_atoms > MAX_ATOMS:
        return crystal.n_atoms
    if counts.min() <= MAX_CANDIDATES:
        copies = _count_translations(
            [crystal.fractional[crystal.numbers == kind] for kind in species], crystal.cell, tolerance_angstrom
        )
        if divisor % copies == 0:
            return crystal.n_atoms // copies
    # Also where some translations hold within the tolerance and their sums do not: spglib narrows the tolerance.
    return find_symmetry(crystal, tolerance_angstrom).n_atoms_primitive


def _count_translations(atoms: list[np.ndarray], cell: np.ndarray, tolerance_angstrom: float) -> int:
    """Translations of a cell that map the atoms of each species, [n, 3] fractional, onto themselves; none counts too."""
    rarest = min(atoms, key=len)
    translations = rarest[1:] - rarest[0]
    for kind in (rarest, *atoms):
        kept = [_maps(kind, translation, cell, tolerance_angstrom) for translation in translations]
        translations = translations[np.array(kept, dtype=bool)]
    return len(translations) + 1


def _maps(atoms: np.ndarray, translation: np.ndarray, cell: np.ndarray, tolerance_angstrom: float) -> bool:
    """Whether a translation maps atoms of one species, [n, 3] fractional, onto themselves."""
    difference = (atoms + translation)[:, None] - atoms[None]
    difference -= np.round(difference)
    squared = ((difference @ cell) ** 2).sum(axis=2)
    return bool((squared.min(axis=1) < tolerance_angstrom**2).all())
