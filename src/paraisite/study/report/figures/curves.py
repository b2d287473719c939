"""Errors by epoch, and by the number of training crystals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from paraisite.reporting.canvas import ERROR_TICKS, WIDTH_INCHES, drawn
from paraisite.reporting.plots import STEP_LABELS, draw_epochs, family_colour, plain_numbers, summarise_epochs
from paraisite.study.report.data import DATA_TITLES, FAMILIES_BY_DATA, StudyResults, read_curves
from paraisite.study.report.tables import TABLE_METRICS

COLUMNS_OF_RUNS = 3
HIGHEST_MAPE = 1.6


def draw_epoch_curves(study: StudyResults, folder: Path) -> bool:
    """Draw the mean validation error by epoch, as Fig. 6 of doi 10.1039/d5cp04401d, a panel a data set.

    Returns:
        Whether there was anything to draw.
    """
    curves = read_curves(job for job in study.done("family") if job.protocol == "paper")
    if curves.empty:
        return False
    parts = {
        (data, family): summarise_epochs(curves[curves["family"] == family]).assign(data=data, family=family)
        for data, families in FAMILIES_BY_DATA.items()
        for family in families
        if (curves["family"] == family).any()
    }
    sets = list(dict.fromkeys(data for data, _ in parts))
    table = pd.concat(list(parts.values()), ignore_index=True)
    rows = -(-len(sets) // 2)
    with drawn(folder, "error_by_epoch", table, (WIDTH_INCHES, 3.1 * rows)) as figure:
        panels = figure.subplots(rows, min(2, len(sets)), squeeze=False).ravel()
        for axes in panels[len(sets) :]:
            axes.axis("off")
        for axes, data in zip(panels, sets, strict=False):
            for (name, family), part in parts.items():
                if name == data:
                    draw_epochs(axes, part, family_colour(family), family)
            shown = table[(table["data"] == data) & (table["epoch"] > 0.02 * table["epoch"].max())]
            axes.set_ylim(0, min(HIGHEST_MAPE, 1.3 * float(shown[["mean", "quartile_3"]].max(axis=None))))
            axes.set_title(DATA_TITLES[data], fontsize=9)
            axes.legend(fontsize=7, loc="upper right", ncols=2, frameon=True, framealpha=0.9, edgecolor="none")
    return True


def draw_run_curves(study: StudyResults, folder: Path) -> bool:
    """Draw the validation error on Togo15 by epoch of every run, a panel a run, with the paper's selected epoch.

    Returns:
        Whether there was anything to draw.
    """
    families = FAMILIES_BY_DATA["togo15"]
    curves = read_curves(job for job in study.done("family") if job.protocol == "paper" and job.family in families)
    if curves.empty:
        return False
    curves = curves[["data", "family", "run", "epoch", "train_loss", "validation_mape"]].dropna()
    runs = sorted(curves["run"].unique())
    rows = -(-len(runs) // COLUMNS_OF_RUNS)
    with drawn(folder, "error_by_epoch_of_each_run", curves, (WIDTH_INCHES, 0.6 + 2.0 * rows)) as figure:
        panels = figure.subplots(rows, min(COLUMNS_OF_RUNS, len(runs)), squeeze=False, sharex=True, sharey=True).ravel()
        for axes, run in zip(panels, runs, strict=False):
            for family in families:
                part = curves[(curves["family"] == family) & (curves["run"] == run)]
                if len(part):
                    best = part.loc[part["validation_mape"].idxmin()]
                    colour = family_colour(family)
                    axes.plot(part["epoch"], part["validation_mape"], color=colour, lw=0.6, alpha=0.8, label=family)
                    axes.plot(best["epoch"], best["validation_mape"], "o", ms=4, color=colour, mec="black", mew=0.6)
            axes.set_title(f"run {run}", fontsize=8)
            axes.set_ylim(0, HIGHEST_MAPE)
        for axes in panels[len(runs) :]:
            axes.axis("off")
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("MAPE on the validation part", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)
    return True


def draw_learning_curves(curves: pd.DataFrame, folder: Path) -> bool:
    """Draw the held-out errors by the number of training crystals: each run, and the mean of the runs.

    Args:
        curves: As `paraisite.study.report.tables.learning_curve_table` makes them.
        folder: Where to write.

    Returns:
        Whether there was anything to draw.
    """
    if curves.empty:
        return False
    families = [family for family in STEP_LABELS if (curves["family"] == family).any()]
    sizes = sorted(curves["training_crystals"].unique())
    with drawn(folder, "learning_curves", curves, (WIDTH_INCHES, 3.2)) as figure:
        for axes, metric in zip(figure.subplots(1, 2), ("mape", "mae_log10"), strict=True):
            for shift, family in zip(np.linspace(-0.02, 0.02, len(families)), families, strict=True):
                part = curves[curves["family"] == family]
                means = part.groupby("training_crystals")[metric].mean()
                colour = family_colour(family)
                axes.plot(
                    part["training_crystals"] * 10**shift, part[metric], "o", ms=2.5, color=colour, alpha=0.4, mew=0
                )
                axes.plot(means.index * 10**shift, means, "D-", ms=4.5, lw=1.4, color=colour, label=family)
            axes.set(
                xscale="log", yscale="log", xlabel="training crystals", ylabel=f"{TABLE_METRICS[metric]}, held out"
            )
            axes.xaxis.set_major_locator(FixedLocator(sizes))
            axes.yaxis.set_major_locator(LogLocator(subs=ERROR_TICKS))
            axes.xaxis.set_minor_locator(NullLocator())
            plain_numbers(axes, "x", "y")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8)
    return True
