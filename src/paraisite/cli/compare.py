"""The command that compares candidates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from paraisite.cli.options import DataOption, ForceOption
from paraisite.cli.output import SOME_FAILED, say

if TYPE_CHECKING:
    import pandas as pd

    from paraisite.comparison import ComparisonProgress

DEFAULT_CANDIDATES = "median,knn,extra_trees,gaussian_process_magpie,gaussian_process_aflow"
DEFAULT_PROTOCOLS = "held_out,grouped,prototype,hh143,literature"


def compare(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder of the comparison; a stopped one goes on, further candidates join in."
        ),
    ] = Path("comparison"),
    candidates: Annotated[
        str,
        typer.Option("--candidates", "-c", help="Candidates, each with further training data or not: knn,knn+hh143."),
    ] = DEFAULT_CANDIDATES,
    protocols: Annotated[str, typer.Option("--protocols", help="How to split.")] = DEFAULT_PROTOCOLS,
    further: Annotated[
        str, typer.Option("--further", help="Further training data for all: hh143, literature, aflow_agl.")
    ] = "",
    against: Annotated[
        str, typer.Option("--against", help="Candidates to test the others against; each against each if unset.")
    ] = "",
    figures: Annotated[
        str | None, typer.Option("--figures", help="Draw figures, with the predictions of this candidate.")
    ] = None,
    data_folder: DataOption = None,
    force: ForceOption = False,
) -> int:
    """Compare candidates for predicting κ under the same splits: errors, calibration, cost, and paired tests."""
    import pandas as pd

    from paraisite import comparison

    with _progress(Console(stderr=True)) as report:
        table = comparison.compare(
            _names(candidates),
            output,
            _names(protocols),
            further=_names(further),
            against=_names(against),
            figures_of=figures,
            data_folder=data_folder,
            report=report,
            force=force,
        )
    _show(table, pd.read_csv(output / "pairs.csv"), Console(highlight=False), with_pairs=bool(against))
    outdated = json.loads((output / "comparison.json").read_text(encoding="utf-8"))["outdated"]
    for job in outdated:
        say(f"Left out: {job} was done with other data; name its candidate to have it done again.")
    say(f"Tables, paired tests, errors by group and predictions: {output}", stderr=False)
    return SOME_FAILED if outdated else 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _show(table: pd.DataFrame, pairs: pd.DataFrame, console: Console, *, with_pairs: bool) -> None:
    """Show a table per protocol, and its comparisons where they were asked for."""
    from paraisite.comparison.view import LEGEND, PAIR_LEGEND, pair_view, protocol_title, protocol_view

    for protocol in dict.fromkeys(table["protocol"]):
        console.print(_text_table(protocol_view(table, protocol), protocol_title(protocol, table)))
        if with_pairs and (pairs["protocol"] == protocol).any():
            console.print(_text_table(pair_view(pairs, protocol), "Paired tests"))
        console.print()
    console.print(LEGEND.replace("\n", " "))
    if with_pairs:
        console.print(PAIR_LEGEND.replace("\n", " "))


def _text_table(view: pd.DataFrame, title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold", min_width=18)
    for name in map(str, view.columns):
        # Names fold where the terminal is narrow, numbers never do.
        lines = [line for text in (*view[name], name.replace(" ", "\n")) for line in text.split("\n")]
        width = 0 if name == "against" else max(map(len, lines))
        table.add_column(name.replace(" ", "\n"), justify="right", overflow="fold", min_width=width)
    for label, row in zip(view.index.astype(str), view.to_numpy(), strict=True):
        table.add_row(label, *row)
    return table


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[ComparisonProgress], None]]:
    """Show the jobs that are done, and the one at work with its splits."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("jobs"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[job]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("jobs", total=None, job="")

        def show(now: ComparisonProgress) -> None:
            job = f"{now.job} {now.splits_done}/{now.n_splits}" if now.job else ""
            progress.update(task, total=now.n_jobs, completed=now.done, job=job)

        yield show
