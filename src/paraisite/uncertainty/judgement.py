"""What a model says of its own predictions: their intervals, and whether it knows such crystals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from paraisite.applicability import Concern
from paraisite.graphs.store import GraphStore
from paraisite.uncertainty.conformal import Residuals
from paraisite.uncertainty.domain import LEVELS, Domain

EARLIER = ("inside the domain of", "at the edge of the domain of", "outside the domain of")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of each prediction, one array or list per column.

    Attributes:
        kappa_low: Lower end of the calibrated 90 % interval of κ in W/(m K), [n] float64; NaN without a calibration.
        kappa_high: Upper end.
        domain: `inside`, `edge` or `outside`; empty where the model does not know its domain.
        domain_distance: Distance to the training crystals, 1 is usual between them, [n] float64; NaN as above.
        domain_reason: Why a crystal is not inside, in words; empty where it is.
    """

    kappa_low: np.ndarray
    kappa_high: np.ndarray
    domain: list[str]
    domain_distance: np.ndarray
    domain_reason: list[str]

    @classmethod
    def unknown(cls, n: int) -> Judgement:
        """What is said without a calibration."""
        nothing = np.full(n, np.nan)
        return cls(nothing, nothing, [""] * n, nothing, [""] * n)

    def where(self, kept: np.ndarray) -> Judgement:
        """Say nothing of predictions where `kept`, [n] bool, is not set."""
        low, high, distance = (
            np.where(kept, values, np.nan) for values in (self.kappa_low, self.kappa_high, self.domain_distance)
        )
        domain, reason = (
            [text if keep else "" for text, keep in zip(texts, kept, strict=True)]
            for texts in (self.domain, self.domain_reason)
        )
        return Judgement(low, high, domain, distance, reason)

    def with_concerns(self, concerns: Sequence[tuple[Concern, ...]], caution: str = "") -> Judgement:
        """Join what is doubtful of each crystal whatever the model: the worse domain, and the concerns first in the reason.

        Args:
            concerns: Concerns of each crystal, [n].
            caution: What the model says of all its predictions; last in every reason.
        """
        domain, reasons = list(self.domain), list(self.domain_reason)
        for row, found in enumerate(concerns):
            if found:
                levels = [concern.severity for concern in found]
                domain[row] = max([*levels, domain[row] or LEVELS[0]], key=LEVELS.index)
                reasons[row] = "; ".join([*(concern.sentence for concern in found), *filter(None, [reasons[row]])])
        if caution:
            reasons = ["; ".join(filter(None, [reason, caution])) for reason in reasons]
        return replace(self, domain=domain, domain_reason=reasons)


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """What a model needs to judge its predictions.

    Attributes:
        residuals: Errors on held-out crystals; None where the model has no honest ones.
        domain: The crystals that its last stage trained on.
        earlier: Those of the stage before, seen by the same model; None where there is none.
    """

    residuals: Residuals | None
    domain: Domain
    earlier: Domain | None = None

    def judge(self, kappa: np.ndarray, features: np.ndarray, store: GraphStore, formulas: Sequence[str]) -> Judgement:
        """Judge predictions.

        Args:
            kappa: κ of each member in W/(m K), [n_members, n].
            features: The body's features, [n_members, n, n_features].
            store: The crystals' graphs.
            formulas: Their reduced formulas.
        """
        level, distance, reasons = self.domain.judge(features, store, formulas)
        if self.earlier is not None:
            before, _, _ = self.earlier.judge(features, store, formulas)
            for row in np.flatnonzero(level):
                reasons[row] += f"; {EARLIER[before[row]]} {self.earlier.name}"
        low = high = np.full(len(formulas), np.nan)
        if self.residuals is not None:
            low, high = self.residuals.interval(kappa)
        return Judgement(low, high, [LEVELS[number] for number in level], distance, reasons)
