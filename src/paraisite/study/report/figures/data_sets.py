"""What the data sets cover: κ, elements, structures. Binned counts alone: no single crystal's value is drawn or written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from pymatgen.core.periodic_table import Element

from paraisite.datasets.prototypes import EXPLICIT
from paraisite.elements import ELEMENTS
from paraisite.reporting.canvas import WIDTH_INCHES, drawn
from paraisite.reporting.plots import plain_numbers
from paraisite.study.report.data import DATA_TITLES, StudyResults

DATA_COLOURS = {"togo15": "#d55e00", "hh143": "#009e73", "aflow_agl": "#0072b2"}
BINS_PER_DECADE = 5
SHOWN_STRUCTURES = 12


def draw_kappa_distribution(study: StudyResults, folder: Path) -> None:
    """Draw the distribution of κ of each data set, as Fig. 1 of doi 10.1039/d5cp04401d."""
    counts = kappa_histogram(study)
    names = list(dict.fromkeys(counts["data"]))
    with drawn(folder, "kappa_distribution", counts, (WIDTH_INCHES, 1.0 + 1.3 * len(names))) as figure:
        panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            rows = counts[counts["data"] == name]
            edges = [*rows["low_w_per_mk"], rows["high_w_per_mk"].iloc[-1]]
            axes.stairs(rows["crystals"], edges, fill=True, color=DATA_COLOURS[name], alpha=0.75)
            axes.set(xscale="log", ylabel="crystals")
            axes.text(0.99, 0.9, f"{DATA_TITLES[name]}, {rows['crystals'].sum()} crystals", transform=axes.transAxes,
                      ha="right", va="top")  # fmt: skip
        plain_numbers(panels[-1], "x")
        panels[-1].set_xlabel("κ at 300 K (W/(m K))")


def kappa_histogram(study: StudyResults) -> pd.DataFrame:
    """Numbers of crystals by κ: columns `data`, `low_w_per_mk`, `high_w_per_mk`, `crystals`, 5 bins a decade."""
    frames = []
    for name, table in study.data.items():
        logarithm = np.log10(table["kappa"].to_numpy(dtype=float)) * BINS_PER_DECADE
        edges = np.arange(np.floor(logarithm.min()), np.floor(logarithm.max()) + 2)
        crystals, _ = np.histogram(logarithm, edges)
        limits = 10 ** (edges / BINS_PER_DECADE)
        columns = {"low_w_per_mk": limits[:-1], "high_w_per_mk": limits[1:], "crystals": crystals}
        frames.append(pd.DataFrame({"data": name, **columns}))
    return pd.concat(frames, ignore_index=True)


def draw_elements(study: StudyResults, folder: Path) -> None:
    """Draw how many crystals of each data set hold each element, on the periodic table."""
    rows = []
    for name, table in study.data.items():
        counts = Counter(element for text in table["elements"] for element in set(text.split()))
        rows += [{"data": name, "element": element, "crystals": counts.get(element, 0)} for element in ELEMENTS]
    data = pd.DataFrame(rows)
    with drawn(folder, "elements", data, (WIDTH_INCHES, 3.2 * len(study.data))) as figure:
        panels = figure.subplots(len(study.data), 1, squeeze=False)[:, 0]
        for axes, name in zip(panels, study.data, strict=True):
            part = data[data["data"] == name]
            _draw_periodic_table(axes, dict(zip(part["element"], part["crystals"], strict=True)))
            axes.set_title(f"{DATA_TITLES[name]}: crystals with the element", fontsize=9)


def _draw_periodic_table(axes: Axes, crystals: dict[str, int]) -> None:
    norm, colours = LogNorm(1, max(2, *crystals.values())), colormaps["viridis_r"]
    for symbol, count in crystals.items():
        row, column = _place(symbol)
        face = colours(norm(count)) if count else "#f2f2f2"
        ink = "white" if count and norm(count) > 0.5 else "black" if count else "#aaaaaa"
        axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=face, lw=0))
        axes.text(column, row - 0.15, symbol, ha="center", va="center", fontsize=7, color=ink)
        if count:
            axes.text(column, row + 0.26, str(count), ha="center", va="center", fontsize=5, color=ink)
    axes.set(xlim=(0.4, 18.6), ylim=(8.9, 0.4), aspect="equal")
    axes.axis("off")


def _place(symbol: str) -> tuple[float, float]:
    """Row and column in the usual table, the lanthanides and actinides below."""
    element = Element(symbol)
    if element.is_lanthanoid or element.is_actinoid:
        first = 57 if element.is_lanthanoid else 89
        return (7.0 if element.is_lanthanoid else 8.0) + 0.3, 3.0 + element.Z - first
    return float(element.row), float(element.group)


def draw_structures(study: StudyResults, folder: Path) -> None:
    """Draw the most frequent structure types and space groups of each data set."""
    rows = []
    for name, table in study.data.items():
        labels = [
            f"{prototype.replace('_', ' ')} ({group})" if prototype not in {"", EXPLICIT} else f"space group {group}"
            for prototype, group in zip(table["prototype"], table["spacegroup"], strict=True)
        ]
        rows += [{"data": name, "structure": key, "crystals": count} for key, count in Counter(labels).most_common()]
    data = pd.DataFrame(rows)
    with drawn(folder, "structures", data, (WIDTH_INCHES, 3.2)) as figure:
        panels = figure.subplots(1, len(study.data), squeeze=False)[0]
        for axes, name in zip(panels, study.data, strict=True):
            part = data[data["data"] == name]
            shown = part.head(SHOWN_STRUCTURES)
            axes.barh(range(len(shown)), shown["crystals"], color=DATA_COLOURS[name], alpha=0.75)
            axes.set_yticks(range(len(shown)), shown["structure"], fontsize=7)
            axes.set_ylim(SHOWN_STRUCTURES - 0.4, -0.6)
            axes.set_xlabel("crystals")
            several = f"\n{len(shown)} of {len(part)} shown" if len(part) > len(shown) else "\n"
            axes.set_title(DATA_TITLES[name] + several, fontsize=9)
