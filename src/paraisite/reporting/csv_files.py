"""Tables as CSV that a spreadsheet can open without running what an identifier holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pandas as pd

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a text for a formula to run (https://owasp.org/www-community/attacks/CSV_Injection)."""


UNENCODABLE = "backslashreplace"
"""What becomes of a character that an output cannot hold: κ is \\u03ba in latin-1, a byte of a file name without meaning
\\udcff."""


def open_table(path: Path) -> TextIO:
    """Open a file for a table: UTF-8 whatever the system's encoding, and no text that cannot be written."""
    return path.open("w", encoding="utf-8", errors=UNENCODABLE, newline="")


def write_csv(table: pd.DataFrame, handle: TextIO, *, header: bool) -> None:
    """Append the rows of a table to a CSV file.

    A text that begins with one of `FORMULA_STARTS` gets an apostrophe before it, as spreadsheets mark plain text:
    identifiers, file names and messages come from files of strangers. Numbers stay numbers, and JSON holds every text
    unchanged.

    Args:
        table: The rows.
        handle: Open text file, with the newlines left alone.
        header: Whether to write the names of the columns first.
    """
    import pandas as pd  # noqa: PLC0415 - most commands write no table

    texts = {name: table[name].map(_plain) for name in table if not pd.api.types.is_numeric_dtype(table[name])}
    table.assign(**texts).rename(columns=_plain).to_csv(handle, index=False, header=header, lineterminator="\n")


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
