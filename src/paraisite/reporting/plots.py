"""Plots that read in print: predicted against computed κ, and errors by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

STEP_LABELS = {
    "RWTG15": "Step 1: random weights → Togo15 (RWTG15)",
    "FETG15": "Step 2: formation energy → Togo15 (FETG15)",
    "RWAFTG15": "Check: random weights → AFLOW → Togo15 (RWAFTG15)",
    "FEAFTG15": "Step 3: formation energy → AFLOW → Togo15 (FEAFTG15)",
}
_DATA_SUFFIXES = ("TG15", "HH143", "MIX")
_COLOURS = {
    "RW": "#777777",
    "FE": "#0072b2",
    "RWAF": "#e69f00",
    "FEAF": "#d55e00",
    "frozen-body": "#cc79a7",
    "new-head": "#009e73",
    "unseen": "#56b4e9",
}
"""One colour a way of transfer everywhere (Okabe and Ito's palette, which colour-blind readers tell apart)."""
OTHER_COLOUR = "#4d4d4d"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 150,
    "svg.hashsalt": "paraisite",
}
LABELLED_WORST = 5
EPOCHS_TITLE = (
    "Validation error on Togo15 by epoch: mean of the runs, band: the middle half of them\n"
    "(a lowest point is optimistic: an epoch chosen on these crystals)"
)


def family_colour(name: str) -> str:
    """Colour of a family: that of its way of transfer, whatever it is tested on; variants of a family have their own.

    Args:
        name: Name of a family (`FEAFTG15`, `RWHH143`) or of a variant (`FEAFTG15-new-head`).
    """
    family, _, variant = name.partition("-")
    for suffix in _DATA_SUFFIXES:
        family = family.removesuffix(suffix)
    return _COLOURS.get(variant, _COLOURS.get(family, OTHER_COLOUR))


def plain_numbers(axes: Axes, *names: str) -> None:
    """Write the major ticks of a logarithmic axis (`x`, `y`) as plain numbers, and the minor ones not at all."""
    for name in names:
        axis = axes.xaxis if name == "x" else axes.yaxis
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def parity_plot(table: pd.DataFrame, path: str | Path, title: str) -> None:
    """Draw predicted against computed κ, and write the points beside the picture as CSV.

    Args:
        table: One row per crystal: `formula`, `kappa`, `predicted`, `lowest`, `highest` in W/(m K).
        path: Picture to write; the file name's ending chooses the format.
        title: Title of the plot.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 5.0), layout="constrained")
        axes = figure.add_subplot()
        draw_parity(axes, table, family_colour("FEAFTG15"))
        axes.set_title(title)
        axes.legend(loc="upper left")
        figure.savefig(path)
    table.to_csv(Path(path).with_suffix(".csv"), index=False)


def draw_parity(axes: Axes, table: pd.DataFrame, colour: str, limits: tuple[float, float] | None = None) -> None:
    """Draw predicted against computed κ with the factor of two, and name the worst crystals.

    Args:
        axes: Where to draw.
        table: As for `parity_plot`.
        colour: Colour of the points.
        limits: Ends of both axes in W/(m K); without them, the decades that hold all points.
    """
    values = table[["kappa", "predicted", "lowest", "highest"]].to_numpy()
    limits = limits or (float(10 ** np.floor(np.log10(values.min()))), float(10 ** np.ceil(np.log10(values.max()))))
    diagonal = np.array(limits)
    axes.fill_between(
        diagonal, diagonal / 2, diagonal * 2, color=colour, alpha=0.10, lw=0, label="within a factor of 2"
    )
    axes.plot(diagonal, diagonal, color="black", lw=0.8)
    bars = np.abs(table[["lowest", "highest"]].to_numpy().T - table["predicted"].to_numpy())
    axes.errorbar(
        table["kappa"], table["predicted"], yerr=bars, fmt="o", ms=4, color=colour, mec="white", mew=0.4,
        ecolor=colour + "66", elinewidth=0.8, label="validation crystals, bar: range of the runs",
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
    _label_worst(axes, table)
    axes.set(xlabel="computed κ at 300 K (W/(m K))", ylabel="predicted κ at 300 K (W/(m K))")
    plain_numbers(axes, "x", "y")


def _label_worst(axes: Axes, table: pd.DataFrame) -> None:
    error = pd.Series(np.abs(np.log(table["predicted"] / table["kappa"])), index=table.index)
    worst = table.loc[error.nlargest(LABELLED_WORST).index].sort_values("kappa")
    floor = axes.get_ylim()[0]
    for position, row in enumerate(worst.to_dict("records")):
        # Below and above, right and left in turn, so that neighbouring names do not cover each other.
        below, left = position % 2 == 0 and row["predicted"] > 2 * floor, position % 4 > 1
        axes.annotate(
            row["formula"], (row["kappa"], row["predicted"]), xytext=(-4 if left else 4, -10 if below else 4),
            textcoords="offset points", fontsize=7, color="#444444", ha="right" if left else "left",
        )  # fmt: skip


def epochs_plot(curves: Mapping[str, pd.DataFrame], path: str | Path, recorded: Mapping[str, pd.DataFrame]) -> None:
    """Draw the validation error by epoch, mean over the runs with the middle half of them, and write it as CSV.

    Args:
        curves: Errors by epoch of each family: columns `epoch`, `run`, `validation_mape`.
        path: Picture to write.
        recorded: Families that were not trained now: columns `epoch`, `mean`, `standard_deviation`; drawn dashed.
    """
    parts = {name: summarise_epochs(table) for name, table in curves.items()}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        order = [name for name in STEP_LABELS if name in parts or name in recorded]
        for name in order:
            if name in parts:
                draw_epochs(axes, parts[name], family_colour(name), STEP_LABELS[name])
            else:
                draw_epochs(axes, recorded[name], family_colour(name), f"{STEP_LABELS[name]}, recorded", style="--")
        axes.set_ylim(0, 1.6)
        axes.set_title(EPOCHS_TITLE, fontsize=9)
        axes.legend(loc="upper right", fontsize=8, frameon=True, framealpha=0.9, edgecolor="none")
        figure.savefig(path)
    joined = {**recorded, **parts}
    frames = [joined[name].assign(family=name, recorded=name not in parts) for name in order]
    pd.concat(frames).to_csv(Path(path).with_suffix(".csv"), index=False)


def draw_epochs(axes: Axes, table: pd.DataFrame, colour: str, label: str, style: str = "-") -> None:
    """Draw one family's mean error by epoch, with a band from the first to the third quartile where the table has them.

    Args:
        axes: Where to draw.
        table: As made by `summarise_epochs`; the quartiles may be absent.
        colour: Colour of line and band.
        label: Name in the legend.
        style: Line style.
    """
    axes.plot(table["epoch"], table["mean"], color=colour, lw=1.4, ls=style, label=label)
    if "quartile_1" in table:
        # Quartiles: a run that fails altogether would make a standard deviation as wide as the plot.
        axes.fill_between(table["epoch"], table["quartile_1"], table["quartile_3"], color=colour, alpha=0.15, lw=0)
    axes.set(xlabel="epoch", ylabel="MAPE on the validation parts, true κ")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def summarise_epochs(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, standard deviation and quartiles over the runs by epoch, epochs without a validation left out.

    Returns:
        Columns `epoch`, `mean`, `standard_deviation`, `quartile_1`, `quartile_3`.
    """
    grouped = table.groupby("epoch")["validation_mape"]
    summary = pd.DataFrame({
        "mean": grouped.mean(),
        "standard_deviation": grouped.std(ddof=0),
        "quartile_1": grouped.quantile(0.25),
        "quartile_3": grouped.quantile(0.75),
    })  # fmt: skip
    return summary.dropna().reset_index()
