"""What decides a crystal's graph: cutoff and the tolerance within which two distances are one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

GRAPH_FORMAT = 2
"""Raised when the same settings would give other arrays, so that old cache files are not taken."""


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """Settings of the graph of a crystal.

    Attributes:
        cutoff_angstrom: Largest distance of two neighbours in Å.
        tolerance_angstrom: Distances of one crystal closer than this in Å count as equal in the quotient graph; 0 gives
            the plain graph, one node an atom and one edge a neighbour pair.
        max_edges: A crystal with more neighbour pairs than this is refused before they are made.
    """

    cutoff_angstrom: float = 4.0
    tolerance_angstrom: float = 1e-3
    max_edges: int = 5_000_000

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not 0 < self.cutoff_angstrom < 50:
            raise ValueError(f"cutoff_angstrom must lie between 0 and 50 Å, not {self.cutoff_angstrom}")
        if not 0 <= self.tolerance_angstrom < 0.1:
            raise ValueError(f"tolerance_angstrom must lie between 0 and 0.1 Å, not {self.tolerance_angstrom}")

    def digest(self) -> str:
        """Hash of the settings and of the array format, for cache keys."""
        content = json.dumps({"format": GRAPH_FORMAT, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


DEFAULT_GRAPH_SETTINGS = GraphSettings()
