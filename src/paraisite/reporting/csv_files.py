"""Tables as CSV that a spreadsheet can open without running what an identifier holds, and as JSON; without pandas."""

from __future__ import annotations

import csv
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from paraisite.json_text import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    Columns: TypeAlias = pd.DataFrame | Mapping[str, Sequence[Any]]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a text for a formula to run (https://owasp.org/www-community/attacks/CSV_Injection)."""


UNENCODABLE = "backslashreplace"
"""What becomes of a character that an output cannot hold: κ is \\u03ba in latin-1, a byte of a file name without meaning
\\udcff."""


def open_table(path: Path) -> TextIO:
    """Open a file for a table: UTF-8 whatever the system's encoding, and no text that cannot be written."""
    return path.open("w", encoding="utf-8", errors=UNENCODABLE, newline="")


def write_csv(table: Columns, handle: TextIO, *, header: bool) -> None:
    """Append the rows of a table to a CSV file.

    A text that begins with one of `FORMULA_STARTS` gets an apostrophe before it, as spreadsheets mark plain text:
    identifiers, file names and messages come from files of strangers. Numbers stay numbers, and JSON holds every text
    unchanged. Control characters are written as escapes, so that `cat` shows them.

    Args:
        table: The rows: a DataFrame, or columns by name.
        handle: Open text file, with the newlines left alone.
        header: Whether to write the names of the columns first.
    """
    columns = plain_columns(table)
    writer = csv.writer(handle, lineterminator="\n")
    if header:
        writer.writerow(map(_cell, columns))
    writer.writerows(map(_cell, row) for row in zip(*columns.values(), strict=True))


def write_json_rows(table: Columns, handle: TextIO, *, first: bool) -> None:
    """Append the rows of a table to an array of JSON objects that is still open; what is missing is null."""
    columns = plain_columns(table)
    for row in zip(*columns.values(), strict=True):
        record = {name: None if is_missing(value) else value for name, value in zip(columns, row, strict=True)}
        handle.write(("[\n" if first else ",\n") + json_text(record, ensure_ascii=False, default=_json_value))
        first = False


def plain_columns(table: Columns) -> dict[str, list[Any]]:
    """The columns of a table as lists of Python's own values."""
    return {str(name): column.tolist() if hasattr(column, "tolist") else list(column) for name, column in table.items()}


def is_missing(value: object) -> bool:
    """Whether a value is None, NaN, infinite, or pandas' own mark of nothing."""
    if isinstance(value, float):
        return not isfinite(value)
    return value is None or str(value) in {"<NA>", "NaT"}


def _cell(value: object) -> object:
    """A cell: nothing for what is missing, and text that neither a terminal nor a spreadsheet acts upon."""
    if is_missing(value):
        return ""
    if not isinstance(value, str):
        return value
    if not value.isprintable():
        value = "".join(
            char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in value
        )
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


def _visible(char: str) -> str:
    return char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()


def _json_value(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
