"""From crystals to a store of graphs: neighbours one crystal at a time, the quotient for a whole block at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paraisite.elements import EMBEDDING_INDEX
from paraisite.errors import StructureError
from paraisite.graphs.neighbours import NeighbourPairs, find_neighbours
from paraisite.graphs.quotient import PlainGraphs, quotient_graphs
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal

BLOCK_EDGES = 200_000
"""Neighbour pairs that are collapsed together: enough to make numpy calls cheap, few enough to stay in the cache."""


@dataclass(frozen=True, slots=True)
class BuiltGraphs:
    """Graphs of those crystals that have one, and why the others have none.

    Attributes:
        store: Graphs of the good crystals, in their order.
        kept: Index of each graph's crystal in the given sequence, [n_graphs] int64.
        failures: (index, error) of every other crystal.
        n_pairs: Neighbour pairs of the plain graphs, before they were collapsed.
    """

    store: GraphStore
    kept: np.ndarray
    failures: list[tuple[int, StructureError]]
    n_pairs: int


def build_graphs(crystals: Sequence[Crystal], settings: GraphSettings = DEFAULT_GRAPH_SETTINGS) -> BuiltGraphs:
    """Build the graphs of crystals; one that cannot have a graph is reported and left out.

    Args:
        crystals: Checked crystals.
        settings: Cutoff and tolerance in Å.

    Returns:
        The store with the failures.
    """
    kept: list[int] = []
    failures: list[tuple[int, StructureError]] = []
    stores: list[GraphStore] = []
    block: list[tuple[Crystal, NeighbourPairs]] = []
    block_edges = n_pairs = 0
    for index, crystal in enumerate(crystals):
        try:
            pairs = find_neighbours(crystal, settings)
        except StructureError as error:
            failures.append((index, error))
            continue
        kept.append(index)
        block.append((crystal, pairs))
        block_edges += len(pairs.distance)
        if block_edges > BLOCK_EDGES:
            stores.append(_collapse_block(block, settings))
            n_pairs += block_edges
            block, block_edges = [], 0
    if block or not stores:
        stores.append(_collapse_block(block, settings))
    return BuiltGraphs(GraphStore.concatenate(stores), np.array(kept, dtype=np.int64), failures, n_pairs + block_edges)


def build_store(crystals: Sequence[Crystal], settings: GraphSettings = DEFAULT_GRAPH_SETTINGS) -> GraphStore:
    """Build the graphs of crystals that must all have one.

    Raises:
        StructureError: The error of the first crystal without a graph.
    """
    built = build_graphs(crystals, settings)
    if built.failures:
        raise built.failures[0][1]
    return built.store


def _collapse_block(block: list[tuple[Crystal, NeighbourPairs]], settings: GraphSettings) -> GraphStore:
    if not block:
        empty = np.zeros(0, dtype=np.int64)
        plain = PlainGraphs(empty, empty, empty, empty, np.zeros(0))
        return GraphStore.from_quotient(quotient_graphs(plain, 0.0), 0)
    n_atoms = np.array([crystal.n_atoms for crystal, _ in block])
    n_edges = np.array([len(pairs.distance) for _, pairs in block])
    offset = np.repeat(np.cumsum(n_atoms) - n_atoms, n_edges)
    plain = PlainGraphs(
        element=EMBEDDING_INDEX[np.concatenate([crystal.numbers for crystal, _ in block])],
        crystal=np.repeat(np.arange(len(block)), n_atoms),
        destination=np.concatenate([pairs.destination for _, pairs in block]) + offset,
        source=np.concatenate([pairs.source for _, pairs in block]) + offset,
        distance=np.concatenate([pairs.distance for _, pairs in block]),
    )
    return GraphStore.from_quotient(quotient_graphs(plain, settings.tolerance_angstrom), len(block))
