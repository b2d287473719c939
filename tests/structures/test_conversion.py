"""Crystals from and to pymatgen and ASE."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_comparison import deviation
from paraisite.errors import StructureError
from paraisite.structures import Crystal, as_crystal, check_crystal, from_ase, from_pymatgen, to_ase, to_pymatgen


@st.composite
def crystals(draw: st.DrawFn) -> Crystal:
    n_atoms = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cell = np.diag(rng.uniform(3, 6, 3)) + rng.uniform(-0.5, 0.5, (3, 3))
    return Crystal(rng.integers(1, 84, n_atoms), cell, rng.uniform(-1, 2, (n_atoms, 3)), "x", "here", {"kappa": 1.5})


@settings(max_examples=25, deadline=None)
@given(crystals())
def test_there_and_back(crystal: Crystal) -> None:
    for back in (from_ase(to_ase(crystal)), from_pymatgen(to_pymatgen(crystal))):
        np.testing.assert_array_equal(back.numbers, crystal.numbers)
        np.testing.assert_allclose(back.cell, crystal.cell)
        np.testing.assert_allclose(back.fractional, crystal.fractional, atol=1e-9)
    assert from_ase(to_ase(crystal)).material_id == "x"
    assert dict(from_ase(to_ase(crystal)).properties) == {"kappa": 1.5}


def test_anything_that_is_a_structure() -> None:
    from ase.build import bulk

    crystal = from_ase(bulk("NaCl", "rocksalt", a=5.6), material_id="salt")
    assert crystal.material_id == "salt"
    structure = to_pymatgen(crystal).add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    for obj in (crystal, to_ase(crystal), structure):
        assert deviation(as_crystal(obj), crystal) < 1e-9
    with pytest.raises(StructureError) as caught:
        as_crystal("NaCl")
    assert caught.value.code == "unsupported_format"


def test_what_is_no_bulk_crystal() -> None:
    from ase import Atoms

    cases = {
        "no_cell": [Atoms("H", cell=[3, 3, 3], pbc=[True, True, False]), Atoms("H", pbc=True)],
        "no_atoms": [Atoms(cell=[3, 3, 3], pbc=True)],
        "unsupported_element": [Atoms("X", cell=[3, 3, 3], pbc=True), Atoms("Rn", cell=[3, 3, 3], pbc=True)],
        "invalid_cell": [
            Atoms("H", positions=[[np.nan, 0, 0]], cell=[3, 3, 3], pbc=True),
            Atoms("H", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True),
            Atoms("H", cell=[0.1, 0.1, 0.1], pbc=True),
            Atoms("H", cell=[[np.inf, 0, 0], [0, 1, 0], [0, 0, 1]], pbc=True),
        ],
        "partial_occupancy": [Atoms("H", cell=[3, 3, 3], pbc=True, info={"occupancy": {"0": {"H": 0.5}}})],
    }
    for code, structures in cases.items():
        for atoms in structures:
            with pytest.raises(StructureError, match=r"^mp-1: .*\.$") as caught:
                from_ase(atoms, material_id="mp-1")
            assert caught.value.code == code


def test_disordered_structures() -> None:
    from pymatgen.core import Lattice, Structure

    for species in ({"Na": 0.5}, {"Na": 0.5, "K": 0.5}):
        structure = Structure(Lattice.cubic(4), [species], [[0, 0, 0]])
        with pytest.raises(StructureError, match="ordered") as caught:
            from_pymatgen(structure, "mp-1")
        assert caught.value.code == "partial_occupancy"
    nearly = Structure(Lattice.cubic(4), [{"Na": 0.9995}], [[0, 0, 0]])
    assert from_pymatgen(nearly).formula == "Na"
    deuterium = Structure(Lattice.cubic(4), ["D"], [[0, 0, 0]])
    assert from_pymatgen(deuterium).formula == "H"


def test_a_checked_crystal_is_returned_as_it_is() -> None:
    crystal = Crystal(np.array([11]), np.eye(3) * 4, np.zeros((1, 3)), "x")
    assert check_crystal(crystal) is crystal
    with pytest.raises(StructureError, match=r"^file: "):
        check_crystal(Crystal(np.array([86]), np.eye(3) * 4, np.zeros((1, 3)), "x"), name="file")
