"""The commands that train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from paraisite.cli.options import DataOption, DeviceOption, ForceOption
from paraisite.cli.output import SOME_FAILED, say, show_errors, show_predictions
from paraisite.models.names import DEFAULT_MODEL

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; a stopped run is continued.")]
Tf32Option = Annotated[bool, typer.Option("--tf32", help="Let a GPU round matrix products to TF32.")]


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file (TOML), or one of the paper's families, such as FEAFTG15.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run; a stopped run is continued.")
    ] = None,
    data_folder: DataOption = None,
    device: DeviceOption = "cpu",
    tf32: Tf32Option = False,
    force: ForceOption = False,
    show: Annotated[bool, typer.Option("--show", help="Print the recipe as TOML and leave.")] = False,
) -> None:
    """Train an ensemble by a recipe: stages in a chain, all members in one pass, resumable at any moment."""
    from paraisite.cli.progress import training_progress
    from paraisite.training.network.options import RunOptions
    from paraisite.training.network.recipe import find_recipe
    from paraisite.training.network.run import train as run

    chosen = find_recipe(recipe)
    if show:
        typer.echo(chosen.to_toml(), nl=False)
        return
    if output is None:
        raise typer.BadParameter("give the folder of the run.", param_hint="--output")
    console = Console()
    with training_progress(Console(stderr=True)) as report:
        run(chosen, output, RunOptions(data_folder, device=device, tf32=tf32, report=report, force=force))
    for stage in chosen.stages:
        show_stage(output / stage.name, console)
    say(f"Model: {output / chosen.stages[-1].name / 'model'}", stderr=False)


def finetune(
    data: Annotated[
        str,
        typer.Argument(help="Your crystals with κ at 300 K: extxyz with a κ column, CSV + files, or a known data set."),
    ],
    output: OutputOption,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Model to start from; FEAF for a network.")
    ] = DEFAULT_MODEL,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Networks: passes over the data.")] = 300,
    selection: Annotated[
        str,
        typer.Option("--selection", help="Networks: epoch that is kept: inner (honest), validation (paper) or last."),
    ] = "inner",
    kappa_column: Annotated[str, typer.Option("--kappa-column", help="Name of the κ column.")] = "",
    level: Annotated[
        str, typer.Option("--level", help="How κ was found: first_principles, measured, or another name with --noise.")
    ] = "",
    noise: Annotated[
        float | None, typer.Option("--noise", help="Usual error of your log10 κ, such as 0.1; by the level if unset.")
    ] = None,
    accept_scale: Annotated[
        bool, typer.Option("--accept-scale", help="Take κ that is on quite another scale than the model's predictions.")
    ] = False,
    device: DeviceOption = "cpu",
    force: ForceOption = False,
) -> int:
    """Fit a model to your own crystals too: the default one in seconds, networks in minutes."""
    from paraisite.cli.progress import fit_progress
    from paraisite.models.interface import RefitOptions
    from paraisite.threads import require_device
    from paraisite.training.finetune import finetune as run

    require_device(device)
    with fit_progress(Console(stderr=True)) as report:
        options = RefitOptions(
            epochs=epochs,
            selection=selection,
            kappa_column=kappa_column,
            level=level,
            noise_log10=noise,
            accept_scale=accept_scale,
            device=device,
            report=report,
            force=force,
        )
        result = run(data, output, options, model=model)
    show_errors(result.errors, Console(), result.title)
    for message in result.warnings:
        say(f"Warning: {message}")
    for message in result.left_out:
        say(f"Left out: {message}")
    say(f"Model: {result.folder} (predict with --model {output})", stderr=False)
    return SOME_FAILED if result.left_out else 0


def demo(
    output: OutputOption = Path("demo"),
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs of each step.")] = 300,
    force: ForceOption = False,
) -> None:
    """Fine-tune the 9 models on Togo15, compare with the paper, predict example crystals and draw two plots."""
    import pandas as pd

    from paraisite.cli.progress import training_progress
    from paraisite.demo import run_demo

    console = Console()
    with training_progress(Console(stderr=True)) as report:
        result = run_demo(output, epochs=epochs, report=report, force=force)
    errors = result.errors.set_index("step")
    errors.columns = pd.Index(["trained", "paper prot.", "published", "last epoch", "compressed", "published"])
    show_errors(errors, console, "MAPE on the Togo15 validation parts, mean of 9 runs")
    console.print(
        "Paper protocol: best epoch on the validation part itself, which is optimistic; last epoch: never selected. "
        "The published step 3 is known in a compressed scale alone, which is not an error of κ."
    )
    if "recorded" in set(errors["trained"]):
        console.print("Recorded: its formation-energy weights are not shipped; with PARAISITE_DATA it is trained here.")
    show_predictions(result.predictions, console)
    for picture in result.pictures:
        say(f"Plot: {picture}", stderr=False)


def show_stage(folder: Path, console: Console) -> None:
    """Show a trained stage's errors by protocol."""
    from paraisite.training.network.trainer import stage_summary

    errors, title = stage_summary(folder)
    show_errors(errors, console, title)
