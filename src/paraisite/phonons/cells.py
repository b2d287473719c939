"""Cells of a calculation: the standard ones of a crystal, supercells that keep its point group, and meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paraisite.phonons.settings import ComputeError, ComputeSettings

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy.structure.atoms import PhonopyAtoms

_STEP_ANGSTROM = 0.5
_ROUNDING = 0.05
"""A supercell may be shorter than asked for by this share of a cell."""


def standard_cell(atoms: Atoms, tolerance_angstrom: float, *, primitive: bool) -> Atoms:
    """The cell that spglib takes as standard, in its orientation, with symmetry made exact.

    Every description of a crystal (primitive, conventional, rotated) gives the same cell up to its origin.

    Args:
        atoms: The crystal.
        tolerance_angstrom: Distance within which atoms are related by symmetry.
        primitive: Give the primitive cell rather than the conventional one.

    Raises:
        ComputeError: `broken_symmetry`, where spglib finds no space group.
    """
    from ase import Atoms as AseAtoms  # noqa: PLC0415
    from spglib import standardize_cell  # noqa: PLC0415

    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    found = standardize_cell(cell, to_primitive=primitive, no_idealize=False, symprec=tolerance_angstrom)
    if found is None:
        raise ComputeError("spglib finds no space group; check the structure.", code="broken_symmetry")
    lattice, positions, numbers = (np.asarray(part) for part in found)
    order = np.argsort(numbers, kind="stable")
    return AseAtoms(numbers=numbers[order], cell=lattice, scaled_positions=positions[order], pbc=True)


def space_group_number(atoms: Atoms, tolerance_angstrom: float) -> int:
    """Number of the space group in the International Tables, 0 where spglib finds none."""
    from spglib import get_symmetry_dataset  # noqa: PLC0415

    found = get_symmetry_dataset(
        (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers), symprec=tolerance_angstrom
    )
    return 0 if found is None else int(found.number)


def supercell_multiples(cell: np.ndarray, n_atoms: int, length_angstrom: float, max_atoms: int) -> tuple[int, int, int]:
    """How often the conventional cell is repeated along each of its axes.

    Axes of one length are repeated equally often, so the supercell keeps the point group: in the conventional setting,
    every rotation maps axes to axes (or, in the hexagonal one, within the plane of two equal axes).

    Args:
        cell: Conventional lattice vectors as rows in Å.
        n_atoms: Atoms in that cell.
        length_angstrom: Shortest edge that is asked for.
        max_atoms: The length is made shorter until the supercell has at most so many atoms.

    Raises:
        ComputeError: `too_large`, where even the conventional cell has more atoms.
    """
    if n_atoms > max_atoms:
        raise ComputeError(
            f"the conventional cell holds {n_atoms} atoms, more than the {max_atoms} that a supercell may have; raise the "
            "setting max_supercell_atoms or max_anharmonic_atoms if memory and time allow.",
            code="too_large",
        )
    edges = np.round(np.linalg.norm(cell, axis=1), 4)
    while True:
        multiples = np.maximum(1, np.ceil(length_angstrom / edges - _ROUNDING)).astype(int)
        if int(multiples.prod()) * n_atoms <= max_atoms:
            return int(multiples[0]), int(multiples[1]), int(multiples[2])
        length_angstrom -= _STEP_ANGSTROM


def choose_supercells(
    conventional: Atoms, settings: ComputeSettings
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Multiples of the supercells of second and of third order; the first is at least as long as the second.

    Raises:
        ComputeError: `too_large`.
    """
    cell, n_atoms = conventional.cell[:], len(conventional)
    limit = settings.max_supercell_atoms
    third = supercell_multiples(cell, n_atoms, settings.anharmonic_length_angstrom, settings.max_anharmonic_atoms)
    second = supercell_multiples(cell, n_atoms, settings.harmonic_length_angstrom, limit)
    a, b, c = (max(pair) for pair in zip(second, third, strict=True))
    return (second if a * b * c * n_atoms > limit else (a, b, c)), third


def choose_mesh(primitive: PhonopyAtoms, rotations: np.ndarray, length_angstrom: float) -> tuple[int, int, int]:
    """Numbers of q-points along the reciprocal vectors, equal along those that symmetry relates."""
    from phonopy.phonon.grid import length2mesh  # noqa: PLC0415

    a, b, c = length2mesh(length_angstrom, primitive.cell, rotations=rotations)
    return int(a), int(b), int(c)


def to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    """Atoms of phonopy from those of ASE."""
    from phonopy.structure.atoms import PhonopyAtoms  # noqa: PLC0415

    return PhonopyAtoms(numbers=atoms.numbers, cell=atoms.cell[:], scaled_positions=atoms.get_scaled_positions())


def to_atoms(cell: Any) -> Atoms:
    """Atoms of ASE from those of phonopy."""
    from ase import Atoms as AseAtoms  # noqa: PLC0415

    return AseAtoms(numbers=cell.numbers, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)
