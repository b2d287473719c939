"""Random crystals for property tests, and changes of a crystal's description that leave the crystal as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase.geometry import get_distances
from hypothesis import assume
from hypothesis import strategies as st

from paraisite.structures.crystal import Crystal

SPECIES = (8, 12, 14, 55)
"""Few, so that atoms of one species in different surroundings are common."""
QUARTERS = st.sampled_from((0.0, 0.25, 0.5, 0.75))
MIN_SPACING_ANGSTROM = 0.6
"""Above the least distance that the package accepts, with room for rattling."""


def make(numbers: list[int], cell: object, fractional: object) -> Crystal:
    """Crystal of plain lists."""
    return Crystal(np.array(numbers, dtype=np.int64), np.array(cell, dtype=float), np.array(fractional, dtype=float))


def rocksalt(length: float = 5.69, numbers: tuple[int, int] = (11, 17)) -> Crystal:
    """Rocksalt in its cubic cell of 8 atoms."""
    corners = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    sites = np.concatenate([corners, corners + np.array([0.5, 0, 0])])
    return make([numbers[0]] * 4 + [numbers[1]] * 4, length * np.eye(3), sites)


@st.composite
def triclinic_crystals(draw: st.DrawFn) -> Crystal:
    """1 to 6 atoms anywhere in a triclinic cell."""
    size = draw(st.integers(1, 6))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cell = np.diag(generator.uniform(2.2, 4.5, 3)) + np.tril(generator.uniform(-1.5, 1.5, (3, 3)), -1)
    crystal = make(list(generator.choice(SPECIES, size)), cell, generator.random((size, 3)))
    assume(least_distance(crystal) > MIN_SPACING_ANGSTROM and has_bond(crystal))
    return crystal


@st.composite
def symmetric_crystals(draw: st.DrawFn) -> Crystal:
    """1 to 6 atoms on quarters of a cubic, tetragonal, hexagonal or rhombohedral cell: many equal distances."""
    length = draw(st.sampled_from((3.0, 3.7, 4.0, 4.2)))
    ratio = draw(st.sampled_from((1.0, 1.25)))
    cells = {
        "cubic": np.eye(3),
        "tetragonal": np.diag([1, 1, ratio]),
        "hexagonal": np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, ratio]]),
        "rhombohedral": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / np.sqrt(2),
    }
    sites = draw(st.lists(st.tuples(QUARTERS, QUARTERS, QUARTERS), min_size=1, max_size=6, unique=True))
    numbers = draw(st.lists(st.sampled_from(SPECIES), min_size=len(sites), max_size=len(sites)))
    crystal = make(numbers, length * cells[draw(st.sampled_from(sorted(cells)))], sites)
    assume(least_distance(crystal) > MIN_SPACING_ANGSTROM and has_bond(crystal))
    return crystal


crystals = st.one_of(triclinic_crystals(), symmetric_crystals())


def least_distance(crystal: Crystal) -> float:
    """Least distance of two atoms in Å, images included."""
    _, distances = get_distances(crystal.positions, cell=crystal.cell, pbc=True)
    between = distances + np.where(np.eye(crystal.n_atoms), np.inf, 0)
    return float(min(between.min(), _shortest_period(crystal)))


def has_bond(crystal: Crystal) -> bool:
    """Whether any two atoms are within 4 Å."""
    return least_distance(crystal) < 3.9


def _shortest_period(crystal: Crystal) -> float:
    steps = np.stack(np.meshgrid(*[range(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    return float(np.linalg.norm(steps[(steps != 0).any(axis=1)] @ crystal.cell, axis=1).min())


def supercell(crystal: Crystal, matrix: np.ndarray) -> Crystal:
    """Crystal in the cell `matrix` @ cell; the determinant of the integer matrix is the number of copies."""
    determinant = round(abs(np.linalg.det(matrix)))
    reach = int(np.abs(matrix).sum(axis=0).max())
    steps = np.stack(np.meshgrid(*[range(-reach, reach + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = steps @ np.linalg.inv(matrix)
    translations = steps[((inside > -1e-9) & (inside < 1 - 1e-9)).all(axis=1)]
    assert len(translations) == determinant
    sites = (crystal.fractional[None] + translations[:, None]).reshape(-1, 3) @ np.linalg.inv(matrix)
    return replace(crystal, numbers=np.tile(crystal.numbers, determinant), cell=matrix @ crystal.cell, fractional=sites)


def permuted(crystal: Crystal, order: np.ndarray) -> Crystal:
    """Crystal with its atoms in another order."""
    return replace(crystal, numbers=crystal.numbers[order], fractional=crystal.fractional[order])


def turned(crystal: Crystal, generator: np.random.Generator) -> Crystal:
    """Crystal turned at random, half of the time also mirrored."""
    orthogonal, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    return replace(crystal, cell=crystal.cell @ orthogonal)


def shifted(crystal: Crystal, generator: np.random.Generator) -> Crystal:
    """Crystal with another origin, and atoms in cells further away."""
    jumps = generator.integers(-2, 3, crystal.fractional.shape)
    return replace(crystal, fractional=crystal.fractional + generator.random(3) + jumps)


def recelled(crystal: Crystal, generator: np.random.Generator) -> Crystal:
    """Crystal in another, perhaps very skewed, cell of the same volume."""
    matrix = np.eye(3)
    for _ in range(4):
        row, other = generator.permutation(3)[:2]
        matrix[row] += generator.choice([-1, 1]) * matrix[other]
    return replace(crystal, cell=matrix @ crystal.cell, fractional=crystal.fractional @ np.linalg.inv(matrix))


def rattled(crystal: Crystal, noise_angstrom: float, generator: np.random.Generator) -> Crystal:
    """Crystal whose atoms are displaced by normal noise."""
    noise = generator.normal(scale=noise_angstrom, size=crystal.fractional.shape)
    return replace(crystal, fractional=crystal.fractional + noise @ np.linalg.inv(crystal.cell))
