"""The shipped tables: counts, order, and equality with the data that they restate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
import spglib
from vesin import NeighborList

from paraisite.datasets.prototypes import PROTOTYPES
from paraisite.datasets.tables import (
    formula_elements,
    load_hh143,
    load_togo15,
    parse_parameters,
    parse_sites,
    read_table,
)
from paraisite.errors import DataError
from paraisite.structures.crystal import Crystal

RADIUS = 8.0
TOLERANCE = 1e-3
ODD = {"mp-22913": 119, "mp-22914": 160, "mp-1007661": 36}
Distances = dict[tuple[int, int], np.ndarray]


def distances(numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray) -> Distances:
    """Sorted distances in Å per ordered pair of species, a little beyond the radius."""
    neighbours = NeighborList(cutoff=RADIUS + 0.05, full_list=True)
    first, second, length = neighbours.compute(points=positions, box=cell, periodic=True, quantities="ijd")
    kinds = np.unique(numbers)
    return {
        (int(a), int(b)): np.sort(length[(numbers[first] == a) & (numbers[second] == b)]) for a in kinds for b in kinds
    }


def worst_deviation(built: Distances, reference: Distances) -> float:
    """Largest difference in Å between the sorted distances up to the radius."""
    assert built.keys() == reference.keys()
    worst = 0.0
    for pair, expected in reference.items():
        count = np.count_nonzero(expected <= RADIUS)
        assert len(built[pair]) >= count
        assert np.count_nonzero(built[pair] <= RADIUS - TOLERANCE) <= count
        if count:
            worst = max(worst, float(np.abs(built[pair][:count] - expected[:count]).max()))
    return worst


@pytest.mark.parametrize(("name", "load"), [("togo15", load_togo15), ("hh143", load_hh143)])
def test_tables_restate_the_data(shared: Path, name: str, load: Callable[[], list[Crystal]]) -> None:
    references = ase.io.read(shared / "data" / f"{name}.extxyz", ":")
    crystals = load()
    assert [c.material_id for c in crystals] == [a.info["material_id"] for a in references]
    for crystal, atoms in zip(crystals, references, strict=True):
        assert Counter(crystal.numbers.tolist()) == Counter(atoms.numbers.tolist())
        assert crystal.properties["kappa"] == pytest.approx(atoms.info["kappa"], rel=1e-5)
        assert crystal.properties["formula"] == atoms.info["formula"]
        assert crystal.properties["spacegroup"] == atoms.info["spacegroup"]
        built = distances(crystal.numbers, crystal.cell, crystal.positions)
        reference = distances(atoms.numbers, atoms.cell.array, atoms.positions)
        assert worst_deviation(built, reference) < TOLERANCE, crystal.material_id


def test_togo15_counts() -> None:
    crystals = load_togo15()
    assert len({c.material_id for c in crystals}) == len(crystals) == 95
    assert Counter(c.properties["prototype"] for c in crystals) == {
        "rocksalt": 36,
        "wurtzite": 27,
        "zincblende": 28,
        "explicit": 4,
    }
    assert crystals[0].source == "togo15.csv#1"


def test_togo15_crystals_that_are_not_what_they_are_named() -> None:
    explicit = {c.material_id: c for c in load_togo15() if c.properties["prototype"] == "explicit"}
    assert explicit.keys() == {*ODD, "mp-1018059"}
    for material_id, spacegroup in ODD.items():
        crystal = explicit[material_id]
        found = spglib.get_symmetry_dataset((crystal.cell, crystal.fractional, crystal.numbers), symprec=1e-3)
        assert found is not None
        assert found.number == crystal.properties["spacegroup"] == spacegroup
        assert crystal.properties["note"]


@pytest.mark.parametrize("load", [load_togo15, load_hh143])
def test_symmetry_of_the_ideal_cells(load: Callable[[], list[Crystal]]) -> None:
    for crystal in load():
        name = crystal.properties["prototype"]
        if name == "explicit":
            continue
        found = spglib.get_symmetry_dataset((crystal.cell, crystal.fractional, crystal.numbers), symprec=1e-4)
        assert found is not None
        assert found.number == PROTOTYPES[name].spacegroup == crystal.properties["spacegroup"]


def test_hh143_counts_and_sites() -> None:
    crystals = load_hh143()
    assert len({c.material_id for c in crystals}) == len(crystals) == 143
    for crystal in crystals:
        assert crystal.fractional.tolist() == [[0.0] * 3, [0.5] * 3, [0.25] * 3]
        assert len(set(crystal.numbers)) == 3


def test_parsers() -> None:
    assert parse_parameters("a=3.19 c=5.19 u=0.377") == {"a": 3.19, "c": 5.19, "u": 0.377}
    assert parse_sites("Cu 0.75 0.5 0.25; Br 0 0 0") == [("Cu", (0.75, 0.5, 0.25)), ("Br", (0.0, 0.0, 0.0))]
    assert formula_elements("BaSb2O6") == ("Ba", "Sb", "O")


def test_damaged_tables_give_one_sentence() -> None:
    with pytest.raises(DataError, match=r"write it as a=3.19"):
        parse_parameters("a=wide")
    with pytest.raises(DataError, match=r"write it as Cu"):
        parse_sites("Cu 0.75 0.5")
    with pytest.raises(DataError, match=r"no table missing.csv"):
        next(read_table("missing.csv"))
