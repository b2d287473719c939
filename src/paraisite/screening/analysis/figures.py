"""The figures of an analysis: correlations, variance by step, distribution by member, mean against spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from paraisite.reporting.canvas import drawn
from paraisite.reporting.plots import family_colour, plain_numbers
from paraisite.screening.analysis.crystals import KAPPA, VARIANCE, Crystals
from paraisite.screening.analysis.tables import known_and_predicted

SHOWN_CORRELATION = 0.25
"""Features below this with every κ and variance are left out of the map, and numbers below it not written."""
MOST_FEATURES = 16
BINS_A_DECADE = 20
RELATIVE_SPREADS = (0.1, 1.0)
LABEL_CHARACTERS = 18
TITLE_CHARACTERS_PER_INCH = 15
"""Of a text of 8 points, with a margin."""


def draw_correlation_map(matrix: pd.DataFrame, n_quantities: int, folder: Path) -> None:
    """Draw Pearson's r between κ, variances and the features that go with them (the paper's Fig. 7).

    Args:
        matrix: As `paraisite.screening.analysis.correlations.correlation_matrix` makes it.
        n_quantities: Rows that are not features, the first ones.
        folder: Where to write.
    """
    quantities, features = list(matrix.index[:n_quantities]), matrix.index[n_quantities:]
    strongest = matrix.loc[features, quantities].abs().max(axis=1).sort_values(ascending=False)
    kept = set(strongest[strongest >= SHOWN_CORRELATION].index[:MOST_FEATURES])
    names = quantities + [name for name in features if name in kept]
    shown = matrix.loc[names, names]
    inches = 1.9 + 0.36 * len(names)
    with drawn(
        folder, "correlation_map", shown.rename_axis("quantity").reset_index(), (inches + 0.7, inches)
    ) as figure:
        axes = figure.add_subplot()
        image = axes.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1)
        labels = [_wrapped(name, 24) for name in names]
        axes.set_xticks(range(len(names)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=7)
        axes.set_yticks(range(len(names)), labels, fontsize=7)
        axes.spines[:].set_visible(False)
        values = shown.to_numpy(dtype=float)
        for row, column in np.argwhere(np.abs(values) >= SHOWN_CORRELATION):
            value = values[row, column]
            colour = "white" if abs(value) > 0.6 else "black"
            text = f"{value:.2f}".replace("-", "−")
            axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)
        figure.colorbar(image, ax=axes, label="Pearson's r", shrink=0.7)


def draw_variance(variances: pd.DataFrame, scans: pd.DataFrame, folder: Path) -> None:
    """Draw the distribution of var(κ) by step, with the variance of the data where they are known (the paper's Fig. 8).

    Args:
        variances: As `paraisite.screening.analysis.tables.variance_table` makes them.
        scans: As `paraisite.screening.analysis.tables.scan_table` makes it.
        folder: Where to write.
    """
    data = variances.merge(scans[["step", "fitted_to", "variance_of_data"]], on="step")
    with drawn(folder, "variance_by_step", data, (1.6 + 1.3 * len(data), 3.8)) as figure:
        axes = figure.add_subplot()
        _draw_boxes(axes, variances, [_colour(model) for model in scans["model"]])
        for position, row in enumerate(data.to_dict("records")):
            if np.isfinite(row["variance_of_data"]):
                axes.hlines(row["variance_of_data"], position - 0.4, position + 0.4, color="black", ls="--", lw=1)
                axes.annotate(
                    f"κ of {row['fitted_to']}", (position, row["variance_of_data"]), xytext=(0, 3),
                    textcoords="offset points", ha="center", fontsize=7,
                )  # fmt: skip
        axes.set_xticks(range(len(data)), [_wrapped(name) for name in data["step"]])
        axes.set_ylabel("var(κ) (W²/(m K)²)")
        if (variances["percentile_95"] > 0).any():  # not so where all members agree
            axes.set_yscale("log")
            plain_numbers(axes, "y")
        _set_title(figure, "box: quartiles, whiskers: 5–95 % of the crystals")


def draw_members(members: pd.DataFrame, scans: pd.DataFrame, folder: Path) -> None:
    """Draw the distribution of κ by member and step (the paper's Fig. 9).

    Args:
        members: As `paraisite.screening.analysis.tables.member_table` makes them.
        scans: As `paraisite.screening.analysis.tables.scan_table` makes it.
        folder: Where to write.
    """
    with drawn(folder, "distribution_by_member", members, (max(3.6, 2.7 * len(scans)), 3.6)) as figure:
        panels = _panels(figure, len(scans))
        for axes, step, model in zip(panels, scans["step"], scans["model"], strict=True):
            rows = members[members["step"] == step]
            _draw_boxes(axes, rows, [_colour(model)] * len(rows))
            axes.plot(range(len(rows)), rows["highest"], "^", ms=3.5, color="black")
            axes.plot(range(len(rows)), rows["lowest"], "v", ms=3.5, color="black")
            axes.set_xticks(range(len(rows)), [str(member) for member in rows["member"]])
            axes.set_yscale("log")
            plain_numbers(axes, "y")
            axes.set_xlabel("member")
            axes.set_title(_wrapped(step, 26), fontsize=9)
        panels[0].set_ylabel("κ at 300 K (W/(m K))")
        _set_title(figure, "box: quartiles, whiskers: 5–95 % of the crystals, triangles: lowest and highest")


def draw_spread(crystals: Crystals, folder: Path) -> None:
    """Draw the standard deviation over the members against κ, a panel a step."""
    counts, joined = {}, []
    for step in crystals.steps:
        kappa, variance = (crystals.values(step.column(quantity.name)) for quantity in (KAPPA, VARIANCE))
        spread = np.sqrt(variance)
        kept = spread > 0
        counts[step.label] = _histogram(kappa[kept], spread[kept])
        joined.append(_bins(*counts[step.label], names=("kappa", "spread")).assign(step=step.label))
    with drawn(folder, "kappa_against_spread", pd.concat(joined), (max(3.8, 2.7 * len(counts)), 3.4)) as figure:
        panels = _panels(figure, len(counts))
        for axes, (label, histogram) in zip(panels, counts.items(), strict=True):
            _draw_density(axes, *histogram)
            ends = np.array(axes.get_xlim())
            for relative in RELATIVE_SPREADS:
                axes.plot(ends, relative * ends, color="black", lw=0.6, ls=":" if relative < 1 else "-")
            axes.set_xlabel("κ at 300 K (W/(m K))")
            axes.set_title(_wrapped(label, 26), fontsize=9)
        panels[0].set_ylabel("standard deviation over the members")
        _set_title(figure, "darker: more crystals; full line: as large as κ, dotted: a tenth of it")


def draw_agreement(crystals: Crystals, column: str, folder: Path) -> str:
    """Draw κ against a joined column of κ, a panel a step; the figure's name."""
    name = "against_" + "".join(letter if letter.isalnum() else "_" for letter in column)
    histograms = {step.label: _histogram(*known_and_predicted(crystals, column, step)) for step in crystals.steps}
    data = [_bins(*histogram, names=("known", "kappa")).assign(step=label) for label, histogram in histograms.items()]
    with drawn(folder, name, pd.concat(data), (max(3.8, 2.7 * len(histograms)), 3.4)) as figure:
        panels = _panels(figure, len(histograms))
        for axes, (label, histogram) in zip(panels, histograms.items(), strict=True):
            _draw_density(axes, *histogram)
            ends = np.array(axes.get_xlim())
            axes.plot(ends, ends, color="black", lw=0.6)
            axes.set_xlabel(f"{column} (W/(m K))")
            axes.set_title(_wrapped(label, 26), fontsize=9)
        panels[0].set_ylabel("κ at 300 K (W/(m K))")
    return name


def _histogram(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts in squares of equal size on logarithmic axes, and their edges."""
    edges = []
    for values in (x, y):
        logarithms = np.log10(values) * BINS_A_DECADE
        low, high = (np.floor(logarithms.min()), np.floor(logarithms.max()) + 1) if len(values) else (0, 1)
        edges.append(10 ** (np.arange(low, high + 1) / BINS_A_DECADE))
    return (np.histogram2d(x, y, bins=edges)[0], edges[0], edges[1])


def _bins(counts: np.ndarray, x: np.ndarray, y: np.ndarray, names: tuple[str, str]) -> pd.DataFrame:
    """The squares that hold crystals: lower ends in W/(m K), and how many."""
    filled = np.argwhere(counts)
    lower = {
        f"{name}_from": edges[filled[:, axis]] for axis, (name, edges) in enumerate(zip(names, (x, y), strict=True))
    }
    return pd.DataFrame({**lower, "crystals": counts[tuple(filled.T)].astype(int)})


def _draw_density(axes: Axes, counts: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    if not counts.any():
        return
    masked = np.ma.masked_equal(counts, 0)
    colours = LogNorm(vmin=0.6, vmax=max(float(counts.max()), 1))
    # As a picture inside an SVG too: thousands of squares would make it slow to open.
    axes.pcolormesh(x, y, masked.T, cmap="viridis_r", norm=colours, rasterized=True)
    axes.set(xscale="log", yscale="log")
    plain_numbers(axes, "x", "y")


def _draw_boxes(axes: Axes, table: pd.DataFrame, colours: Sequence[str]) -> None:
    """Draw a box a row, of the quartiles, with whiskers from 5 to 95 %."""
    for position, (row, colour) in enumerate(zip(table.to_dict("records"), colours, strict=True)):
        box = {
            "whislo": row["percentile_5"], "q1": row["quartile_1"], "med": row["median"], "q3": row["quartile_3"],
            "whishi": row["percentile_95"],
        }  # fmt: skip
        axes.bxp(
            [box], positions=[position], widths=0.6, showfliers=False, patch_artist=True, manage_ticks=False,
            boxprops={"facecolor": colour + "33", "edgecolor": colour}, medianprops={"color": colour, "lw": 1.5},
            whiskerprops={"color": colour}, capprops={"color": colour},
        )  # fmt: skip


def _panels(figure: Figure, n_panels: int) -> list[Axes]:
    return list(figure.subplots(1, n_panels, sharey=True, squeeze=False)[0])


def _colour(model: str) -> str:
    return family_colour(Path(model).name)


def _set_title(figure: Figure, text: str) -> None:
    """Write a title in lines that the figure holds."""
    characters = int(figure.get_size_inches()[0] * TITLE_CHARACTERS_PER_INCH)
    figure.suptitle(fill(text, max(characters, LABEL_CHARACTERS)), fontsize=8)


def _wrapped(label: str, characters: int = LABEL_CHARACTERS) -> str:
    return fill(label, characters)
