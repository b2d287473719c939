"""ParAIsite: MEGNet's last hidden layer feeding a multilayer perceptron that predicts κ (doi 10.1039/d5cp04401d)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.layers import EnsembleLinear
from paraisite.models.network.megnet import EnsembleMEGNet, MEGNetSettings
from paraisite.models.network.target import TargetTransform


@dataclass(frozen=True, slots=True)
class ParAIsiteSettings:
    """Sizes of a ParAIsite ensemble.

    Attributes:
        n_members: Number of members.
        head: Widths of the perceptron's hidden layers.
        megnet: Sizes of the body.
    """

    n_members: int = 9
    head: tuple[int, ...] = (450, 350, 350)
    megnet: MEGNetSettings = field(default_factory=MEGNetSettings)


class ParAIsite(nn.Module):
    """An ensemble of ParAIsite models as one module."""

    def __init__(self, settings: ParAIsiteSettings) -> None:
        """Allocate the parameters; `reset` fills them."""
        super().__init__()
        self.settings = settings
        self.body = EnsembleMEGNet(settings.n_members, settings.megnet)
        sizes = (settings.megnet.output[-1], *settings.head, 1)
        self.head = nn.ModuleList(EnsembleLinear(settings.n_members, n_in, n_out) for n_in, n_out in pairwise(sizes))
        self.target = TargetTransform(settings.n_members)

    def reset(self, seeds: Sequence[int]) -> None:
        """Draw random initial parameters.

        Args:
            seeds: One seed per member; a member's weights depend on its own seed alone.
        """
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.body.reset(generators)
        self._reset_head(generators)

    def reset_head(self, seeds: Sequence[int]) -> None:
        """Draw random parameters of the perceptron alone, one seed per member."""
        self._reset_head([torch.Generator().manual_seed(seed) for seed in seeds])

    def _reset_head(self, generators: Sequence[torch.Generator]) -> None:
        for layer in self.head:
            cast("EnsembleLinear", layer).reset(generators)

    def forward(self, batch: GraphBatch) -> Tensor:
        """Predict the standardised target of each graph: [n_members, n_graphs]."""
        return self.from_features(self.body(batch))

    def from_features(self, features: Tensor) -> Tensor:
        """Apply the perceptron with ReLU: [n_members, n_graphs, 16] → standardised target, [n_members, n_graphs]."""
        values = features
        for layer in self.head[:-1]:
            values = torch.relu(layer(values))
        standardised: Tensor = self.head[-1](values)
        return standardised.squeeze(-1)

    def predict_kappa(self, batch: GraphBatch) -> Tensor:
        """Predict κ at 300 K in W/(m K) of each graph: [n_members, n_graphs]."""
        return self.target.inverse(self(batch))
