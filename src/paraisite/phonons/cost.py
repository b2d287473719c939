"""What a calculation will cost, before it starts: force calls, atoms, memory, time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from paraisite.phonons.anharmonic import AnharmonicPlan, plan_third_order
from paraisite.phonons.cells import choose_mesh, standard_cell
from paraisite.phonons.forces import ForceStore
from paraisite.phonons.harmonic import build_phono3py, displaced_second_order
from paraisite.phonons.relax import RelaxedCell
from paraisite.phonons.settings import ComputeError, ComputeSettings
from paraisite.structures import Crystal, to_ase

if TYPE_CHECKING:
    from phono3py import Phono3py

_RELAXATION_CALLS = 20
"""Force calls of a relaxation in the primitive cell, typically."""
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
        force_seconds: Time of all force calls; None where it was not measured.
    """

    harmonic_cells: int
    harmonic_atoms: int
    anharmonic_cells: int
    anharmonic_atoms: int
    mesh: tuple[int, int, int]
    memory_gib: float
    force_seconds: float | None = None


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
    atoms = standard_cell(to_ase(crystal), settings.symmetry_tolerance_angstrom, primitive=False)
    unrelaxed = RelaxedCell(
        numbers=[int(number) for number in atoms.numbers], cell=atoms.cell[:].tolist(),
        fractional=atoms.get_scaled_positions().tolist(), space_group_before=0, space_group=0, volume_change=0.0,
        energy_ev_per_atom=0.0, largest_force=0.0, steps=0,
    )  # fmt: skip
    ph3 = build_phono3py(unrelaxed, settings)
    harmonic = displaced_second_order(ph3, settings)
    plan = plan_third_order(ph3, settings)
    mesh = choose_mesh(ph3.primitive, ph3.primitive_symmetry.pointgroup_operations, settings.mesh_length_angstrom)
    seconds = None
    if store is not None:
        start = time.perf_counter()
        store.answer(harmonic[0])
        per_atom = (time.perf_counter() - start) / len(harmonic[0])
        seconds = per_atom * (
            len(harmonic) * len(harmonic[0]) + plan.n_cells * plan.n_atoms + _RELAXATION_CALLS * len(ph3.primitive)
        )
    return CostEstimate(
        harmonic_cells=len(harmonic),
        harmonic_atoms=len(ph3.phonon_supercell),
        anharmonic_cells=plan.n_cells,
        anharmonic_atoms=plan.n_atoms,
        mesh=mesh,
        memory_gib=memory_gib(ph3, plan, mesh),
        force_seconds=seconds,
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
            "--max-memory-gib; raise it, or make --mesh-length-angstrom shorter.",
            code="too_large",
        )
