"""A batch of graphs as tensors on a device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from paraisite.graphs.store import GraphArrays


@dataclass(frozen=True, slots=True)
class GraphBatch:
    """Graphs of a batch as flat tensors; the fields are those of `paraisite.graphs.store.GraphArrays`.

    Attributes:
        element: [n_nodes] int64.
        node_graph: [n_nodes] int64, ascending.
        node_weight: [n_nodes] float, sums to 1 over a graph.
        node_edge_weight: Share of the cell's pairs that end in the node, [n_nodes] float; sums to 1 over a graph.
        source: [n_edges] int64.
        destination: [n_edges] int64, ascending.
        edge_graph: [n_edges] int64, ascending.
        distance: Å, [n_edges] float.
        edge_in_weight: [n_edges] float, sums to 1 over a destination node.
        edge_weight: [n_edges] float, sums to 1 over a graph.
        n_graphs: Number of graphs.
    """

    element: Tensor
    node_graph: Tensor
    node_weight: Tensor
    node_edge_weight: Tensor
    source: Tensor
    destination: Tensor
    edge_graph: Tensor
    distance: Tensor
    edge_in_weight: Tensor
    edge_weight: Tensor
    n_graphs: int

    @classmethod
    def from_arrays(
        cls,
        arrays: GraphArrays,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> GraphBatch:
        """Move a batch to a device.

        Args:
            arrays: The batch as numpy arrays.
            device: Where the model is.
            dtype: Type of distances and weights.
        """

        def real(array: object) -> Tensor:
            return torch.as_tensor(array).to(device=device, dtype=dtype)

        def index(array: object) -> Tensor:
            return torch.as_tensor(array).to(device)

        node_graph = index(arrays.node_graph)
        destination = index(arrays.destination)
        edge_weight = real(arrays.edge_weight)
        node_edge_weight = torch.zeros(len(node_graph), device=device, dtype=dtype)
        node_edge_weight.index_add_(0, destination, edge_weight)
        return cls(
            element=index(arrays.element),
            node_graph=node_graph,
            node_weight=real(arrays.node_weight),
            node_edge_weight=node_edge_weight,
            source=index(arrays.source),
            destination=destination,
            edge_graph=node_graph[destination],
            distance=real(arrays.distance),
            edge_in_weight=real(arrays.edge_in_weight),
            edge_weight=edge_weight,
            n_graphs=arrays.n_graphs,
        )
