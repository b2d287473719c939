"""A data set of graphs as flat arrays, and batches from it by index arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from paraisite.graphs.quotient import QuotientGraphs


@dataclass(frozen=True, slots=True)
class GraphArrays:
    """Graphs of a batch, as flat numpy arrays.

    Attributes:
        element: Embedding row of each node, [n_nodes] int64.
        node_graph: Graph of each node, [n_nodes] int64, ascending.
        node_weight: Share of the cell's atoms that the node stands for, [n_nodes] float32; sums to 1 over a graph.
        source: Node that sends the message, [n_edges] int64.
        destination: Node that receives it, [n_edges] int64, ascending.
        distance: Distance in Å, [n_edges] float32.
        edge_in_weight: Share of the pairs into one atom of the destination node, [n_edges] float32; sums to 1 over a node.
        edge_weight: Share of the cell's pairs that the edge stands for, [n_edges] float32; sums to 1 over a graph.
        n_graphs: Number of graphs.
    """

    element: np.ndarray
    node_graph: np.ndarray
    node_weight: np.ndarray
    source: np.ndarray
    destination: np.ndarray
    distance: np.ndarray
    edge_in_weight: np.ndarray
    edge_weight: np.ndarray
    n_graphs: int


@dataclass(frozen=True, slots=True)
class GraphStore:
    """Quotient graphs of a data set, crystal after crystal.

    Attributes:
        node_pointer: First node of each graph, and the end, [n_graphs + 1] int64.
        edge_pointer: First edge of each graph, and the end, [n_graphs + 1] int64.
        element: Embedding row of each node, [n_nodes] int16.
        node_weight: As in `GraphArrays`, [n_nodes] float32.
        source: Sending node, counted inside its graph, [n_edges] int32.
        destination: Receiving node, counted inside its graph, [n_edges] int32.
        distance: Distance in Å, [n_edges] float32.
        edge_in_weight: As in `GraphArrays`, [n_edges] float32.
        edge_weight: As in `GraphArrays`, [n_edges] float32.
        edge_count: Pairs into one atom of the destination node that the edge stands for, [n_edges] int32.
        bondless: Whether the crystal has atoms without any bond, [n_graphs] bool.
    """

    node_pointer: np.ndarray
    edge_pointer: np.ndarray
    element: np.ndarray
    node_weight: np.ndarray
    source: np.ndarray
    destination: np.ndarray
    distance: np.ndarray
    edge_in_weight: np.ndarray
    edge_weight: np.ndarray
    edge_count: np.ndarray
    bondless: np.ndarray

    def __len__(self) -> int:
        """Number of graphs."""
        return len(self.node_pointer) - 1

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all graphs."""
        return int(self.node_pointer[-1])

    @property
    def n_edges(self) -> int:
        """Number of edges of all graphs."""
        return int(self.edge_pointer[-1])

    def batches(self, max_graphs: int, max_edges: int) -> Iterator[np.ndarray]:
        """Cut the store into batches in order.

        Args:
            max_graphs: Graphs of a batch at most.
            max_edges: Edges of a batch at most; a graph with more is a batch of its own.

        Yields:
            Indices for `collate`.
        """
        start = 0
        while start < len(self):
            within = int(np.searchsorted(self.edge_pointer, self.edge_pointer[start] + max_edges, side="right")) - 1
            stop = min(max(within, start + 1), start + max_graphs)
            yield np.arange(start, stop)
            start = stop

    def collate(self, indices: np.ndarray) -> GraphArrays:
        """Gather graphs into one batch.

        Args:
            indices: Graphs in the order wanted, [n_graphs] int64.

        Returns:
            The batch; graph k of it is `indices[k]`.
        """
        node_rows, node_graph, node_start = _rows(self.node_pointer, indices)
        edge_rows, edge_graph, _ = _rows(self.edge_pointer, indices)
        offset = node_start[edge_graph]
        return GraphArrays(
            element=self.element[node_rows].astype(np.int64),
            node_graph=node_graph,
            node_weight=self.node_weight[node_rows],
            source=self.source[edge_rows] + offset,
            destination=self.destination[edge_rows] + offset,
            distance=self.distance[edge_rows],
            edge_in_weight=self.edge_in_weight[edge_rows],
            edge_weight=self.edge_weight[edge_rows],
            n_graphs=len(indices),
        )

    @classmethod
    def from_quotient(cls, graphs: QuotientGraphs, n_graphs: int) -> GraphStore:
        """Make a store of quotient graphs, with the weights of their means.

        Args:
            graphs: Quotient graphs whose `crystal` runs from 0 to `n_graphs` - 1; each has a node at least.
            n_graphs: Number of graphs.
        """
        atoms = np.bincount(graphs.crystal, weights=graphs.multiplicity, minlength=n_graphs)
        incoming = np.bincount(graphs.destination, weights=graphs.count, minlength=len(graphs.element))
        pairs = np.bincount(graphs.crystal, weights=incoming * graphs.multiplicity, minlength=n_graphs)
        node_pointer = np.searchsorted(graphs.crystal, np.arange(n_graphs + 1))
        edge_crystal = graphs.crystal[graphs.destination]
        edge_pointer = np.searchsorted(edge_crystal, np.arange(n_graphs + 1))
        offset = node_pointer[edge_crystal]
        in_cell = graphs.count * graphs.multiplicity[graphs.destination]
        bondless = np.zeros(n_graphs, dtype=bool)
        bondless[graphs.crystal[incoming == 0]] = True
        return cls(
            node_pointer=node_pointer,
            edge_pointer=edge_pointer,
            element=graphs.element.astype(np.int16),
            node_weight=(graphs.multiplicity / atoms[graphs.crystal]).astype(np.float32),
            source=(graphs.source - offset).astype(np.int32),
            destination=(graphs.destination - offset).astype(np.int32),
            distance=graphs.distance.astype(np.float32),
            edge_in_weight=(graphs.count / incoming[graphs.destination]).astype(np.float32),
            edge_weight=(in_cell / pairs[edge_crystal]).astype(np.float32),
            edge_count=graphs.count.astype(np.int32),
            bondless=bondless,
        )

    @classmethod
    def concatenate(cls, stores: list[GraphStore]) -> GraphStore:
        """Join stores, in order."""
        if len(stores) == 1:
            return stores[0]
        joined = {
            field.name: np.concatenate([getattr(store, field.name) for store in stores])
            for field in fields(cls)
            if not field.name.endswith("pointer")
        }
        for name in ("node_pointer", "edge_pointer"):
            lengths = np.concatenate([np.diff(getattr(store, name)) for store in stores])
            joined[name] = np.concatenate([[0], np.cumsum(lengths)])
        return cls(**joined)


def _rows(pointer: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the chosen graphs, the graph in the batch of each row, and the batch's first row of each graph."""
    start = pointer[indices]
    lengths = pointer[indices + 1] - start
    batch_start = np.cumsum(lengths) - lengths
    graph = np.repeat(np.arange(len(indices)), lengths)
    return np.arange(len(graph)) + (start - batch_start)[graph], graph, batch_start
