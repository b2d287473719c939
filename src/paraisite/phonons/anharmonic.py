"""Third-order force constants: a fit to few randomly displaced cells, or finite differences of pairs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from paraisite.phonons.cells import to_atoms
from paraisite.phonons.forces import ForceStore
from paraisite.phonons.settings import ComputeError, ComputeSettings

if TYPE_CHECKING:
    from phono3py import Phono3py

_SHORTEST_CUTOFF = 3.0
_CUTOFF_STEP = 0.5
_FEWEST_CELLS = 4
SHORTER_CUTOFF = 0.85
"""The check uses a cutoff that is this share of the chosen one."""


class AnharmonicPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How third-order force constants are found.

    Attributes:
        supercell: Multiples of the conventional cell.
        n_atoms: Atoms of the supercell.
        cutoff_angstrom: Largest distance between any two of three atoms.
        n_unknowns: Independent force constants of second and third order in the fit; 0 for finite differences.
        n_cells: Displaced cells, each one force call.
    """

    supercell: tuple[int, int, int]
    n_atoms: int
    cutoff_angstrom: float
    n_unknowns: int
    n_cells: int


def plan_third_order(ph3: Phono3py, settings: ComputeSettings) -> AnharmonicPlan:
    """Choose cutoff and number of cells: the longest cutoff up to the one asked for that keeps the fit affordable."""
    a, b, c = (int(value) for value in np.diag(ph3.supercell_matrix))
    n_atoms = len(ph3.supercell)
    if settings.third_order == "finite-differences":
        ph3.generate_displacements(
            distance=settings.displacement_angstrom, cutoff_pair_distance=settings.cutoff_angstrom
        )
        n_cells = sum(cell is not None for cell in ph3.supercells_with_displacements)
        cutoff, n_unknowns = settings.cutoff_angstrom, 0
    else:
        cutoff, n_unknowns = _affordable_cutoff(ph3, settings)
        n_cells = max(_FEWEST_CELLS, math.ceil(settings.equations_per_unknown * n_unknowns / (3 * n_atoms)))
    return AnharmonicPlan(
        supercell=(a, b, c), n_atoms=n_atoms, cutoff_angstrom=cutoff, n_unknowns=n_unknowns, n_cells=n_cells
    )


def _affordable_cutoff(ph3: Phono3py, settings: ComputeSettings) -> tuple[float, int]:
    cutoff = settings.cutoff_angstrom
    while True:
        n_unknowns = count_unknowns(ph3, cutoff)
        if n_unknowns <= settings.max_unknowns or cutoff - _CUTOFF_STEP < _SHORTEST_CUTOFF:
            return cutoff, n_unknowns
        cutoff -= _CUTOFF_STEP


def count_unknowns(ph3: Phono3py, cutoff_angstrom: float) -> int:
    """Independent force constants of second and third order in the supercell, by symfc's estimate."""
    from symfc import Symfc  # noqa: PLC0415

    sizes = Symfc(ph3.supercell, cutoff={3: cutoff_angstrom}).estimate_basis_size(orders=[2, 3])
    return int(sum(int(size) for size in sizes.values()))


def displaced_third_order(ph3: Phono3py, plan: AnharmonicPlan, settings: ComputeSettings) -> list[Any]:
    """Displaced cells as ASE's Atoms; None for pairs beyond the cutoff."""
    if settings.third_order == "finite-differences":
        ph3.generate_displacements(
            distance=settings.displacement_angstrom, cutoff_pair_distance=settings.cutoff_angstrom
        )
    else:
        ph3.generate_displacements(
            distance=settings.displacement_angstrom, number_of_snapshots=plan.n_cells, random_seed=settings.seed
        )
    return [None if cell is None else to_atoms(cell) for cell in ph3.supercells_with_displacements]


def third_order(ph3: Phono3py, store: ForceStore, plan: AnharmonicPlan, settings: ComputeSettings) -> None:
    """Ask for all forces; the force constants follow by `fit_third_order`.

    Raises:
        ComputeError: As for `ForceStore.forces`.
    """
    cells = displaced_third_order(ph3, plan, settings)
    forces = np.zeros((len(cells), plan.n_atoms, 3))
    for index, atoms in enumerate(cells):
        if atoms is not None:
            forces[index] = store.answer(atoms)["forces"]
    ph3.forces = forces


def fit_third_order(ph3: Phono3py, plan: AnharmonicPlan, settings: ComputeSettings, cutoff_angstrom: float) -> None:
    """Third-order force constants from the forces that are there, within a cutoff.

    Raises:
        ComputeError: `fit_failed` where the forces do not determine them.
    """
    if settings.third_order == "finite-differences":
        ph3.produce_fc3()
        ph3.symmetrize_fc3()
        if cutoff_angstrom < plan.cutoff_angstrom:
            ph3.cutoff_fc3_by_zero(cutoff_angstrom)
        return
    try:
        ph3.produce_fc3(fc_calculator="symfc", fc_calculator_options=f"cutoff = {cutoff_angstrom}")
    except np.linalg.LinAlgError as error:
        raise ComputeError(
            f"{plan.n_cells} displaced cells do not determine {plan.n_unknowns} force constants; raise "
            "the setting equations_per_unknown.",
            code="fit_failed",
        ) from error
