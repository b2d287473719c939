"""Descriptors: hand-checked values, and that they belong to the crystal, not to how it is written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase.data import atomic_masses, atomic_numbers, covalent_radii
from random_crystals import make, permuted, recelled, rocksalt, shifted, supercell, turned

from paraisite.datasets.prototypes import build
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.elements import ELEMENTS, PAULING_ELECTRONEGATIVITY
from paraisite.errors import StructureError
from paraisite.features.descriptors import (
    DESCRIPTOR_GRAPHS,
    DESCRIPTORS,
    ELEMENT_PROPERTIES,
    STATISTICS,
    describe_crystals,
    describe_graphs,
)
from paraisite.features.smooth import fade
from paraisite.graphs.build import build_store
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


def by_hand(shells: list[tuple[int, float]]) -> tuple[float, float]:
    """Soft nearest distance in Å and soft coordination number of an atom with shells of so many neighbours so far away."""
    count, distance = np.array(shells).T
    near = count * fade(distance, 4.0, 5.0) * distance**-16
    nearest = float((near * distance).sum() / near.sum())
    weights = count * fade(distance / nearest, 1.05, 1.4) * fade(distance, 4.0, 5.0)
    return nearest, float(weights.sum())


def test_fading_is_smooth_and_ends() -> None:
    values = np.linspace(0.9, 1.5, 60_001)
    weight = fade(values, 1.05, 1.4)
    assert (weight[values <= 1.05] == 1).all()
    assert (weight[values >= 1.4] == 0).all()
    assert fade(np.array(1.225), 1.05, 1.4) == pytest.approx(0.5)
    # A second derivative of at most 10/√3 over the width squared, and no jump of it: 60 over the width cubed at most.
    assert np.abs(np.diff(weight, n=2)).max() == pytest.approx(1e-10 * 10 / np.sqrt(3) / 0.35**2, rel=1e-3)


def test_rock_salt_by_hand() -> None:
    length = 5.64
    table = described(rocksalt(length))
    mass = atomic_masses[[11, 17]]
    radius = covalent_radii[[11, 17]]
    nearest, coordination = by_hand([(6, length / 2), (12, length / np.sqrt(2)), (8, length * np.sqrt(3) / 2)])
    assert coordination == 6
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
    near, diagonal, far = length / 2, length / np.sqrt(2), length * np.sqrt(3) / 2
    strontium = by_hand([(12, diagonal), (8, far), (6, length), (24, length * np.sqrt(1.5))])
    titanium = by_hand([(6, near), (8, far), (6, length), (24, length * np.sqrt(1.25))])
    oxygen = by_hand([(2, near), (12, diagonal), (6, length), (8, length * np.sqrt(1.25)), (24, length * np.sqrt(1.5))])
    nearest, coordination = np.array([strontium, titanium, oxygen, oxygen, oxygen]).T
    # Titanium lies 1.22 times as far from strontium as the 12 oxygen atoms: half a bond each.
    assert coordination == pytest.approx([12 + 8 * 0.5, 6, 2, 2, 2], abs=0.5)

    def soft(values: np.ndarray, sharpness: float) -> float:
        return float(np.log(np.exp(sharpness * values).mean()) / sharpness)

    assert table["ln soft-smallest coordination number"] == pytest.approx(soft(np.log(coordination), -4))
    assert table["ln soft-largest coordination number"] == pytest.approx(soft(np.log(coordination), 4))
    assert table["ln mean coordination number"] == pytest.approx(np.log(coordination.mean()))
    assert table["ln nearest-neighbour distance"] == pytest.approx(np.log(nearest).mean(), abs=1e-6)
    assert table["ln soft-smallest nearest-neighbour distance"] == pytest.approx(soft(np.log(nearest), -8), abs=1e-6)
    # Bonds of strontium: 12 to oxygen, the rest to titanium; of the others, to each other.
    shares = np.array([12, coordination[0] - 12]) / coordination[0] / 5
    difference = np.array([3.44 - 0.95, 1.54 - 0.95, 3.44 - 1.54])
    weights = np.array([*shares, 4 / 5])
    assert table["bonds: electronegativity difference"] == pytest.approx(weights @ difference, abs=1e-6)
    largest = np.log(weights @ np.exp(3 * difference)) / 3
    assert table["bonds: soft-largest electronegativity difference"] == pytest.approx(largest, abs=1e-6)
    strontium_radius, titanium_radius, oxygen_radius = covalent_radii[[38, 22, 8]]
    sums = np.array(
        [strontium_radius + oxygen_radius, strontium_radius + titanium_radius, titanium_radius + oxygen_radius]
    )
    relative = np.log(np.array([diagonal, far, near]) / sums)
    mean = weights @ relative
    assert table["bonds: ln length over covalent radii"] == pytest.approx(mean, abs=1e-6)
    smallest = mean - np.log(weights @ np.exp(-8 * (relative - mean))) / 8
    assert table["bonds: soft-smallest ln length over covalent radii"] == pytest.approx(smallest, abs=1e-6)
    spread = np.sqrt(weights @ (relative - mean) ** 2 + 0.05**2) - 0.05
    assert table["bonds: spread of ln length over covalent radii"] == pytest.approx(spread, abs=1e-6)
    assert table["mean electronegativity"] == pytest.approx((0.95 + 1.54 + 3 * 3.44) / 5, abs=1e-6)
    mass = atomic_masses[[38, 22, 8, 8, 8]]
    assert table["relative variance of the mass"] == pytest.approx(mass.var() / mass.mean() ** 2, abs=1e-6)
    assert table["standard deviation ln mass"] == pytest.approx(np.log(mass).std(), abs=1e-6)
    assert table["number of elements"] == 3


@pytest.mark.parametrize(
    ("crystal", "shells", "n_elements"),
    [
        (build("diamond", ["C"], {"a": 3.567}), [(4, 1.5446)], 1),
        (build("zincblende", ["Ga", "As"], {"a": 5.653}), [(4, 2.4478)], 2),
        (build("fcc", ["Cu"], {"a": 3.61}), [(12, 2.5527), (6, 3.61), (24, 4.4213)], 1),
        (
            build("bcc", ["W"], {"a": 3.165}),
            [(8, 2.7410), (6, 3.165), (12, 4.4760)],
            1,
        ),  # the second shell, 15 % further
        (build("cesium_chloride", ["Cs", "Cl"], {"a": 4.12}), [(8, 3.5680), (6, 4.12)], 2),
        (build("fcc", ["Xe"], {"a": 6.13}), [(12, 4.3346)], 1),  # beyond a network's cutoff, and a third faded out
        (make([11, 17], 100 * np.eye(3), [[0, 0, 0], [0.0236, 0, 0]]), [(1, 2.36)], 2),  # a molecule
    ],
    ids=["diamond", "zinc blende", "fcc", "bcc", "CsCl", "xenon", "molecule"],
)
def test_coordination_numbers(crystal: Crystal, shells: list[tuple[int, float]], n_elements: int) -> None:
    table = described(crystal)
    _, coordination = by_hand(shells)
    for name in ("mean", "soft-smallest", "soft-largest"):
        # Lengths of the shells are given to 1e-4 Å.
        assert table[f"ln {name} coordination number"] == pytest.approx(np.log(coordination), abs=1e-3)
    assert table["number of elements"] == n_elements


def test_distinct_surroundings_of_a_supercell() -> None:
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
