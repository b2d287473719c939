"""Small tables for notebooks, every cell escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def html_table(titles: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """A table in HTML.

    Args:
        titles: Titles of the columns.
        rows: Cells of each row.
        caption: What it shows.
    """
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
