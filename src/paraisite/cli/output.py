"""What commands print and write: text that any terminal takes, tables on the screen, CSV and JSON a chunk at a time."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.console import Console
from rich.table import Table

from paraisite.atomic import errors_name
from paraisite.reporting.csv_files import (
    UNENCODABLE,
    is_missing,
    open_table,
    plain_columns,
    write_csv,
    write_json_rows,
)

if TYPE_CHECKING:
    import pandas as pd

    from paraisite.reporting.csv_files import Columns

SOME_FAILED = 3
"""Exit code of a command that worked, but for some structures or jobs."""
SHOWN_ROWS = 200
"""Rows that the terminal shows; a file holds them all."""
SHOWN_RECORDS = 20
"""Rows that the terminal shows where each takes several lines."""


def set_up_streams() -> None:
    """Let the standard outputs take every character, whatever their encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=UNENCODABLE)


def clean(text: object) -> str:
    """Text for a terminal: control characters become �, white space blanks, so that a name cannot steer the terminal."""
    from paraisite.structures.checks import printable

    return printable(str(text))


def say(sentence: object, *, stderr: bool = True) -> None:
    """Print a sentence, such as one with a file name in it, on the error stream or the standard output."""
    Console(stderr=stderr, highlight=False, soft_wrap=True).print(clean(sentence), markup=False)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        # A table is data, in UTF-8 as in a file, whatever the terminal's encoding.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors=UNENCODABLE)
        yield sys.stdout
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_table(path) as handle:
        yield handle


def require_free(*outputs: Path | None, inputs: Iterable[str | Path] = (), force: bool = False) -> None:
    """Refuse to overwrite files, before anything is computed; see `paraisite.outputs.refuse_existing`.

    Raises:
        OutputError: An output is there already, is an input, or is given twice.
    """
    from paraisite.errors import OutputError
    from paraisite.outputs import refuse_existing

    files = [path for path in outputs if path is not None and str(path) != "-"]
    read = list(inputs) if any(path.is_file() for path in files) else []
    for path in files:
        refuse_existing(path, inputs=read, force=force)
    if len({path.absolute() for path in files}) < len(files):
        raise OutputError(f"{files[0]} is to hold two outputs; give each a name of its own.")


class TableWriter:
    """Writes the chunks of one table wherever it was asked to.

    What was written stays whole row by row if the command is stopped: chunks are flushed as they come.
    """

    def __init__(self, csv: Path | None, json_path: Path | None) -> None:
        """Open the outputs; `-` is the standard output."""
        self._stack, self._path = ExitStack(), csv or json_path or Path("-")
        self._csv = self._stack.enter_context(_opened(csv)) if csv else None
        self._json = self._stack.enter_context(_opened(json_path)) if json_path else None
        self._n_rows, self._begun = 0, False

    def __enter__(self) -> Self:
        """Use the writer in a `with` block, which closes the outputs."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the JSON array and close the outputs."""
        with errors_name(self._path):
            if self._json is not None:
                self._json.write("\n]\n" if self._n_rows else "[]\n")
            self._stack.close()

    def write(self, table: Columns) -> None:
        """Append a chunk."""
        n_rows = len(next(iter(plain_columns(table).values()), []))
        with errors_name(self._path):
            if self._csv is not None:
                write_csv(table, self._csv, header=not self._begun)
                self._csv.flush()
            if self._json is not None:
                write_json_rows(table, self._json, first=self._n_rows == 0)
                self._json.flush()
        self._begun = True
        self._n_rows += n_rows


def show_predictions(table: Columns, console: Console, caution: str = "") -> None:
    """Show predictions: identifier, formula, atoms, κ, 90 % interval, domain and status; what failed is a line below.

    With the members' columns their mean and standard deviation stand beside κ; without a calibrated interval or a domain
    there is no column for it. Why a crystal is not inside the domain is printed beneath, and what the model says of all its
    predictions once.
    """
    content = plain_columns(table)
    rows = [dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True)]
    shown = rows[:SHOWN_ROWS]
    predicted = [row for row in shown if not _is_missing(row["kappa"])]
    columns = ["material_id", "formula", "n_atoms", "kappa"]
    optional = ("kappa_low", "kappa_high", "kappa_mean", "kappa_std", "domain", "computed_kappa")
    columns += [name for name in optional if any(not _is_missing(row.get(name)) for row in predicted)]
    if predicted:
        _print_predictions(predicted, [*columns, "status"], console)
    for row in shown:
        note = row["error"] or row.get("note")
        if note:
            named = f"{row['material_id']}: " if row["material_id"] not in str(note) else ""
            console.print(f"  {clean(named)}{clean(note)}", markup=False, highlight=False, soft_wrap=True)
        reason = str(row.get("domain_reason") or "").removesuffix(caution).removesuffix("; ")
        if reason:
            text = f"  {clean(row['material_id'])}: {row['domain']}: {clean(reason)}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    if caution:
        console.print(f"All predictions: {caution}.", markup=False, highlight=False, soft_wrap=True)
    if len(rows) > SHOWN_ROWS:
        console.print(f"… and {len(rows) - SHOWN_ROWS} more rows; --csv FILE or --json FILE keeps them all.")


_TITLES = {
    "kappa": "κ", "kappa_low": "90 % from", "kappa_high": "to", "kappa_mean": "members: mean", "kappa_std": "std",
    "computed_kappa": "κ computed",
}  # fmt: skip


def _print_predictions(rows: Sequence[dict[str, Any]], columns: list[str], console: Console) -> None:
    """Print the table; identifiers that are too long for the terminal stand last, where they run over its end unbroken."""
    texts = {"material_id", "formula", "domain", "status"}
    for order in (columns, [*columns[1:], columns[0]]):
        view = Table(title="κ at 300 K in W/(m K)", title_justify="left", box=None, header_style="bold", pad_edge=False)
        view.collapse_padding = True
        for name in order:
            view.add_column(_TITLES.get(name, name), justify="left" if name in texts else "right", no_wrap=True)
        for row in rows:
            view.add_row(*(_cell(row.get(name), 3) for name in order))
        if _width(view) <= console.width:
            break
    _print_unbroken(view, console)


def show_table(table: pd.DataFrame, console: Console) -> None:
    """Show any table: numbers to the right, what is missing empty; a block per row where a row is wider than the terminal."""
    rows = [[_cell(value, 6) for value in row] for row in table.itertuples(index=False, name=None)]
    view = Table(box=None, header_style="bold", pad_edge=False)
    numeric = [kind.kind in "iuf" for kind in table.dtypes]
    for name, is_number in zip(table.columns, numeric, strict=True):
        view.add_column(_escaped(name), justify="right" if is_number else "left", no_wrap=True)
    for cells in rows:
        view.add_row(*cells)
    if len(table.columns) > 1 and _width(view) > console.width:
        _show_records(list(map(str, table.columns)), rows, console)
    else:
        _print_unbroken(view, console)


def _show_records(names: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    for number, cells in enumerate(rows[:SHOWN_RECORDS], 1):
        console.print(f"row {number}", style="bold", highlight=False)
        block = Table(box=None, pad_edge=False, show_header=False)
        block.add_column(no_wrap=True, style="dim")
        block.add_column(no_wrap=True)
        for name, cell in zip(names, cells, strict=True):
            block.add_row(_escaped(name), cell)
        _print_unbroken(block, console)
    if len(rows) > SHOWN_RECORDS:
        console.print(f"… and {len(rows) - SHOWN_RECORDS} more rows; --csv FILE or --json FILE keeps them all.")


def _width(view: Table) -> int:
    return Console(width=10_000).measure(view).maximum


def _print_unbroken(view: Table, console: Console) -> None:
    """Print a table at its own width: a cell that is too long runs over the end of the line, and can be copied whole."""
    width = console.width
    console.width = max(width, _width(view))
    try:
        with console.capture() as captured:
            console.print(view, crop=False)
    finally:
        console.width = width
    # Without the blanks that fill the last column, which a narrow terminal would show as empty lines.
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _is_missing(value: object) -> bool:
    return is_missing(value) or value == ""


def _cell(value: object, digits: int) -> str:
    if _is_missing(value):
        return ""
    return f"{value:.{digits}g}" if isinstance(value, float) else _escaped(value)


def _escaped(value: object) -> str:
    """Clean text in which rich finds no markup."""
    return clean(value).replace("[", "\\[")


def show_errors(errors: pd.DataFrame, console: Console, title: str) -> None:
    """Show a table of errors, one row each."""
    console.print(clean(title), style="italic", markup=False, highlight=False, soft_wrap=True)
    view = Table(box=None, header_style="bold", pad_edge=False)
    view.add_column("")
    for name in errors.columns:
        view.add_column(str(name), justify="right")
    for label, row in errors.iterrows():
        cells = ["–" if _is_missing(x) else f"{x:.3g}" if isinstance(x, float) else _escaped(x) for x in row]
        view.add_row(_escaped(label), *cells)
    console.print(view)
