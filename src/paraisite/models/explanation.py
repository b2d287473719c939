"""What an explanation holds, in plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from paraisite.features.vocabulary import GROUPS
from paraisite.html_tables import html_table

N_SHOWN = 8
"""Descriptors that are shown singly to a reader; the rest is one sum."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training crystal that the correction of a prediction rests on.

    Attributes:
        material_id: Its identifier.
        formula: Its reduced formula.
        source: Data set of its κ.
        kappa: That κ at 300 K in W/(m K).
        correlation: Prior correlation between the corrections of both crystals, 0 to 1; mean over the members.
        distance: Euclidean distance in the scaled descriptors of the correction.
    """

    material_id: str
    formula: str
    source: str
    kappa: float
    correlation: float
    distance: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much a descriptor moves a prediction away from the mean over the background crystals.

    Attributes:
        descriptor: Its label, such as `bonds: reduced mass`.
        group: Group that it belongs to, one of `paraisite.features.vocabulary.GROUPS`.
        value: Its value for the crystal, in `unit`.
        unit: Unit; empty for a pure number.
        log10_kappa: SHAP value: its part of log10 κ; 0.3 doubles κ.
    """

    descriptor: str
    group: str
    value: float
    unit: str
    log10_kappa: float

    @property
    def text(self) -> str:
        """The descriptor with its value, such as `mean mass = 29.2 u`."""
        return f"{self.descriptor} = {self.value:.3g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the multi-fidelity model predicts what it does of one crystal; κ at 300 K in W/(m K).

    The parts add up in log10 κ: `fall_back_kappa` and `correction` give `median_kappa`, which `shift` moves to `kappa`.

    Attributes:
        material_id: Identifier of the crystal.
        formula: Its reduced formula.
        source: Where it was read.
        agl_kappa: AGL value that the surrogate expects.
        fall_back_kappa: What the members say far from every first-principles crystal, from ρ and the AGL value alone.
        correction: δ: what the first-principles crystals add to log10 κ.
        median_kappa: Median of the predictive distribution.
        shift: Shift of log10 κ from the median to the point estimate, which is lower where the prediction is uncertain.
        kappa: Point estimate, `kappa` of the table of predictions.
        interval_low: Lower end of the calibrated 90 % interval.
        interval_high: Upper end.
        members: Point estimate of each member.
        neighbours: Training crystals that are correlated most, the nearest first.
        background_kappa: Geometric mean of the median κ over the background crystals, where the attributions start; None
            without attributions.
        attributions: Of all descriptors, the largest first; empty without the library that makes them.
        note: Why there are no attributions; empty where there are.
    """

    material_id: str
    formula: str
    source: str
    agl_kappa: float
    fall_back_kappa: float
    correction: float
    median_kappa: float
    shift: float
    kappa: float
    interval_low: float
    interval_high: float
    members: tuple[float, ...]
    neighbours: tuple[Neighbour, ...]
    background_kappa: float | None = None
    attributions: tuple[Attribution, ...] = ()
    note: str = ""

    @property
    def groups(self) -> dict[str, float]:
        """Sum of the attributions of each group in log10 κ, the largest first; empty without attributions."""
        sums = {
            group: sum(part.log10_kappa for part in self.attributions if part.group == group)
            for group in GROUPS
            if self.attributions
        }
        return dict(sorted(sums.items(), key=lambda item: -abs(item[1])))

    def _repr_html_(self) -> str:
        """What a notebook shows: the parts of the prediction and its nearest training crystals."""
        parts = [
            ("κ", f"{self.kappa:.3g}"), ("90 % interval", f"{self.interval_low:.3g} to {self.interval_high:.3g}"),
            ("AGL, expected", f"{self.agl_kappa:.3g}"), ("fall-back", f"{self.fall_back_kappa:.3g}"),
            ("median", f"{self.median_kappa:.3g}"),
            *((f"near: {one.formula} {one.material_id} ({one.source})", f"{one.kappa:.3g}") for one in self.neighbours),
            *((one.text, f"× {10**one.log10_kappa:.2f}") for one in self.attributions[:N_SHOWN]),
        ]  # fmt: skip
        return html_table(("", "W/(m K)"), parts, f"Why {self.formula} {self.material_id}")

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, the sums of the groups among them."""
        return {**asdict(self), "groups": self.groups}
