"""The commands that train."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console

from paraisite.cli.output import SOME_FAILED, say, show_errors, show_predictions
from paraisite.models.names import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paraisite.training.network.recipe import Selection

OutputOption = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; a stopped run is continued.")]
DataFolderOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="PARAISITE_DATA", help="Folder of data and weights that the package does not ship."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
Tf32Option = Annotated[bool, typer.Option("--tf32", help="Let a GPU round matrix products to TF32.")]


def train(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file (TOML), or one of the paper's families, such as FEAFTG15.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run; a stopped run is continued.")
    ] = None,
    data_folder: DataFolderOption = None,
    device: DeviceOption = "cpu",
    tf32: Tf32Option = False,
    show: Annotated[bool, typer.Option("--show", help="Print the recipe as TOML and leave.")] = False,
) -> None:
    """Train an ensemble by a recipe: stages in a chain, all members in one pass, resumable at any moment."""
    from paraisite.cli.progress import training_progress
    from paraisite.training.network.recipe import FAMILIES, Recipe, family_recipe
    from paraisite.training.network.run import RunOptions
    from paraisite.training.network.run import train as run

    chosen = family_recipe(recipe) if recipe in FAMILIES else Recipe.from_toml(recipe)
    if show:
        typer.echo(chosen.to_toml(), nl=False)
        return
    if output is None:
        raise typer.BadParameter("give the folder of the run.", param_hint="--output")
    console = Console()
    with training_progress(Console(stderr=True)) as report:
        run(chosen, output, RunOptions(data_folder, device=device, tf32=tf32, report=report))
    for stage in chosen.stages:
        show_stage(output / stage.name, console)
    say(f"Model: {output / chosen.stages[-1].name / 'model'}", stderr=False)


def finetune(
    data: Annotated[
        Path, typer.Argument(help="Your crystals with κ at 300 K: extxyz with a κ column, or CSV + files.")
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
    device: DeviceOption = "cpu",
) -> int:
    """Fit a model to your own crystals too: the default one in seconds, networks in minutes."""
    import pandas as pd

    from paraisite.cli.progress import training_progress
    from paraisite.threads import require_device
    from paraisite.training.finetune import STAGE_NAME, finetune_recipe, is_multi_fidelity
    from paraisite.training.multi_fidelity.refit import refit
    from paraisite.training.network.run import RunOptions
    from paraisite.training.network.run import train as run

    require_device(device)
    console = Console()
    if is_multi_fidelity(model):
        refit(data, output, model=model, kappa_column=kappa_column)
        errors = json.loads((output / "errors.json").read_text(encoding="utf-8"))
        show_errors(
            pd.DataFrame({"held out": errors["held_out"]}),
            console,
            f"{errors['n_crystals']} crystals of {data.name}, each by the member that held its composition out",
        )
        say(f"Model: {output} (predict with --model {output})", stderr=False)
        return _show_left_out(errors["left_out"])

    recipe = finetune_recipe(
        data, model=model, epochs=epochs, selection=cast("Selection", selection), kappa_column=kappa_column
    )
    with training_progress(Console(stderr=True)) as report:
        run(recipe, output, RunOptions(device=device, report=report))
    show_stage(output / STAGE_NAME, console)
    say(f"Model: {output / STAGE_NAME / 'model'} (predict with --model {output})", stderr=False)
    return _show_left_out(json.loads((output / STAGE_NAME / "splits.json").read_text(encoding="utf-8"))["left_out"])


def _show_left_out(left_out: Sequence[dict[str, str]]) -> int:
    """Name the crystals that were left out; the exit code."""
    for failure in left_out:
        say(f"Left out: {failure['message']}")
    return SOME_FAILED if left_out else 0


def demo(
    output: OutputOption = Path("demo"),
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Epochs of each step.")] = 300,
) -> None:
    """Fine-tune the 9 models on Togo15, compare with the paper, predict example crystals and draw two plots."""
    import pandas as pd

    from paraisite.cli.progress import training_progress
    from paraisite.demo import run_demo

    console = Console()
    with training_progress(Console(stderr=True)) as report:
        result = run_demo(output, epochs=epochs, report=report)
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
    import pandas as pd

    content = json.loads((folder / "errors.json").read_text(encoding="utf-8"))
    rows = {
        protocol: {name: f"{value['mean']:.3f} ± {value['standard_deviation']:.3f}" for name, value in metrics.items()}
        for protocol, metrics in content["summary"].items()
    }
    table = pd.DataFrame(rows).fillna("–")
    title = f"Stage {folder.name}: errors on the validation parts, mean ± standard deviation over the runs"
    show_errors(table, console, title)
