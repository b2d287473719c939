"""One reason why κ may not hold for a crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["edge", "outside"]


@dataclass(frozen=True, slots=True)
class Concern:
    """One reason why κ may not hold for a crystal.

    Attributes:
        code: Short machine-readable code: `vacuum`, `molecular`, `noble_gas`, `metal`, `nearly_reduces` or `volume`.
        sentence: The reason for a reader, without a full stop.
        severity: `outside` where κ means nothing for such a crystal, `edge` where it is doubtful.
    """

    code: str
    sentence: str
    severity: Severity
