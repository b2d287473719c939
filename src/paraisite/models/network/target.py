"""The target transform: κ ↔ standardised logarithm, a part of the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LN_10 = 2.302585092994046
MAX_LOGARITHM = 30.0
"""A wild member is held here: beyond, κ overflows, and one crystal that it only validates would make its weights NaN."""


class TargetTransform(nn.Module):
    """z = (log10(κ + 1) - mean) / standard deviation, for each member (Klochko and d'Aquin, doi 10.1039/d5cp04401d).

    Attributes:
        mean: Mean of log10(κ + 1), κ in W/(m K), [n_members].
        standard_deviation: Population standard deviation of the same, [n_members].
    """

    mean: Tensor
    standard_deviation: Tensor

    def __init__(self, n_members: int) -> None:
        """Begin with the identity on log10(κ + 1)."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_members))
        self.register_buffer("standard_deviation", torch.ones(n_members))

    def fit(self, kappa: Tensor, mask: Tensor) -> None:
        """Set mean and standard deviation.

        Args:
            kappa: κ in W/(m K), [n_crystals].
            mask: Crystals that each member's scale is taken from, [n_members, n_crystals] bool.
        """
        logarithm = torch.log10(kappa.double() + 1)
        for member, chosen in enumerate(mask):
            values = logarithm[chosen]
            self.mean[member] = values.mean()
            self.standard_deviation[member] = values.std(correction=0)

    def forward(self, kappa: Tensor) -> Tensor:
        """Map κ in W/(m K), [n] or [n_members, n], to standardised values, [n_members, n]."""
        return (torch.log10(kappa + 1) - self.mean.unsqueeze(-1)) / self.standard_deviation.unsqueeze(-1)

    def inverse(self, standardised: Tensor) -> Tensor:
        """Map standardised values, [n_members, n], to κ in W/(m K); a value below log10(1) gives a κ below 0."""
        logarithm = standardised * self.standard_deviation.unsqueeze(-1) + self.mean.unsqueeze(-1)
        return torch.expm1(logarithm.clamp(max=MAX_LOGARITHM) * LN_10)
