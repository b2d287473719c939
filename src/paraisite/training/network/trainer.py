"""Fits ensembles of networks: fine-tunes the shipped AFLOW ensemble, or a model that is given."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, cast

import pandas as pd

from paraisite.atomic import atomic_path
from paraisite.datasets.catalogue import DataSet, load_data_set
from paraisite.models.files import find_model
from paraisite.models.interface import Labelled, RefitOptions, Refitted, Trainer
from paraisite.models.names import NETWORK
from paraisite.models.network.files import load_network
from paraisite.models.network.kind import NetworkModel
from paraisite.structures.convert import to_ase
from paraisite.training.checks import check_training_data
from paraisite.training.network.options import RunOptions
from paraisite.training.network.recipe import EpochSelection, Recipe, StageRecipe
from paraisite.training.network.run import CRYSTALS_START, require_run_folder, train

STAGE_NAME = "finetune"
START_MODEL = "FEAF"
"""The shipped ensemble that the fine-tuning of networks starts from: formation energies, then AFLOW."""
EPOCHS = 300


def finetune_recipe(
    data: str | Path,
    *,
    model: str | Path = START_MODEL,
    epochs: int = 300,
    selection: EpochSelection = "inner",
    kappa_column: str = "",
    seed: int = 42,
) -> Recipe:
    """Make the recipe of a fine-tuning: one stage on the user's data, from every member of a model.

    Args:
        data: Crystals with κ at 300 K in W/(m K): extxyz, ASE database or JSON with a κ property, or a CSV table of files.
        model: Shipped model or model folder to start from.
        epochs: Passes over the data.
        selection: Which epoch's weights are kept; see `StageRecipe`. `inner` keeps the reported errors honest.
        kappa_column: Name of the κ column; empty takes the first usual name that is there.
        seed: Seed of the splits' inner parts and of the order of the crystals.

    Raises:
        ModelFileError: There is no such model.
        RecipeError: A value is out of range.
    """
    folder = find_model(model)
    runs = tuple(range(1, load_network(folder).settings.n_members + 1))
    stage = StageRecipe(STAGE_NAME, str(data), epochs=epochs, selection=selection, kappa_column=kappa_column)
    return Recipe(f"{Path(data).stem} from {folder.name}", (stage,), initial=str(model), runs=runs, seed=seed)


class NetworkTrainer(Trainer):
    """See `paraisite.models.interface.Trainer`.

    Every member trains on 80 % of the crystals, another 80 % each; its epoch is selected inside them.
    """

    kind: ClassVar[str] = NETWORK

    def __init__(self, *, epochs: int = EPOCHS) -> None:
        """Set the epochs of `fit`."""
        self._epochs = epochs

    def fit(self, training: Labelled) -> tuple[NetworkModel, dict[str, Any]]:
        """See `Trainer.fit`; the usual start is the shipped AFLOW ensemble, and the training's folder a temporary one.

        `held_out_rms` of the settings is the error of log10 κ on the crystals that members held out.
        """
        with TemporaryDirectory(prefix="paraisite_network_") as folder:
            data, run = Path(folder) / "training.extxyz", Path(folder) / "run"
            _write(data, training)
            train(finetune_recipe(data, model=START_MODEL, epochs=self._epochs, selection="inner"), run)
            model = NetworkModel.load(run / STAGE_NAME / "model", threads=1)
        settings = {"initial": START_MODEL, "epochs": self._epochs, "selection": "inner"}
        return model, {**settings, "held_out_rms": model.held_out_rms}

    def refit(self, model: str | Path, data: str | Path | DataSet, folder: Path, options: RefitOptions) -> Refitted:
        """See `Trainer.refit`; the errors on the other 20 % are in `finetune/errors.json`, the model in `finetune/model`.

        A stopped run is continued. Where crystals are merged or left out, and for a data set that is no file, those that are
        left lie in `crystals-HASH.extxyz`; see `paraisite.training.checks.check_training_data`.
        """
        loaded = data
        if not isinstance(loaded, DataSet):
            loaded = load_data_set(str(loaded), options.data_folder, options.kappa_column or None)
        checked = check_training_data(
            loaded, NetworkModel.load(find_model(model), options.device), accept_scale=options.accept_scale
        )
        rewritten = checked.changed or isinstance(data, DataSet)
        path = folder / _crystals_name(checked.data) if isinstance(data, DataSet) or rewritten else Path(data)
        recipe = finetune_recipe(
            path,
            model=model,
            epochs=options.epochs,
            selection=cast("EpochSelection", options.selection),
            kappa_column="" if rewritten else options.kappa_column,
            seed=options.seed,
        )
        run = RunOptions(
            options.data_folder,
            options.device,
            options.tf32,
            options.checkpoint_every,
            options.report,
            force=options.force,
        )
        if rewritten:
            require_run_folder(recipe, folder, run)
            mine = checked.data
            with atomic_path(path) as temporary:
                _write(temporary, Labelled(mine.crystals, mine.kappa, [mine.source] * len(mine.crystals)))
        train(recipe, folder, run)
        stage = folder / STAGE_NAME
        return Refitted(stage / "model", *stage_summary(stage), checked.left_out, checked.warnings)


def stage_summary(folder: Path) -> tuple[pd.DataFrame, str]:
    """Errors of a trained stage by protocol, as texts with their spread over the runs, and their title."""
    content = json.loads((folder / "errors.json").read_text(encoding="utf-8"))
    rows = {
        protocol: {name: f"{value['mean']:.3f} ± {value['standard_deviation']:.3f}" for name, value in metrics.items()}
        for protocol, metrics in content["summary"].items()
    }
    title = f"Stage {folder.name}: errors on the validation parts, mean ± standard deviation over the runs"
    return pd.DataFrame(rows).fillna("–"), title


def _crystals_name(data: DataSet) -> str:
    content = replace(data, catalogued=False).source.identity
    return f"{CRYSTALS_START}{hashlib.sha256(content.encode()).hexdigest()[:12]}.extxyz"


def _write(path: Path, training: Labelled) -> None:
    """Write the training part as the user would."""
    from ase.io import write  # noqa: PLC0415 - slow to import

    frames = [
        to_ase(
            replace(crystal, properties={"kappa": float(value)}, material_id=crystal.material_id or f"crystal_{row}")
        )
        for row, (crystal, value) in enumerate(zip(training.crystals, training.kappa, strict=True), 1)
    ]
    write(path, frames, format="extxyz")
