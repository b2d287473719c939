"""How anharmonic a crystal is, and how much room its phonons have to scatter: Grüneisen parameters and phase space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from paraisite.phonons.harmonic import HBAR_OVER_K

if TYPE_CHECKING:
    from phono3py import Phono3py

_GRUNEISEN_POINTS = 5
_PHASE_SPACE_POINTS = 7
"""Largest number of q-points along a reciprocal vector; both are averages that converge early."""
_MOST_ATOMS = 20
"""Atoms of the primitive cell up to which both are affordable."""
_SOFT_THZ = 0.05
"""Modes below are left out of the averages: their Grüneisen parameters are rounding divided by next to nothing."""


class Anharmonicity(msgspec.Struct, frozen=True, kw_only=True):
    """Averages over the modes; None where the primitive cell has too many atoms for them.

    Attributes:
        gruneisen_mean: Mode Grüneisen parameters −∂ln ν/∂ln V from the third-order force constants, internal coordinates
            relaxed, averaged with the heat capacities of the modes at the temperature nearest to 300 K.
        gruneisen_rms: Root of the mean square, averaged likewise.
        phase_space: Three-phonon scattering phase space P₃ in 1/THz: Lindsay and Broido 2008,
            doi 10.1088/0953-8984/20/16/165209, from phono3py's joint density of states.
        phase_space_mesh: Numbers of q-points of it.
    """

    gruneisen_mean: float | None = None
    gruneisen_rms: float | None = None
    phase_space: float | None = None
    phase_space_mesh: tuple[int, int, int] | None = None


def anharmonicity(ph3: Phono3py, mesh: tuple[int, int, int], temperature_k: float) -> Anharmonicity:
    """Grüneisen parameters and phase space.

    Args:
        ph3: With force constants of both orders.
        mesh: Numbers of q-points of κ; coarser ones are used where these are fine.
        temperature_k: Temperature of the heat capacities.
    """
    if len(ph3.primitive) > _MOST_ATOMS:
        return Anharmonicity()
    mean, rms = mean_gruneisen(ph3, _at_most(mesh, _GRUNEISEN_POINTS), temperature_k)
    coarse = _at_most(mesh, _PHASE_SPACE_POINTS)
    return Anharmonicity(
        gruneisen_mean=mean, gruneisen_rms=rms, phase_space=phase_space(ph3, coarse), phase_space_mesh=coarse
    )


def _at_most(mesh: tuple[int, int, int], points: int) -> tuple[int, int, int]:
    """The mesh, made coarser by one factor until no number is above `points`; equal numbers stay equal."""
    a, b, c = (max(1, round(number * min(1.0, points / max(mesh)))) for number in mesh)
    return a, b, c


def mean_gruneisen(ph3: Phono3py, mesh: tuple[int, int, int], temperature_k: float) -> tuple[float, float]:
    """Mean and root mean square of the mode Grüneisen parameters, weighted by the modes' heat capacities.

    Args:
        ph3: With force constants of both orders.
        mesh: Numbers of q-points.
        temperature_k: Temperature of the heat capacities.
    """
    gruneisen = _two_supercells(ph3)
    gruneisen.set_sampling_mesh(list(mesh), primitive_symmetry=ph3.primitive_symmetry)
    gruneisen.run()
    values = np.trace(gruneisen.gruneisen_parameters, axis1=-2, axis2=-1) / 3
    frequencies = gruneisen.frequencies
    x = HBAR_OVER_K * np.maximum(frequencies, _SOFT_THZ) / temperature_k
    heat = np.where(frequencies > _SOFT_THZ, (x / (2.0 * np.sinh(np.minimum(x, 700.0) / 2.0))) ** 2, 0.0)
    weights = heat * gruneisen._weights[:, None]  # the class shows the weights in its files alone
    total = weights.sum()
    return float((weights * values).sum() / total), float(np.sqrt((weights * values**2).sum() / total))


def _two_supercells(ph3: Phono3py) -> Any:
    """phono3py's Grüneisen parameters, with second-order force constants of a supercell other than that of the third.

    Its class takes both orders in one supercell. Here the dynamical matrix and the response of the internal coordinates come
    from the cell of the second order, and the derivative of the force constants from that of the third.
    """
    from phono3py.phonon3.gruneisen import Gruneisen  # noqa: PLC0415
    from phonopy.harmonic.dynamical_matrix import get_dynamical_matrix  # noqa: PLC0415
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc  # noqa: PLC0415
    from phonopy.physical_units import get_physical_units  # noqa: PLC0415

    class TwoSupercells(Gruneisen):  # type: ignore[misc]
        def __init__(self) -> None:
            self._ion_clamped, self._symprec = False, 1e-5
            self._factor = get_physical_units().DefaultToTHz
            self._nac_q_direction = self._gruneisen_parameters = self._frequencies = None
            self._scell, self._pcell = ph3.phonon_supercell, ph3.phonon_primitive
            fc2 = ph3.fc2
            self._fc2 = fc2 if fc2.shape[0] == fc2.shape[1] else compact_fc_to_full_fc(self._pcell, fc2)
            self._dm = get_dynamical_matrix(self._fc2, self._scell, self._pcell, nac_params=ph3.nac_params)
            self._svecs, self._multi = self._pcell.get_smallest_vectors()
            self._X = self._get_X()
            self._scell, self._pcell = ph3.supercell, ph3.primitive
            self._svecs, self._multi = self._pcell.get_smallest_vectors()
            self._fc3 = _RowsOfPrimitive(ph3.fc3, self._pcell.p2s_map)
            self._dPhidu = self._get_dPhidu()

    return TwoSupercells()


class _RowsOfPrimitive:
    """Third-order force constants by the supercell's numbers of the first atom, without the full array of gigabytes."""

    def __init__(self, fc3: np.ndarray, p2s_map: np.ndarray) -> None:
        full = fc3.shape[0] == fc3.shape[1]
        self._fc3 = fc3
        self._rows = {int(atom): int(atom) if full else row for row, atom in enumerate(p2s_map)}

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        return np.asarray(self._fc3[(self._rows[int(key[0])], *key[1:])])


def phase_space(ph3: Phono3py, mesh: tuple[int, int, int]) -> float:
    """Three-phonon scattering phase space P₃ in 1/THz.

    Args:
        ph3: With second-order force constants.
        mesh: Numbers of q-points.
    """
    from phono3py.phonon3.joint_dos import JointDos  # noqa: PLC0415
    from phonopy.phonon.grid import BZGrid, get_ir_grid_points  # noqa: PLC0415

    grid = BZGrid(list(mesh), lattice=ph3.phonon_primitive.cell, symmetry_dataset=ph3.primitive_symmetry.dataset)
    density = JointDos(ph3.phonon_primitive, ph3.phonon_supercell, grid, ph3.fc2, nac_params=ph3.nac_params)
    density.run_phonon_solver()
    points, weights, _ = get_ir_grid_points(grid)
    total = 0.0
    for point, weight in zip(grid.grg2bzg[points], weights, strict=True):
        density.set_grid_point(int(point))
        frequencies = density.phonons.frequencies[point] if density.phonons else np.zeros(0)
        density.frequency_points = np.ascontiguousarray(frequencies[frequencies > _SOFT_THZ])
        if not len(density.frequency_points):
            continue
        density.run()
        # Columns: the sum of both absorptions (equal, so twice one), and emission, which counts each pair twice.
        total += float(weight) * float(density.joint_dos.sum()) / 2.0
    branches = 3 * len(ph3.phonon_primitive)
    return 2.0 / 3.0 * total / float(weights.sum()) / branches**3
