"""Published errors against ours run by run, and where the time went."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from paraisite.reporting.canvas import WIDTH_INCHES, drawn
from paraisite.reporting.plots import family_colour

LINE_STYLES = {"true": "-", "compressed": "--"}
KIND_COLOURS = {
    "family": "#d55e00", "ablation": "#cc79a7", "leak": "#56b4e9", "trap": "#e69f00", "seed": "#777777",
    "learning_curve": "#0072b2", "candidate": "#009e73",
}  # fmt: skip
LONGEST_JOBS = 25


def draw_published_against_ours(per_run: pd.DataFrame, folder: Path) -> bool:
    """Draw the published errors of each run beside ours under each hypothesis; a band spans several seeds.

    Args:
        per_run: As `paraisite.study.report.hypotheses.per_run_table` makes it.
        folder: Where to write.

    Returns:
        Whether there was anything to draw.
    """
    if per_run.empty:
        return False
    steps = list(dict.fromkeys(per_run["step"]))
    with drawn(folder, "published_against_ours", per_run, (WIDTH_INCHES, 0.4 + 2.7 * len(steps))) as figure:
        for axes, step in zip(figure.subplots(len(steps), 1, squeeze=False)[:, 0], steps, strict=True):
            part = per_run[per_run["step"] == step]
            for hypothesis, rows in part.groupby("hypothesis", sort=False):
                by_run = rows.groupby("run")["ours"]
                mean = by_run.mean()
                family, scale = rows["family"].iloc[0], rows["scale"].iloc[0]
                colour = family_colour(family)
                axes.plot(
                    mean.index, mean, LINE_STYLES[scale], marker="o", ms=3.5, lw=1.2, color=colour, label=hypothesis
                )
                axes.fill_between(mean.index, by_run.min(), by_run.max(), color=colour, alpha=0.2, lw=0)
            published = part.groupby("run")["published"].first()
            axes.plot(published.index, published, "D", ms=5, mfc="none", mec="black", mew=1.1, label="published")
            axes.set(title=f"Published {step} against ours", ylabel="MAPE")
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.set_xlabel("run")
    return True


def draw_runtime(runtime: pd.DataFrame, folder: Path) -> bool:
    """Draw the wall-clock time of the longest jobs, coloured by kind.

    Args:
        runtime: As `paraisite.study.report.tables.runtime_table` makes it.
        folder: Where to write.

    Returns:
        Whether there was anything to draw.
    """
    shown = runtime[runtime["seconds"] > 0].head(LONGEST_JOBS)
    if shown.empty:
        return False
    with drawn(folder, "runtime", runtime, (WIDTH_INCHES, 1.0 + 0.2 * len(shown))) as figure:
        axes = figure.subplots()
        colours = [KIND_COLOURS[kind] for kind in shown["kind"]]
        axes.barh(range(len(shown)), shown["seconds"] / 60, color=colours)
        axes.set_yticks(range(len(shown)), shown["job"], fontsize=7)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel("wall-clock time (min)")
        kinds = list(dict.fromkeys(shown["kind"]))
        patches = [Patch(color=KIND_COLOURS[kind], label=kind.replace("_", " ")) for kind in kinds]
        axes.legend(handles=patches, loc="lower right", fontsize=7)
    return True
