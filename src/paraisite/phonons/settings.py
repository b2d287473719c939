"""What a calculation of κ is asked for: cells, meshes, displacements and temperatures, with the rules that choose them."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from paraisite.errors import ParaisiteError

DEFAULT_POTENTIAL = "sevennet:7net-l3i5"
TEMPERATURES_K = tuple(float(value) for value in range(100, 1001, 100))


class ComputeError(ParaisiteError):
    """A crystal whose conductivity could not be computed; `code` is the status of its record."""

    code = "compute_failed"


class ComputeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a calculation; the same settings, potential and crystal give the same κ.

    Attributes:
        force_tolerance: Largest force that is left after the relaxation, in eV/Å.
        max_relaxation_steps: Steps of the relaxation before the crystal is given up.
        symmetry_tolerance_angstrom: Distance within which atoms are taken as related by symmetry (spglib's `symprec`).
        harmonic_length_angstrom: Shortest edge of the supercell of the second-order force constants.
        anharmonic_length_angstrom: Shortest edge of the supercell of the third-order force constants.
        max_supercell_atoms: The supercell of second order is made shorter than asked for rather than larger than this.
        max_anharmonic_atoms: As `max_supercell_atoms`, for the third order.
        harmonic_displacement_angstrom: Displacement of the finite differences of second order.
        displacement_angstrom: Displacement of every atom (random) or of two (finite differences), third order.
        third_order: `random` fits symmetry-adapted force constants to few cells in which all atoms are displaced (symfc,
            Seko and Togo 2024, doi 10.1103/PhysRevB.110.214302); `finite-differences` displaces pairs of atoms.
        cutoff_angstrom: Three atoms interact where all are closer to each other than this.
        max_unknowns: The cutoff is made shorter until the fit has at most so many unknown force constants.
        equations_per_unknown: Force components per unknown of the fit; sets the number of random cells.
        mesh_length_angstrom: Number of q-points along a reciprocal vector b (without 2π) is this length times |b|.
        temperatures_k: Temperatures of κ.
        imaginary: What to do about imaginary modes: `stop` before the third order, or `go-on` and leave them out of the sum.
        direct_solution: Solve the linearised Boltzmann equation too, where its matrix is small enough.
        check: Compute κ once more on a coarser mesh and with a shorter cutoff; the changes are the convergence error.
        max_memory_gib: A crystal whose calculation is estimated to need more is refused beforehand.
        seed: Seed of the random displacements.
    """

    force_tolerance: float = 1e-4
    max_relaxation_steps: int = 300
    symmetry_tolerance_angstrom: float = 1e-2
    harmonic_length_angstrom: float = 11.0
    anharmonic_length_angstrom: float = 7.0
    max_supercell_atoms: int = 260
    max_anharmonic_atoms: int = 160
    harmonic_displacement_angstrom: float = 0.01
    displacement_angstrom: float = 0.03
    third_order: Literal["random", "finite-differences"] = "random"
    cutoff_angstrom: float = 6.0
    max_unknowns: int = 1200
    equations_per_unknown: float = 4.0
    mesh_length_angstrom: float = 40.0
    temperatures_k: tuple[float, ...] = TEMPERATURES_K
    imaginary: Literal["stop", "go-on"] = "stop"
    direct_solution: bool = False
    check: bool = True
    max_memory_gib: float = 8.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that no calculation can use.

        Raises:
            ComputeError: With the name of the value.
        """
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not 0 < value < 1e6:
                raise ComputeError(f"{name} is {value:g}; give a positive number.", code="invalid_settings")
        if not self.temperatures_k or not all(0 < value < 1e5 for value in self.temperatures_k):
            raise ComputeError("temperatures_k must hold positive temperatures in kelvin.", code="invalid_settings")


def calculation_fingerprint(settings: ComputeSettings, potential: str, crystal: str) -> str:
    """SHA-256 of what decides about a result.

    Args:
        settings: All settings.
        potential: Name and version of the potential.
        crystal: Key of the crystal's content.
    """
    content = msgspec.json.encode([msgspec.to_builtins(settings), potential, crystal], order="sorted")
    return hashlib.sha256(content).hexdigest()
