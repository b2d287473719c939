"""What the quotient counts: atoms, pairs, weights, and which atoms it tells apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_crystals import crystals, make, rocksalt, symmetric_crystals

from paraisite.elements import EMBEDDING_INDEX
from paraisite.graphs.build import build_graphs, build_store
from paraisite.graphs.neighbours import find_neighbours
from paraisite.graphs.quotient import PlainGraphs, QuotientGraphs, quotient_graphs
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.structures.crystal import Crystal

PLAIN = GraphSettings(tolerance_angstrom=0)
FLOAT32 = 1e-6
"""Of a sum of float32 shares, taken in float64: each is rounded by at most 6e-8 of itself."""

quick = settings(max_examples=50, deadline=None, derandomize=True)


def plain_graph(crystal: Crystal) -> PlainGraphs:
    pairs = find_neighbours(crystal, DEFAULT_GRAPH_SETTINGS)
    numbers = np.zeros(crystal.n_atoms, dtype=np.int64)
    return PlainGraphs(EMBEDDING_INDEX[crystal.numbers], numbers, pairs.destination, pairs.source, pairs.distance)


def quotient(crystal: Crystal, tolerance: float = 1e-3) -> QuotientGraphs:
    return quotient_graphs(plain_graph(crystal), tolerance)


@quick
@given(crystal=crystals, tolerance=st.sampled_from((0.0, 1e-6, 1e-3, 0.05)))
def test_multiplicities_count_every_atom_and_pair(crystal: Crystal, tolerance: float) -> None:
    plain, graph = plain_graph(crystal), quotient(crystal, tolerance)
    assert graph.multiplicity.sum() == crystal.n_atoms
    assert (graph.count * graph.multiplicity[graph.destination]).sum() == len(plain.distance)
    assert graph.count.min() >= 1
    for row in np.unique(plain.element):
        assert graph.multiplicity[graph.element == row].sum() == np.count_nonzero(plain.element == row)


@quick
@given(crystal=symmetric_crystals(), tolerance=st.sampled_from((1e-6, 1e-3, 0.05)))
def test_pairs_between_two_nodes_are_the_same_from_either_end(crystal: Crystal, tolerance: float) -> None:
    graph = quotient(crystal, tolerance)
    total = np.zeros((len(graph.multiplicity),) * 2, dtype=np.int64)
    np.add.at(total, (graph.destination, graph.source), graph.count * graph.multiplicity[graph.destination])
    np.testing.assert_array_equal(total, total.T)


@quick
@given(crystal=crystals, tolerance=st.sampled_from((0.0, 1e-3)))
def test_mean_distance_is_that_of_the_plain_graph(crystal: Crystal, tolerance: float) -> None:
    graph = quotient(crystal, tolerance)
    weight = graph.count * graph.multiplicity[graph.destination]
    expected = plain_graph(crystal).distance.mean()
    assert np.average(graph.distance, weights=weight) == pytest.approx(expected, rel=1e-12)  # float64 rounding


@quick
@given(crystal=crystals, tolerance=st.sampled_from((0.0, 1e-3)))
def test_weights_sum_to_one(crystal: Crystal, tolerance: float) -> None:
    arrays = build_store([crystal], GraphSettings(tolerance_angstrom=tolerance)).collate(np.arange(1))
    assert arrays.node_weight.sum(dtype=np.float64) == pytest.approx(1, rel=FLOAT32)
    assert arrays.edge_weight.sum(dtype=np.float64) == pytest.approx(1, rel=FLOAT32)
    into = np.bincount(arrays.destination, weights=arrays.edge_in_weight, minlength=len(arrays.element))
    bonded = np.unique(arrays.destination)
    np.testing.assert_allclose(into[bonded], 1, rtol=FLOAT32)
    assert np.count_nonzero(into) == len(bonded)


@quick
@given(crystal=crystals)
def test_tolerance_zero_is_the_plain_graph(crystal: Crystal) -> None:
    built = build_graphs([crystal], PLAIN)
    pairs = find_neighbours(crystal, PLAIN)
    assert (built.store.n_nodes, built.store.n_edges) == (crystal.n_atoms, built.n_pairs)
    np.testing.assert_array_equal(built.store.element, EMBEDDING_INDEX[crystal.numbers])
    np.testing.assert_array_equal(built.store.destination, pairs.destination)
    np.testing.assert_array_equal(built.store.source, pairs.source)
    np.testing.assert_array_equal(built.store.distance, pairs.distance.astype(np.float32))
    np.testing.assert_array_equal(built.store.node_weight, np.float32(1 / crystal.n_atoms))
    np.testing.assert_array_equal(built.store.edge_weight, np.float32(1 / built.n_pairs))


def test_atoms_of_one_species_in_other_surroundings_are_told_apart() -> None:
    # Perovskite with a Ti moved along c: the apical oxygens get a short and a long bond, the others four equal ones.
    sites = [[0, 0, 0], [0.5, 0.5, 0.53], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    graph = quotient(make([56, 22, 8, 8, 8], 4.0 * np.eye(3), sites))
    oxygen = graph.multiplicity[graph.element == EMBEDDING_INDEX[8]]
    assert sorted(oxygen.tolist()) == [1, 2]


def test_surroundings_further_than_one_bond_away_are_seen() -> None:
    # A chain of Si 2.5 Å apart with an O at one end: the Si differ by their number of steps from it alone.
    sites = [[0.5, 0.5, (k + 1) / 10] for k in range(6)]
    graph = quotient(make([8, 14, 14, 14, 14, 14], np.diag([9, 9, 25.0]), sites))
    assert len(graph.multiplicity) == 6


def test_mirrored_chain_collapses_to_half() -> None:
    sites = [[0.5, 0.5, (k + 1) / 10] for k in range(6)]
    graph = quotient(make([8, 14, 14, 14, 14, 8], np.diag([9, 9, 25.0]), sites))
    assert graph.multiplicity.tolist() == [2, 2, 2]


def test_species_alone_keeps_atoms_apart() -> None:
    # Each sublattice of rocksalt sees the other just as it is seen.
    graph = quotient(rocksalt())
    assert graph.multiplicity.tolist() == [4, 4]
    assert graph.count.tolist() == [6, 6]


def test_bondless_atom_keeps_a_node_without_edges() -> None:
    crystal = make([14, 14, 2], 14 * np.eye(3), [[0, 0, 0], [0.16, 0, 0], [0.6, 0.5, 0.5]])
    for settings_ in (PLAIN, DEFAULT_GRAPH_SETTINGS):
        store = build_store([crystal], settings_)
        assert store.bondless.tolist() == [True]
        assert set(store.element.tolist()) == {EMBEDDING_INDEX[2], EMBEDDING_INDEX[14]}
        assert EMBEDDING_INDEX[2] not in store.element[store.destination]
    assert build_store([crystal]).node_weight.tolist() == pytest.approx([1 / 3, 2 / 3], rel=FLOAT32)
    assert build_store([rocksalt()]).bondless.tolist() == [False]
