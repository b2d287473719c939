"""Structure types: symmetry, coordination, composition, and refusals."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.neighborlist import neighbor_list

from paraisite.datasets.prototypes import PROTOTYPES, build, build_explicit, build_from_space_group
from paraisite.errors import DataError
from paraisite.structures.crystal import Crystal

Case = tuple[str, tuple[str, ...], dict[str, float], int, int, float]

CASES: list[Case] = [  # name, species, parameters, coordination of the first atom, atoms in the cell, shortest distance
    ("fcc", ("Cu",), {"a": 3.61}, 12, 1, 2.5527),
    ("bcc", ("W",), {"a": 3.16}, 8, 1, 2.7366),
    ("diamond", ("Si",), {"a": 5.43}, 4, 2, 2.3513),
    ("rocksalt", ("Na", "Cl"), {"a": 5.64}, 6, 2, 2.82),
    ("cesium_chloride", ("Cs", "Cl"), {"a": 4.123}, 8, 2, 3.5706),
    ("zincblende", ("Zn", "S"), {"a": 5.41}, 4, 2, 2.3426),
    ("wurtzite", ("Zn", "O"), {"a": 3.25, "c": 3.25 * np.sqrt(8 / 3), "u": 0.375}, 4, 4, 1.9902),
    ("half_heusler", ("Sn", "Ti", "Ni"), {"a": 5.9}, 4, 3, 2.5548),
    ("fluorite", ("Ca", "F"), {"a": 5.463}, 8, 3, 2.3656),
    ("antifluorite", ("Mg", "Si"), {"a": 6.338}, 4, 3, 2.7444),
    ("perovskite", ("Sr", "Ti", "O"), {"a": 3.905}, 12, 5, 1.9525),
    ("rutile", ("Ti", "O"), {"a": 4.594, "c": 2.959, "x": 0.3053}, 6, 6, 1.9466),
    ("corundum", ("Al", "O"), {"a": 4.759, "c": 12.993, "x": 0.3063, "z": 0.3522}, 6, 10, 1.8545),
    ("tetradymite", ("Bi", "Te"), {"a": 4.386, "c": 30.497, "z1": 0.4, "z2": 0.2095}, 6, 5, 3.0741),
    ("skutterudite", ("Co", "Sb"), {"a": 9.0385, "y": 0.33537, "z": 0.15788}, 6, 16, 2.5288),
    ("rosiaite", ("Ba", "Sb", "O"), {"a": 5.328, "c": 5.816, "x": 0.386, "z": 0.307}, 6, 9, 1.9986),
]
CUBE = {"a": 4.0, "b": 4.0, "c": 4.0, "alpha": 90.0, "beta": 90.0, "gamma": 90.0}


def atoms(crystal: Crystal) -> Atoms:
    """The crystal for ASE."""
    return Atoms(numbers=crystal.numbers, cell=crystal.cell, positions=crystal.positions, pbc=True)


def test_every_prototype_is_covered() -> None:
    assert {case[0] for case in CASES} == set(PROTOTYPES)


@pytest.mark.parametrize(("name", "species", "parameters", "coordination", "n_atoms", "shortest"), CASES)
def test_symmetry_and_coordination(
    name: str, species: tuple[str, ...], parameters: dict[str, float], coordination: int, n_atoms: int, shortest: float
) -> None:
    crystal = build(name, species, parameters)
    spacegroup = spglib.get_symmetry_dataset((crystal.cell, crystal.fractional, crystal.numbers), symprec=1e-5)
    assert spacegroup is not None
    assert spacegroup.number == PROTOTYPES[name].spacegroup
    primitive = spglib.find_primitive((crystal.cell, crystal.fractional, crystal.numbers), symprec=1e-5)
    assert len(primitive[2]) == crystal.n_atoms == n_atoms
    assert ((crystal.fractional >= 0) & (crystal.fractional < 1)).all()
    first, second, distance = neighbor_list("ijd", atoms(crystal), 4.0)
    assert distance.min() == pytest.approx(shortest, abs=2e-3)
    other = (first == 0) & (crystal.numbers[second] != crystal.numbers[0] if len(species) > 1 else True)
    nearest = distance[other].min()
    assert np.count_nonzero(distance[other] < nearest * 1.08) == coordination


@pytest.mark.parametrize(
    ("name", "species", "expected"),
    [
        ("antifluorite", ("Mg", "Si"), {12: 2, 14: 1}),
        ("fluorite", ("Ca", "F"), {20: 1, 9: 2}),
        ("perovskite", ("Sr", "Ti", "O"), {38: 1, 22: 1, 8: 3}),
    ],
)
def test_species_take_the_sites_in_order(name: str, species: tuple[str, ...], expected: dict[int, int]) -> None:
    assert Counter(build(name, species, {"a": 5.0}).numbers.tolist()) == expected


def test_explicit_cell_keeps_lengths_and_angles() -> None:
    lattice = {"a": 4.0, "b": 5.0, "c": 6.0, "alpha": 80.0, "beta": 95.0, "gamma": 110.0}
    crystal = build_explicit(lattice, [("Cu", (0.1, 0.2, 0.3)), ("Cl", (0.6, 0.7, 0.8))], material_id="x")
    assert atoms(crystal).cell.cellpar() == pytest.approx(list(lattice.values()))
    assert crystal.fractional.tolist() == [[0.1, 0.2, 0.3], [0.6, 0.7, 0.8]]
    assert (crystal.formula, crystal.material_id) == ("CuCl", "x")


HEXAGONAL = {"alpha": 90.0, "beta": 90.0, "gamma": 120.0}
SPACE_GROUP_CASES: list[tuple[str, tuple[str, ...], dict[str, float], dict[str, float], list[Any]]] = [
    # Origin choice 2, a rhombohedral lattice in hexagonal axes, thirds that are rounded, a primitive lattice.
    ("diamond", ("Si",), {"a": 4.0}, CUBE, [("Si", (0.125, 0.125, 0.125))]),
    ("fluorite", ("Ca", "F"), {"a": 4.0}, CUBE, [("Ca", (0, 0, 0)), ("F", (0.25, 0.25, 0.75))]),
    (
        "skutterudite",
        ("Co", "Sb"),
        {"a": 4.0, "y": 0.335, "z": 0.158},
        CUBE,
        [("Co", (0.25, 0.25, 0.25)), ("Sb", (0, 0.335, 0.158))],
    ),
    (
        "corundum",
        ("Al", "O"),
        {"a": 4.759, "c": 12.993, "x": 0.3063, "z": 0.3522},
        {"a": 4.759, "b": 4.759, "c": 12.993, **HEXAGONAL},
        [("Al", (0, 0, 0.3522)), ("O", (0.3063, 0, 0.25))],
    ),
    (
        "wurtzite",
        ("Zn", "O"),
        {"a": 3.25, "c": 5.2, "u": 0.38},
        {"a": 3.25, "b": 3.25, "c": 5.2, **HEXAGONAL},
        [("Zn", (0.3333, 0.6667, 0)), ("O", (0.333, 0.667, 0.38))],
    ),
]


@pytest.mark.parametrize(("name", "species", "parameters", "lattice", "sites"), SPACE_GROUP_CASES)
def test_space_group_gives_the_same_crystal_as_the_structure_type(
    name: str, species: tuple[str, ...], parameters: dict[str, float], lattice: dict[str, float], sites: list[Any]
) -> None:
    expected = build(name, species, parameters)
    built = build_from_space_group(PROTOTYPES[name].spacegroup, lattice, sites)
    assert built.numbers.tolist() == expected.numbers.tolist()
    assert ((built.fractional >= 0) & (built.fractional < 1)).all()
    for first, second in itertools.combinations_with_replacement(species, 2):
        lengths = [np.sort(neighbor_list("d", atoms(c), {(first, second): 5.87})) for c in (expected, built)]
        np.testing.assert_allclose(lengths[1], lengths[0], atol=1e-6)


@pytest.mark.parametrize(("spacegroup", "n_atoms"), [(1, 1), (5, 2), (38, 4), (65, 8), (74, 8), (146, 3), (227, 48)])
def test_a_general_site_has_one_image_per_operation_in_the_primitive_cell(spacegroup: int, n_atoms: int) -> None:
    lattice = {"a": 7.0, "b": 7.0, "c": 7.0, **(HEXAGONAL if spacegroup == 146 else dict.fromkeys(HEXAGONAL, 90.0))}
    crystal = build_from_space_group(spacegroup, lattice, [("Si", (0.07, 0.13, 0.22))])
    assert crystal.n_atoms == n_atoms
    primitive = spglib.find_primitive((crystal.cell, crystal.fractional, crystal.numbers), symprec=1e-5)
    assert len(primitive[2]) == n_atoms


def test_unknown_space_groups_give_one_sentence() -> None:
    for number in (0, 231):
        with pytest.raises(DataError, match=f"no space group {number}; give a number from 1 to 230"):
            build_from_space_group(number, CUBE, [("Cu", (0, 0, 0))])


@pytest.mark.parametrize(
    ("name", "species", "parameters", "sentence"),
    [
        ("spinel", ("Mg", "O"), {"a": 8.0}, "'spinel' is not known"),
        ("rocksalt", ("Na", "Cl"), {}, "takes the parameters a, not none"),
        ("rocksalt", ("Na", "Cl"), {"a": 5.6, "c": 5.6}, "takes the parameters a, not a, c"),
        ("wurtzite", ("Zn", "O"), {"a": 3.2, "c": 5.2}, "takes the parameters a, c, u"),
        ("rocksalt", ("Na", "Cl"), {"a": -5.6}, "positive length"),
        ("rocksalt", ("Na", "Cl"), {"a": float("nan")}, "finite number"),
        ("wurtzite", ("Zn", "O"), {"a": 3.2, "c": 5.2, "u": float("inf")}, "finite number"),
        ("rocksalt", ("Na",), {"a": 5.6}, "takes 2 species, not 1"),
        ("rocksalt", ("Na", "Xx"), {"a": 5.6}, "'Xx' is no element"),
        ("rocksalt", ("Na", "X"), {"a": 5.6}, "'X' is no element"),
    ],
)
def test_bad_parameters_give_one_sentence(
    name: str, species: tuple[str, ...], parameters: dict[str, float], sentence: str
) -> None:
    with pytest.raises(DataError) as error:
        build(name, species, parameters)
    assert sentence in str(error.value)
    assert error.value.code == "invalid_data"


@pytest.mark.parametrize(
    ("change", "sites", "sentence"),
    [
        ({"alpha": 200.0}, [("Cu", (0, 0, 0))], "span no cell"),
        ({"alpha": 30.0, "beta": 30.0, "gamma": 90.0}, [("Cu", (0, 0, 0))], "span no cell"),
        ({"b": 0.0}, [("Cu", (0, 0, 0))], "positive length"),
        ({}, [], "at least one site"),
        ({}, [("Cu", (0, 0, float("nan")))], "three finite fractional coordinates"),
        ({}, [("Q", (0, 0, 0))], "'Q' is no element"),
    ],
)
def test_bad_explicit_cells_give_one_sentence(change: dict[str, float], sites: list[Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        build_explicit({**CUBE, **change}, sites)
