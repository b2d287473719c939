"""Features: they belong to the crystal, not to the cell that describes it."""

from __future__ import annotations

import numpy as np
import pytest
from matminer.featurizers.composition import ElementProperty
from scipy.spatial.transform import Rotation

from paraisite.comparison.candidates.aflow_stage import aflow_stage_features
from paraisite.datasets.examples import load_examples
from paraisite.datasets.prototypes import build
from paraisite.datasets.tables import load_togo15
from paraisite.errors import DataError
from paraisite.features.magpie import magpie_features, structure_and_magpie_features
from paraisite.features.structure import STRUCTURE_FEATURES, structure_features
from paraisite.structures.crystal import Crystal

CRYSTALS = [*load_examples(), *load_togo15()[::8]]
COLUMN = {feature.name: index for index, feature in enumerate(STRUCTURE_FEATURES)}


def changed(crystal: Crystal, cell: np.ndarray, fractional: np.ndarray, copies: int = 1) -> Crystal:
    return Crystal(np.tile(crystal.numbers, copies), cell, fractional)


def supercell(crystal: Crystal, n: tuple[int, int, int]) -> Crystal:
    """The crystal in a cell of n[0] n[1] n[2] copies."""
    shifts = np.stack(np.meshgrid(*(np.arange(k) for k in n), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    fractional = ((crystal.fractional + shifts) / n).reshape(-1, 3)
    return changed(crystal, crystal.cell * np.array(n)[:, None], fractional, len(shifts))


def rocksalt(first: str, second: str, length: float) -> Crystal:
    return build("rocksalt", (first, second), {"a": length}, material_id="", source="", properties={})


def test_features_of_sodium_chloride() -> None:
    row = structure_features([rocksalt("Na", "Cl", 5.64)])[0]
    expected = {
        "mean atomic mass": (22.98977 + 35.45) / 2,
        "largest over smallest atomic mass": 35.45 / 22.98977,
        "volume per atom": 5.64**3 / 8,
        "density": 2.163,
        "atoms in the primitive cell": 2,
        "number of elements": 2,
        "mean nearest-neighbour distance": 2.82,
        "mean coordination number": 6,
        "mean bond length over the sum of covalent radii": 2.82 / (1.66 + 1.02),
        "largest difference of electronegativity": 3.16 - 0.93,
        "order of the point group": 48,
    }
    for name, value in expected.items():
        assert row[COLUMN[name]] == pytest.approx(value, rel=2e-3), name


@pytest.mark.parametrize("repeats", [(2, 1, 1), (1, 2, 3), (2, 2, 2)])
def test_a_supercell_has_the_same_features(repeats: tuple[int, int, int]) -> None:
    larger = [supercell(crystal, repeats) for crystal in CRYSTALS]
    np.testing.assert_allclose(
        structure_and_magpie_features(larger), structure_and_magpie_features(CRYSTALS), rtol=1e-9, atol=1e-9
    )


def test_a_turned_and_shifted_crystal_has_the_same_features() -> None:
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    shift = np.array([0.13, 0.71, 0.37])
    turned = [changed(crystal, crystal.cell @ turn.T, crystal.fractional + shift) for crystal in CRYSTALS]
    # Sheared: another cell of the same lattice.
    shear = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])
    sheared = [
        changed(crystal, shear @ crystal.cell, crystal.fractional @ np.linalg.inv(shear)) for crystal in CRYSTALS
    ]
    expected = structure_features(CRYSTALS)
    np.testing.assert_allclose(structure_features(turned), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(structure_features(sheared), expected, rtol=1e-9, atol=1e-9)


def test_features_tell_crystals_apart() -> None:
    rows = np.unique(structure_features(CRYSTALS).round(6), axis=0)
    assert len(rows) == len(CRYSTALS)
    assert (structure_features(load_togo15()).std(axis=0) > 0).sum() == len(STRUCTURE_FEATURES) - 1  # all are binary


def test_odd_crystals_have_finite_features() -> None:
    lone = Crystal(np.array([54]), np.diag([30.0, 30.0, 30.0]), np.zeros((1, 3)))
    xenon = Crystal(np.array([54]), 6.2 / 2 * (1 - np.eye(3)), np.zeros((1, 3)))
    hydrogen = Crystal(np.array([1, 1]), np.diag([6.0, 7.0, 15.0]), np.array([[0, 0, 0], [0, 0, 0.05]]))
    mixed = Crystal(
        np.array([1, 1, 10]), np.diag([9.0, 9.0, 9.0]), np.array([[0, 0, 0], [0, 0, 0.08], [0.5, 0.5, 0.5]])
    )
    actinide = rocksalt("Pu", "O", 4.96)
    heavy = rocksalt("Ac", "Ne", 5.5)
    crystals = [lone, xenon, hydrogen, mixed, actinide, heavy]
    features = structure_and_magpie_features(crystals)
    assert np.isfinite(features).all()
    nearest = COLUMN["mean nearest-neighbour distance"]
    assert features[0, nearest] == 20  # as far as is searched
    np.testing.assert_allclose(
        features[1:4, nearest], [6.2 / 2**0.5, 0.75, (2 * 0.72 + ((4.5**2 * 2 + 3.78**2) ** 0.5)) / 3]
    )


def test_magpie_depends_on_the_reduced_composition_alone() -> None:
    zinc_blende = build("zincblende", ("Ga", "As"), {"a": 5.65}, material_id="", source="", properties={})
    rows = magpie_features([zinc_blende, rocksalt("Ga", "As", 5.2), supercell(zinc_blende, (3, 1, 1))])
    assert (rows == rows[0]).all()
    names = [label.removeprefix("MagpieData ") for label in ElementProperty.from_preset("magpie").feature_labels()]
    assert len(names) == rows.shape[1] == 132
    assert rows[0, names.index("mean Number")] == 32
    assert rows[0, names.index("range Electronegativity")] == pytest.approx(0.37)


def test_a_crystal_that_the_network_cannot_predict_is_named() -> None:
    far = Crystal(np.array([3]), np.diag([9.0, 9.0, 9.0]), np.zeros((1, 3)), material_id="too-far")
    with pytest.raises(DataError, match=r"FEAF cannot predict too-far: .*within 4"):
        aflow_stage_features([CRYSTALS[0], far])
    assert np.isfinite(aflow_stage_features(CRYSTALS)).all()
