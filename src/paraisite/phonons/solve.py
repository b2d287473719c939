"""κ with its checks: the mesh asked for, then a coarser one with the coherence term, then a shorter cutoff."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from paraisite.phonons.anharmonic import SHORTER_CUTOFF, AnharmonicPlan, fit_third_order
from paraisite.phonons.scattering import anharmonicity
from paraisite.phonons.settings import ComputeSettings
from paraisite.phonons.transport import (
    COARSER,
    ModeTable,
    Transport,
    affordable_direct,
    mesh_of,
    mode_table,
    nearest_room,
    run_conductivity,
    trace,
    write_hdf5,
)

if TYPE_CHECKING:
    from phono3py import Phono3py


class Conductivity(msgspec.Struct, frozen=True, kw_only=True):
    """κ, and what is read from its modes."""

    transport: Transport
    modes: ModeTable


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of `Transport` that the coarser mesh and the shorter cutoff give."""

    kappa_coherence: list[float] = []
    kappa_direct: list[float] = []
    mesh_change: float | None = None
    cutoff_change: float | None = None


def solve(
    ph3: Phono3py,
    plan: AnharmonicPlan,
    settings: ComputeSettings,
    *,
    folder: Path,
    pause: Callable[[], None],
) -> Conductivity:
    """κ from the force constants of both orders.

    Args:
        ph3: With force constants and forces.
        plan: How the third order was found.
        settings: Temperatures and checks.
        folder: Where phono3py's HDF5 goes.
        pause: Called between the parts; may raise to stop.
    """
    index = nearest_room(settings.temperatures_k)
    fine = run_conductivity(ph3, settings.mesh_length_angstrom, settings.temperatures_k)
    mesh = mesh_of(ph3)
    tensor, modes = np.array(fine.kappa[0]), mode_table(fine, index)
    write_hdf5(ph3, folder)
    pause()
    modes = msgspec.structs.replace(modes, anharmonicity=anharmonicity(ph3, mesh, modes.temperature_k))
    checks = Checks()
    if settings.check:
        checks = _check(ph3, plan, settings, kappa=float(trace(tensor)[index]), pause=pause)
    transport = Transport(
        mesh=mesh,
        temperatures_k=list(settings.temperatures_k),
        kappa_tensor=tensor.tolist(),
        kappa=trace(tensor).tolist(),
        kappa_coherence=checks.kappa_coherence,
        kappa_direct=checks.kappa_direct,
        mesh_change=checks.mesh_change,
        cutoff_change=checks.cutoff_change,
    )
    return Conductivity(transport=transport, modes=modes)


def _check(
    ph3: Phono3py,
    plan: AnharmonicPlan,
    settings: ComputeSettings,
    *,
    kappa: float,
    pause: Callable[[], None],
) -> Checks:
    index, length = nearest_room(settings.temperatures_k), COARSER * settings.mesh_length_angstrom
    pause()
    rough = run_conductivity(ph3, length, settings.temperatures_k, transport_type="SMM19")
    parts = {name: trace(value[0]) for name, value in rough.get_extra_kappa_output().items()}
    on_mesh = float(parts["kappa_intra"][index])
    direct: list[float] = []
    if settings.direct_solution and affordable_direct(ph3):
        pause()
        found = run_conductivity(ph3, length, settings.temperatures_k, is_LBTE=True)
        direct = (trace(found.kappa[0]) / trace(found.kappa_RTA[0])).tolist()
    pause()
    fit_third_order(ph3, plan, settings, SHORTER_CUTOFF * plan.cutoff_angstrom)
    shorter = trace(run_conductivity(ph3, length, (settings.temperatures_k[index],)).kappa[0])
    return Checks(
        kappa_coherence=parts["kappa_inter"].tolist(),
        kappa_direct=direct,
        mesh_change=abs(on_mesh / kappa - 1.0),
        cutoff_change=abs(float(shorter[0]) / on_mesh - 1.0),
    )
