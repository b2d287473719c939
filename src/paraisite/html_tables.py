"""Small tables for notebooks, every cell escaped."""

from __future__ import annotations

from collections.abc import Sequence


def html_table(titles: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """A table in HTML.

    Args:
        titles: Titles of the columns.
        rows: Cells of each row.
        caption: What it shows.
    """
    from jinja2 import Environment, PackageLoader  # noqa: PLC0415 - notebooks alone need it

    templates = Environment(loader=PackageLoader("paraisite", "reporting/templates"), autoescape=True)
    return templates.get_template("table.html").render(titles=titles, rows=rows, caption=caption)
