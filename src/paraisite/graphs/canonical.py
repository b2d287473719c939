"""A hash of a quotient graph that does not depend on how its crystal was written down."""

from __future__ import annotations

import numpy as np

from paraisite.graphs.quotient import mix
from paraisite.graphs.store import GraphStore

DISTANCE_STEP_ANGSTROM = 0.01
"""Distances are rounded to this before they are hashed."""
WEIGHT_STEPS = 10_000
ROUNDS = 4


def graph_hashes(store: GraphStore) -> list[str]:
    """Hash of every graph, 16 hexadecimal digits: crystals that the model cannot tell apart have equal hashes.

    Nodes are hashed by element, share of the cell and, four times over, by what they receive; the graph by its nodes. All
    sums are over sets, so the order of atoms, the choice of the cell and supercells do not matter. Two descriptions of a
    crystal whose distances lie on both sides of a rounding step get two hashes, so a duplicate can be missed; crystals that
    differ by less than a step are taken for one.

    Args:
        store: Quotient graphs.
    """
    n_nodes = np.diff(store.node_pointer)
    node_graph = np.repeat(np.arange(len(store)), n_nodes)
    edge_offset = np.repeat(store.node_pointer[:-1], np.diff(store.edge_pointer))
    destination, source = store.destination + edge_offset, store.source + edge_offset
    distance = mix(np.round(store.distance / DISTANCE_STEP_ANGSTROM).astype(np.uint64))
    incoming = mix(distance + _steps(store.edge_in_weight))
    share = mix(_steps(store.node_weight))
    colour = mix(store.element.astype(np.uint64))
    with np.errstate(over="ignore"):
        for _ in range(ROUNDS):
            received = np.zeros(len(colour), dtype=np.uint64)
            np.add.at(received, destination, mix(incoming + mix(colour[source])))
            colour = mix(colour + np.uint64(3) * received)
        total = np.zeros(len(store), dtype=np.uint64)
        np.add.at(total, node_graph, mix(colour + np.uint64(5) * share))
    return [f"{value:016x}" for value in total]


def _steps(weight: np.ndarray) -> np.ndarray:
    """Weights as whole numbers, safe against the last bits of a float."""
    return np.round(weight.astype(np.float64) * WEIGHT_STEPS).astype(np.uint64)
