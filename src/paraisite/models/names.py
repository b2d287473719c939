"""Names that the command line needs before PyTorch is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_MODEL = "MultiFidelity"
"""The shipped model that predicts unless another is named."""
MULTI_FIDELITY = "multi_fidelity"
NETWORK = "network"
"""Kind of an ensemble of networks; its cards, older than kinds, name none."""


def kind_of(card: Mapping[str, Any]) -> str:
    """Name of the kind of the model that a card describes."""
    return str(card.get("kind", NETWORK))
