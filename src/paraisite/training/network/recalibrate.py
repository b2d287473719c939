"""Uncertainty for a model whose stage was trained already, or that was packed from one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from paraisite.errors import RunError
from paraisite.models.network.files import load_network
from paraisite.threads import torch_settings
from paraisite.training.network.calibration import stage_residuals, stage_uncertainty
from paraisite.training.network.data import load_stage_data
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.results import read_predictions
from paraisite.uncertainty.conformal import Residuals
from paraisite.uncertainty.files import save_uncertainty
from paraisite.uncertainty.judgement import Uncertainty


def add_uncertainty(
    stage_folder: str | Path,
    model_folder: str | Path | None = None,
    *,
    residuals_from: str | Path | None = None,
    data_folder: Path | None = None,
) -> Uncertainty:
    """Calibrate the model of a finished stage, and write the uncertainty beside it.

    Args:
        stage_folder: Folder of the stage that trained the model.
        model_folder: Folder of the model, where it is a packed copy; without it, the stage's own.
        residuals_from: Folder of a stage of the same members, splits and data that held its validation parts out, to take the
            residuals from where the model's own would be optimistic.
        data_folder: Folder of what the package does not ship.

    Returns:
        What was written.

    Raises:
        RunError: A folder is not that of a finished stage, or the residuals would be optimistic.
        ParaisiteError: Data or model cannot be used.
    """
    recipe, position = _stage_of(Path(stage_folder))
    folder = Path(stage_folder) / "model" if model_folder is None else Path(model_folder)
    data, predictions = load_stage_data(recipe, position, data_folder), read_predictions(stage_folder)
    with torch_settings(recipe.threads):
        uncertainty = stage_uncertainty(
            recipe,
            position,
            load_network(folder),
            data,
            predictions,
            run_folder=Path(stage_folder).parent,
            data_folder=data_folder,
        )
    if residuals_from is not None:
        uncertainty = replace(uncertainty, residuals=_honest_residuals(Path(residuals_from), recipe, data_folder))
    save_uncertainty(uncertainty, folder)
    return uncertainty


def _honest_residuals(stage_folder: Path, recipe: Recipe, data_folder: Path | None) -> Residuals:
    other, position = _stage_of(stage_folder)
    if other.runs != recipe.runs:
        raise RunError(f"{stage_folder} has the runs {other.runs}, the model {recipe.runs}; both must be the same.")
    data = load_stage_data(other, position, data_folder)
    residuals = stage_residuals(other, position, data, read_predictions(stage_folder), stage_folder.parent)
    if residuals is None:
        raise RunError(
            f"The residuals of {stage_folder} are optimistic: its validation parts took part in the training; "
            "give a stage with the selection inner or last."
        )
    return residuals


def _stage_of(stage_folder: Path) -> tuple[Recipe, int]:
    """Recipe and number of a stage from its folder.

    Raises:
        RunError: It is not the folder of a finished stage.
    """
    recipe_path = stage_folder.parent / "recipe.toml"
    if not recipe_path.is_file() or not (stage_folder / "errors.json").is_file():
        raise RunError(f"{stage_folder} is not the folder of a finished stage; give one inside a training run.")
    recipe = Recipe.from_toml(recipe_path)
    names = [stage.name for stage in recipe.stages]
    if stage_folder.name not in names:
        raise RunError(f"{recipe_path} has no stage {stage_folder.name!r}, only {', '.join(names)}.")
    return recipe, names.index(stage_folder.name)
