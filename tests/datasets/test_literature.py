"""The table of literature values: that every crystal is what it says, and none is of the other two sets."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.data import covalent_radii
from vesin import NeighborList

from paraisite.datasets.catalogue import load_data_set, prototypes_of
from paraisite.datasets.prototypes import PROTOTYPES
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.graphs.build import build_graphs
from paraisite.structures.crystal import Crystal, reduced_formula

CRYSTALS = load_literature()
PINNED_LIST = "https://github.com/xia0WT/thermal_conductivity_summary/blob/df5a038212990292b22c9661f83f8f81859af724/"


@pytest.mark.parametrize("crystal", CRYSTALS, ids=lambda crystal: crystal.material_id)
def test_symmetry_and_composition(crystal: Crystal) -> None:
    cell = (crystal.cell, crystal.fractional, crystal.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-4)
    assert found is not None
    assert found.number == crystal.properties["spacegroup"]
    assert len(spglib.find_primitive(cell, symprec=1e-4)[2]) == crystal.n_atoms
    assert crystal.formula == reduced_formula(Atoms(crystal.properties["formula"]).numbers)


@pytest.mark.parametrize("crystal", CRYSTALS, ids=lambda crystal: crystal.material_id)
def test_distances_are_those_of_bonds(crystal: Crystal) -> None:
    neighbours = NeighborList(cutoff=4.5, full_list=True)
    first, second, length = neighbours.compute(
        points=crystal.positions, box=crystal.cell, periodic=True, quantities="ijd"
    )
    radii = covalent_radii[crystal.numbers]
    relative = length / (radii[first] + radii[second])
    assert relative.min() > 0.75
    nearest = np.full(crystal.n_atoms, np.inf)
    np.minimum.at(nearest, first, relative)
    assert nearest.max() < 1.35, "every atom has a bond"


def test_none_is_in_the_other_sets() -> None:
    others = {(crystal.formula, crystal.properties["spacegroup"]) for crystal in load_togo15() + load_hh143()}
    assert not others & {(crystal.formula, crystal.properties["spacegroup"]) for crystal in CRYSTALS}
    own = [(crystal.formula, crystal.properties["spacegroup"], crystal.properties["prototype"]) for crystal in CRYSTALS]
    assert len(set(own)) == len(own)


def test_every_crystal_has_a_graph() -> None:
    built = build_graphs(CRYSTALS)
    assert not built.failures
    assert built.kept.tolist() == list(range(107))


def test_what_the_crystals_carry() -> None:
    assert len({crystal.material_id for crystal in CRYSTALS}) == 107
    assert Counter(crystal.properties["method"] for crystal in CRYSTALS) == {"experiment": 94, "boltzmann": 13}
    assert Counter(crystal.properties["traced"] for crystal in CRYSTALS) == {"compilation": 86, "primary": 21}
    for crystal in CRYSTALS:
        properties = crystal.properties
        assert crystal.material_id == f"lit-{properties['formula']}-{properties['prototype']}"
        assert properties["kappa_source"].startswith(PINNED_LIST) == (properties["traced"] == "compilation")
        assert properties["kappa_source"].startswith(("http", "doi ")) or properties["traced"] == "primary"
        assert 273 <= properties.get("temperature", 300) <= 343
        assert ("temperature" in properties) or (properties["traced"] == "compilation")


def test_structure_types_are_one_space_group_each() -> None:
    data = load_data_set("literature")
    pairs = sorted(
        {(name, c.properties["spacegroup"]) for name, c in zip(prototypes_of(data), data.crystals, strict=True)}
    )
    assert len(pairs) == 41
    assert all(first[0] != second[0] for first, second in pairwise(pairs))
    assert all(PROTOTYPES[name].spacegroup == number for name, number in pairs if name in PROTOTYPES)


def test_anchors() -> None:
    kappa = {crystal.material_id: crystal.properties["kappa"] for crystal in CRYSTALS}
    assert kappa["lit-Si-diamond"] == 148
    assert kappa["lit-Er2Sn2O7-pyrochlore"] == 3.525
    assert kappa["lit-GaS-gallium_sulfide"] == pytest.approx((2 * 9.8 + 1.05) / 3, rel=1e-6)


def test_loading_needs_neither_pytorch_nor_pymatgen() -> None:
    code = "import sys; from paraisite.datasets.tables import load_literature; load_literature(); "
    check = code + "assert 'torch' not in sys.modules and 'pymatgen' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
