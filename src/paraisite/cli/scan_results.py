"""The commands on a finished scan: query it, list its top, export it, analyse it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from paraisite.cli.options import ForceOption
from paraisite.cli.output import SHOWN_ROWS, SOME_FAILED, TableWriter, require_free, say, show_predictions, show_table
from paraisite.cli.scan_state import says_scan_state
from paraisite.errors import ParaisiteError

if TYPE_CHECKING:
    import pandas as pd

    from paraisite.screening.selection import Selection

DEFAULT_TOP = 20

OutArgument = Annotated[Path, typer.Argument(help="Folder of a scan.")]
FeaturesOption = Annotated[
    Path | None, typer.Option("--features", help="A CSV table of further columns, joined by material_id.")
]
CsvOption = Annotated[Path | None, typer.Option("--csv", help="Write the rows as CSV; - is the standard output.")]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Write the rows as a JSON array; - is the standard output.")
]
LowestOption = Annotated[int | None, typer.Option("--lowest", min=1, help="So many rows of the lowest κ.")]
HighestOption = Annotated[int | None, typer.Option("--highest", min=1, help="So many rows of the highest κ.")]
MaxAtomsOption = Annotated[int | None, typer.Option("--max-atoms", min=1, help="Atoms of the cell, at most.")]
ElementsOption = Annotated[str, typer.Option("--elements", help="Elements that must all be there, such as Ba,Sb.")]
WithoutOption = Annotated[str, typer.Option("--without-elements", help="Elements that must not be there.")]
DomainOption = Annotated[str | None, typer.Option("--domain", help="inside, edge or outside of the model's domain.")]
SpreadOption = Annotated[
    float | None, typer.Option("--max-relative-spread", min=0, help="Members' standard deviation over mean, at most.")
]
UniqueOption = Annotated[bool, typer.Option("--unique", help="One row of each structure, that of the smallest cell.")]
WhereOption = Annotated[
    str | None, typer.Option("--where", help="A condition in SQL on any column, also a joined one.")
]


@says_scan_state
def query(
    out: OutArgument,
    sql: Annotated[str, typer.Argument(help="One SELECT over the view scan; 'DESCRIBE scan' lists its columns.")],
    csv: CsvOption = None,
    json: JsonOption = None,
    features: FeaturesOption = None,
    force: ForceOption = False,
) -> None:
    """Answer a SELECT over the rows of a scan; the query can read nothing else, and change nothing."""
    from paraisite.screening.query import stream_query

    require_free(csv, json, inputs=_read(out, features), force=force)
    with closing(stream_query(out, sql, features)) as chunks:
        _give(chunks, csv, json)


@says_scan_state
def top(
    out: OutArgument,
    lowest: LowestOption = None,
    highest: HighestOption = None,
    max_atoms: MaxAtomsOption = None,
    elements: ElementsOption = "",
    without_elements: WithoutOption = "",
    domain: DomainOption = None,
    max_relative_spread: SpreadOption = None,
    unique: UniqueOption = False,
    where: WhereOption = None,
    features: FeaturesOption = None,
    with_computed: Annotated[
        Path | None, typer.Option("--with", help="Folder of a computation: its κ stands beside the predicted one.")
    ] = None,
    csv: CsvOption = None,
    json: JsonOption = None,
    force: ForceOption = False,
) -> None:
    """List the crystals of the lowest or highest κ that pass some conditions; the lowest 20 if nothing is asked for."""
    from paraisite.screening.selection import select_rows

    if with_computed is not None:
        features = _computed(with_computed, features)
    require_free(csv, json, inputs=_read(out, features), force=force)
    if lowest is None and highest is None:
        lowest = DEFAULT_TOP
    selection = make_selection(
        lowest, highest, max_atoms, elements, without_elements, domain, max_relative_spread, unique, where
    )
    table = select_rows(out, selection, features)
    if csv or json:
        _give([table], csv, json)
    elif table.empty:
        say("No row passes the conditions.")
    else:
        show_predictions(table, Console(), _caution(out))


def _caution(out: Path) -> str:
    """What the model of a scan says of all its predictions, where it is still there to be asked."""
    from paraisite.models.files import model_caution
    from paraisite.screening.manifest import read_manifest

    try:
        return model_caution(read_manifest(out).model)
    except ParaisiteError:
        return ""


@says_scan_state
def export(
    out: OutArgument,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the chosen rows into this CSV file.")] = None,
    structures: Annotated[
        Path | None, typer.Option("--structures", help="Write the chosen crystals into this folder as CIF files.")
    ] = None,
    lowest: LowestOption = None,
    highest: HighestOption = None,
    max_atoms: MaxAtomsOption = None,
    elements: ElementsOption = "",
    without_elements: WithoutOption = "",
    domain: DomainOption = None,
    max_relative_spread: SpreadOption = None,
    unique: UniqueOption = False,
    where: WhereOption = None,
    features: FeaturesOption = None,
    force: ForceOption = False,
) -> int:
    """Write rows of a scan as CSV, or its crystals as CIF files, read again from where the scan found them."""
    from paraisite.screening.export import EXPORTED, export_structures
    from paraisite.screening.selection import export_csv

    if csv is None and structures is None:
        raise ParaisiteError("Say what to write: --csv FILE, --structures FOLDER, or both.")
    selection = make_selection(
        lowest, highest, max_atoms, elements, without_elements, domain, max_relative_spread, unique, where
    )
    failed = 0
    require_free(csv, inputs=_read(out, features), force=force)
    if csv is not None:
        say(f"{export_csv(out, csv, selection, features)} rows: {csv}")
    if structures is not None:
        table = export_structures(out, structures, selection, features, force=force)
        missing = table[table["status"] != EXPORTED]
        failed = len(missing)
        for message in missing["error"].head(SHOWN_ROWS):
            say(str(message))
        say(f"{len(table) - failed} of {len(table)} crystals: {structures}")
    return SOME_FAILED if failed else 0


@says_scan_state
def analyze(
    outs: Annotated[
        list[Path], typer.Argument(help="Folders of scans of the same crystals, such as the paper's steps.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the report; else analysis in the last scan's.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--labels", help="Name of a scan; given once for each, in their order.")
    ] = None,
    features: FeaturesOption = None,
    compare: Annotated[
        list[str] | None, typer.Option("--compare", help="A joined column of κ in W/(m K) to compare with.")
    ] = None,
    candidates: Annotated[int, typer.Option("--candidates", min=0, help="Crystals of low κ to list.")] = 20,
    force: ForceOption = False,
) -> None:
    """Report what goes with κ and with the members' spread, how scans differ, and the crystals of low κ."""
    from paraisite.screening.analysis.report import AnalysisOptions
    from paraisite.screening.analysis.report import analyze as run

    options = AnalysisOptions(tuple(labels or ()), features, tuple(compare or ()), candidates)
    say(f"Report: {run(outs, output, options, force=force)}", stderr=False)


def _computed(folder: Path, features: Path | None) -> Path:
    """The table of a computation, to be joined."""
    from paraisite.phonons.table import COMPUTED_TABLE

    if features is not None:
        raise ParaisiteError("Give --features or --with, not both: one table is joined.")
    if not (folder / COMPUTED_TABLE).is_file():
        raise ParaisiteError(f"{folder} holds no {COMPUTED_TABLE}; give the folder of `paraisite compute`.")
    return folder / COMPUTED_TABLE


def make_selection(
    lowest: int | None,
    highest: int | None,
    max_atoms: int | None,
    elements: str,
    without_elements: str,
    domain: str | None,
    max_relative_spread: float | None,
    unique: bool,
    where: str | None,
) -> Selection:
    """The selection that the options of a command ask for."""
    from paraisite.screening.selection import Selection

    return Selection(
        lowest=lowest,
        highest=highest,
        max_atoms=max_atoms,
        elements=_symbols(elements),
        without_elements=_symbols(without_elements),
        domain=domain,
        max_relative_spread=max_relative_spread,
        unique=unique,
        where=where,
    )


def _read(out: Path, features: Path | None) -> Iterator[Path]:
    """Files that a command on a scan reads."""
    from paraisite.sources.own_output import MANIFEST, PARTS

    yield out / MANIFEST
    yield from (out / PARTS).glob("*")
    if features is not None:
        yield features


def _symbols(text: str) -> tuple[str, ...]:
    return tuple(symbol for symbol in re.split(r"[,\s]+", text) if symbol)


def _give(chunks: Iterable[pd.DataFrame], csv: Path | None, json: Path | None) -> None:
    """Write chunks of rows to files, or show the first of them."""
    stream = iter(chunks)
    if csv or json:
        # The first chunk comes before the files are opened: a query that fails leaves none behind.
        first = next(stream)
        with TableWriter(csv, json) as writer:
            for chunk in chain([first], stream):
                writer.write(chunk)
        return
    shown = next(stream)
    more = len(shown) > SHOWN_ROWS or next(stream, None) is not None
    show_table(shown.head(SHOWN_ROWS), Console())
    if more:
        say(f"… the first {min(len(shown), SHOWN_ROWS)} rows; --csv FILE or --json FILE keeps them all.")
