"""The store: batches by index arithmetic equal the chosen graphs built directly."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_crystals import crystals, make, rocksalt

from paraisite.datasets.tables import load_hh143, load_togo15
from paraisite.graphs import build
from paraisite.graphs.build import build_graphs, build_store
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.graphs.store import GraphArrays, GraphStore
from paraisite.structures.crystal import Crystal

NAMES = [field.name for field in fields(GraphArrays)]


def four_crystals() -> list[Crystal]:
    chain = make([8, 14, 14], np.diag([9, 9, 25.0]), [[0.5, 0.5, 0.1], [0.5, 0.5, 0.2], [0.5, 0.5, 0.3]])
    lone = make([14, 14, 2], 14 * np.eye(3), [[0, 0, 0], [0.16, 0, 0], [0.6, 0.5, 0.5]])
    return [rocksalt(), chain, lone, make([26], 2.8 * np.eye(3), [[0, 0, 0]])]


def assert_same_arrays(first: GraphArrays, second: GraphArrays) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def rows(arrays: GraphArrays) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and edges as sorted rows that do not name a node by its number."""
    node = np.stack([arrays.node_graph, arrays.element, arrays.node_weight], axis=1)
    values = np.stack([arrays.distance, arrays.edge_in_weight, arrays.edge_weight], axis=1)
    edge = np.concatenate([node[arrays.destination], node[arrays.source], values], axis=1)
    return node[np.lexsort(node.T)], edge[np.lexsort(edge.T)]


def assert_same_graphs(first: GraphArrays, second: GraphArrays) -> None:
    """The same graphs; the nodes of one graph may be numbered otherwise."""
    assert first.n_graphs == second.n_graphs
    for one, other in zip(rows(first), rows(second), strict=True):
        np.testing.assert_array_equal(one, other)


def all_of(store: GraphStore) -> GraphArrays:
    return store.collate(np.arange(len(store)))


def chosen_both_ways(items: list[Crystal], chosen: list[int], tolerance: float) -> tuple[GraphArrays, GraphArrays]:
    """Graphs chosen from the store of all crystals, and built from the chosen crystals alone."""
    graph = GraphSettings(tolerance_angstrom=tolerance)
    batch = build_store(items, graph).collate(np.array(chosen, dtype=np.int64))
    assert batch.n_graphs == len(chosen)
    return batch, all_of(build_store([items[index] for index in chosen], graph))


@pytest.mark.parametrize("chosen", [[0], [3, 1], [2, 2, 0], [0, 1, 2, 3], []])
def test_batch_equals_the_chosen_graphs_built_directly(chosen: list[int]) -> None:
    assert_same_arrays(*chosen_both_ways(four_crystals(), chosen, 0))
    assert_same_graphs(*chosen_both_ways(four_crystals(), chosen, DEFAULT_GRAPH_SETTINGS.tolerance_angstrom))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(items=st.lists(crystals, min_size=1, max_size=4), data=st.data())
def test_batch_of_random_crystals(items: list[Crystal], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(items) - 1), max_size=5))
    assert_same_arrays(*chosen_both_ways(items, chosen, 0))
    assert_same_graphs(*chosen_both_ways(items, chosen, DEFAULT_GRAPH_SETTINGS.tolerance_angstrom))


def test_batch_is_laid_out_as_documented() -> None:
    batch = build_store(four_crystals()).collate(np.array([3, 1, 0]))
    assert (np.diff(batch.node_graph) >= 0).all()
    assert (np.diff(batch.destination) >= 0).all()
    np.testing.assert_array_equal(batch.node_graph[batch.source], batch.node_graph[batch.destination])
    assert np.unique(batch.node_graph).tolist() == [0, 1, 2]
    for name in ("node_weight", "distance", "edge_in_weight", "edge_weight"):
        assert getattr(batch, name).dtype == np.float32


def test_edges_count_the_neighbours_of_one_atom() -> None:
    store = build_store([rocksalt(), make([26], 2.8 * np.eye(3), [[0, 0, 0]])], GraphSettings(cutoff_angstrom=5.0))
    salt = slice(0, store.edge_pointer[1])
    near = np.isclose(store.distance[salt], 5.69 / 2, rtol=1e-6)
    # Six of the other species at a/2, twelve of its own at a/√2, eight of the other at a√3/2.
    assert sorted(store.edge_count[salt].tolist()) == [6, 6, 8, 8, 12, 12]
    assert store.edge_count[salt][near].tolist() == [6, 6]
    for graph in range(len(store)):
        rows = slice(store.edge_pointer[graph], store.edge_pointer[graph + 1])
        count, destination = store.edge_count[rows], store.destination[rows]
        total = np.bincount(destination, count)[destination]
        np.testing.assert_allclose(store.edge_in_weight[rows], count / total, rtol=1e-6)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    items = four_crystals()
    whole = build_graphs(items)
    monkeypatch.setattr(build, "BLOCK_EDGES", 1)
    parts = build_graphs(items)
    assert parts.n_pairs == whole.n_pairs
    assert_same_graphs(all_of(parts.store), all_of(whole.store))
    np.testing.assert_array_equal(parts.store.bondless, whole.store.bondless)


def test_concatenate() -> None:
    items = four_crystals()
    plain = GraphSettings(tolerance_angstrom=0)
    stores = [build_store(part, plain) for part in (items[:2], [], items[2:])]
    joined, whole = GraphStore.concatenate(stores), build_store(items, plain)
    for field in fields(GraphStore):
        np.testing.assert_array_equal(getattr(joined, field.name), getattr(whole, field.name), err_msg=field.name)
        assert getattr(joined, field.name).dtype == getattr(whole, field.name).dtype


def test_empty_store() -> None:
    built = build_graphs([])
    assert (len(built.store), built.store.n_nodes, built.store.n_edges, built.n_pairs) == (0, 0, 0, 0)
    assert (built.failures, built.kept.tolist()) == ([], [])
    assert all_of(built.store).n_graphs == 0


def test_store_of_failures_only_is_empty() -> None:
    built = build_graphs([make([55], 9 * np.eye(3), [[0, 0, 0]])])
    assert (len(built.store), len(built.failures)) == (0, 1)


def test_a_graph_does_not_depend_on_the_crystals_built_with_it() -> None:
    crystals = load_hh143()[:6] + load_togo15()[60:66]
    together = build_store(crystals)
    for position, crystal in enumerate(crystals):
        alone = build_store([crystal]).collate(np.array([0]))
        among = together.collate(np.array([position]))
        assert_same_arrays(alone, among)


@pytest.mark.parametrize(("max_graphs", "max_edges"), [(1, 10), (3, 10_000), (100, 1), (100, 40), (100, 10_000)])
def test_batches_cover_the_store_in_order_within_their_limits(max_graphs: int, max_edges: int) -> None:
    store = build_store(load_hh143()[:10] + load_togo15()[60:66])
    batches = list(store.batches(max_graphs, max_edges))
    np.testing.assert_array_equal(np.concatenate(batches), np.arange(len(store)))
    edges = np.diff(store.edge_pointer)
    for batch in batches:
        assert len(batch) <= max_graphs
        assert len(batch) == 1 or edges[batch].sum() <= max_edges
