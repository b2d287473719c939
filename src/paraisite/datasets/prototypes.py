"""Crystals built from a structure type or a space group, their lattice parameters and their free coordinates.

Every structure type is written in its conventional cell with one copy of each site per lattice point; `build` and
`build_from_space_group` return the primitive cell. Labels are those of the AFLOW encyclopedia of crystallographic prototypes
(doi 10.1016/j.commatsci.2017.01.017 and its later parts); lengths are in Å, angles in degrees, coordinates fractional.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, isfinite, radians, sin, sqrt
from typing import Any

import gemmi
import numpy as np

from paraisite.elements import ATOMIC_NUMBERS
from paraisite.errors import DataError
from paraisite.structures.crystal import Crystal

Vector = tuple[float, float, float]
Parameters = Mapping[str, float]
PrototypeSites = tuple[tuple[Vector, ...], ...]

EXPLICIT = "explicit"
"""Name, beside those of `PROTOTYPES`, of a cell that is written out in full."""
EXPLICIT_PARAMETERS = ("a", "b", "c", "alpha", "beta", "gamma")
"""Lattice parameters of an explicit cell: three lengths in Å, three angles in degrees."""

_LENGTHS = ("a", "b", "c")
_SAME_SITE = 3e-3
"""Fractional coordinates that differ by less name one site: published coordinates are rounded."""
_CENTRING = {
    "P": np.eye(3),
    "F": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
    "I": np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2,
    "C": np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]]) / 2,
    "A": np.array([[2, 0, 0], [0, 1, -1], [0, 1, 1]]) / 2,
    "R": np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
}


@dataclass(frozen=True, slots=True)
class Prototype:
    """A structure type.

    Attributes:
        label: AFLOW prototype label.
        spacegroup: Number of the space group.
        centring: Centring of the conventional cell: P, F, I or R (obverse, hexagonal axes).
        positions: Wyckoff positions of the species, in the order in which `build` takes the species.
        parameters: Names of the parameters: `a` and `c` in Å, the rest fractional coordinates.
        sites: Conventional fractional coordinates per species, one site per lattice point, from the parameters.
    """

    label: str
    spacegroup: int
    centring: str
    positions: tuple[str, ...]
    parameters: tuple[str, ...]
    sites: Callable[[Parameters], PrototypeSites]

    @property
    def n_species(self) -> int:
        """Number of species."""
        return len(self.positions)

    def conventional_cell(self, parameters: Parameters) -> np.ndarray:
        """Conventional lattice vectors as rows in Å, [3, 3]: cubic, tetragonal or hexagonal by the space group."""
        a, c = parameters["a"], parameters.get("c", parameters["a"])
        if 143 <= self.spacegroup <= 194:
            return np.array([[a, 0, 0], [-a / 2, a * sqrt(3) / 2, 0], [0, 0, c]])
        return np.diag([a, a, c])


def _wurtzite(p: Parameters) -> PrototypeSites:
    third, two_thirds, u = 1 / 3, 2 / 3, p["u"]
    return (
        ((third, two_thirds, 0), (two_thirds, third, 0.5)),
        ((third, two_thirds, u), (two_thirds, third, u + 0.5)),
    )


def _fluorite(_: Parameters) -> PrototypeSites:
    return ((0, 0, 0),), ((0.25, 0.25, 0.25), (0.75, 0.75, 0.75))


def _antifluorite(p: Parameters) -> PrototypeSites:
    anion, cation = _fluorite(p)
    return cation, anion


def _perovskite(_: Parameters) -> PrototypeSites:
    return ((0, 0, 0),), ((0.5, 0.5, 0.5),), ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))


def _rosiaite(p: Parameters) -> PrototypeSites:
    x, z = p["x"], p["z"]
    octahedron = ((x, 0, z), (0, x, z), (-x, -x, z), (0, -x, -z), (-x, 0, -z), (x, x, -z))
    return ((0, 0, 0),), ((1 / 3, 2 / 3, 0.5), (2 / 3, 1 / 3, 0.5)), octahedron


def _rutile(p: Parameters) -> PrototypeSites:
    x = p["x"]
    return (
        ((0, 0, 0), (0.5, 0.5, 0.5)),
        ((x, x, 0), (-x, -x, 0), (0.5 - x, 0.5 + x, 0.5), (0.5 + x, 0.5 - x, 0.5)),
    )


def _corundum(p: Parameters) -> PrototypeSites:
    x, z = p["x"], p["z"]
    return (
        ((0, 0, z), (0, 0, 0.5 - z), (0, 0, -z), (0, 0, 0.5 + z)),
        ((x, 0, 0.25), (0, x, 0.25), (-x, -x, 0.25), (-x, 0, 0.75), (0, -x, 0.75), (x, x, 0.75)),
    )


def _skutterudite(p: Parameters) -> PrototypeSites:
    y, z = p["y"], p["z"]
    signs = ((1, 1), (-1, 1), (1, -1), (-1, -1))
    ring = tuple((0, s * y, t * z) for s, t in signs)
    pnictogen = ring + tuple((v, w, u) for u, v, w in ring) + tuple((w, u, v) for u, v, w in ring)
    return ((0.25, 0.25, 0.25), (0.75, 0.75, 0.25), (0.75, 0.25, 0.75), (0.25, 0.75, 0.75)), pnictogen


def _tetradymite(p: Parameters) -> PrototypeSites:
    cation, anion = p["z1"], p["z2"]
    return ((0, 0, cation), (0, 0, -cation)), ((0, 0, 0), (0, 0, anion), (0, 0, -anion))


def _fixed(*points: Vector) -> Callable[[Parameters], PrototypeSites]:
    """Sites of a structure type with one fixed site per species."""
    return lambda _: tuple((point,) for point in points)


_ORIGIN: Vector = (0, 0, 0)
_QUARTER: Vector = (0.25, 0.25, 0.25)
_HALF: Vector = (0.5, 0.5, 0.5)

PROTOTYPES: Mapping[str, Prototype] = {
    "fcc": Prototype("A_cF4_225_a", 225, "F", ("4a",), ("a",), _fixed(_ORIGIN)),
    "bcc": Prototype("A_cI2_229_a", 229, "I", ("2a",), ("a",), _fixed(_ORIGIN)),
    "diamond": Prototype("A_cF8_227_a", 227, "F", ("8a",), ("a",), lambda _: ((_ORIGIN, _QUARTER),)),
    "rocksalt": Prototype("AB_cF8_225_a_b", 225, "F", ("4a", "4b"), ("a",), _fixed(_ORIGIN, _HALF)),
    "cesium_chloride": Prototype("AB_cP2_221_b_a", 221, "P", ("1a", "1b"), ("a",), _fixed(_ORIGIN, _HALF)),
    "zincblende": Prototype("AB_cF8_216_c_a", 216, "F", ("4a", "4c"), ("a",), _fixed(_ORIGIN, _QUARTER)),
    "wurtzite": Prototype("AB_hP4_186_b_b", 186, "P", ("2b", "2b"), ("a", "c", "u"), _wurtzite),
    "half_heusler": Prototype(
        "ABC_cF12_216_b_c_a", 216, "F", ("4a", "4b", "4c"), ("a",), _fixed(_ORIGIN, _HALF, _QUARTER)
    ),
    "fluorite": Prototype("AB2_cF12_225_a_c", 225, "F", ("4a", "8c"), ("a",), _fluorite),
    "antifluorite": Prototype("AB2_cF12_225_a_c", 225, "F", ("8c", "4a"), ("a",), _antifluorite),
    "perovskite": Prototype("AB3C_cP5_221_a_c_b", 221, "P", ("1a", "1b", "3c"), ("a",), _perovskite),
    "rutile": Prototype("A2B_tP6_136_f_a", 136, "P", ("2a", "4f"), ("a", "c", "x"), _rutile),
    "corundum": Prototype("A2B3_hR10_167_c_e", 167, "R", ("12c", "18e"), ("a", "c", "x", "z"), _corundum),
    "tetradymite": Prototype("A2B3_hR5_166_c_ac", 166, "R", ("6c", "3a,6c"), ("a", "c", "z1", "z2"), _tetradymite),
    "skutterudite": Prototype("A3B_cI32_204_g_c", 204, "I", ("8c", "24g"), ("a", "y", "z"), _skutterudite),
    "rosiaite": Prototype("A6BC2_hP9_162_k_a_d", 162, "P", ("1a", "2d", "6k"), ("a", "c", "x", "z"), _rosiaite),
}
"""Structure types by name."""


def build(
    name: str,
    species: Sequence[str],
    parameters: Parameters,
    *,
    material_id: str = "",
    source: str = "",
    properties: Mapping[str, Any] | None = None,
) -> Crystal:
    """Build the primitive cell of a structure type.

    Args:
        name: Key of `PROTOTYPES`.
        species: Element symbols in the order of the prototype's `positions`.
        parameters: Exactly the prototype's parameters: lengths in Å, coordinates fractional.
        material_id: Identifier of the crystal.
        source: Where the parameters were read.
        properties: Properties of the crystal.

    Returns:
        The crystal; its atoms are grouped by species in the order given.

    Raises:
        DataError: For an unknown prototype or element, a missing or foreign parameter, or a value out of range.
    """
    if name not in PROTOTYPES:
        raise DataError(f"Prototype {name!r} is not known; choose one of {', '.join(PROTOTYPES)}.")
    prototype = PROTOTYPES[name]
    _check_parameters(name, prototype.parameters, parameters)
    if len(species) != prototype.n_species:
        raise DataError(f"Prototype {name} takes {prototype.n_species} species, not {len(species)}: {list(species)}.")
    matrix = _CENTRING[prototype.centring]
    groups = prototype.sites(parameters)
    conventional = np.array([site for group in groups for site in group], dtype=np.float64)
    labels = [symbol for symbol, group in zip(species, groups, strict=True) for _ in group]
    return Crystal(
        numbers=_numbers(labels),
        cell=matrix @ prototype.conventional_cell(parameters),
        fractional=_wrapped(conventional @ np.linalg.inv(matrix)),
        material_id=material_id,
        source=source,
        properties=dict(properties or {}),
    )


def build_explicit(
    parameters: Parameters,
    sites: Sequence[tuple[str, Vector]],
    *,
    material_id: str = "",
    source: str = "",
    properties: Mapping[str, Any] | None = None,
) -> Crystal:
    """Build a cell that is written out in full.

    Args:
        parameters: `a`, `b`, `c` in Å and `alpha`, `beta`, `gamma` in degrees.
        sites: Element symbol and fractional coordinates of every atom.
        material_id: Identifier of the crystal.
        source: Where the parameters were read.
        properties: Properties of the crystal.

    Returns:
        The crystal, with the first lattice vector along x and the second in the xy plane.

    Raises:
        DataError: For lattice parameters that span no cell, an unknown element, or no sites.
    """
    _check_parameters(EXPLICIT, EXPLICIT_PARAMETERS, parameters)
    cell = _cell_from_parameters(parameters)
    if not sites:
        raise DataError("An explicit cell needs at least one site.")
    fractional = np.array([site for _, site in sites], dtype=np.float64)
    if fractional.shape != (len(sites), 3) or not np.isfinite(fractional).all():
        raise DataError("Every site of an explicit cell needs three finite fractional coordinates.")
    return Crystal(
        numbers=_numbers([symbol for symbol, _ in sites]),
        cell=cell,
        fractional=fractional,
        material_id=material_id,
        source=source,
        properties=dict(properties or {}),
    )


def build_from_space_group(
    spacegroup: int,
    parameters: Parameters,
    sites: Sequence[tuple[str, Vector]],
    *,
    material_id: str = "",
    source: str = "",
    properties: Mapping[str, Any] | None = None,
) -> Crystal:
    """Build the primitive cell of a space group and one site of every orbit.

    A site within 0.003 of a special position is put on it.

    Args:
        spacegroup: Number; its reference setting is meant: origin at the inversion centre, unique axis b, hexagonal axes.
        parameters: Conventional cell, as for `build_explicit`.
        sites: Element symbol and conventional fractional coordinates of one atom of every orbit.
        material_id: Identifier of the crystal.
        source: Where the parameters were read.
        properties: Properties of the crystal.

    Returns:
        The crystal; its atoms are grouped by orbit in the order given.

    Raises:
        DataError: For an unknown space group, and as for `build_explicit`.
    """
    if not 1 <= spacegroup <= 230:
        raise DataError(f"There is no space group {spacegroup}; give a number from 1 to 230.")
    conventional = build_explicit(parameters, sites)
    rotations, translations, matrix = _symmetry(spacegroup)
    orbits = [_orbit(point, rotations, translations, matrix) for point in conventional.fractional]
    return Crystal(
        numbers=np.repeat(conventional.numbers, [len(orbit) for orbit in orbits]),
        cell=matrix @ conventional.cell,
        fractional=_wrapped(np.concatenate(orbits)),
        material_id=material_id,
        source=source,
        properties=dict(properties or {}),
    )


@cache
def _symmetry(spacegroup: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations [n, 3, 3] and translations [n, 3] without those of the centring, and primitive vectors as rows [3, 3]."""
    setting = gemmi.get_spacegroup_reference_setting(spacegroup)
    operations = setting.operations().sym_ops
    rotations = np.array([operation.rot for operation in operations]) / gemmi.Op.DEN
    translations = np.array([operation.tran for operation in operations]) / gemmi.Op.DEN
    return rotations, translations, _CENTRING[setting.centring_type()]


def _orbit(point: np.ndarray, rotations: np.ndarray, translations: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Primitive fractional coordinates of the sites equivalent to a conventional point, [n_sites, 3]."""
    to_primitive = np.linalg.inv(matrix)
    shift = _nearest((rotations @ point + translations - point) @ to_primitive)
    # The mean over the images that fall on the point itself lies on its special position.
    exact = point + shift[np.abs(shift).max(axis=1) < _SAME_SITE].mean(axis=0) @ matrix
    images = (rotations @ exact + translations) @ to_primitive
    same = np.abs(_nearest(images[:, None] - images[None])).max(axis=2) < _SAME_SITE
    orbit: np.ndarray = images[np.unique(same.argmax(axis=1))]
    return orbit


def _nearest(difference: np.ndarray) -> np.ndarray:
    """Fractional differences between the nearest periodic images, in [-0.5, 0.5]."""
    nearest: np.ndarray = difference - np.rint(difference)
    return nearest


def _check_parameters(name: str, expected: Sequence[str], given: Parameters) -> None:
    """Refuse missing or foreign parameters, values that are not finite, and lengths that are not positive."""
    if set(given) != set(expected):
        raise DataError(
            f"Prototype {name} takes the parameters {', '.join(expected)}, not {', '.join(given) or 'none'}."
        )
    for key, value in given.items():
        if not isfinite(value):
            raise DataError(f"Parameter {key} of prototype {name} is {value}; give a finite number.")
        if key in _LENGTHS and value <= 0:
            raise DataError(f"Parameter {key} of prototype {name} is {value} Å; give a positive length.")


def _cell_from_parameters(parameters: Parameters) -> np.ndarray:
    """Lattice vectors as rows in Å, [3, 3], the first along x and the second in the xy plane."""
    angles = [parameters[key] for key in EXPLICIT_PARAMETERS[3:]]
    alpha, beta, gamma = (radians(angle) for angle in angles)
    x, y, z = cos(alpha), cos(beta), cos(gamma)
    squared_volume = 1 - x * x - y * y - z * z + 2 * x * y * z
    if not all(0 < angle < 180 for angle in angles) or squared_volume <= 1e-9:
        raise DataError(f"The angles {angles} degrees span no cell; check alpha, beta and gamma.")
    rows = [[1, 0, 0], [z, sin(gamma), 0], [y, (x - y * z) / sin(gamma), sqrt(squared_volume) / sin(gamma)]]
    cell: np.ndarray = np.array(rows) * np.array([[parameters[key]] for key in _LENGTHS])
    return cell


def _numbers(symbols: Sequence[str]) -> np.ndarray:
    """Atomic numbers, [n_atoms] int64."""
    for symbol in symbols:
        if ATOMIC_NUMBERS.get(symbol, 0) == 0:
            raise DataError(f"{symbol!r} is no element; give a chemical symbol such as Mg.")
    return np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols], dtype=np.int64)


def _wrapped(fractional: np.ndarray) -> np.ndarray:
    """Coordinates moved into [0, 1), rounding noise at the upper edge included."""
    wrapped: np.ndarray = np.mod(fractional, 1.0)
    wrapped[wrapped > 1 - 1e-12] = 0.0
    return wrapped
