"""Relaxation of cell and positions with the symmetry kept, and the check that it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from paraisite.phonons.cells import space_group_number, standard_cell
from paraisite.phonons.forces import ForceStore, stored_calculator
from paraisite.phonons.settings import ComputeError, ComputeSettings

if TYPE_CHECKING:
    from ase import Atoms


class RelaxedCell(msgspec.Struct, frozen=True, kw_only=True):
    """A relaxed crystal in its conventional standard cell.

    Attributes:
        numbers: Atomic numbers.
        cell: Lattice vectors as rows in Å.
        fractional: Fractional coordinates.
        space_group_before: Number of the space group as given.
        space_group: Number of the space group after the relaxation.
        volume_change: Volume per atom after the relaxation over that before, minus 1.
        energy_ev_per_atom: Energy by the potential; None for a cell that was taken as given.
        largest_force: Largest force left, in eV/Å; None for a cell that was taken as given.
        steps: Steps of the optimiser.
    """

    numbers: list[int]
    cell: list[list[float]]
    fractional: list[list[float]]
    space_group_before: int
    space_group: int
    volume_change: float
    energy_ev_per_atom: float | None
    largest_force: float | None
    steps: int

    def atoms(self) -> Atoms:
        """The cell as ASE's Atoms."""
        from ase import Atoms as AseAtoms  # noqa: PLC0415

        return AseAtoms(numbers=self.numbers, cell=self.cell, scaled_positions=self.fractional, pbc=True)


def relax(atoms: Atoms, store: ForceStore, settings: ComputeSettings) -> RelaxedCell:
    """Relax a crystal in its primitive cell.

    The space group is kept in every step, by symmetrised forces and strains, and looked for again afterwards.

    Raises:
        ComputeError: `not_converged`, `broken_symmetry`, or as for `ForceStore.forces`.
    """
    tolerance = settings.symmetry_tolerance_angstrom
    before = space_group_number(atoms, tolerance)
    start = standard_cell(atoms, tolerance, primitive=True)
    primitive, steps = _optimise(start, store, settings)
    answer = store.answer(primitive)
    after = space_group_number(primitive, tolerance)
    if after != before:
        raise ComputeError(
            f"the relaxation changed the space group from number {before} to {after}; the potential prefers another phase.",
            code="broken_symmetry",
        )
    conventional = standard_cell(primitive, tolerance, primitive=False)
    return RelaxedCell(
        numbers=[int(number) for number in conventional.numbers],
        cell=conventional.cell[:].tolist(),
        fractional=conventional.get_scaled_positions().tolist(),
        space_group_before=before,
        space_group=after,
        volume_change=float(primitive.get_volume() / start.get_volume() - 1.0),
        energy_ev_per_atom=float(answer["energy"]) / len(primitive),
        largest_force=float(np.linalg.norm(answer["forces"], axis=1).max()),
        steps=steps,
    )


def given_cell(atoms: Atoms, tolerance_angstrom: float) -> RelaxedCell:
    """The conventional standard cell of a crystal that is taken as relaxed already.

    Args:
        atoms: The crystal.
        tolerance_angstrom: Distance within which atoms are related by symmetry.

    Raises:
        ComputeError: `broken_symmetry`, where spglib finds no space group.
    """
    conventional = standard_cell(atoms, tolerance_angstrom, primitive=False)
    number = space_group_number(atoms, tolerance_angstrom)
    return RelaxedCell(
        numbers=[int(value) for value in conventional.numbers],
        cell=conventional.cell[:].tolist(),
        fractional=conventional.get_scaled_positions().tolist(),
        space_group_before=number,
        space_group=number,
        volume_change=0.0,
        energy_ev_per_atom=None,
        largest_force=None,
        steps=0,
    )


def _optimise(start: Atoms, store: ForceStore, settings: ComputeSettings) -> tuple[Atoms, int]:
    from ase.constraints import FixSymmetry  # noqa: PLC0415
    from ase.filters import FrechetCellFilter  # noqa: PLC0415
    from ase.optimize import BFGS  # noqa: PLC0415

    atoms = start.copy()
    atoms.calc = stored_calculator(store)
    atoms.set_constraint(FixSymmetry(atoms, symprec=settings.symmetry_tolerance_angstrom))
    if not np.isfinite(store.answer(atoms)["stress"]).all():
        raise ComputeError("the potential gives no stress, so the cell cannot be relaxed.", code="no_stress")
    optimiser = BFGS(FrechetCellFilter(atoms), logfile=None)  # type: ignore[arg-type]
    converged = optimiser.run(fmax=settings.force_tolerance, steps=settings.max_relaxation_steps)
    if not converged:
        raise ComputeError(
            f"the relaxation left forces above {settings.force_tolerance:g} eV/Å after {settings.max_relaxation_steps} "
            "steps; raise the setting max_relaxation_steps, or try another potential.",
            code="not_converged",
        )
    relaxed = start.copy()
    relaxed.set_cell(atoms.cell[:], scale_atoms=False)
    relaxed.set_positions(atoms.positions)
    return relaxed, int(optimiser.nsteps)
