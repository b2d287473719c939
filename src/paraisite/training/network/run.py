"""A training run: stages in a chain, a folder that tells everything, and resuming to the same numbers."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from paraisite.atomic import write_text_atomic
from paraisite.datasets.catalogue import DataSet, find_data_file, load_data_set, select
from paraisite.datasets.splits import Splits, composition_splits, inner_splits, limit_training, published_splits
from paraisite.errors import RecipeError, RunError
from paraisite.graphs.cache import cached_graphs, content_key
from paraisite.graphs.settings import GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.models.files import load_model, save_model
from paraisite.models.network.backbones import BACKBONES
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.structures.crystal import ReadFailure
from paraisite.threads import require_device, torch_settings
from paraisite.training.network.calibration import stage_domain, stage_residuals
from paraisite.training.network.loop import StageData, predict_store, train_stage
from paraisite.training.network.recipe import Recipe, Split, StageRecipe
from paraisite.training.network.results import history_table, predictions_table, read_stage_table, stage_errors
from paraisite.training.network.state import TrainingState
from paraisite.uncertainty.domain import Domain
from paraisite.uncertainty.files import save_uncertainty
from paraisite.uncertainty.judgement import Uncertainty
from paraisite.version import __version__

FORMATION_ENERGY_WEIGHTS = BACKBONES["formation_energy"].folder
"""Folder of MatGL's formation-energy weights inside the data folder."""


@dataclass(frozen=True, slots=True)
class StageProgress:
    """What a progress display shows after an epoch.

    Attributes:
        run: Name of the recipe.
        stage: Name of the stage.
        epoch: Epochs done.
        epochs: Epochs of the stage.
        train_loss: Mean training loss of the members.
        validation_mape: Mean validation MAPE of the members; NaN where the epoch was not validated.
    """

    run: str
    stage: str
    epoch: int
    epochs: int
    train_loss: float
    validation_mape: float


Report = Callable[[StageProgress], None]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how a run works; none of it changes the numbers on one kind of machine.

    Attributes:
        data_folder: Folder of data sets and weights that the package does not ship.
        device: `cpu` or `cuda`.
        tf32: Whether a GPU may round matrix products to TF32.
        checkpoint_every: Epochs from one checkpoint to the next.
        report: Called after every epoch.
    """

    data_folder: Path | None = None
    device: str = "cpu"
    tf32: bool = False
    checkpoint_every: int = 10
    report: Report | None = None


def train(recipe: Recipe, folder: str | Path, options: RunOptions = RunOptions()) -> ParAIsite:
    """Train a recipe, or go on with a run that was stopped.

    The folder gets `recipe.toml`, `environment.json` and a folder a stage with `splits.json`, `metrics.csv`,
    `predictions.csv`, `errors.json`, `checkpoint.safetensors` and `model/`, the model with its uncertainty. A run that was
    killed at any moment goes on from its last checkpoint to the same numbers, on the CPU bit for bit.

    Args:
        recipe: What to do.
        folder: The run's folder; a folder of the same recipe is continued.
        options: Where and how.

    Returns:
        The ensemble after the last stage, in evaluation mode.

    Raises:
        RunError: The folder holds a run of another recipe.
        ParaisiteError: Data or weights are missing or unusable.
    """
    require_device(options.device)
    folder = Path(folder)
    _prepare_folder(recipe, folder)
    torch.backends.cuda.matmul.allow_tf32 = options.tf32
    torch.backends.cudnn.allow_tf32 = options.tf32
    with torch_settings(recipe.threads):
        model = initial_model(recipe, options.data_folder).to(options.device)
        for position, stage in enumerate(recipe.stages):
            _run_stage(recipe, position, model, folder / stage.name, options)
    return model.requires_grad_(True).eval()


def initial_model(recipe: Recipe, data_folder: Path | None = None) -> ParAIsite:
    """Make the ensemble that a recipe starts from; member k draws its random weights from `[seed, run k]`."""
    settings = ParAIsiteSettings(n_members=len(recipe.runs))
    backbone = BACKBONES.get(recipe.initial)
    if backbone is None and recipe.initial != "random":
        return _given_model(recipe, settings)
    model = ParAIsite(settings)
    model.reset([_member_seed(recipe.seed, run) for run in recipe.runs])
    if backbone is not None:
        body = backbone.load(find_data_file(backbone.folder, data_folder))
        with torch.no_grad():
            for name, value in body.named_parameters():
                model.body.get_parameter(name).copy_(value.expand(len(recipe.runs), *value.shape[1:]))
    return model


def _member_seed(*parts: int) -> int:
    """A generator's seed from the numbers that tell one use from another."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _given_model(recipe: Recipe, settings: ParAIsiteSettings) -> ParAIsite:
    """Load the model that a recipe names as its start; it must have as many members as the recipe has runs."""
    source = load_model(recipe.initial)
    if source.settings != settings:
        raise RecipeError(
            f"The model {recipe.initial} has {source.settings.n_members} members, the recipe {len(recipe.runs)} runs; "
            "both must be the same."
        )
    return source


def prepare_data(data: DataSet) -> tuple[DataSet, GraphStore]:
    """Build the graphs of a data set; a crystal without a graph is left out, with the reason in `failures`."""
    built = cached_graphs(data.crystals, GraphSettings())
    failures = [
        ReadFailure(data.crystals[index].material_id, data.crystals[index].source, error.code, str(error))
        for index, error in built.failures
    ]
    return select(data, [int(index) for index in built.kept], failures), built.store


def make_splits(recipe: Recipe, stage: StageRecipe, data: DataSet) -> Splits:
    """Make a stage's splits: published or by composition, and an inner part where the recipe selects by one."""
    splits = outer_splits(data, recipe.runs, stage.split, stage.train_fraction)
    parts_are_trained_on = min(int(stage.train_fraction * size) for size in data.part_sizes) >= 1
    if stage.train_size:
        splits = limit_training(splits, recipe.runs, stage.train_size)
    if stage.selection == "inner" and parts_are_trained_on:
        by_composition = _compositions(data) if stage.split == "composition" else None
        splits = inner_splits(splits, recipe.runs, stage.inner_fraction, by_composition)
    if not (parts_are_trained_on and splits.train.any(axis=1).all() and splits.validation.any(axis=1).all()):
        raise RecipeError(f"{data.name} has {len(data.crystals)} crystals, too few to split for stage {stage.name!r}.")
    return splits


def outer_splits(data: DataSet, runs: Sequence[int], split: Split, train_fraction: float = 0.8) -> Splits:
    """Make the splits by which runs are compared: the published ones, or those that part no composition."""
    if split == "composition":
        return composition_splits(_compositions(data), data.part_sizes, runs, train_fraction)
    return published_splits(data.part_sizes, runs, train_fraction)


def _compositions(data: DataSet) -> list[str]:
    return [crystal.composition for crystal in data.crystals]


def stage_data_set(stage: StageRecipe, data_folder: Path | None = None) -> tuple[DataSet, GraphStore]:
    """Load a stage's data and build its graphs, without the compositions that the recipe leaves out."""
    data = load_data_set(stage.data, data_folder, stage.kappa_column or None)
    if stage.without:
        left_out = set(_compositions(load_data_set(stage.without, data_folder)))
        kept = [index for index, formula in enumerate(_compositions(data)) if formula not in left_out]
        failures = [
            ReadFailure(crystal.material_id, crystal.source, "left_out", f"{crystal.formula} is in {stage.without}.")
            for crystal in data.crystals
            if crystal.composition in left_out
        ]
        data = select(data, kept, failures)
    return prepare_data(data)


def _prepare_folder(recipe: Recipe, folder: Path) -> None:
    path = folder / "recipe.toml"
    for left_over in folder.rglob(".*.part"):
        left_over.unlink()  # of a run that was killed while it wrote
    if path.exists():
        if Recipe.from_toml(path) != recipe:
            raise RunError(f"{folder} holds a run of another recipe; choose another folder or delete it.")
        return
    environment = {
        "paraisite": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "system": platform.system(),
    }
    write_text_atomic(folder / "environment.json", json.dumps(environment, indent=2) + "\n")
    write_text_atomic(path, recipe.to_toml())


def _run_stage(recipe: Recipe, position: int, model: ParAIsite, folder: Path, options: RunOptions) -> None:
    stage = recipe.stages[position]
    if (folder / "errors.json").exists():
        model.load_state_dict(load_model(folder / "model").state_dict())
        return
    data, store = stage_data_set(stage, options.data_folder)
    splits = make_splits(recipe, stage, data)
    stage_data = StageData(store, torch.as_tensor(data.kappa, dtype=torch.float32), splits)
    _write_splits(folder, recipe, data, splits)
    model.target.fit(stage_data.kappa, torch.as_tensor(splits.scale))
    if stage.trained == "new_head":
        model.reset_head([_member_seed(recipe.seed, run, position) for run in recipe.runs])
    model.body.requires_grad_(stage.trained == "all")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=stage.learning_rate, eps=stage.adam_epsilon, fused=True)
    state = TrainingState.start(model, optimizer)
    checkpoint = folder / "checkpoint.safetensors"
    digest = _digest(recipe, position, data)
    if checkpoint.exists():
        state.load(checkpoint, digest)

    def after_epoch(state: TrainingState) -> None:
        if state.epoch % options.checkpoint_every == 0 or state.epoch == stage.epochs:
            state.save(checkpoint, digest)
            write_text_atomic(folder / "metrics.csv", history_table(state, recipe.runs).to_csv(index=False))
        if options.report is not None:
            row = state.history[-1].mean(dim=0)
            options.report(
                StageProgress(recipe.name, stage.name, state.epoch, stage.epochs, float(row[0]), float(row[2]))
            )

    train_stage(state, stage_data, stage, [recipe.seed, position], after_epoch)
    _finish_stage(recipe, position, state, stage_data, data, folder=folder, data_folder=options.data_folder)


def _finish_stage(
    recipe: Recipe,
    position: int,
    state: TrainingState,
    stage_data: StageData,
    data: DataSet,
    *,
    folder: Path,
    data_folder: Path | None,
) -> None:
    stage, model = recipe.stages[position], state.model
    last = model.target.inverse(predict_store(model, stage_data.store)).cpu().numpy()
    if stage.selection != "last":
        state.restore_best()
    selected = model.target.inverse(predict_store(model, stage_data.store)).cpu().numpy()
    table = predictions_table(recipe.runs, data, stage_data.splits, selected, last)
    errors = stage_errors(state, stage, recipe.runs, table)
    write_text_atomic(folder / "predictions.csv", table.to_csv(index=False))
    write_text_atomic(folder / "metrics.csv", history_table(state, recipe.runs).to_csv(index=False))
    card = {
        "name": recipe.name,
        "stage": stage.name,
        "version": __version__,
        "recipe": asdict(recipe),
        "graph": asdict(GraphSettings()),
        "errors": errors["summary"],
    }
    save_model(model, folder / "model", card)
    domain = stage_domain(model, data, stage_data.store, stage_data.splits)
    earlier = earlier_domain(recipe, position, model, data_folder)
    save_uncertainty(Uncertainty(stage_residuals(recipe, position, table), domain, earlier), folder / "model")
    # Written last: a stage with this file is done.
    write_text_atomic(folder / "errors.json", json.dumps(errors, indent=2) + "\n")


def earlier_domain(recipe: Recipe, position: int, model: ParAIsite, data_folder: Path | None = None) -> Domain | None:
    """Describe the data of the stage before, as the model of stage `position` sees them; None where there are no others."""
    if position == 0 or recipe.stages[position - 1].data == recipe.stages[position].data:
        return None
    before = recipe.stages[position - 1]
    data, store = stage_data_set(before, data_folder)
    return stage_domain(model, data, store, make_splits(recipe, before, data))


def _write_splits(folder: Path, recipe: Recipe, data: DataSet, splits: Splits) -> None:
    content: dict[str, Any] = {
        "data": data.name,
        "n_crystals": len(data.crystals),
        "material_ids": [crystal.material_id for crystal in data.crystals],
        "left_out": [asdict(failure) for failure in data.failures],
        "members": [
            {"run": run, **{part: np.flatnonzero(getattr(splits, part)[member]).tolist() for part in _PARTS}}
            for member, run in enumerate(recipe.runs)
        ],
    }
    write_text_atomic(folder / "splits.json", json.dumps(content) + "\n")


_PARTS = ("train", "selection", "validation")


def _digest(recipe: Recipe, position: int, data: DataSet) -> str:
    """Hash of recipe, stage and data, so that a checkpoint cannot be continued on other data."""
    graphs = content_key(data.crystals, GraphSettings())
    content = hashlib.sha256(f"{recipe.digest()} {position} {graphs} ".encode())
    content.update(data.kappa.tobytes())
    return content.hexdigest()


def read_metrics(stage_folder: str | Path) -> pd.DataFrame:
    """Read a stage's errors by epoch and run.

    Raises:
        RunError: The folder has none.
    """
    return read_stage_table(stage_folder, "metrics.csv")
