"""Descriptors: hand-checked values, and that they belong to the crystal, not to how it is written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase.data import atomic_masses, atomic_numbers, covalent_radii
from random_crystals import make, permuted, recelled, rocksalt, shifted, supercell, turned

from paraisite.datasets.prototypes import build
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.descriptors import (
    DESCRIPTOR_GRAPHS,
    DESCRIPTORS,
    ELEMENT_PROPERTIES,
    STATISTICS,
    describe_crystals,
    describe_graphs,
)
from paraisite.elements import ELEMENTS, PAULING_ELECTRONEGATIVITY
from paraisite.errors import StructureError
from paraisite.graphs.build import build_store
from paraisite.smooth import fade
from paraisite.structures.crystal import Crystal

TOLERANCE = 1e-5
"""Of distances that are kept in float32; a descriptor is of the order of 1."""
Change = Callable[[Crystal, np.random.Generator], Crystal]


def any_supercell(crystal: Crystal, generator: np.random.Generator) -> Crystal:
    while True:
        matrix = generator.integers(-1, 3, (3, 3))
        if 2 <= round(np.linalg.det(matrix)) <= 3:
            return supercell(crystal, matrix)


def any_order(crystal: Crystal, generator: np.random.Generator) -> Crystal:
    return permuted(crystal, generator.permutation(crystal.n_atoms))


CHANGES: dict[str, Change] = {
    "supercell": any_supercell,
    "rotation": turned,
    "permutation": any_order,
    "translation": shifted,
    "choice of cell": recelled,
}


def described(crystal: Crystal) -> dict[str, float]:
    return dict(zip(DESCRIPTORS, describe_crystals([crystal])[0].tolist(), strict=True))


@pytest.fixture(scope="module")
def crystals() -> list[Crystal]:
    return load_togo15()[::4] + load_hh143()[::12] + load_literature()[::2]


@pytest.mark.parametrize("name", CHANGES)
def test_descriptors_are_invariant(name: str, crystals: list[Crystal]) -> None:
    generator = np.random.default_rng(0)
    changed = [CHANGES[name](crystal, generator) for crystal in crystals]
    np.testing.assert_allclose(describe_crystals(changed), describe_crystals(crystals), rtol=0, atol=TOLERANCE)


def test_a_crystal_is_described_alone_as_among_others(crystals: list[Crystal]) -> None:
    together = describe_crystals(crystals)
    alone = np.concatenate([describe_crystals([crystal]) for crystal in crystals])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-12)


def test_the_quotient_graph_describes_as_the_plain_one(crystals: list[Crystal]) -> None:
    small = [crystal for crystal in crystals if crystal.n_atoms < 40]
    volume = np.array([crystal.volume / crystal.n_atoms for crystal in small])
    atoms = np.array([crystal.n_atoms for crystal in small])
    plain = type(DESCRIPTOR_GRAPHS)(DESCRIPTOR_GRAPHS.cutoff_angstrom, tolerance_angstrom=0)
    by_quotient, by_atom = (
        describe_graphs(build_store(small, settings), volume, atoms) for settings in (DESCRIPTOR_GRAPHS, plain)
    )
    # Distances within 1e-3 Å are one distance in the quotient graph; the spread is a root of such differences' squares.
    np.testing.assert_allclose(by_quotient, by_atom, rtol=0, atol=1e-3)


def test_rock_salt_by_hand() -> None:
    length = 5.64
    table = described(rocksalt(length))
    mass = atomic_masses[[11, 17]]
    radius = covalent_radii[[11, 17]]
    # The 12 ions of the second shell count by distance^-16, and all of them by the fade from 4 to 5 Å: 2.82 Å is before it.
    shells = np.array([length / 2, length / np.sqrt(2)])
    counts = np.array([6, 12]) * shells**-16.0 * np.where(shells < 4, 1, fade(shells, 4.0, 5.0))
    nearest = (counts * shells).sum() / counts.sum()
    ionicity = 1 - np.exp(-((3.16 - 0.93) ** 2) / 4)
    expected = {
        "ln mean mass": np.log(mass.mean()),
        "relative variance of the mass": mass.var() / mass.mean() ** 2,
        "number of elements": 2,
        "ln volume per atom": np.log(length**3 / 8),
        "ln covalent volume over volume": np.log((radius**3).mean() / (length**3 / 8)),
        "ln nearest-neighbour distance": np.log(nearest),
        "ln soft-smallest nearest-neighbour distance": np.log(nearest),
        "ln mean coordination number": np.log(6),
        "ln soft-smallest coordination number": np.log(6),
        "ln soft-largest coordination number": np.log(6),
        "bonds: ln length over covalent radii": np.log(length / 2 / radius.sum()),
        "bonds: soft-smallest ln length over covalent radii": np.log(length / 2 / radius.sum()),
        "bonds: spread of ln length over covalent radii": 0,
        "bonds: electronegativity difference": 3.16 - 0.93,
        "bonds: soft-largest electronegativity difference": 3.16 - 0.93,
        "bonds: ionicity": ionicity,
        "bonds: ln reduced mass": np.log(mass.prod() / mass.sum()),
        "bonds: mass contrast": abs(mass[1] - mass[0]) / mass.sum(),
        "bonds: ln sum of covalent radii": np.log(radius.sum()),
        "bonds: radius contrast": abs(radius[1] - radius[0]) / radius.sum(),
        "mean electronegativity": (3.16 + 0.93) / 2,
        "smallest electronegativity": 0.93,
        "largest electronegativity": 3.16,
        "standard deviation electronegativity": (3.16 - 0.93) / 2,
        "mean ln mass": np.log(mass).mean(),
        "mean valence electrons": 4,
        "largest p electrons": 5,
        "largest d electrons": 0,
        "smallest covalent radius": radius.min(),
        "smallest ln melting point": np.log(171.6),  # K, of chlorine
        "largest ln melting point": np.log(370.87),  # K, of sodium
        "largest electron affinity": 3.61,  # eV, of chlorine
        "ln distinct surroundings": np.log(2),
    }
    for name, value in expected.items():
        # Tables of elements differ in the last digits that they give.
        tolerance = 5e-3 if "melting" in name or "affinity" in name else 1e-6
        assert table[name] == pytest.approx(value, abs=tolerance), name


def test_shares_of_atoms_and_bonds_by_hand() -> None:
    length = 3.905
    table = described(build("perovskite", ["Sr", "Ti", "O"], {"a": length}))
    # Strontium has 12 oxygen, titanium 6, each oxygen 2 titanium atoms.
    assert table["ln soft-smallest coordination number"] == pytest.approx(np.log(2))
    assert table["ln soft-largest coordination number"] == pytest.approx(np.log(12))
    assert table["ln mean coordination number"] == pytest.approx(np.log((12 + 6 + 3 * 2) / 5))
    nearest = np.log([length / np.sqrt(2), *[length / 2] * 4])
    assert table["ln nearest-neighbour distance"] == pytest.approx(nearest.mean(), abs=1e-6)
    assert table["ln soft-smallest nearest-neighbour distance"] == pytest.approx(nearest.min(), abs=1e-6)
    strontium, titanium = 3.44 - 0.95, 3.44 - 1.54
    assert table["bonds: electronegativity difference"] == pytest.approx((strontium + 4 * titanium) / 5, abs=1e-6)
    assert table["bonds: soft-largest electronegativity difference"] == pytest.approx(strontium, abs=1e-6)
    radius = covalent_radii[[38, 22, 8]]
    relative = np.array([nearest[0] - np.log(radius[0] + radius[2]), *nearest[1:] - np.log(radius[1] + radius[2])])
    assert table["bonds: ln length over covalent radii"] == pytest.approx(relative.mean(), abs=1e-6)
    assert table["bonds: soft-smallest ln length over covalent radii"] == pytest.approx(relative.min(), abs=1e-6)
    assert table["bonds: spread of ln length over covalent radii"] == pytest.approx(relative.std(), abs=1e-6)
    assert table["mean electronegativity"] == pytest.approx((0.95 + 1.54 + 3 * 3.44) / 5, abs=1e-6)
    mass = atomic_masses[[38, 22, 8, 8, 8]]
    assert table["relative variance of the mass"] == pytest.approx(mass.var() / mass.mean() ** 2, abs=1e-6)
    assert table["standard deviation ln mass"] == pytest.approx(np.log(mass).std(), abs=1e-6)
    assert table["number of elements"] == 3


@pytest.mark.parametrize(
    ("crystal", "coordination", "n_elements"),
    [
        (build("diamond", ["C"], {"a": 3.567}), 4, 1),
        (build("zincblende", ["Ga", "As"], {"a": 5.653}), 4, 2),
        (build("fcc", ["Cu"], {"a": 3.61}), 12, 1),
        (build("bcc", ["W"], {"a": 3.165}), 14, 1),  # the second shell, 15 % further, counts
        (build("cesium_chloride", ["Cs", "Cl"], {"a": 4.12}), 14, 2),
        (build("fcc", ["Xe"], {"a": 6.13}), 12, 1),  # 4.33 Å: beyond a network's cutoff
        (make([11, 17], 100 * np.eye(3), [[0, 0, 0], [0.0236, 0, 0]]), 1, 2),  # a molecule
    ],
    ids=["diamond", "zinc blende", "fcc", "bcc", "CsCl", "xenon", "molecule"],
)
def test_coordination_numbers(crystal: Crystal, coordination: int, n_elements: int) -> None:
    table = described(crystal)
    for name in ("mean", "smallest", "largest"):
        assert table[f"ln {name} coordination number"] == pytest.approx(np.log(coordination))
    assert table["number of elements"] == n_elements


def test_primitive_atoms_of_a_supercell() -> None:
    large = described(supercell(rocksalt(), np.diag([2, 1, 3])))
    assert large["ln distinct surroundings"] == pytest.approx(np.log(2))


def test_an_atom_without_bonds_is_described() -> None:
    lone = make([14, 14, 2], 14 * np.eye(3), [[0, 0, 0], [0.16, 0, 0], [0.6, 0.5, 0.5]])
    (row,) = describe_crystals([lone])
    assert np.isfinite(row).all()
    table = dict(zip(DESCRIPTORS, row, strict=True))
    assert table["ln soft-smallest coordination number"] == 0
    assert table["bonds: electronegativity difference"] == 0
    nearest = np.log([2.24, 2.24, DESCRIPTOR_GRAPHS.cutoff_angstrom])
    assert table["ln nearest-neighbour distance"] == pytest.approx(nearest.mean(), abs=1e-6)


def test_a_crystal_without_any_bond_is_one_clear_error() -> None:
    with pytest.raises(StructureError, match="5 Å"):
        describe_crystals([make([18], 9 * np.eye(3), [[0, 0, 0]])])


def test_no_crystal_gives_no_row() -> None:
    assert describe_crystals([]).shape == (0, len(DESCRIPTORS))


def test_names_are_distinct_and_told_as_they_lie() -> None:
    assert len(set(DESCRIPTORS)) == len(DESCRIPTORS) == 20 + len(ELEMENT_PROPERTIES) * len(STATISTICS) + 1


def test_every_element_is_described_with_finite_numbers() -> None:
    # Its own simple cubic crystal: all bonds and all statistics are the element's.
    rows = describe_crystals([
        make([atomic_numbers[symbol]], 3.0 * np.eye(3), [[0, 0, 0]]) for symbol in ELEMENTS
    ])  # fmt: skip
    assert np.isfinite(rows).all()
    names = list(DESCRIPTORS)
    for name in ELEMENT_PROPERTIES:
        mean, smallest, largest, spread = (rows[:, names.index(f"{statistic} {name}")] for statistic in STATISTICS)
        np.testing.assert_array_equal(smallest, largest)
        np.testing.assert_allclose(mean, smallest, rtol=1e-12)
        np.testing.assert_allclose(spread, 0, atol=1e-9)
        assert len(np.unique(np.round(smallest, 6))) > 5, name
    electronegativity = rows[:, names.index("mean electronegativity")]
    for symbol, value in zip(ELEMENTS, electronegativity, strict=True):
        if PAULING_ELECTRONEGATIVITY[symbol] < 9.0:
            assert value == pytest.approx(PAULING_ELECTRONEGATIVITY[symbol])
