"""One way to draw and save a figure, and the drawing that several figures share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from paraisite.atomic import atomic_path, write_text_atomic
from paraisite.reporting.plots import STYLE, plain_numbers

WIDTH_INCHES = 7.2
ERROR_TICKS = (1.0, 2.0, 3.0, 5.0)
_METADATA: dict[str, dict[str, str | None]] = {"png": {"Software": None}, "svg": {"Date": None}}
"""Nothing that changes from one drawing to the next."""


@dataclass(frozen=True, slots=True)
class RunErrors:
    """Errors of one predictor over the runs.

    Attributes:
        label: Name beside its row.
        values: Errors, [n_runs].
        colour: Colour of its points.
    """

    label: str
    values: np.ndarray
    colour: str


@contextmanager
def drawn(folder: Path, name: str, data: pd.DataFrame, size: tuple[float, float]) -> Iterator[Figure]:
    """Give an empty figure, and save it and its data when the block ends: `name.png`, `name.svg`, `name.csv`.

    Args:
        folder: Where to write.
        name: Name of the files.
        data: What the figure shows.
        size: Width and height in inches.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        # Laid out once, not again for every form.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for ending, metadata in _METADATA.items():
            with atomic_path(folder / f"{name}.{ending}") as temporary:
                figure.savefig(temporary, format=ending, metadata=metadata)
    write_text_atomic(folder / f"{name}.csv", data.to_csv(index=False, float_format="%.6g"))


def draw_runs(axes: Axes, rows: Sequence[RunErrors]) -> None:
    """Draw the runs of each predictor as points on a logarithmic axis, with their quartiles as a box and their mean.

    Args:
        axes: Where to draw.
        rows: Predictors, from the top down.
    """
    for position, row in enumerate(rows):
        axes.boxplot(
            row.values, positions=[position], orientation="horizontal", widths=0.6, showfliers=False, patch_artist=True,
            boxprops={"facecolor": row.colour + "33", "edgecolor": row.colour, "lw": 0.8}, manage_ticks=False,
            medianprops={"color": row.colour, "lw": 1.2}, whiskerprops={"lw": 0}, capprops={"lw": 0},
        )  # fmt: skip
        axes.plot(
            row.values, position + run_offsets(len(row.values)), "o", ms=3, color=row.colour, mec="white", mew=0.3
        )
        axes.plot(row.values.mean(), position, "D", ms=4.5, color="black", mec="white", mew=0.5)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    log_error_axis(axes)


def run_offsets(n_runs: int) -> np.ndarray:
    """Heights of the runs' points in a row of `draw_runs`, so that they do not cover each other, [n_runs]."""
    return np.linspace(-0.2, 0.2, n_runs) if n_runs > 1 else np.zeros(n_runs)


def log_error_axis(axes: Axes) -> None:
    """Make the horizontal axis logarithmic, with plain numbers at `ERROR_TICKS` of each decade."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=ERROR_TICKS))
    plain_numbers(axes, "x")
    axes.grid(axis="x", color="#dddddd", lw=0.5)
    axes.set_axisbelow(True)
