"""Tables of reports as Markdown."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

NOTHING = "–"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as dictionaries by the names of the columns."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def markdown_table(table: pd.DataFrame, titles: dict[str, str], digits: int = 2) -> str:
    """Write a table as Markdown.

    Args:
        table: The table.
        titles: Columns to show, in order, with their titles.
        digits: Digits after the point of a fraction; a number that is missing is a dash.
    """
    rows = [[_cell(row[name], digits) for name in titles] for row in records(table)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (list(titles.values()), *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(titles), *lines[1:]])


def _cell(value: object, digits: int) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:.{digits}f}".replace("-", "−") if np.isfinite(value) else NOTHING
    return str(value).replace("|", "\\|").replace("\n", " ")


def mean_text(mean: float, deviation: float) -> str:
    """A mean and its standard deviation; a dash for none."""
    return f"{mean:.2f} ± {deviation:.2f}" if np.isfinite(mean) else NOTHING


def plain_text(text: object) -> str:
    """A name of the user's, such as an identifier, so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_\[\]<>!&#~])", r"\\\1", " ".join(str(text).split()))
