"""Layers of an ensemble: every parameter has a leading axis of members, and one call serves all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

LOG_2 = log(2.0)


def softplus2(values: Tensor) -> Tensor:
    """Shifted softplus log(1 + exp(x)) - log 2, zero at zero (MEGNet, doi 10.1021/acs.chemmater.9b01294)."""
    return functional.softplus(values).sub_(LOG_2)


class EnsembleLinear(nn.Module):
    """A dense layer for each member.

    Attributes:
        weight: [n_members, n_in, n_out].
        bias: [n_members, 1, n_out].
    """

    def __init__(self, n_members: int, n_in: int, n_out: int) -> None:
        """Allocate the parameters; `reset` fills them."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_members, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_members, 1, n_out))

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draw each member's parameters as torch.nn.Linear does, from the member's own generator."""
        bound = 1 / sqrt(self.weight.shape[1])
        reset_uniform((self.weight, self.bias), bound, generators)

    def forward(self, values: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            values: [n_members, n, n_in], or [1, n, n_in] where all members read the same.

        Returns:
            [n_members, n, n_out].
        """
        return torch.baddbmm(self.bias, values.expand(self.weight.shape[0], -1, -1), self.weight)


class EnsembleMLP(nn.ModuleList):
    """Dense layers with an activation between, and where asked also after the last."""

    def __init__(self, n_members: int, sizes: Sequence[int], *, activate_last: bool) -> None:
        """Make the layers `sizes[0]` → `sizes[1]` → … for every member."""
        super().__init__(EnsembleLinear(n_members, n_in, n_out) for n_in, n_out in pairwise(sizes))
        self.activate_last = activate_last

    def forward(self, values: Tensor) -> Tensor:
        """Apply the layers with softplus2: [n_members or 1, n, sizes[0]] → [n_members, n, sizes[-1]]."""
        return self.after_first(self.first(values))

    @property
    def first(self) -> EnsembleLinear:
        """The first layer."""
        return cast("EnsembleLinear", self[0])

    def after_first(self, values: Tensor) -> Tensor:
        """Go on from the first layer's sum, which the caller made: [n_members, n, sizes[1]] → [n_members, n, sizes[-1]]."""
        last = len(self) - 1
        for position, layer in enumerate(self):
            if position:
                values = layer(values)
            if position < last or self.activate_last:
                values = softplus2(values)
        return values


class EnsembleLSTMCell(nn.Module):
    """One LSTM step for each member, gates in the order input, forget, cell, output.

    Attributes:
        weight_input: [n_members, n_in, 4 n_hidden].
        weight_hidden: [n_members, n_hidden, 4 n_hidden].
        bias: [n_members, 1, 4 n_hidden]: the sum of the two biases that torch.nn.LSTM keeps.
    """

    def __init__(self, n_members: int, n_in: int, n_hidden: int) -> None:
        """Allocate the parameters; `reset` fills them."""
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(n_members, n_in, 4 * n_hidden))
        self.weight_hidden = nn.Parameter(torch.empty(n_members, n_hidden, 4 * n_hidden))
        self.bias = nn.Parameter(torch.empty(n_members, 1, 4 * n_hidden))

    def reset(self, generators: Sequence[torch.Generator]) -> None:
        """Draw each member's parameters as torch.nn.LSTM does; the bias is a sum of two draws there, one here."""
        bound = 1 / sqrt(self.weight_hidden.shape[1])
        reset_uniform((self.weight_input, self.weight_hidden, self.bias), bound, generators)

    def forward(self, values: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Advance one step: values [n_members, n, n_in], hidden and cell [n_members, n, n_hidden] → hidden, cell."""
        gates = torch.baddbmm(self.bias, values, self.weight_input)
        gates = torch.baddbmm(gates, hidden, self.weight_hidden)
        enter, forget, candidate, leave = gates.chunk(4, dim=-1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
        return torch.sigmoid(leave) * torch.tanh(cell), cell


def reset_uniform(parameters: Sequence[Tensor], bound: float, generators: Sequence[torch.Generator]) -> None:
    """Fill parameters [n_members, …] with U(-bound, bound), member k from generator k."""
    with torch.no_grad():
        for parameter in parameters:
            for member, generator in enumerate(generators):
                parameter[member].uniform_(-bound, bound, generator=generator)
