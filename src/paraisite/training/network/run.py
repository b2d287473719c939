"""A training run: the stages of a recipe in a chain, in a folder that says everything about it."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import torch

from paraisite.atomic import write_text_atomic
from paraisite.datasets.catalogue import data_set_names, load_data_set
from paraisite.errors import OutputError, RunError
from paraisite.models.files import CARD_NAME, UNCERTAINTY_NAME, WEIGHTS_NAME
from paraisite.models.network.paraisite import ParAIsite
from paraisite.outputs import MARKER, run_folder
from paraisite.threads import require_device, torch_settings
from paraisite.training.network.options import RunOptions
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.stage import run_stage
from paraisite.training.network.start_weights import initial_model
from paraisite.version import __version__

CRYSTALS_START = "crystals-"
"""Begins the name of the file of the crystals that are fine-tuned on where they are not those of the user's file; the rest of
the name is their hash, so that other crystals are another recipe."""
RECIPE_NAME = "recipe.toml"
ENVIRONMENT_NAME = "environment.json"
_MODEL_FILES = (WEIGHTS_NAME, CARD_NAME, UNCERTAINTY_NAME)
_STAGE_FILES = (
    "splits.json", "metrics.csv", "predictions.csv", "errors.json", "checkpoint.safetensors",
    *(f"model/{name}" for name in _MODEL_FILES),
)  # fmt: skip


def train(recipe: Recipe, folder: str | Path, options: RunOptions = RunOptions()) -> ParAIsite:  # noqa: B008 - frozen
    """Train a recipe, or go on with a run that was stopped.

    The folder gets `recipe.toml`, `environment.json` and a folder per stage with `splits.json`, `metrics.csv`,
    `predictions.csv`, `errors.json`, `checkpoint.safetensors` and `model/`, the model with its uncertainty. A run that was
    killed at any moment goes on from its last checkpoint to the same numbers, on the CPU bit for bit. With `options.force`, a
    run of another recipe or of other data is replaced as a whole, when the new one is done.

    Args:
        recipe: What to do.
        folder: The run's folder; a folder of the same recipe and data is continued.
        options: Where and how.

    Returns:
        The ensemble after the last stage, in evaluation mode.

    Raises:
        RunError: The folder holds a run of another recipe.
        OutputError: The folder holds other files, or a run of other data.
        ParaisiteError: Data or weights are missing or unusable.
    """
    require_device(options.device)
    folder = Path(folder)
    adopt = _is_adoptable(recipe, folder, force=options.force)
    inputs, names = _inputs_of(recipe, options.data_folder), _files_of(recipe, folder)
    with run_folder(folder, "train", inputs, names, adopt=adopt, force=options.force) as place:
        _begin(recipe, place)
        with torch_settings(recipe.threads, tf32=options.tf32):
            model = initial_model(recipe, options.data_folder).to(options.device)
            for position, stage in enumerate(recipe.stages):
                run_stage(recipe, position, model, place / stage.name, options)
    return model.requires_grad_(True).eval()


def require_run_folder(recipe: Recipe, folder: Path, options: RunOptions) -> None:
    """Refuse a folder that `train` would refuse, before anything is written.

    Raises:
        RunError: As for `train`.
        OutputError: As for `train`.
    """
    _is_adoptable(recipe, folder, force=options.force)
    if not options.force and not (folder / MARKER).exists() and (found := _foreign_to(recipe, folder)):
        raise OutputError(
            f"{folder} holds files that `paraisite train` did not write ({', '.join(found[:5])}); choose a new or empty "
            "folder, or give --force to write among them."
        )


def _is_adoptable(recipe: Recipe, folder: Path, *, force: bool) -> bool:
    """Whether a folder without a marker may be taken: one of this recipe, or that holds finished stages of it alone.

    Raises:
        RunError: It holds a run of another recipe, and `force` is not set.
    """
    path = folder / RECIPE_NAME
    if path.exists():
        if Recipe.from_toml(path) != recipe:
            if force:
                return False
            raise RunError(
                f"{folder} holds a run of another recipe; choose another folder, or give --force to replace it."
            )
        if (folder / ENVIRONMENT_NAME).exists():
            return True
    return not _foreign_to(recipe, folder)


def _foreign_to(recipe: Recipe, folder: Path) -> list[str]:
    """Names of files that neither belong to a finished stage of a recipe nor hold its crystals."""
    stages = [folder / stage.name for stage in recipe.stages]
    done = [one for one in stages if (one / "errors.json").is_file() and (one / "model" / CARD_NAME).is_file()]
    data = {Path(stage.data).absolute() for stage in recipe.stages if Path(stage.data).name.startswith(CRYSTALS_START)}
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.absolute() not in data and not any(stage in path.parents for stage in done)
    )


def _inputs_of(recipe: Recipe, data_folder: Path | None) -> str:
    """Name and hash of a recipe and of the files that it reads; data sets of the catalogue do not change."""
    content = hashlib.sha256(recipe.digest().encode())
    known = set(data_set_names())
    for stage in recipe.stages:
        for name, column in ((stage.data, stage.kappa_column), (stage.without, "")):
            if name and name not in known:
                content.update(load_data_set(name, data_folder, column or None).source.identity.encode())
    return f"{recipe.name} (hash of recipe and data {content.hexdigest()[:12]})"


def _files_of(recipe: Recipe, folder: Path) -> list[str]:
    """All files that a run of a recipe may write."""
    data = [Path(stage.data) for stage in recipe.stages if Path(stage.data).name.startswith(CRYSTALS_START)]
    crystals = [path.name for path in data if path.absolute().parent == folder.absolute()]
    stages = [f"{stage.name}/{name}" for stage in recipe.stages for name in _STAGE_FILES]
    return [RECIPE_NAME, ENVIRONMENT_NAME, *crystals, *stages]


def _begin(recipe: Recipe, folder: Path) -> None:
    for left_over in folder.rglob(".*.part"):
        left_over.unlink()  # of a run that was killed while it wrote
    if (folder / RECIPE_NAME).exists():
        return
    environment = {
        "paraisite": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "system": platform.system(),
    }
    write_text_atomic(folder / ENVIRONMENT_NAME, json.dumps(environment, indent=2) + "\n")
    write_text_atomic(folder / RECIPE_NAME, recipe.to_toml())
