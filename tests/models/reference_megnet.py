"""MEGNet and the perceptron once more, for one member on a plain graph: torch.nn layers, and loops over atoms and pairs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor, nn

from paraisite.elements import EMBEDDING_INDEX
from paraisite.models.network.layers import EnsembleLinear, EnsembleLSTMCell
from paraisite.models.network.megnet import EnsembleBlock, EnsembleMEGNet
from paraisite.models.network.paraisite import ParAIsite
from paraisite.structures.crystal import Crystal

CUTOFF_ANGSTROM = 4.0


class ShiftedSoftplus(nn.Module):
    """log(1 + exp(x)) - log 2."""

    def forward(self, values: Tensor) -> Tensor:
        return torch.nn.functional.softplus(values) - torch.log(torch.tensor(2.0))


def linear(layer: EnsembleLinear, member: int) -> nn.Linear:
    """One member's dense layer."""
    made = nn.Linear(layer.weight.shape[1], layer.weight.shape[2])
    with torch.no_grad():
        made.weight.copy_(layer.weight[member].T)
        made.bias.copy_(layer.bias[member, 0])
    return made


def perceptron(layers: Iterable[nn.Module], member: int, *, activate_last: bool) -> nn.Sequential:
    """One member's dense layers with softplus between."""
    parts: list[nn.Module] = []
    for layer in layers:
        assert isinstance(layer, EnsembleLinear)
        parts += [linear(layer, member), ShiftedSoftplus()]
    return nn.Sequential(*parts if activate_last else parts[:-1])


def lstm(cell: EnsembleLSTMCell, member: int) -> nn.LSTM:
    """One member's LSTM."""
    made = nn.LSTM(cell.weight_input.shape[1], cell.weight_hidden.shape[1])
    with torch.no_grad():
        made.weight_ih_l0.copy_(cell.weight_input[member].T)
        made.weight_hh_l0.copy_(cell.weight_hidden[member].T)
        made.bias_ih_l0.copy_(cell.bias[member, 0])
        made.bias_hh_l0.zero_()
    return made


class ReferenceMEGNet:
    """One member of a body, applied to one crystal at a time."""

    def __init__(self, body: EnsembleMEGNet, member: int) -> None:
        self.body, self.member = body, member
        self.encoders = [perceptron(getattr(body, f"{kind}_encoder"), member, activate_last=True) for kind in KINDS]
        self.readouts = [lstm(readout.lstm, member) for readout in (body.node_readout, body.edge_readout)]
        self.output = perceptron(body.output, member, activate_last=False)

    def __call__(self, crystal: Crystal) -> Tensor:
        """Last hidden layer, [16]."""
        atoms = Atoms(crystal.numbers, cell=crystal.cell, scaled_positions=crystal.fractional, pbc=True)
        first, second, distance = neighbor_list("ijd", atoms, CUTOFF_ANGSTROM)
        pairs = list(zip(second.tolist(), first.tolist(), strict=True))
        width = self.body.settings.gaussian_width_per_angstrom2
        offset = torch.tensor(distance, dtype=torch.float32)[:, None] - self.body.centres
        elements = torch.tensor(EMBEDDING_INDEX[crystal.numbers])
        inputs = [torch.exp(-width * offset**2), self.body.embedding[self.member][elements], torch.zeros(2)]
        edge, node, state = (encoder(values) for encoder, values in zip(self.encoders, inputs, strict=True))
        for block in self.body.blocks:
            edge, node, state = apply_block(block, self.member, pairs, (edge, node, state))
        read = [set2set(layer, rows) for layer, rows in zip(self.readouts, (node, edge), strict=True)]
        return self.output(torch.cat([*read, state]))


KINDS = ("edge", "node", "state")


def apply_block(
    block: EnsembleBlock, member: int, pairs: list[tuple[int, int]], before: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """One block on pairs (source, destination): edge [n_pairs, 32], node [n_atoms, 32], state [32]."""
    edge, node, state = before
    if block.dense:
        dense = [perceptron(getattr(block, f"{kind}_dense"), member, activate_last=True) for kind in KINDS]
        edge, node, state = dense[0](edge), dense[1](node), dense[2](state)
    update = [perceptron(getattr(block, f"{kind}_update"), member, activate_last=True) for kind in KINDS]
    inputs = [torch.cat([node[s], node[d], edge[k], state]) for k, (s, d) in enumerate(pairs)]
    edge = update[0](torch.stack(inputs))
    rows = []
    for atom in range(len(node)):
        arriving = [edge[k] for k, (_, destination) in enumerate(pairs) if destination == atom]
        message = torch.stack(arriving).mean(dim=0) if arriving else torch.zeros_like(node[atom])
        rows.append(torch.cat([node[atom], message, state]))
    node = update[1](torch.stack(rows))
    state = update[2](torch.cat([state, edge.mean(dim=0), node.mean(dim=0)]))
    return edge + before[0], node + before[1], state + before[2]


def set2set(layer: nn.LSTM, rows: Tensor, n_steps: int = 2) -> Tensor:
    """Set2set readout of rows, [n, f] → [2 f]."""
    hidden = cell = torch.zeros(1, rows.shape[1])
    query = torch.zeros(2 * rows.shape[1])
    for _ in range(n_steps):
        _, (hidden, cell) = layer(query[None], (hidden, cell))
        attention = torch.softmax(rows @ hidden[0], dim=0)
        query = torch.cat([hidden[0], attention @ rows])
    return query


def reference_output(model: ParAIsite, member: int, crystal: Crystal) -> float:
    """Standardised output of one member for one crystal."""
    with torch.no_grad():
        values = ReferenceMEGNet(model.body, member)(crystal)
        layers = [linear(layer, member) for layer in model.head if isinstance(layer, EnsembleLinear)]
        for layer in layers[:-1]:
            values = torch.relu(layer(values))
        return float(layers[-1](values))
