"""The demonstration: fine-tune on Togo15 from what the package ships, compare with the paper, predict, and plot."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paraisite.datasets.catalogue import find_data_file
from paraisite.datasets.examples import load_examples
from paraisite.errors import DataError
from paraisite.outputs import claim_folder
from paraisite.prediction.predict import Predictor
from paraisite.reporting.plots import epochs_plot, parity_plot
from paraisite.training.network.options import Report, RunOptions
from paraisite.training.network.recipe import Recipe, family_recipe
from paraisite.training.network.results import read_metrics
from paraisite.training.network.run import RECIPE_NAME, train
from paraisite.training.network.start_weights import FORMATION_ENERGY_WEIGHTS
from paraisite.training.network.trainer import START_MODEL

DEMO_STEPS = ("RWTG15", "FETG15", "FEAFTG15")
PARITY_TITLE = "Step 3 on Togo15, validation crystals only\n(optimistic: epoch chosen on these crystals)"
PUBLISHED_MAPE = {"RWTG15": 0.54, "FETG15": 0.51, "RWAFTG15": None, "FEAFTG15": None}
"""Mean of the published per-run errors in true κ; that of step 3 was published in a compressed scale alone."""
PUBLISHED_COMPRESSED_MAPE = {"FEAFTG15": 0.288}


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demonstration found.

    Attributes:
        errors: One row per step: MAPE on the validation parts by protocol, beside the published one.
        predictions: The example crystals, predicted by the default model, beside the newly trained step 3.
        pictures: The two plots.
    """

    errors: pd.DataFrame
    predictions: pd.DataFrame
    pictures: tuple[Path, Path]


def run_demo(folder: str | Path, *, epochs: int = 300, report: Report | None = None, force: bool = False) -> Demo:
    """Fine-tune the 9 models on Togo15 and show what they can do; a demonstration that was stopped goes on.

    Step 1 (random weights) and step 3 (from the shipped AFLOW ensemble) are trained. Step 2 starts from formation-energy
    weights that the package does not ship: it is trained where the data folder has them, else its recorded errors stand in.

    Args:
        folder: Folder for the runs, tables and plots.
        epochs: Epochs of each step.
        report: Called after every epoch.
        force: Write also among files of others, and replace runs of other epochs.

    Raises:
        OutputError: The folder holds files of others.
        ParaisiteError: The folder cannot be used.
    """
    folder = Path(folder)
    claim_folder(folder, "demo", adopt=(folder / DEMO_STEPS[0] / RECIPE_NAME).is_file(), force=force)
    trained = {}
    for step in DEMO_STEPS:
        recipe = _step_recipe(step, epochs)
        if recipe is not None:
            train(recipe, folder / step, RunOptions(report=report, checkpoint_every=25, force=force))
            trained[step] = folder / step / recipe.stages[-1].name
    errors = pd.DataFrame([_error_row(step, trained.get(step)) for step in DEMO_STEPS])
    errors.to_csv(folder / "errors.csv", index=False)
    step_3 = trained["FEAFTG15"]
    parity = folder / "predicted_against_computed.png"
    parity_plot(
        validation_predictions(step_3),
        parity,
        PARITY_TITLE,
    )
    curves = folder / "error_by_epoch.png"
    recorded = {step: recorded_curve(step) for step in DEMO_STEPS if step not in trained}
    epochs_plot({step: read_metrics(path) for step, path in trained.items()}, curves, recorded)
    return Demo(errors, predict_examples(step_3 / "model", folder / "examples.csv"), (parity, curves))


def predict_examples(step_3: Path, path: Path) -> pd.DataFrame:
    """Predict the package's example crystals by the default model.

    `kappa_step_3` (of the newly trained step 3), `note`, `kappa_reference` and `kappa_source` are added.
    """
    examples = load_examples()
    table = Predictor().predict(examples)
    table["kappa_step_3"] = Predictor(step_3).predict(examples)["kappa"]
    for name in ("note", "kappa_reference", "kappa_source"):
        table[name] = [crystal.properties.get(name) for crystal in examples]
    table.to_csv(path, index=False)
    return table


def validation_predictions(stage_folder: Path) -> pd.DataFrame:
    """Predictions of the validation parts, a row per crystal: κ by the runs that did not train on it.

    Returns:
        Columns `material_id`, `formula`, `kappa`, `predicted`, `lowest`, `highest` (mean and limits of those runs),
        `n_runs`.
    """
    table = pd.read_csv(stage_folder / "predictions.csv")
    grouped = table[table["part"] == "validation"].groupby(["material_id", "formula", "kappa"], sort=False)[
        "kappa_selected"
    ]
    return pd.DataFrame({
        "predicted": grouped.mean(),
        "lowest": grouped.min(),
        "highest": grouped.max(),
        "n_runs": grouped.size(),
    }).reset_index()  # fmt: skip


def recorded_results() -> dict[str, Any]:
    """Errors of the trainings that made the shipped models, by family and protocol."""
    content: dict[str, Any] = json.loads((files("paraisite") / "data" / "errors.json").read_text(encoding="utf-8"))
    return content


def recorded_curve(family: str) -> pd.DataFrame:
    """Recorded validation error by epoch of a family: columns `epoch`, `mean`, `standard_deviation`."""
    with (files("paraisite") / "data" / "curves.csv").open(encoding="utf-8") as handle:
        table = pd.read_csv(handle)
    return table[table["family"] == family].drop(columns="family")


def _step_recipe(step: str, epochs: int) -> Recipe | None:
    """Recipe of a step from what is at hand; None where its initial weights are not."""
    if step == "FETG15":
        try:
            find_data_file(FORMATION_ENERGY_WEIGHTS)
        except DataError:
            return None
    recipe = family_recipe(step)
    if step == "FEAFTG15":
        recipe = replace(recipe, initial=START_MODEL, stages=recipe.stages[-1:])
    return replace(recipe, stages=(replace(recipe.stages[0], epochs=epochs),))


def _error_row(step: str, stage_folder: Path | None) -> dict[str, object]:
    if stage_folder is None:
        summary = recorded_results()[step]["summary"]
    else:
        summary = json.loads((stage_folder / "errors.json").read_text(encoding="utf-8"))["summary"]

    def mape(protocol: str) -> float:
        return float(summary[protocol]["mape"]["mean"])

    return {
        "step": step,
        "trained": "recorded" if stage_folder is None else "now",
        "mape_paper_protocol": mape("paper"),
        "published_mape": PUBLISHED_MAPE[step] or np.nan,
        "mape_last_epoch": mape("last_epoch"),
        "mape_compressed_paper_protocol": mape("paper_compressed"),
        "published_mape_compressed": PUBLISHED_COMPRESSED_MAPE.get(step, np.nan),
    }
