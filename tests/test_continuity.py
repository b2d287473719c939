"""κ of the default model is continuous in the positions: noise, rounding, supercells and small displacements."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from paraisite import Predictor
from paraisite.structures.crystal import Crystal
from paraisite.structures.readers import iter_crystals

NACL = Crystal(
    np.array([11, 17]),
    5.64 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]),
    np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]),
)
MOVED = (
    ("aflow_agl", "Pd1Se2Tl2_ICSD_79601"), ("aflow_agl", "Er1Ge1Sn1_ICSD_261755"), ("aflow_agl", "Al1Lu3N1_ICSD_608380"),
    ("mp_scan", "mp-29839"), ("mp_scan", "mp-7476"), ("mp_scan", "mp-3828"), ("mp_scan", "mp-3739"),
)  # fmt: skip
"""Crystals whose κ had a step under a displacement of less than 0.02 Å where bonds were counted."""


def repeated(crystal: Crystal, size: int) -> Crystal:
    copies = np.array(list(product(range(size), repeat=3)))
    fractional = (crystal.fractional[None] + copies[:, None]).reshape(-1, 3) / size
    return Crystal(np.tile(crystal.numbers, len(copies)), crystal.cell * size, fractional)


def displaced(crystal: Crystal, displacement: np.ndarray) -> Crystal:
    return Crystal(crystal.numbers, crystal.cell, crystal.fractional + displacement @ np.linalg.inv(crystal.cell))


def rattled(crystal: Crystal, noise_angstrom: float, generator: np.random.Generator) -> Crystal:
    return displaced(crystal, generator.normal(size=(crystal.n_atoms, 3)) * noise_angstrom)


def rounded(crystal: Crystal, digits: int) -> Crystal:
    return Crystal(crystal.numbers, crystal.cell, np.round(crystal.fractional + 0.0123, digits))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


def log10_kappa(predictor: Predictor, crystals: list[Crystal]) -> np.ndarray:
    return np.log10(predictor.predict(crystals)["kappa"].to_numpy(float))


@pytest.mark.parametrize(
    ("case", "tolerance"),
    [
        (repeated(NACL, 2), 1e-6),
        (repeated(NACL, 10), 1e-6),
        (repeated(NACL, 11), 1e-6),  # 2 662 atoms, more than are compared with each other
        (rattled(repeated(NACL, 2), 0.003, np.random.default_rng(1)), 0.001),
        (rattled(repeated(NACL, 4), 0.003, np.random.default_rng(2)), 0.001),
        (rattled(repeated(NACL, 12), 0.003, np.random.default_rng(3)), 0.001),
        (rounded(repeated(NACL, 3), 4), 0.001),
        (rounded(repeated(NACL, 6), 4), 0.001),
        (rounded(repeated(NACL, 3), 3), 0.01),
        (rounded(repeated(NACL, 6), 3), 0.01),
    ],
)
def test_rock_salt_however_it_is_written(predictor: Predictor, case: Crystal, tolerance: float) -> None:
    ideal, found = log10_kappa(predictor, [NACL, case])
    assert found == pytest.approx(ideal, abs=tolerance)


def test_no_step_under_displacements(predictor: Predictor, shared: Path) -> None:
    by_set: dict[str, dict[str, Crystal]] = {}
    for name, identifier in MOVED:
        if name not in by_set:
            found = iter_crystals([shared / "data" / f"{name}.extxyz.gz"])
            by_set[name] = {item.material_id: item for item in found if isinstance(item, Crystal)}
        crystal = by_set[name][identifier]
        generator = np.random.default_rng(0)
        for _ in range(4):
            direction = generator.uniform(-1, 1, (crystal.n_atoms, 3))
            way = [displaced(crystal, scale * direction) for scale in np.linspace(0, 0.02, 81)]
            # 0.00025 Å a step along the largest component; a counted bond moved κ by 1 % and more at once.
            assert np.abs(np.diff(log10_kappa(predictor, way))).max() < 5e-4, identifier


@pytest.mark.parametrize(("noise_angstrom", "largest"), [(0.001, 0.01), (0.003, 0.02), (0.01, 0.04), (0.03, 0.1)])
def test_rattled_supercells_of_real_crystals(
    predictor: Predictor, shared: Path, noise_angstrom: float, largest: float
) -> None:
    found = iter_crystals([shared / "data" / "mp_scan.extxyz.gz"])
    crystals = [item for item in found if isinstance(item, Crystal) and item.n_atoms <= 12][::40]
    generator = np.random.default_rng(5)
    moved = [rattled(repeated(crystal, 2), noise_angstrom, generator) for crystal in crystals]
    change = np.abs(log10_kappa(predictor, moved) - log10_kappa(predictor, crystals))
    assert len(change) > 20
    assert change.max() <= largest
