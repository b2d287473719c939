"""What an explanation holds, in plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from paraisite.features.vocabulary import GROUPS
from paraisite.html_tables import html_table

N_SHOWN = 8
"""Descriptors that are shown singly to a reader; the rest is one sum."""


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
class Section:
    """A small table of an explanation, as texts.

    Attributes:
        headers: Title of each column; the first one names the table.
        rows: Its rows.
        left: Columns that stand to the left, besides the first.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a model predicts what it does of one crystal; κ at 300 K in W/(m K). A kind of models adds what it can say more.

    Attributes:
        material_id: Identifier of the crystal.
        formula: Its reduced formula.
        source: Where it was read.
        kappa: Point estimate, `kappa` of the table of predictions.
        median_kappa: Median of the predictive distribution, where the attributions end; the point estimate where there is no
            other.
        background_kappa: Geometric mean of the median κ over the background crystals, where the attributions start; None
            without attributions.
        attributions: Of all descriptors, the largest first; empty where there are none.
        note: Why there are no attributions; empty where there are.
    """

    material_id: str
    formula: str
    source: str
    kappa: float
    median_kappa: float
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
        """What a notebook shows: the tables of the explanation, and the largest attributions."""
        rows = [row for section in self.sections() for row in section.rows]
        width = max(map(len, rows))
        rows += [(one.text, f"× {10**one.log10_kappa:.2f}") for one in self.attributions[:N_SHOWN]]
        filled = [(*row, *[""] * (width - len(row))) for row in rows]
        return html_table(("", "κ in W/(m K)", *[""] * (width - 2)), filled, f"Why {self.formula} {self.material_id}")

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, the sums of the groups among them."""
        return {**asdict(self), "groups": self.groups}

    def sections(self) -> tuple[Section, ...]:
        """Tables for a reader, besides the attributions."""
        return (Section(("κ at 300 K in W/(m K)", ""), (("point estimate", f"{self.kappa:.3g}"),)),)


def as_factor(log10_kappa: float) -> str:
    """A part of log10 κ as a factor of κ."""
    return f"× {10**log10_kappa:.2f}"
