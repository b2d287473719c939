"""The commands of the study: rerun it, and write its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from paraisite.cli.options import DataOption, ForceOption
from paraisite.cli.output import SOME_FAILED, say

if TYPE_CHECKING:
    from paraisite.study.reproduce import StudyProgress


def reproduce(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the study; a stopped study is continued.")
    ] = Path("study"),
    data_folder: DataOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="A smoke run of minutes; its numbers mean nothing.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Jobs to do, such as 'held_out/*TG15'; may be given again.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", "-p", min=-1, help="Jobs at work at once; one per core if unset or -1.")
    ] = None,
    force: ForceOption = False,
) -> int:
    """Rerun the whole study by three protocols and write its report: hours on two cores, resumable at any moment."""
    from paraisite.study.reproduce import reproduce as run

    with _study_progress(Console(stderr=True)) as report:
        study = run(output, data_folder, quick=quick, only=only or (), processes=processes, report=report, force=force)
    for state in study.failed:
        say(f"Failed: {state.id}: {state.error}")
    say(f"Report: {study.report}", stderr=False)
    return SOME_FAILED if study.failed else 0


def report(
    output: Annotated[Path, typer.Argument(help="Folder of a study, also of one that is not finished.")],
    force: ForceOption = False,
) -> None:
    """Write a study's report anew from its run folders."""
    from paraisite.study.report.write import write_report

    say(f"Report: {write_report(output, force=force)}", stderr=False)


@contextmanager
def _study_progress(console: Console) -> Iterator[Callable[[StudyProgress], None]]:
    """Show the jobs that are done, and those at work with their epochs."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("jobs"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[running]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("jobs", total=None, running="")

        def show(now: StudyProgress) -> None:
            running = ", ".join(
                f"{state.id} {state.epochs}/{state.epochs_planned}" if state.epochs_planned else state.id
                for state in now.running
            )
            if now.failed:
                running += f"  failed: {len(now.failed)}"
            progress.update(task, total=now.n_jobs, completed=now.done, running=running)

        yield show
