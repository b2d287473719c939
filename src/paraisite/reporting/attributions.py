"""A picture of the attributions of one prediction."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from paraisite.atomic import atomic_path
from paraisite.errors import ParaisiteError
from paraisite.models.explanation import N_SHOWN, Explanation
from paraisite.reporting.plots import OTHER_COLOUR, STYLE

_RAISES, _LOWERS, _REST = "#d55e00", "#0072b2", OTHER_COLOUR


def plot_attributions(explanation: Explanation, path: str | Path) -> None:
    """Draw the attributions as horizontal bars: the groups above, the largest descriptors below.

    Args:
        explanation: One with attributions.
        path: Picture to write; the file name's ending chooses the format.

    Raises:
        ParaisiteError: It has no attributions.
    """
    if explanation.background_kappa is None:
        raise ParaisiteError(f"There is nothing to draw. {explanation.note}")
    path = Path(path)
    singles = {part.text: part.log10_kappa for part in explanation.attributions[:N_SHOWN]}
    rest = explanation.attributions[N_SHOWN:]
    singles[f"the other {len(rest)} descriptors"] = sum(part.log10_kappa for part in rest)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        groups, descriptors = figure.subplots(2, 1, sharex=True, height_ratios=(len(explanation.groups), len(singles)))
        _draw(groups, explanation.groups)
        _draw(descriptors, singles)
        descriptors.patches[-1].set_color(_REST)
        descriptors.set_xlabel("part of log$_{10}$ κ (0.3 doubles κ)")
        figure.suptitle(_title(explanation), fontsize=9)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=path.suffix.removeprefix(".") or "png")


def _title(explanation: Explanation) -> str:
    name = f"{explanation.formula} ({explanation.material_id})" if explanation.material_id else explanation.formula
    return (
        f"{name}: κ = {explanation.median_kappa:.3g} W/(m K), median; "
        f"mean of sampled training crystals: {explanation.background_kappa:.3g} W/(m K)"
    )


def _draw(axes: Axes, parts: dict[str, float]) -> None:
    values = np.array(list(parts.values()))
    rows = np.arange(len(values))
    bars = axes.barh(rows, values, color=[_RAISES if value > 0 else _LOWERS for value in values], height=0.7)
    axes.bar_label(bars, [f"{value:+.2f}" for value in values], padding=2, fontsize=7)
    axes.set_yticks(rows, list(parts), fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="black", lw=0.8)
    axes.margins(x=0.15)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
