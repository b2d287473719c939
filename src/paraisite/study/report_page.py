"""The report's text as Markdown, and the same as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import html
import re
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd
from markdown_it import MarkdownIt

from paraisite.study.report_data import records

NOTHING = "–"


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


def html_page(markdown: str, folder: Path) -> str:
    """Make a page of a Markdown text: style inside, pictures embedded, nothing from the network.

    Args:
        markdown: The text; its first line is the title.
        folder: Folder that the text's pictures are relative to.
    """
    text = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    names: dict[str, str] = {}
    text = re.sub(r"<h2>(.*?)</h2>", lambda match: _anchored(match.group(1), names), text)
    text = re.sub(r'<img src="([^"]+\.png)"', lambda match: f'<img src="{_embedded(folder / match.group(1))}"', text)
    contents = "\n".join(f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name in names.items())
    page = (files("paraisite.study") / "templates" / "page.html").read_text(encoding="utf-8")
    title = html.escape(markdown.splitlines()[0].lstrip("# "))
    return Template(page).substitute(title=title, contents=contents, text=text)


def _anchored(name: str, names: dict[str, str]) -> str:
    anchor = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    names[anchor] = name
    return f'<h2 id="{anchor}">{name}</h2>'


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
