"""What a calculation will cost, before it starts: force calls, atoms, memory, time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from paraisite.errors import ParaisiteError
from paraisite.phonons.anharmonic import AnharmonicPlan, plan_third_order
from paraisite.phonons.cells import choose_mesh
from paraisite.phonons.forces import ForceStore
from paraisite.phonons.harmonic import build_phono3py, displaced_second_order
from paraisite.phonons.relax import given_cell
from paraisite.phonons.settings import ComputeError, ComputeSettings
from paraisite.structures import Crystal, to_ase

if TYPE_CHECKING:
    from phono3py import Phono3py

    from paraisite.phonons.potentials.potential import Potential

_RELAXATION_CALLS = 20
"""Force calls of a relaxation in the primitive cell, typically."""
_ESTIMATED = 20
"""Crystals whose cells are built for an estimate."""
_DOUBLE = 8
_GIB = 2.0**30


class CostEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a calculation will cost; the cells are those of the structure before its relaxation.

    Attributes:
        harmonic_cells: Displaced cells of second order.
        harmonic_atoms: Atoms of each.
        anharmonic_cells: Displaced cells of third order.
        anharmonic_atoms: Atoms of each.
        mesh: Numbers of q-points of κ.
        memory_gib: Largest arrays together.
        force_seconds_per_atom: Time of a force call per atom; None where it was not measured.
    """

    harmonic_cells: int
    harmonic_atoms: int
    anharmonic_cells: int
    anharmonic_atoms: int
    mesh: tuple[int, int, int]
    memory_gib: float
    force_seconds_per_atom: float | None = None


class TotalCost(msgspec.Struct, frozen=True, kw_only=True):
    """What several calculations will cost, without the time of κ itself, which is of the same order.

    Attributes:
        crystals: Crystals that can be computed.
        force_calls: All force calls.
        atoms: Atoms of all displaced cells.
        force_seconds: Time of all force calls by one process.
        memory_gib: Of the largest crystal.
    """

    crystals: int
    force_calls: int
    atoms: int
    force_seconds: float
    memory_gib: float


def estimate_cost(crystal: Crystal, settings: ComputeSettings, store: ForceStore | None = None) -> CostEstimate:
    """Cost of a calculation.

    Args:
        crystal: The crystal.
        settings: Cells, meshes, displacements.
        store: Asked for the forces of one displaced cell to measure their time; the calculation can use the answer if
            the structure is relaxed already.

    Raises:
        ComputeError: `too_large` or `broken_symmetry`.
    """
    ph3 = build_phono3py(given_cell(to_ase(crystal), settings.symmetry_tolerance_angstrom), settings)
    harmonic = displaced_second_order(ph3, settings)
    plan = plan_third_order(ph3, settings)
    mesh = choose_mesh(ph3.primitive, ph3.primitive_symmetry.pointgroup_operations, settings.mesh_length_angstrom)
    seconds = None
    if store is not None:
        start = time.perf_counter()
        store.answer(harmonic[0])
        seconds = (time.perf_counter() - start) / len(harmonic[0])
    return CostEstimate(
        harmonic_cells=len(harmonic),
        harmonic_atoms=len(ph3.phonon_supercell),
        anharmonic_cells=plan.n_cells,
        anharmonic_atoms=plan.n_atoms,
        mesh=mesh,
        memory_gib=memory_gib(ph3, plan, mesh),
        force_seconds_per_atom=seconds,
    )


def total_cost(crystals: Sequence[Crystal], settings: ComputeSettings, potential: Potential, folder: Path) -> TotalCost:
    """Cost of several crystals, with the time of one force call that is made for it.

    Crystals that will be refused count nothing. Beyond the first `_ESTIMATED`, the mean of those stands for each.

    Args:
        crystals: The crystals.
        settings: Cells, meshes, displacements.
        potential: Whose time is measured.
        folder: A folder for the one answer.
    """
    estimates: list[CostEstimate] = []
    for crystal in crystals[:_ESTIMATED]:
        with suppress(ParaisiteError):
            potential.check_elements(crystal.numbers)
            store = None if estimates else ForceStore(folder, potential)
            estimates.append(estimate_cost(crystal, settings, store))
    share = len(crystals) / max(1, min(len(crystals), _ESTIMATED))
    calls = sum(each.harmonic_cells + each.anharmonic_cells + _RELAXATION_CALLS for each in estimates)
    atoms = sum(
        each.harmonic_cells * each.harmonic_atoms + each.anharmonic_cells * each.anharmonic_atoms for each in estimates
    )
    per_atom = estimates[0].force_seconds_per_atom or 0.0 if estimates else 0.0
    return TotalCost(
        crystals=round(len(estimates) * share),
        force_calls=round(calls * share),
        atoms=round(atoms * share),
        force_seconds=atoms * share * per_atom,
        memory_gib=max((each.memory_gib for each in estimates), default=0.0),
    )


def memory_gib(ph3: Phono3py, plan: AnharmonicPlan, mesh: tuple[int, int, int]) -> float:
    """Memory of the largest arrays: force constants, the fit's equations, and the interaction of one q-point.

    The interaction holds bands³ numbers for each triplet of a q-point, of which there are half as many as q-points where
    no symmetry joins them.
    """
    n_primitive, n_supercell = len(ph3.primitive), len(ph3.supercell)
    constants = 27 * n_primitive * n_supercell**2 * _DOUBLE
    # The full array of third order is not made; symfc's projection holds a few numbers per pair and triple in the cutoff.
    fit = 3 * plan.n_unknowns**2 * _DOUBLE
    q_points = mesh[0] * mesh[1] * mesh[2]
    rotations = max(1, len(ph3.primitive_symmetry.pointgroup_operations) // 4)
    interaction = (3 * n_primitive) ** 3 * max(1.0, q_points / 2 / min(rotations, 4)) * _DOUBLE * 2
    return (2 * constants + fit + interaction) / _GIB


def check_memory(ph3: Phono3py, plan: AnharmonicPlan, mesh: tuple[int, int, int], settings: ComputeSettings) -> None:
    """Refuse a calculation whose memory is above the limit.

    Raises:
        ComputeError: `too_large`.
    """
    needed = memory_gib(ph3, plan, mesh)
    if needed > settings.max_memory_gib:
        raise ComputeError(
            f"about {needed:.0f} GiB of memory are needed, more than the {settings.max_memory_gib:g} GiB of "
            "setting max_memory_gib; raise it, or make mesh_length_angstrom shorter.",
            code="too_large",
        )
