"""Neighbour pairs against pymatgen and ASE, at the cutoff, and the crystals that have no graph."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from random_crystals import crystals, make, recelled, rocksalt, symmetric_crystals, turned

from paraisite.errors import StructureError
from paraisite.graphs.build import build_graphs, build_store
from paraisite.graphs.neighbours import CUTOFF_MARGIN_ANGSTROM, MIN_DISTANCE_ANGSTROM, NeighbourPairs, find_neighbours
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.structures.checks import check_crystal
from paraisite.structures.crystal import Crystal

COORDINATE_ROUNDING = 1e-9
"""Å: float64 coordinates of some 10 Å, wrapped and turned, carry about 1e-14; skewed cells lose a few digits more."""

quick = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def sorted_distances(destination: np.ndarray, source: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Distances in the order of (destination, source, distance)."""
    return distance[np.lexsort((distance, source, destination))]


def assert_same_pairs(ours: NeighbourPairs, theirs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    mine = Counter(zip(ours.destination.tolist(), ours.source.tolist(), strict=True))
    assert mine == Counter(zip(theirs[0].tolist(), theirs[1].tolist(), strict=True))
    expected = sorted_distances(*theirs)
    found = sorted_distances(ours.destination, ours.source, ours.distance)
    np.testing.assert_allclose(found, expected, rtol=0, atol=COORDINATE_ROUNDING)


def pymatgen_pairs(crystal: Crystal, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    structure = Structure(Lattice(crystal.cell), crystal.numbers.tolist(), crystal.fractional)
    centre, other, _, distance = structure.get_neighbor_list(cutoff)
    return centre, other, distance


def ase_pairs(crystal: Crystal, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    atoms = Atoms(crystal.numbers, cell=crystal.cell, scaled_positions=crystal.fractional, pbc=True)
    return neighbor_list("ijd", atoms, cutoff + CUTOFF_MARGIN_ANGSTROM)


@quick
@given(crystal=crystals, seed=seeds)
def test_pairs_equal_pymatgen_in_skewed_cells(crystal: Crystal, seed: int) -> None:
    changed = recelled(crystal, np.random.default_rng(seed))
    assert_same_pairs(find_neighbours(changed, DEFAULT_GRAPH_SETTINGS), pymatgen_pairs(changed, 4.0))


@quick
@given(crystal=crystals)
def test_pairs_equal_ase(crystal: Crystal) -> None:
    assert_same_pairs(find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS), ase_pairs(crystal, 4.0))


def test_pairs_in_a_cell_far_smaller_than_the_cutoff() -> None:
    crystal = make([26], np.diag([0.9, 1.0, 1.1]), [[0.3, 0.3, 0.3]])
    pairs = find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS)
    assert len(pairs.distance) > 200
    assert_same_pairs(pairs, pymatgen_pairs(crystal, 4.0))


def test_pairs_in_a_flat_and_skewed_cell() -> None:
    # The third height is 0.9 Å although all three lattice vectors are long.
    crystal = make([14, 8], [[3.0, 0, 0], [8.7, 3.1, 0], [11.0, 9.5, 0.9]], [[0.1, 0.2, 0.3], [0.6, 0.7, 0.1]])
    assert_same_pairs(find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS), pymatgen_pairs(crystal, 4.0))


@quick
@given(crystal=crystals)
def test_every_pair_stands_in_reverse_and_sorted(crystal: Crystal) -> None:
    pairs = find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS)
    assert (np.diff(pairs.destination) >= 0).all()
    assert_same_pairs(pairs, (pairs.source, pairs.destination, pairs.distance))


@pytest.mark.parametrize("seed", range(10))
def test_pair_at_the_cutoff_is_inside_however_turned(seed: int) -> None:
    generator = np.random.default_rng(seed)
    crystal = turned(make([55], 4.0 * np.eye(3), [generator.random(3)]), generator)
    assert len(find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS).distance) == 6


@pytest.mark.parametrize(("length", "inside"), [(4 - 1e-6, True), (4 + 5e-9, True), (4 + 2e-8, False)])
def test_cutoff_edge(length: float, inside: bool) -> None:
    crystal = make([55], length * np.eye(3), [[0, 0, 0]])
    if inside:
        assert len(find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS).distance) == 6
    else:
        assert code_of(crystal) == "no_bonds"


def code_of(crystal: Crystal, settings: GraphSettings = DEFAULT_GRAPH_SETTINGS) -> str:
    with pytest.raises(StructureError) as caught:
        find_neighbours(crystal, settings)
    assert str(caught.value).endswith(".")
    return caught.value.code


@pytest.mark.parametrize("gap", [0.0, 1e-12, 0.1, MIN_DISTANCE_ANGSTROM - 1e-6])
@pytest.mark.parametrize("shift", [0.0, 0.5, 0.999999])
def test_overlapping_atoms(gap: float, shift: float) -> None:
    crystal = make([14, 8], 5 * np.eye(3), [[shift, 0, 0], [shift + gap / 5, 0, 0]])
    assert code_of(crystal) == "overlapping_atoms"


def test_atoms_at_the_same_place_modulo_the_lattice() -> None:
    assert code_of(make([14, 14], 5 * np.eye(3), [[0.2, 0.3, 0.4], [1.2, -0.7, 0.4]])) == "overlapping_atoms"


def test_atoms_at_the_same_place_without_any_other_neighbour() -> None:
    assert code_of(make([14, 14], 9 * np.eye(3), [[0.2, 0.3, 0.4], [0.2, 0.3, 0.4]])) == "overlapping_atoms"


def test_atom_overlapping_its_own_image() -> None:
    assert code_of(make([14], np.diag([0.3, 5, 5]), [[0, 0, 0]])) == "overlapping_atoms"


def test_atom_overlapping_its_own_image_in_a_skewed_cell() -> None:
    # The second vector less the first is 0.3 Å long.
    assert code_of(make([14], [[5, 0, 0], [5, 0.3, 0], [0, 0, 5]], [[0, 0, 0]])) == "overlapping_atoms"


def test_atoms_just_far_enough_apart_are_taken() -> None:
    crystal = make([1, 1], 5 * np.eye(3), [[0, 0, 0], [(MIN_DISTANCE_ANGSTROM + 1e-6) / 5, 0, 0]])
    assert find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS).distance.min() > MIN_DISTANCE_ANGSTROM


def test_too_many_neighbours() -> None:
    crystal = rocksalt()
    n_pairs = len(find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS).distance)
    assert n_pairs == 8 * 6
    assert code_of(crystal, GraphSettings(max_edges=n_pairs)) == "too_many_neighbours"


def test_crystal_in_the_wrong_unit_is_refused_before_its_pairs_are_made() -> None:
    # A cell in units of 10 nm instead of Å would have some 10^12 pairs.
    cell = 0.005 * np.eye(3)
    assert code_of(make([14] * 10, cell, np.random.default_rng(0).random((10, 3)))) == "too_many_neighbours"


@quick
@given(crystal=symmetric_crystals(), length=st.floats(3.0, 8.0))
def test_larger_cutoff_adds_pairs(crystal: Crystal, length: float) -> None:
    few = find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS)
    many = find_neighbours(crystal, GraphSettings(cutoff_angstrom=4.0 + length))
    assert np.count_nonzero(many.distance <= 4 + CUTOFF_MARGIN_ANGSTROM) == len(few.distance)
    assert len(many.distance) > len(few.distance)


@pytest.mark.parametrize("values", [{"cutoff_angstrom": 0.0}, {"cutoff_angstrom": 50.0}, {"cutoff_angstrom": np.nan}])
def test_cutoff_without_a_meaning(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cutoff_angstrom"):
        GraphSettings(**values)


@pytest.mark.parametrize("tolerance", [-1e-3, 0.1, np.nan])
def test_tolerance_without_a_meaning(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance_angstrom"):
        GraphSettings(tolerance_angstrom=tolerance)


def test_settings_digest_follows_every_field() -> None:
    variants = [{}, {"cutoff_angstrom": 5.0}, {"tolerance_angstrom": 0.0}, {"max_edges": 10}]
    assert len({GraphSettings(**values).digest() for values in variants}) == len(variants)


def test_failures_are_left_out_and_reported_in_place() -> None:
    apart = make([55], 9 * np.eye(3), [[0, 0, 0]])
    overlapping = make([14, 8], 5 * np.eye(3), [[0, 0, 0], [0, 0, 0]])
    built = build_graphs([apart, rocksalt(), overlapping, rocksalt(5.2)])
    assert built.kept.tolist() == [1, 3]
    assert [(index, error.code) for index, error in built.failures] == [(0, "no_bonds"), (2, "overlapping_atoms")]
    assert (len(built.store), built.n_pairs) == (2, 8 * 6 + 8 * 18)


def test_store_of_crystals_that_must_all_have_a_graph() -> None:
    with pytest.raises(StructureError, match="no two atoms are within 4 Å"):
        build_store([rocksalt(), make([55], 9 * np.eye(3), [[0, 0, 0]])])


@pytest.mark.parametrize("factor", [1e5, 1e30, 1e307])
def test_a_cell_that_is_long_in_one_direction_does_not_end_the_process(factor: float) -> None:
    cell = rocksalt().cell * [[1], [factor], [1]]
    with np.errstate(over="ignore"), pytest.raises(StructureError) as caught:
        find_neighbours(check_crystal(make([11, 17], cell, [[0, 0, 0], [0.5, 0.5, 0.5]])), DEFAULT_GRAPH_SETTINGS)
    assert caught.value.code == "invalid_cell"


@pytest.mark.parametrize("lengths", [(5, 1000, 2000), (8, 1600, 1600), (2000, 5, 2000), (3000, 3000, 2)])
def test_a_cell_that_is_too_large_for_the_search_is_refused(lengths: tuple[float, ...]) -> None:
    assert code_of(make([14], np.diag(lengths), [[0, 0, 0]])) == "invalid_cell"


@pytest.mark.parametrize("lengths", [(3, 3, 1e5), (3, 400, 1000), (150, 150, 150), (400, 400, 400)])
def test_large_cells_are_searched(lengths: tuple[float, ...]) -> None:
    places = np.array([[0, 0, 0], [1.5, 0, 0]]) / lengths
    assert len(find_neighbours(make([14, 8], np.diag(lengths), places), DEFAULT_GRAPH_SETTINGS).distance) >= 2


def test_a_vanishing_lattice_vector_is_refused_before_its_pairs_are_made() -> None:
    # 160 000 pairs of each atom with its own images, which the mean density does not tell.
    assert code_of(make([14, 8], np.diag([300, 300, 1e-4]), [[0, 0, 0], [0.5, 0.5, 0]])) == "overlapping_atoms"


def test_many_atoms_in_one_place_are_refused_before_their_pairs_are_made() -> None:
    places = np.random.default_rng(0).random((20_000, 3)) / 500
    assert code_of(make([14] * 20_000, 500 * np.eye(3), places)) == "too_many_neighbours"
