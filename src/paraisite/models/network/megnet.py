"""MEGNet (Chen et al., doi 10.1021/acs.chemmater.9b01294) for an ensemble of members on quotient graphs.

Messages are averaged at the destination of each edge, and the edge update reads (source, destination, edge, state) in
that order: the convention that the published formation-energy weights were trained in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.layers import EnsembleLinear, EnsembleLSTMCell, EnsembleMLP


@dataclass(frozen=True, slots=True)
class MEGNetSettings:
    """Sizes of a MEGNet.

    Attributes:
        n_elements: Rows of the element embedding.
        n_embedding: Width of an element embedding.
        n_gaussians: Gaussians that expand a distance.
        gaussian_end_angstrom: Centre of the last Gaussian in Å; the first lies at 0.
        gaussian_width_per_angstrom2: w in exp(-w (d - centre)²), in 1/Å².
        n_state: Width of the input state, which is zero for every crystal.
        encoder: Widths of the encoders' two layers.
        convolution: Widths of the update functions' layers.
        n_blocks: Number of blocks.
        n_readout_steps: Set2set iterations.
        output: Widths of the hidden layers of the output network; the last is the feature vector.
    """

    n_elements: int = 89
    n_embedding: int = 16
    n_gaussians: int = 100
    gaussian_end_angstrom: float = 5.0
    gaussian_width_per_angstrom2: float = 0.5
    n_state: int = 2
    encoder: tuple[int, int] = (64, 32)
    convolution: tuple[int, int, int] = (64, 64, 32)
    n_blocks: int = 3
    n_readout_steps: int = 2
    output: tuple[int, int] = (32, 16)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> MEGNetSettings:
        """Make settings of plain values, lists for tuples."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return cls(**values)


def graph_sum(values: Tensor, graph: Tensor, n_graphs: int) -> Tensor:
    """Sum rows by graph: values [n_members, n, …], graph [n] → [n_members, n_graphs, …]."""
    shape = (values.shape[0], n_graphs, *values.shape[2:])
    return torch.zeros(shape, dtype=values.dtype, device=values.device).index_add_(1, graph, values)


class EnsembleSet2Set(nn.Module):
    """Set2set readout with multiplicities (Vinyals et al., arXiv 1511.06391).

    A row of weight w counts as w equal rows: the weight stands inside the softmax.
    """

    def __init__(self, n_members: int, n_features: int, n_steps: int) -> None:
        """Make the LSTM; the readout is twice as wide as a row."""
        super().__init__()
        self.lstm = EnsembleLSTMCell(n_members, 2 * n_features, n_features)
        self.n_steps = n_steps

    def forward(self, values: Tensor, weight: Tensor, graph: Tensor, n_graphs: int) -> Tensor:
        """Read out.

        Args:
            values: Rows, [n_members, n, n_features].
            weight: Multiplicity of each row up to a factor, [n].
            graph: Graph of each row, [n].
            n_graphs: Number of graphs.

        Returns:
            [n_members, n_graphs, 2 n_features].
        """
        n_members, _, n_features = values.shape
        hidden = values.new_zeros(n_members, n_graphs, n_features)
        cell, readout = hidden, hidden
        for _ in range(self.n_steps):
            hidden, cell = self.lstm(torch.cat([hidden, readout], dim=-1), hidden, cell)
            score = (values * hidden.index_select(1, graph)).sum(dim=-1)
            largest = score.new_full((n_members, n_graphs), -torch.inf)
            largest = largest.scatter_reduce(1, graph.expand(n_members, -1), score.detach(), "amax")
            share = torch.exp(score - largest.index_select(1, graph)) * weight
            # A graph has rows, so the sum is at least the largest row's weight and never zero.
            total = graph_sum(share, graph, n_graphs)
            readout = graph_sum(values * share.unsqueeze(-1), graph, n_graphs) / total.unsqueeze(-1)
        return torch.cat([hidden, readout], dim=-1)


class EnsembleBlock(nn.Module):
    """One MEGNet block: dense layers (not in the first block), edge, node and state updates, skip connections."""

    edge_dense: EnsembleMLP
    node_dense: EnsembleMLP
    state_dense: EnsembleMLP
    edge_update: EnsembleMLP
    node_update: EnsembleMLP
    state_update: EnsembleMLP

    def __init__(self, n_members: int, n_features: int, settings: MEGNetSettings, *, dense: bool) -> None:
        """Make the layers."""
        super().__init__()
        self.n_features = n_features
        for kind in ("edge", "node", "state"):
            if dense:
                layers = EnsembleMLP(n_members, (n_features, *settings.encoder), activate_last=True)
                self.add_module(f"{kind}_dense", layers)
            inputs = 4 if kind == "edge" else 3
            update = EnsembleMLP(n_members, (inputs * n_features, *settings.convolution), activate_last=True)
            self.add_module(f"{kind}_update", update)
        self.dense = dense

    def forward(self, edge: Tensor, node: Tensor, state: Tensor, batch: GraphBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Update edge [n_members, n_edges, f], node [n_members, n_nodes, f] and state [n_members, n_graphs, f]."""
        before = edge, node, state
        if self.dense:
            edge, node, state = self.edge_dense(edge), self.node_dense(node), self.state_dense(state)
        edge = self._update_edges(edge, node, state, batch)
        weighted = edge * batch.edge_in_weight.unsqueeze(-1)
        received = graph_sum(weighted, batch.destination, batch.element.shape[0])
        node = self._update_nodes(node, received, state, batch)
        # The mean over all pairs of the cell, from the means at the nodes: fewer rows than the edges have.
        edge_mean = graph_sum(received * batch.node_edge_weight.unsqueeze(-1), batch.node_graph, batch.n_graphs)
        node_mean = graph_sum(node * batch.node_weight.unsqueeze(-1), batch.node_graph, batch.n_graphs)
        state = self.state_update(torch.cat([state, edge_mean, node_mean], dim=-1))
        return edge + before[0], node + before[1], state + before[2]

    def _update_edges(self, edge: Tensor, node: Tensor, state: Tensor, batch: GraphBatch) -> Tensor:
        """Apply the first layer to nodes and states before they are gathered: they are far fewer than edges."""
        first = self.edge_update.first
        to_source, to_destination, to_edge, to_state = first.weight.split(self.n_features, dim=1)
        by_graph = torch.baddbmm(first.bias, state, to_state)
        by_destination = torch.baddbmm(by_graph.index_select(1, batch.node_graph), node, to_destination)
        by_source = torch.bmm(node, to_source)
        gathered = by_source.index_select(1, batch.source) + by_destination.index_select(1, batch.destination)
        return self.edge_update.after_first(torch.baddbmm(gathered, edge, to_edge))

    def _update_nodes(self, node: Tensor, received: Tensor, state: Tensor, batch: GraphBatch) -> Tensor:
        first = self.node_update.first
        split = 2 * self.n_features
        by_graph = torch.baddbmm(first.bias, state, first.weight[:, split:])
        inputs = torch.cat([node, received], dim=-1)
        return self.node_update.after_first(
            torch.baddbmm(by_graph.index_select(1, batch.node_graph), inputs, first.weight[:, :split])
        )


class EnsembleMEGNet(nn.Module):
    """MEGNet up to its last hidden layer, for every member of an ensemble."""

    centres: Tensor
    edge_encoder: EnsembleMLP
    node_encoder: EnsembleMLP
    state_encoder: EnsembleMLP

    def __init__(self, n_members: int, settings: MEGNetSettings) -> None:
        """Allocate the parameters; `reset` fills them."""
        super().__init__()
        self.settings = settings
        n_features = settings.encoder[-1]
        self.embedding = nn.Parameter(torch.empty(n_members, settings.n_elements, settings.n_embedding))
        self.register_buffer("centres", torch.linspace(0, settings.gaussian_end_angstrom, settings.n_gaussians))
        for kind, n_in in (("edge", settings.n_gaussians), ("node", settings.n_embedding), ("state", settings.n_state)):
            encoder = EnsembleMLP(n_members, (n_in, *settings.encoder), activate_last=True)
            self.add_module(f"{kind}_encoder", encoder)
        self.blocks = nn.ModuleList(
            EnsembleBlock(n_members, n_features, settings, dense=position > 0) for position in range(settings.n_blocks)
        )
        self.node_readout = EnsembleSet2Set(n_members, n_features, settings.n_readout_steps)
        self.edge_readout = EnsembleSet2Set(n_members, n_features, settings.n_readout_steps)
        self.output = EnsembleMLP(n_members, (5 * n_features, *settings.output), activate_last=False)

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draw random initial parameters, member k from generator k, as MatGL's layers do."""
        with torch.no_grad():
            for member, generator in enumerate(generators):
                self.embedding[member].normal_(generator=generator)
        for module in self.modules():
            if isinstance(module, EnsembleLinear | EnsembleLSTMCell):
                module.reset(generators)

    def forward(self, batch: GraphBatch) -> Tensor:
        """Compute the last hidden layer, without activation, of each graph: [n_members, n_graphs, output[-1]]."""
        settings = self.settings
        offset = batch.distance.unsqueeze(-1) - self.centres
        gaussians = torch.exp(-settings.gaussian_width_per_angstrom2 * offset.square())
        edge = self.edge_encoder(gaussians.unsqueeze(0))
        node = self.node_encoder(self.embedding).index_select(1, batch.element)
        state = self.state_encoder(edge.new_zeros(1, 1, settings.n_state)).expand(-1, batch.n_graphs, -1)
        for block in self.blocks:
            edge, node, state = block(edge, node, state, batch)
        readout = [
            self.node_readout(node, batch.node_weight, batch.node_graph, batch.n_graphs),
            self.edge_readout(edge, batch.edge_weight, batch.edge_graph, batch.n_graphs),
            state,
        ]
        features: Tensor = self.output(torch.cat(readout, dim=-1))
        return features
