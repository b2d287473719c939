"""Predicted against computed κ of the validation crystals, a panel a family, the worst crystals named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from paraisite.reporting.canvas import WIDTH_INCHES, drawn
from paraisite.reporting.plots import draw_parity, family_colour
from paraisite.study.report.data import (
    DATA_TITLES,
    FAMILIES,
    PROTOCOL_TITLES,
    PUBLIC_DATA_SETS,
    StudyResults,
    read_predictions,
    validated_crystals,
)

COLUMNS = 2
LOWEST_W_PER_MK = 0.1
"""Points below this are drawn at it: a run that fails predicts κ at or below zero."""


def draw_parity_figures(study: StudyResults, folder: Path) -> list[str]:
    """Draw the families of each data set under the held-out and the grouped protocol, `parity_<data>_<protocol>`.

    Data sets whose single values may not be shown are left out.

    Returns:
        Names of the figures.
    """
    names = []
    for data in PUBLIC_DATA_SETS:
        for protocol in ("held_out", "grouped"):
            jobs = [job for family in FAMILIES[data] if (job := study.find(family, protocol)) is not None]
            if jobs:
                tables = {job.family: validated_crystals(read_predictions(job)) for job in jobs}
                names.append(f"parity_{data}_{protocol}")
                _draw(tables, f"{DATA_TITLES[data]}, {PROTOCOL_TITLES[protocol]}", folder, names[-1])
    return names


def _draw(tables: dict[str, pd.DataFrame], title: str, folder: Path, name: str) -> None:
    joined = pd.concat([table.assign(family=family) for family, table in tables.items()], ignore_index=True)
    values = joined[["kappa", "predicted"]].clip(lower=LOWEST_W_PER_MK).to_numpy(dtype=float)
    limits = (float(10 ** np.floor(np.log10(values.min()))), float(10 ** np.ceil(np.log10(values.max()))))
    rows = -(-len(tables) // COLUMNS)
    with drawn(folder, name, joined, (WIDTH_INCHES, 0.5 + 3.4 * rows)) as figure:
        panels = figure.subplots(rows, min(COLUMNS, len(tables)), squeeze=False).ravel()
        for axes in panels[len(tables) :]:
            axes.axis("off")
        for axes, (family, table) in zip(panels, tables.items(), strict=False):
            shown = {name: table[name].clip(lower=limits[0]) for name in ("predicted", "lowest", "highest")}
            draw_parity(axes, table.assign(**shown), family_colour(family), limits)
            axes.set_title(family, fontsize=9)
        figure.suptitle(f"{title}: mean of the runs that validated the crystal, bar: their range", fontsize=9)
