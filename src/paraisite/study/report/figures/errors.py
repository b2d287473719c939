"""Errors over the runs: of the families, of the variants of step 3, and of what one would try instead of the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paraisite.reporting.canvas import WIDTH_INCHES, RunErrors, draw_runs, drawn, run_offsets
from paraisite.reporting.plots import OTHER_COLOUR, family_colour
from paraisite.study.published import COMPRESSED, published_runs
from paraisite.study.report.data import DATA_TITLES, FAMILIES_BY_DATA, PROTOCOL_TITLES, REPORT_PROTOCOLS
from paraisite.study.report.tables import TABLE_METRICS, run_errors

ROW_INCHES = 0.28
CANDIDATE_METRICS = ("mape", "mae_log10")


def draw_error_distribution(errors: pd.DataFrame, folder: Path) -> bool:
    """Draw MAPE over the runs by family and protocol, as Fig. 5 of doi 10.1039/d5cp04401d; published errors beside ours.

    Args:
        errors: As `paraisite.study.report.tables.error_table` makes them.
        folder: Where to write.

    Returns:
        Whether there was anything to draw.
    """
    names = [name for families in FAMILIES_BY_DATA.values() for name in families]
    shown = errors[errors["family"].isin(names) & errors["protocol"].isin(REPORT_PROTOCOLS)]
    if shown.empty:
        return False
    protocols = [name for name in REPORT_PROTOCOLS if (shown["protocol"] == name).any()]
    sets = {data: families for data, families in FAMILIES_BY_DATA.items() if (shown["tested_on"] == data).any()}
    heights = [len(families) for families in sets.values()]
    size = (WIDTH_INCHES, 0.7 + sum(heights) * ROW_INCHES + 0.35 * len(sets))
    data = shown[["protocol", "family", "tested_on", "run", "mape"]]
    with drawn(folder, "error_distribution", data, size) as figure:
        panels = _grid(figure, heights, len(protocols), share="row")
        for row, (name, families) in enumerate(sets.items()):
            for column, protocol in enumerate(protocols):
                axes = panels[row][column]
                axes.tick_params(labelleft=column == 0)
                if row == 0:
                    axes.set_title(PROTOCOL_TITLES[protocol], fontsize=9)
                if column == 0:
                    axes.set_ylabel(DATA_TITLES[name])
                draw_runs(axes, _rows(errors, families, protocol, "mape"))
                if protocol == "paper":
                    _draw_published(axes, families)
        figure.supxlabel(
            "MAPE in true κ; dots: runs, box: quartiles, black diamond: mean, open squares: published runs", fontsize=8
        )
    return True


def _grid(
    figure: Figure, heights: Sequence[int], n_columns: int, share: Literal["row", "col"] = "col"
) -> list[list[Axes]]:
    """Panels with rows as high as they have predictors, the horizontal axes shared along rows or columns."""
    ratios = {"height_ratios": heights}
    panels = figure.subplots(len(heights), n_columns, squeeze=False, sharex=share, gridspec_kw=ratios)
    for axes in panels.ravel():
        axes.xaxis.set_tick_params(labelbottom=True)
    return [list(row) for row in panels]


def _rows(errors: pd.DataFrame, names: Sequence[str], protocol: str, metric: str) -> list[RunErrors]:
    """Rows of a panel; a predictor without errors keeps its place, empty."""
    rows = []
    for name in names:
        values = run_errors(errors, name, protocol, metric).to_numpy()
        rows.append(RunErrors(name, values if len(values) else np.array([np.nan]), family_colour(name)))
    return rows


def _draw_published(axes: Axes, families: Sequence[str]) -> None:
    for position, family in enumerate(families):
        values = published_runs(family)
        # A compressed κ's error has no place on an axis of κ's errors.
        if len(values) and family not in COMPRESSED:
            axes.plot(values, np.full(len(values), position + 0.38), "s", ms=2.6, mfc="none", mec="black", mew=0.5)


def draw_variants(errors: pd.DataFrame, variants: Sequence[str], folder: Path, name: str) -> bool:
    """Draw errors of step 3 and of its variants under every protocol that has them, a line per run.

    Args:
        errors: As `paraisite.study.report.tables.error_table` makes them.
        variants: Families to draw, the reference first.
        folder: Where to write.
        name: Name of the figure.

    Returns:
        Whether there was a variant to draw.
    """
    shown = errors[errors["family"].isin(variants) & errors["protocol"].isin(REPORT_PROTOCOLS)]
    protocols = [name for name in REPORT_PROTOCOLS if shown[shown["protocol"] == name]["family"].nunique() > 1]
    if not protocols:
        return False
    data = shown[["protocol", "family", "run", *CANDIDATE_METRICS]]
    size = (WIDTH_INCHES, 0.9 + len(protocols) * (0.5 + ROW_INCHES * len(variants)))
    with drawn(folder, name, data, size) as figure:
        panels = _grid(figure, [len(variants)] * len(protocols), len(CANDIDATE_METRICS))
        for row, protocol in zip(panels, protocols, strict=True):
            for column, (axes, metric) in enumerate(zip(row, CANDIDATE_METRICS, strict=True)):
                present = [item for item in variants if len(run_errors(errors, item, protocol, metric))]
                joined = pd.concat([run_errors(errors, item, protocol, metric) for item in present], axis=1)
                for values, offset in zip(joined.to_numpy(), run_offsets(len(joined)), strict=True):
                    axes.plot(values, np.arange(len(present)) + offset, color="#bbbbbb", lw=0.6, zorder=1)
                draw_runs(axes, _rows(errors, present, protocol, metric))
                axes.set_xlabel(f"{TABLE_METRICS[metric]}, {PROTOCOL_TITLES[protocol]}", fontsize=8)
                axes.tick_params(labelleft=column == 0)
    return True


def draw_candidates(errors: pd.DataFrame, candidates: Sequence[str], titles: dict[str, str], folder: Path) -> bool:
    """Draw the errors of what one would try instead of the network beside the network's, on the same splits.

    Args:
        errors: As `paraisite.study.report.tables.error_table` makes them.
        candidates: Names of the candidates.
        titles: Title of each, where it has one.
        folder: Where to write.

    Returns:
        Whether there was a candidate to draw.
    """
    names = [*FAMILIES_BY_DATA["togo15"], *candidates]
    shown = errors[errors["family"].isin(names) & (errors["tested_on"] == "togo15")]
    protocols = [
        name for name in ("held_out", "grouped") if ((shown["protocol"] == name) & (shown["kind"] == "candidate")).any()
    ]
    if not protocols:
        return False
    data = shown[shown["protocol"].isin(protocols)][["protocol", "family", "kind", "run", *CANDIDATE_METRICS]]
    size = (WIDTH_INCHES, 0.6 + len(protocols) * (0.6 + 0.24 * len(names)))
    with drawn(folder, "candidates", data, size) as figure:
        panels = _grid(figure, [len(names)] * len(protocols), len(CANDIDATE_METRICS))
        for row, protocol in zip(panels, protocols, strict=True):
            order = _by_mean(shown[shown["protocol"] == protocol])
            for column, (axes, metric) in enumerate(zip(row, CANDIDATE_METRICS, strict=True)):
                rows = [
                    RunErrors(titles.get(item, item), run_errors(errors, item, protocol, metric).to_numpy(),
                              family_colour(item) if item in FAMILIES_BY_DATA["togo15"] else OTHER_COLOUR)
                    for item in order
                ]  # fmt: skip
                draw_runs(axes, rows)
                for label, item in zip(axes.get_yticklabels(), order, strict=True):
                    label.set_color(family_colour(item) if item in FAMILIES_BY_DATA["togo15"] else "black")
                axes.tick_params(labelleft=column == 0, axis="y", labelsize=7)
                axes.set_xlabel(f"{TABLE_METRICS[metric]}, {PROTOCOL_TITLES[protocol]}", fontsize=8)
    return True


def _by_mean(errors: pd.DataFrame) -> list[str]:
    """Predictors from the lowest mean error of log10 κ to the highest."""
    means = errors.groupby("family")["mae_log10"].mean().sort_values()
    return [str(name) for name in means.index]
