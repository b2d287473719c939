"""A training run: the stages of a recipe in a chain, in a folder that says everything about it."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import torch

from paraisite.atomic import write_text_atomic
from paraisite.errors import RunError
from paraisite.models.network.paraisite import ParAIsite
from paraisite.threads import require_device, torch_settings
from paraisite.training.network.options import RunOptions
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.stage import run_stage
from paraisite.training.network.start_weights import initial_model
from paraisite.version import __version__


def train(recipe: Recipe, folder: str | Path, options: RunOptions = RunOptions()) -> ParAIsite:  # noqa: B008 - frozen
    """Train a recipe, or go on with a run that was stopped.

    The folder gets `recipe.toml`, `environment.json` and a folder per stage with `splits.json`, `metrics.csv`,
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
    require_device(options.device)
    with torch_settings(recipe.threads, tf32=options.tf32):
        model = initial_model(recipe, options.data_folder).to(options.device)
        for position, stage in enumerate(recipe.stages):
            run_stage(recipe, position, model, folder / stage.name, options)
    return model.requires_grad_(True).eval()


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
