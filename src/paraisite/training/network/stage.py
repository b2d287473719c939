"""Train one stage of a recipe, and write its folder."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paraisite.atomic import write_text_atomic
from paraisite.datasets.identity import join_keys
from paraisite.errors import RunError
from paraisite.graphs.cache import content_key
from paraisite.graphs.settings import GraphSettings
from paraisite.json_text import json_text
from paraisite.models.network.files import load_network, save_network
from paraisite.models.network.paraisite import ParAIsite
from paraisite.outputs import whole_folder
from paraisite.training.network.calibration import KEYS_IN_CARD, keys_before, stage_uncertainty
from paraisite.training.network.data import StageData, load_stage_data
from paraisite.training.network.loop import predict_store, train_epochs
from paraisite.training.network.options import RunOptions, StageProgress
from paraisite.training.network.recipe import Recipe, StageRecipe
from paraisite.training.network.results import history_table, predictions_table, stage_errors
from paraisite.training.network.start_weights import draw_new_heads
from paraisite.training.network.state import TrainingState
from paraisite.uncertainty.files import save_uncertainty
from paraisite.version import __version__

_PARTS = ("train", "selection", "validation")


def run_stage(recipe: Recipe, position: int, model: ParAIsite, folder: Path, options: RunOptions) -> None:
    """Train stage `position` of a recipe, or go on with it; a stage that is done is loaded.

    Args:
        recipe: The run's recipe.
        position: Number of the stage, from 0.
        model: The ensemble as the stage before left it, changed in place.
        folder: The stage's folder.
        options: Where and how the run works.

    Raises:
        RunError: The training diverged, or the checkpoint in the folder is damaged or belongs to another recipe or data
            set.
        ParaisiteError: The data cannot be used.
    """
    if (folder / "errors.json").exists():
        model.load_state_dict(load_network(folder / "model").state_dict())
        return
    stage, data = recipe.stages[position], load_stage_data(recipe, position, options.data_folder)
    _write_splits(folder, recipe, data)
    model.target.fit(data.kappa, torch.as_tensor(data.splits.scale))
    if stage.trained == "new_head":
        draw_new_heads(model, recipe, position)
    state = _start(model, stage)
    checkpoint, digest = folder / "checkpoint.safetensors", _digest(recipe, position, data)
    if checkpoint.exists():
        state.load(checkpoint, digest)
    for _ in train_epochs(state, data, stage, [recipe.seed, position]):
        _require_finite(recipe, stage, state)
        if state.epoch % options.checkpoint_every == 0 or state.epoch == stage.epochs:
            state.save(checkpoint, digest)
            write_text_atomic(folder / "metrics.csv", history_table(state, recipe.runs).to_csv(index=False))
        if options.report is not None:
            options.report(_progress(recipe, stage, state))
    _write_results(recipe, position, state, data, folder=folder, data_folder=options.data_folder)


def _start(model: ParAIsite, stage: StageRecipe) -> TrainingState:
    """Freeze what the stage does not train, and make its optimiser."""
    model.body.requires_grad_(stage.trained == "all")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=stage.learning_rate, eps=stage.adam_epsilon, fused=True)
    return TrainingState.start(model, optimizer)


def _require_finite(recipe: Recipe, stage: StageRecipe, state: TrainingState) -> None:
    """Stop a training whose loss or weights are no numbers, before anything of it is saved.

    Raises:
        RunError: The training has diverged.
    """
    good = state.history[-1][:, 0].isfinite()
    for value in state.model.parameters():
        good &= value.detach().isfinite().flatten(1).all(dim=1).cpu()
    if not good.all():
        runs = ", ".join(str(run) for run, is_good in zip(recipe.runs, good.tolist(), strict=True) if not is_good)
        raise RunError(
            f"Stage {stage.name!r} diverged in epoch {state.epoch}: the loss or the weights of run {runs} are no longer "
            f"finite, and no model was saved; check the largest κ of {stage.data}, or take a learning_rate below "
            f"{stage.learning_rate:g}."
        )


def _progress(recipe: Recipe, stage: StageRecipe, state: TrainingState) -> StageProgress:
    row = state.history[-1].mean(dim=0)
    return StageProgress(recipe.name, stage.name, state.epoch, stage.epochs, float(row[0]), float(row[2]))


def _write_results(
    recipe: Recipe, position: int, state: TrainingState, data: StageData, *, folder: Path, data_folder: Path | None
) -> None:
    """Write tables, model, uncertainty and errors of a stage whose last epoch is done."""
    stage, model = recipe.stages[position], state.model
    last = _predict(model, data)
    if stage.selection != "last":
        state.restore_best()
    table = predictions_table(recipe.runs, data.data_set, data.splits, _predict(model, data), last)
    errors = stage_errors(state, stage, recipe.runs, table)
    write_text_atomic(folder / "predictions.csv", table.to_csv(index=False))
    write_text_atomic(folder / "metrics.csv", history_table(state, recipe.runs).to_csv(index=False))
    keys = keys_before(recipe, position, folder.parent) | data.keys
    uncertainty = stage_uncertainty(
        recipe, position, model, data, table, run_folder=folder.parent, data_folder=data_folder
    )
    with whole_folder(folder / "model") as new:
        save_network(model, new, _card(recipe, stage, errors, keys))
        save_uncertainty(uncertainty, new)
    # Written last: a stage with this file is done.
    write_text_atomic(folder / "errors.json", json_text(errors, indent=2) + "\n")


def _predict(model: ParAIsite, data: StageData) -> np.ndarray:
    """κ in W/(m K) of every crystal, [n_members, n_crystals]."""
    predicted: np.ndarray = model.target.inverse(predict_store(model, data.store)).cpu().numpy()
    return predicted


def _card(recipe: Recipe, stage: StageRecipe, errors: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "stage": stage.name,
        "version": __version__,
        "recipe": asdict(recipe),
        "graph": asdict(GraphSettings()),
        "errors": errors["summary"],
        KEYS_IN_CARD: join_keys(keys),
    }


def _write_splits(folder: Path, recipe: Recipe, data: StageData) -> None:
    data_set, splits = data.data_set, data.splits
    content: dict[str, Any] = {
        "data": data_set.name,
        "n_crystals": len(data_set.crystals),
        "material_ids": [crystal.material_id for crystal in data_set.crystals],
        "left_out": [asdict(failure) for failure in data_set.failures],
        "members": [
            {"run": run, **{part: np.flatnonzero(getattr(splits, part)[member]).tolist() for part in _PARTS}}
            for member, run in enumerate(recipe.runs)
        ],
    }
    write_text_atomic(folder / "splits.json", json_text(content) + "\n")


def _digest(recipe: Recipe, position: int, data: StageData) -> str:
    """Hash of recipe, stage and data, so that a checkpoint cannot be continued on other data."""
    graphs = content_key(data.data_set.crystals, GraphSettings())
    content = hashlib.sha256(f"{recipe.digest()} {position} {graphs} ".encode())
    content.update(data.data_set.kappa.tobytes())
    return content.hexdigest()
