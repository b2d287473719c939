"""Atoms of the primitive cell: spglib's count, also of supercells, large ones and nearly symmetric ones."""

from __future__ import annotations

import numpy as np
import pytest
from random_crystals import make, permuted, rattled, recelled, rocksalt, shifted, supercell, turned

from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.structures import primitive
from paraisite.structures.crystal import Crystal
from paraisite.structures.primitive import count_primitive_atoms
from paraisite.structures.space_group import find_symmetry

CELLS = {"1x1x1": (1, 1, 1), "2x2x1": (2, 2, 1), "1x1x3": (1, 1, 3)}


@pytest.fixture(scope="module")
def crystals() -> list[Crystal]:
    return load_togo15() + load_literature()


@pytest.fixture(scope="module")
def by_spglib(crystals: list[Crystal]) -> list[int]:
    return [find_symmetry(crystal).n_atoms_primitive for crystal in crystals]


@pytest.fixture
def without_spglib(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(crystal: Crystal) -> None:
        raise AssertionError(f"spglib was asked for {crystal.formula}")

    monkeypatch.setattr(primitive, "find_symmetry", refuse)
    monkeypatch.setattr(primitive, "MAX_CANDIDATES", 10_000)


@pytest.mark.parametrize("name", CELLS)
def test_count_is_that_of_spglib(
    name: str, crystals: list[Crystal], by_spglib: list[int], without_spglib: None
) -> None:
    matrix = np.diag(CELLS[name])
    small = [crystal for crystal in crystals if crystal.n_atoms * matrix.diagonal().prod() <= 100]
    assert len(small) > 180
    expected = [count for crystal, count in zip(crystals, by_spglib, strict=True) if crystal in small]
    assert [count_primitive_atoms(supercell(crystal, matrix)) for crystal in small] == expected


def test_the_shipped_cells_are_primitive(by_spglib: list[int], crystals: list[Crystal]) -> None:
    assert by_spglib == [crystal.n_atoms for crystal in crystals]


def test_count_does_not_depend_on_the_description(without_spglib: None) -> None:
    generator = np.random.default_rng(0)
    for crystal in load_hh143()[::40] + load_literature()[::20]:
        large = supercell(crystal, np.array([[1, 1, 0], [0, 2, 0], [-1, 0, 1]]))
        changed = turned(shifted(recelled(large, generator), generator), generator)
        assert count_primitive_atoms(permuted(changed, generator.permutation(large.n_atoms))) == crystal.n_atoms


def test_large_supercells_count_as_their_primitive_cell() -> None:
    garnet = next(crystal for crystal in load_literature() if crystal.formula == "Y3Al5O12")
    assert count_primitive_atoms(supercell(rocksalt(), np.diag([3, 3, 3]))) == 2
    assert count_primitive_atoms(supercell(garnet, np.diag([2, 2, 2]))) == 80


@pytest.mark.parametrize(("moved_angstrom", "expected"), [(0.008, 1), (0.02, 2)])
def test_positions_are_compared_in_angstrom(moved_angstrom: float, expected: int, without_spglib: None) -> None:
    pair = make([14, 14], np.diag([4.0, 4.0, 8.0]), [[0, 0, 0], [0, 0, 0.5 + moved_angstrom / 16]])
    assert count_primitive_atoms(pair) == expected


def test_species_tell_apart(without_spglib: None) -> None:
    assert count_primitive_atoms(make([14, 14], np.diag([4.0, 4.0, 8.0]), [[0, 0, 0], [0, 0, 0.5]])) == 1
    assert count_primitive_atoms(make([14, 32], np.diag([4.0, 4.0, 8.0]), [[0, 0, 0], [0, 0, 0.5]])) == 2
    # Half the cell maps the oxygen onto itself, but not the silicon.
    atoms = [[0, 0, 0.1], [0, 0, 0.3], [0, 0, 0], [0, 0, 0.5]]
    assert count_primitive_atoms(make([14, 14, 8, 8], np.diag([4.0, 4.0, 8.0]), atoms)) == 4


def test_a_count_divides_the_cell_where_the_symmetry_holds_only_roughly() -> None:
    generator = np.random.default_rng(1)
    cell = supercell(rocksalt(), np.array([[1, 0, 0], [0, 2, 0], [0, 0, 1]]))
    for noise in (0.002, 0.0025, 0.003, 0.0035):
        for _ in range(5):
            assert cell.n_atoms % count_primitive_atoms(rattled(cell, noise, generator)) == 0


def test_a_huge_supercell_is_not_searched(crystals: list[Crystal], without_spglib: None) -> None:
    large = supercell(crystals[0], np.diag([11, 11, 11]))
    assert large.n_atoms > primitive.MAX_ATOMS
    assert count_primitive_atoms(large) == large.n_atoms
