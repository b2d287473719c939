"""Writers of tables: to the terminal, CSV and JSON, a chunk at a time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self, TextIO

import pandas as pd
from rich.console import Console
from rich.table import Table

SOME_FAILED = 3
"""Exit code of a command that worked, but for some structures or jobs."""
SHOWN_ROWS = 200
"""Rows that the terminal shows; a file holds them all."""


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield sys.stdout
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as handle:
        yield handle


class TableWriter:
    """Writes the chunks of one table wherever it was asked to.

    What was written stays whole row by row if the command is stopped: chunks are flushed as they come.
    """

    def __init__(self, csv: Path | None, json_path: Path | None) -> None:
        """Open the outputs; `-` is the standard output."""
        self._stack = ExitStack()
        self._csv = self._stack.enter_context(_opened(csv)) if csv else None
        self._json = self._stack.enter_context(_opened(json_path)) if json_path else None
        self._n_rows = 0

    def __enter__(self) -> Self:
        """Use the writer in a `with` block, which closes the outputs."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the JSON array and close the outputs."""
        if self._json is not None:
            self._json.write("\n]\n" if self._n_rows else "[]\n")
        self._stack.close()

    def write(self, table: pd.DataFrame) -> None:
        """Append a chunk."""
        if self._csv is not None:
            table.to_csv(self._csv, index=False, header=self._n_rows == 0)
            self._csv.flush()
        if self._json is not None:
            records = json.loads(table.to_json(orient="records", double_precision=10))
            for record in records:
                self._json.write((",\n" if self._n_rows else "[\n") + json.dumps(record, ensure_ascii=False))
                self._n_rows += 1
            self._json.flush()
        else:
            self._n_rows += len(table)


def show_predictions(table: pd.DataFrame, console: Console, caution: str = "") -> None:
    """Show predictions: identifier, formula, atoms, mean, standard deviation, median, 90 % interval, domain, and status.

    Without a calibrated interval the 5–95 % range of the members stands in its place, and without a domain nothing. Why a
    crystal is not inside the domain is printed beneath, and what the model says of all its predictions once.
    """
    view = Table(title="κ at 300 K in W/(m K)", title_justify="left", box=None, header_style="bold", pad_edge=False)
    view.collapse_padding = True
    view.add_column("material_id", overflow="fold", min_width=10)
    view.add_column("formula", overflow="fold", min_width=6)
    calibrated = "interval_low" in table and table["interval_low"].notna().any()
    ends = ("90 % from", "to") if calibrated else ("5 %", "95 %")
    for name in ("n_atoms", "mean", "std", "median", *ends):
        view.add_column(name, justify="right", no_wrap=True)
    tells_domain = "domain" in table and table["domain"].fillna("").ne("").any()
    if tells_domain:
        view.add_column("domain", no_wrap=True)
    view.add_column("status", no_wrap=True)
    notes = []
    range_columns = ["interval_low", "interval_high"] if calibrated else ["kappa_low", "kappa_high"]
    numbers = ["kappa_mean", "kappa_std", "kappa_median", *range_columns]
    for row in table.head(SHOWN_ROWS).to_dict("records"):
        values = ["" if pd.isna(row[name]) else f"{row[name]:.3g}" for name in numbers]
        note = row["error"] or row.get("note") or ""
        if note:
            notes.append(f"  {row['material_id']}: {note}")
        reason = (row.get("domain_reason") or "").removesuffix(caution).removesuffix("; ")
        if reason:
            notes.append(f"  {row['material_id']}: {row['domain']}: {reason}")
        domain = [row["domain"] or ""] if tells_domain else []
        cells = [row["material_id"], row["formula"], str(row["n_atoms"] or ""), *values, *domain, row["status"]]
        view.add_row(*(cell.replace("[", "\\[") for cell in cells))
    console.print(view)
    for line in notes:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if caution:
        console.print(f"All predictions: {caution}.", markup=False, highlight=False, soft_wrap=True)
    if len(table) > SHOWN_ROWS:
        console.print(f"… and {len(table) - SHOWN_ROWS} more rows; --csv FILE or --json FILE keeps them all.")


def show_errors(errors: pd.DataFrame, console: Console, title: str) -> None:
    """Show a table of errors, one row each."""
    view = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    view.add_column("")
    for name in errors.columns:
        view.add_column(str(name), justify="right")
    for label, row in errors.iterrows():
        cells = [
            "–" if isinstance(x, float) and pd.isna(x) else f"{x:.3g}" if isinstance(x, float) else str(x) for x in row
        ]
        view.add_row(str(label), *cells)
    console.print(view)
