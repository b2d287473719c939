"""Second-order force constants, and what harmonic phonons say: spectrum, stability, Debye temperature, heat capacity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from paraisite.phonons.born import read_born
from paraisite.phonons.cells import choose_mesh, choose_supercells, to_atoms, to_phonopy
from paraisite.phonons.forces import ForceStore
from paraisite.phonons.relax import RelaxedCell
from paraisite.phonons.settings import ComputeSettings

if TYPE_CHECKING:
    from phono3py import Phono3py

ACOUSTIC_TOLERANCE_THZ = 0.01
"""An acoustic frequency at Γ this far below zero is still rounding; the gate of Matbench Discovery's phonondb-v1."""
HBAR_OVER_K = 47.99243073366221
"""h / k_B in K/THz."""


class Phonons(msgspec.Struct, frozen=True, kw_only=True):
    """Harmonic phonons of a relaxed crystal; frequencies in THz, imaginary ones negative.

    Attributes:
        supercell: Multiples of the conventional cell.
        mesh: Numbers of q-points.
        lowest_frequency: Lowest frequency on the mesh.
        lowest_at: The q-point of it, in reciprocal vectors of the primitive cell.
        lowest_optical: Lowest optical frequency at Γ; NaN for one atom.
        highest_frequency: Highest frequency.
        imaginary_share: Share of modes on the mesh that are imaginary.
        imaginary_at: Up to five q-points with imaginary modes, lowest first.
        debye_temperature_k: From the second moment of the spectrum: h √(5⟨ν²⟩/3) / k.
        heat_capacity: At `temperatures_k` of the settings, in k_B per atom.
    """

    supercell: tuple[int, int, int]
    mesh: tuple[int, int, int]
    lowest_frequency: float
    lowest_at: tuple[float, float, float]
    lowest_optical: float | None
    highest_frequency: float
    imaginary_share: float
    imaginary_at: list[tuple[float, float, float]]
    debye_temperature_k: float
    heat_capacity: list[float]

    @property
    def stable(self) -> bool:
        """Whether no mode is imaginary."""
        return not self.imaginary_at


def build_phono3py(relaxed: RelaxedCell, settings: ComputeSettings, born: Path | None = None) -> Phono3py:
    """Phono3py object for a relaxed crystal, with supercells chosen by the settings.

    Args:
        relaxed: The crystal.
        settings: Lengths and limits.
        born: A BORN file, for the non-analytic correction.

    Raises:
        ComputeError: `too_large`, or `invalid_born`.
    """
    from phono3py import Phono3py  # noqa: PLC0415

    conventional = relaxed.atoms()
    second, third = choose_supercells(conventional, settings)
    ph3 = Phono3py(
        to_phonopy(conventional),
        supercell_matrix=np.diag(third),
        phonon_supercell_matrix=np.diag(second),
        primitive_matrix=primitive_matrix(conventional, settings),
        symprec=1e-5,
    )
    if born is not None:
        ph3.nac_params = read_born(born, ph3.primitive)
    return ph3


def primitive_matrix(conventional: Any, settings: ComputeSettings) -> np.ndarray:
    """Primitive vectors in units of the conventional standard cell, from the centring of its space group."""
    from spglib import get_symmetry_dataset  # noqa: PLC0415

    cell = (conventional.cell[:], conventional.get_scaled_positions(), conventional.numbers)
    found = get_symmetry_dataset(cell, symprec=settings.symmetry_tolerance_angstrom)
    return np.array(_CENTRINGS["P" if found is None else found.international[0]], dtype=np.float64)


_CENTRINGS = {
    "P": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "F": [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    "I": [[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]],
    "A": [[1, 0, 0], [0, 0.5, -0.5], [0, 0.5, 0.5]],
    "C": [[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]],
    "R": [[2 / 3, -1 / 3, -1 / 3], [1 / 3, 1 / 3, -2 / 3], [1 / 3, 1 / 3, 1 / 3]],
}
"""Columns are the primitive vectors; those of phonopy's documentation."""


def displaced_second_order(ph3: Phono3py, settings: ComputeSettings) -> list[Any]:
    """Cells of the finite differences of second order, as ASE's Atoms."""
    ph3.generate_fc2_displacements(distance=settings.harmonic_displacement_angstrom)
    return [to_atoms(cell) for cell in ph3.phonon_supercells_with_displacements]


def second_order(ph3: Phono3py, store: ForceStore, settings: ComputeSettings) -> None:
    """Second-order force constants by finite differences, with translational and permutation symmetry.

    Raises:
        ComputeError: As for `ForceStore.forces`.
    """
    ph3.phonon_forces = store.forces(displaced_second_order(ph3, settings))
    ph3.produce_fc2()
    ph3.symmetrize_fc2()


def phonopy_of(ph3: Phono3py) -> Any:
    """Phonopy object with the same second-order force constants."""
    from phonopy import Phonopy  # noqa: PLC0415

    phonon = Phonopy(
        ph3.unitcell,
        supercell_matrix=ph3.phonon_supercell_matrix,
        primitive_matrix=ph3.primitive_matrix,
        symprec=1e-5,
        log_level=0,
    )
    if ph3.nac_params is not None:
        phonon.nac_params = ph3.nac_params
    phonon.force_constants = ph3.fc2
    return phonon


def harmonic_phonons(ph3: Phono3py, settings: ComputeSettings) -> Phonons:
    """Frequencies on the mesh of the conductivity, and what follows from them."""
    phonon = phonopy_of(ph3)
    mesh = choose_mesh(ph3.primitive, ph3.primitive_symmetry.pointgroup_operations, settings.mesh_length_angstrom)
    found = phonon.run_mesh(list(mesh), is_gamma_center=True)
    frequencies, qpoints, weights = found.frequencies, found.qpoints, found.weights
    unstable = _imaginary(frequencies, qpoints)
    lowest = np.unravel_index(int(frequencies.argmin()), frequencies.shape)
    rows = np.nonzero(unstable.any(axis=1))[0]
    rows = rows[np.argsort(frequencies[rows].min(axis=1))][:5]
    at_gamma = frequencies[np.abs(qpoints).max(axis=1) < 1e-9][0]
    positive = np.where(frequencies > 0, frequencies, 0.0)
    second_moment = float((weights @ positive**2).sum() / (weights.sum() * frequencies.shape[1]))
    return Phonons(
        supercell=_diagonal(ph3.phonon_supercell_matrix),
        mesh=mesh,
        lowest_frequency=float(frequencies.min()),
        lowest_at=_triple(qpoints[lowest[0]]),
        lowest_optical=float(at_gamma[3]) if len(at_gamma) > 3 else None,
        highest_frequency=float(frequencies.max()),
        imaginary_share=float((weights @ unstable).sum() / (weights.sum() * frequencies.shape[1])),
        imaginary_at=[_triple(qpoints[row]) for row in rows],
        debye_temperature_k=float(HBAR_OVER_K * np.sqrt(5.0 * second_moment / 3.0)),
        heat_capacity=_heat_capacity(frequencies, weights, settings.temperatures_k, len(ph3.primitive)),
    )


def _imaginary(frequencies: np.ndarray, qpoints: np.ndarray) -> np.ndarray:
    """Which modes are imaginary, [n_qpoints, n_modes] bool; the acoustic modes at Γ have a tolerance."""
    limits = np.zeros_like(frequencies)
    limits[np.abs(qpoints).max(axis=1) < 1e-9, :3] = -ACOUSTIC_TOLERANCE_THZ
    return np.asarray(frequencies < limits)


def _heat_capacity(
    frequencies: np.ndarray, weights: np.ndarray, temperatures_k: tuple[float, ...], n_atoms: int
) -> list[float]:
    values = []
    for temperature in temperatures_k:
        x = HBAR_OVER_K * np.where(frequencies > 1e-3, frequencies, np.nan) / temperature
        modes = np.nan_to_num((x / (2.0 * np.sinh(np.minimum(x, 700.0) / 2.0))) ** 2)
        values.append(float((weights @ modes).sum() / (weights.sum() * n_atoms)))
    return values


def _diagonal(matrix: np.ndarray) -> tuple[int, int, int]:
    a, b, c = np.diag(matrix)
    return int(a), int(b), int(c)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    a, b, c = np.round(values, 6) + 0.0
    return float(a), float(b), float(c)
