"""The commands of `paraisite data`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from paraisite.cli.output import clean

if TYPE_CHECKING:
    from paraisite.fetch.catalogue import DataEntry
    from paraisite.fetch.common import FetchProgress, Report

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", envvar="PARAISITE_DATA", help="Data folder; without it, a folder in the user's cache folder."
    ),
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        help="Raise a limit on what a server may send: NAME=NUMBER, such as page_bytes=1000000000; repeatable.",
    ),
]
SHOWN_DROPPED = 10
"""Left-out records that `info` shows; the manifest holds them all."""

app = typer.Typer(help="List, describe and fetch data sets and weights.", no_args_is_help=True)


@app.command("list", epilog="Example: paraisite data list")
def list_command(data_folder: DataOption = None) -> None:
    """List the data sets: what each is, its licence, and where it is found now."""
    from paraisite.fetch.catalogue import list_data

    console = Console(highlight=False, soft_wrap=True)
    for entry in list_data(data_folder):
        source = entry.source
        console.print(f"{source.name}: {source.records}; {_where(entry)}", markup=False, style="bold")
        for line in (source.description, source.licence, source.source):
            console.print(f"  {line}", markup=False)


@app.command(epilog="Example: paraisite data info aflow_agl")
def info(name: Annotated[str, typer.Argument(help="Name of a data set.")], data_folder: DataOption = None) -> None:
    """Describe one data set, and what was written down when it was fetched."""
    from paraisite.fetch.catalogue import describe_data

    entry = describe_data(name, data_folder)
    source = entry.source
    lines = [f"{source.name}: {source.description}"]
    lines += [f"records: {source.records}", f"licence: {source.licence}", f"source: {source.source}"]
    lines += [f"where: {_where(entry)}"]
    for key, value in entry.manifest.items():
        if key == "dropped":
            lines += [f"dropped: {len(value)}"]
            lines += [f"  {item['id']}: {item['reason']}" for item in value[:SHOWN_DROPPED]]
        elif key != "name":
            lines += [f"{key}: {value}"]
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(line, markup=False)


@app.command(epilog="Examples: paraisite data fetch aflow_agl; paraisite data fetch materials_project --key KEY")
def fetch(
    names: Annotated[list[str], typer.Argument(help="Names of data sets; see paraisite data list.")],
    data_folder: DataOption = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is there.")] = False,
    url: Annotated[str, typer.Option("--url", help="Base address in place of the public one; for one data set.")] = "",
    key: Annotated[str, typer.Option("--key", envvar="MP_API_KEY", help="Key for the Materials Project.")] = "",
    limit: LimitOption = None,
) -> None:
    """Fetch data sets into the data folder; a fetch that was stopped goes on where it was."""
    from paraisite.fetch.catalogue import fetch_data
    from paraisite.fetch.policy import parse_limits

    if url and len(names) > 1:
        raise typer.BadParameter("goes with one data set.", param_hint="--url")
    limits = parse_limits(limit or ())
    console = Console(highlight=False, soft_wrap=True)
    for name in names:
        with _fetch_progress() as report:
            path = fetch_data(
                name, data_folder, url=url or None, key=key or None, force=force, limits=limits, report=report
            )
        console.print(f"{name}: {path}", markup=False)


@contextmanager
def _fetch_progress() -> Iterator[Report]:
    """Show one line that changes while the block fetches; give the function that reports a step."""
    from paraisite.cli.progress import fetch_sentence

    with Console(stderr=True, highlight=False).status("asking …") as status:

        def report(progress: FetchProgress) -> None:
            status.update(clean(fetch_sentence(progress)))

        yield report


def _where(entry: DataEntry) -> str:
    if entry.source.shipped:
        return "shipped"
    return str(entry.location) if entry.location else "not here"
