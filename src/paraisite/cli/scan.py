"""The command that scans a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console

from paraisite.cli.options import ReadingLimitOption
from paraisite.cli.output import SOME_FAILED, say
from paraisite.models.names import DEFAULT_MODEL

if TYPE_CHECKING:
    from typing import Literal


def scan(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the scan.")],
    source: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, globs, archives (zip, tar), Parquet, a .txt list of files, optimade:URL, or mp:stable; may "
            "be left out with --resume."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help=f"Shipped model, or a model folder; {DEFAULT_MODEL} if unset.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the scan that is in the folder, with its source, model and options."),
    ] = False,
    query: Annotated[str, typer.Option("--filter", help="Filter of an optimade: source.")] = "",
    limit: ReadingLimitOption = None,
    processes: Annotated[
        int | None, typer.Option("--processes", "-p", min=-1, help="Working processes; one per core if unset or -1.")
    ] = None,
    piece_size: Annotated[
        int | None, typer.Option("--piece-size", min=1, help="Structures of an output part; 1024 if unset.")
    ] = None,
    symmetry: Annotated[
        bool | None, typer.Option("--spacegroup", help="Look for space groups: about a millisecond a crystal.")
    ] = None,
    allow_missing_hydrogens: Annotated[
        bool | None,
        typer.Option(
            "--allow-missing-hydrogens",
            help="Predict crystals whose sites lack hydrogens of the stated formula, with this as their status.",
        ),
    ] = None,
    members: Annotated[
        bool | None, typer.Option("--members", help="Keep each member's κ, their mean and spread; analyze uses them.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    engine: Annotated[str, typer.Option("--engine", help="local, or ray for a cluster.")] = "local",
    address: Annotated[
        str | None, typer.Option("--address", help="Address of a Ray cluster; else one is started here.")
    ] = None,
) -> int:
    """Predict κ of every structure of SOURCE: one row each in Parquet parts that a killed scan keeps."""
    from paraisite.cli.progress import scan_progress
    from paraisite.fetch.policy import DEFAULT_LIMITS
    from paraisite.screening.options import ScanOptions
    from paraisite.screening.scan import scan as run
    from paraisite.structures.limits import DEFAULT_READING, updated_limits

    reading_limits, fetch_limits = updated_limits(limit or (), DEFAULT_READING, DEFAULT_LIMITS)
    with scan_progress(Console(stderr=True)) as line:
        options = ScanOptions(
            model,
            device=device,
            processes=processes,
            piece_size=piece_size,
            symmetry=symmetry,
            allow_missing_hydrogens=allow_missing_hydrogens,
            members=members,
            resume=resume,
            query=query,
            engine=cast("Literal['local', 'ray']", engine),
            address=address,
            report=line.scanned,
            report_fetch=line.fetched,
            fetch_limits=fetch_limits,
            limits=None if reading_limits == DEFAULT_READING else reading_limits,
        )
        result = run(source or None, output, options)
    rate = f", {result.rows_now / result.seconds:.0f} crystals/s" if result.rows_now else ""
    say(f"{result.rows} structures, {result.failed} without a prediction{rate}: {output}", stderr=False)
    return SOME_FAILED if result.failed else 0
