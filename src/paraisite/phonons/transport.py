"""Lattice thermal conductivity from force constants: Boltzmann transport by phono3py, and what is read from it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from paraisite.phonons.scattering import Anharmonicity

if TYPE_CHECKING:
    from phono3py import Phono3py

LARGEST_MATRIX = 6000
"""Rows of a collision matrix that is still diagonalised: 0.3 GB and about two minutes."""
COARSER = 0.75
"""The check uses a mesh of this share of the length."""
_ROOM_K = 300.0
_POINTS = 60


class Transport(msgspec.Struct, frozen=True, kw_only=True):
    """κ in W/(m K) by the relaxation-time approximation with isotope scattering; tensors as xx, yy, zz, yz, xz, xy.

    Attributes:
        mesh: Numbers of q-points.
        temperatures_k: Temperatures of the tensors.
        kappa_tensor: [n_temperatures, 6].
        kappa: A third of the trace, [n_temperatures].
        kappa_coherence: A third of the trace of Wigner's coherence term, on the coarser mesh; empty where not asked for.
            Simoncelli, Marzari and Mauri 2019, doi 10.1038/s41567-019-0520-x.
        kappa_direct: A third of the trace of the direct solution (Chaput 2013, doi 10.1103/PhysRevLett.110.265506) over
            that of the relaxation-time approximation on the same coarser mesh; empty where not affordable.
        mesh_change: |κ(coarser mesh) / κ − 1| at 300 K.
        cutoff_change: |κ(shorter cutoff) / κ − 1| at 300 K on the coarser mesh.
    """

    mesh: tuple[int, int, int]
    temperatures_k: list[float]
    kappa_tensor: list[list[float]]
    kappa: list[float]
    kappa_coherence: list[float]
    kappa_direct: list[float]
    mesh_change: float | None
    cutoff_change: float | None


class ModeTable(msgspec.Struct, frozen=True, kw_only=True):
    """What is read from single modes at the temperature nearest to 300 K.

    Attributes:
        temperature_k: That temperature.
        frequency_thz: Edges of the cumulative κ against frequency.
        kappa_below_frequency: κ in W/(m K) of modes below each.
        mean_free_path_nm: Edges of the cumulative κ against mean free path.
        kappa_below_mean_free_path: κ of modes below each.
        median_lifetime_ps: Median lifetime, weighted by the κ that the modes carry.
        anharmonicity: Grüneisen parameters and phase space.
    """

    temperature_k: float
    frequency_thz: list[float]
    kappa_below_frequency: list[float]
    mean_free_path_nm: list[float]
    kappa_below_mean_free_path: list[float]
    median_lifetime_ps: float
    anharmonicity: Anharmonicity | None = None


def run_conductivity(
    ph3: Phono3py, mesh_length_angstrom: float, temperatures_k: tuple[float, ...], **options: Any
) -> Any:
    """Conductivity object of phono3py on a mesh.

    Args:
        ph3: With force constants of both orders.
        mesh_length_angstrom: Length of the mesh; phono3py makes it a generalised one where only that has the symmetry.
        temperatures_k: Temperatures.
        options: Further options of `Phono3py.run_thermal_conductivity`.
    """
    ph3.mesh_numbers = float(mesh_length_angstrom)
    ph3.init_phph_interaction()
    ph3.run_thermal_conductivity(temperatures=list(temperatures_k), is_isotope=True, log_level=0, **options)
    return ph3.thermal_conductivity


def mesh_of(ph3: Phono3py) -> tuple[int, int, int]:
    """Numbers of q-points of the mesh that is set, along the vectors of its grid."""
    a, b, c = ph3.mesh_numbers
    return int(a), int(b), int(c)


def trace(tensor: Any) -> np.ndarray:
    """A third of the trace of tensors [..., 6]."""
    return np.asarray(np.asarray(tensor)[..., :3].mean(axis=-1))


def nearest_room(temperatures_k: tuple[float, ...]) -> int:
    """Index of the temperature nearest to 300 K."""
    return int(np.abs(np.asarray(temperatures_k) - _ROOM_K).argmin())


def affordable_direct(ph3: Phono3py) -> bool:
    """Whether the collision matrix of the mesh that is set is small enough; call after a conductivity was run on it."""
    conductivity = ph3.thermal_conductivity
    return bool(len(conductivity.grid_points) * conductivity.frequencies.shape[1] * 3 <= LARGEST_MATRIX)


def mode_table(conductivity: Any, index: int) -> ModeTable:
    """Cumulative κ and lifetimes from the modes of a conductivity that was run without a coherence term."""
    kappa = trace(conductivity.mode_kappa[0, index]) / conductivity.grid_weights.sum()
    frequencies = conductivity.frequencies
    if frequencies.shape[0] != kappa.shape[0]:
        frequencies = frequencies[conductivity.grid_points]
    linewidth = conductivity.gamma[0, index]
    if conductivity.gamma_isotope is not None:
        linewidth = linewidth + conductivity.gamma_isotope[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        lifetime = np.where(linewidth > 0, 1.0 / (4.0 * np.pi * linewidth), 0.0)
    # Å THz = 0.1 nm/ps, so that velocity times lifetime is in nm.
    path = 0.1 * np.linalg.norm(conductivity.group_velocities, axis=-1) * lifetime
    edges = np.linspace(0.0, float(frequencies.max()) * 1.001, _POINTS)
    positive = path[(path > 0) & (kappa > 0)]
    low, high = (positive.min(), positive.max()) if positive.size else (1.0, 10.0)
    paths = np.geomspace(max(low, high * 1e-6), high * 1.001, _POINTS)
    return ModeTable(
        temperature_k=float(conductivity.temperatures[index]),
        frequency_thz=edges.tolist(),
        kappa_below_frequency=_below(frequencies, kappa, edges),
        mean_free_path_nm=paths.tolist(),
        kappa_below_mean_free_path=_below(path, kappa, paths),
        median_lifetime_ps=_weighted_median(lifetime.ravel(), kappa.ravel()),
    )


def _below(values: np.ndarray, kappa: np.ndarray, edges: np.ndarray) -> list[float]:
    order = np.argsort(values, axis=None)
    total = np.concatenate([[0.0], np.cumsum(kappa.ravel()[order])])
    return [float(total[place]) for place in np.searchsorted(values.ravel()[order], edges)]


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(np.maximum(weights[order], 0.0))
    return float(values[order][np.searchsorted(total, total[-1] / 2.0)]) if total[-1] > 0 else 0.0


def write_hdf5(ph3: Phono3py, folder: Path) -> Path:
    """Write the conductivity that was run last in phono3py's own format, whole or not at all.

    phono3py writes into the current folder alone, so this process stands in a temporary one while it does.
    """
    from phono3py.conductivity.output import ConductivityRTAWriter  # noqa: PLC0415

    conductivity = ph3.thermal_conductivity
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        with contextlib.chdir(temporary):
            ConductivityRTAWriter.write_kappa(conductivity, ph3.primitive.volume, compression="gzip", log_level=0)
        written = next(Path(temporary).glob("kappa*.hdf5"))
        target = folder / written.name
        shutil.move(written, target)
    return target
