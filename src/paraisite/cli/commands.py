"""The commands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from paraisite.cli import compare, compute, data, scan, scan_results, study, training
from paraisite.cli.options import DataOption, DeviceOption, ForceOption, MembersOption, ModelOption, ReadingLimitOption
from paraisite.cli.output import SHOWN_ROWS, SOME_FAILED, TableWriter, require_free, say, show_errors, show_predictions
from paraisite.errors import ParaisiteError
from paraisite.models.names import DEFAULT_MODEL
from paraisite.reporting.csv_files import is_missing, plain_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from paraisite.reporting.csv_files import Columns


def register(app: typer.Typer) -> None:
    """Add every command to the program."""
    app.command(epilog="Example: paraisite predict NaCl.cif crystals.extxyz folder/ --csv kappa.csv")(predict)
    app.command(epilog="Example: paraisite train FEAFTG15 -o runs/feaftg15 --data DIR")(training.train)
    app.command(
        epilog="Example: paraisite finetune mine.csv -o runs/mine, then: paraisite predict new.cif -m runs/mine"
    )(training.finetune)
    app.command(epilog="Examples: paraisite evaluate hh143; paraisite evaluate mine.extxyz -m runs/mine")(evaluate)
    app.command(epilog="Examples: paraisite info; paraisite info FEAF; paraisite info --json")(info)
    app.command(epilog="Example: paraisite demo -o demo")(training.demo)
    app.command(epilog="Example: paraisite scan folder/ -o scan; paraisite top scan --lowest 20")(scan.scan)
    app.command(epilog="Example: paraisite query scan 'SELECT formula, kappa FROM scan ORDER BY 2 LIMIT 5'")(
        scan_results.query
    )
    app.command(epilog="Example: paraisite top scan --lowest 20 --max-atoms 40")(scan_results.top)
    app.command(epilog="Example: paraisite export scan --csv kappa.csv --structures cifs")(scan_results.export)
    app.command(epilog="Examples: paraisite compute NaCl.cif -o nacl; paraisite compute scan --lowest 20 -o lowest")(
        compute.compute
    )
    app.command(epilog="Example: paraisite analyze step1 step2 step3 -o analysis")(scan_results.analyze)
    app.command(epilog="Example: paraisite reproduce -o study --data DIR")(study.reproduce)
    app.command(epilog="Example: paraisite report study")(study.report)
    app.command(epilog="Example: paraisite compare -o comparison --candidates knn,knn+hh143,network --against network")(
        compare.compare
    )
    app.add_typer(data.app, name="data")
    for command in app.registered_commands:
        # Whole, and not cut at the width of the terminal.
        command.short_help = (command.callback.__doc__ or "").partition("\n")[0] if command.callback else None


def predict(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Structure files (CIF, POSCAR, extxyz, JSON and more, perhaps compressed), folders at any depth, or - for "
            "the standard input.",
            allow_dash=True,
        ),
    ],
    model: ModelOption = DEFAULT_MODEL,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the table as CSV; - is the standard output.")] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write it as a JSON array; - is the standard output.")
    ] = None,
    members: MembersOption = False,
    device: DeviceOption = "cpu",
    structure_format: Annotated[
        str, typer.Option("--format", help="Format of all FILES; by each file's name, else its content, if not given.")
    ] = "",
    processes: Annotated[
        int | None,
        typer.Option("--processes", "-p", min=-1, help="Processes; one per core if unset or -1, one with --explain."),
    ] = None,
    allow_missing_hydrogens: Annotated[
        bool,
        typer.Option(
            "--allow-missing-hydrogens",
            help="Predict crystals whose sites lack hydrogens of their stated formula, with this as their status.",
        ),
    ] = False,
    limit: ReadingLimitOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Say why, in seconds per crystal: the prediction's parts, its nearest training crystals and, with the extra "
            "explain, what each descriptor does. With --json it is the field explanation; a CSV table has no place for it.",
        ),
    ] = False,
    explain_plot: Annotated[
        Path | None, typer.Option("--explain-plot", help="--explain, and a picture (PNG) per crystal in this folder.")
    ] = None,
    force: ForceOption = False,
) -> int:
    """Predict κ at 300 K of every crystal in FILES, with its 90 % interval."""
    from paraisite.prediction.predict import Predictor, input_files
    from paraisite.prediction.prepare import predicted_statuses
    from paraisite.structures.crystal import ReadOptions
    from paraisite.structures.limits import DEFAULT_READING, updated_limits

    explain = explain or explain_plot is not None
    if explain and csv is not None:
        raise typer.BadParameter("a CSV table has no place for explanations; take --json.", param_hint="--explain")
    read = (path for each in files for path in input_files(each, structure_format or None))
    require_free(csv, json, inputs=read, force=force)
    predictor = Predictor(model, device=device, members=members)
    (limits,) = updated_limits(limit or (), DEFAULT_READING)
    reading = ReadOptions(allow_missing_hydrogens=allow_missing_hydrogens, limits=limits)
    quiet = "-" in {str(csv), str(json)}
    console = Console(stderr=quiet)
    chunks: Iterable[Columns]
    if explain:
        from paraisite.cli.explain import explained_tables

        chunks = explained_tables(
            predictor, files, None if json else console, explain_plot, reading, structure_format or None, force=force
        )
    else:
        chunks = predictor.stream_columns(
            files,
            format=structure_format or None,
            processes=processes,
            allow_missing_hydrogens=allow_missing_hydrogens,
            limits=limits,
        )
    counts = Counter[str]()
    shown: dict[str, list[Any]] = {}
    with TableWriter(csv, json) as writer:
        for chunk in chunks:
            writer.write(chunk)
            columns = plain_columns(chunk)
            if not quiet and counts.total() <= SHOWN_ROWS:
                shown = {name: [*shown.get(name, []), *values] for name, values in columns.items()}
            if quiet or (csv or json):
                _warn(columns)
            counts.update(columns["status"])
    if shown:
        show_predictions(shown, console, predictor.caution)
    return _summarise(counts, predicted_statuses(reading))


def _warn(columns: dict[str, list[Any]]) -> None:
    """Name the failures on the error stream where the table goes to a file."""
    for kappa, status, error in zip(columns["kappa"], columns["status"], columns["error"], strict=True):
        if is_missing(kappa):
            say(f"{status}: {error}")


def _summarise(counts: Counter[str], predicted: Collection[str]) -> int:
    """Say how many structures there are of each status; the exit code."""
    total = counts.total()
    others = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()) if status != "ok")
    say(f"{total} structures: {counts['ok']} ok" + (f", {others}" if others else ""))
    if total == 0:
        raise ParaisiteError("No structure was found in the files given.")
    return 0 if sum(counts[status] for status in predicted) == total else SOME_FAILED


def evaluate(
    data: Annotated[str, typer.Argument(help="togo15, hh143, mix, aflow_agl, or a file of crystals with κ.")],
    model: ModelOption = DEFAULT_MODEL,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the predictions as CSV.")] = None,
    kappa_column: Annotated[str, typer.Option("--kappa-column", help="Name of the κ column of a file.")] = "",
    data_folder: DataOption = None,
    members: MembersOption = False,
    device: DeviceOption = "cpu",
    force: ForceOption = False,
) -> int:
    """Compare predictions with known κ at 300 K in W/(m K)."""
    from paraisite.prediction.evaluation import evaluate as run

    require_free(csv, inputs=[data], force=force)
    result = run(
        data, model, data_folder=data_folder, kappa_column=kappa_column or None, device=device, members=members
    )
    console = Console()
    show_errors(
        result.errors.T, console, f"Errors of {model} on {result.data.name} ({len(result.data.crystals)} crystals)"
    )
    if result.seen_in_training:
        console.print("The model was trained on these crystals: the errors say nothing about new ones (see its card).")
    if csv is not None:
        with TableWriter(csv, None) as writer:
            writer.write(result.table)
    for message in result.warnings:
        say(f"Warning: {message}")
    for message in result.left_out:
        say(f"Left out: {message}")
    return SOME_FAILED if result.left_out else 0


def info(
    model: Annotated[str, typer.Argument(help="A model to describe; without it, everything that is installed.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's whole card as JSON.")] = False,
) -> None:
    """Describe the installation and the shipped models, or one model's card."""
    from paraisite.cli.information import describe_installation, describe_model

    console = Console(highlight=False)
    if model or as_json:
        describe_model(model or DEFAULT_MODEL, console, as_json=as_json)
    else:
        describe_installation(console)
