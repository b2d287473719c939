"""Fit a shipped model to the user's own crystals too."""

from __future__ import annotations

from pathlib import Path

from paraisite.models.files import find_model, load_model, read_card
from paraisite.models.multi_fidelity.model import MultiFidelity
from paraisite.models.names import DEFAULT_MODEL, MULTI_FIDELITY
from paraisite.models.network.paraisite import ParAIsite
from paraisite.training.multi_fidelity.refit import refit
from paraisite.training.network.options import RunOptions
from paraisite.training.network.recipe import Recipe, Selection, StageRecipe
from paraisite.training.network.run import train

STAGE_NAME = "finetune"
START_MODEL = "FEAF"
"""The shipped ensemble that the fine-tuning of networks starts from: formation energies, then AFLOW."""


def is_multi_fidelity(model: str | Path) -> bool:
    """Whether a shipped model or model folder is the multi-fidelity one.

    Raises:
        ModelFileError: There is no such model.
    """
    return read_card(find_model(model)).get("kind") == MULTI_FIDELITY


def finetune_recipe(
    data: str | Path,
    *,
    model: str | Path = START_MODEL,
    epochs: int = 300,
    selection: Selection = "inner",
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
    runs = tuple(range(1, load_model(folder).settings.n_members + 1))
    stage = StageRecipe(STAGE_NAME, str(data), epochs=epochs, selection=selection, kappa_column=kappa_column)
    return Recipe(f"{Path(data).stem} from {folder.name}", (stage,), initial=str(model), runs=runs, seed=seed)


def finetune(
    data: str | Path,
    folder: str | Path,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    *,
    model: str | Path = DEFAULT_MODEL,
    epochs: int = 300,
    selection: Selection = "inner",
    kappa_column: str = "",
    seed: int = 42,
) -> ParAIsite | MultiFidelity:
    """Fit a model to the user's own crystals too.

    The multi-fidelity model is fitted anew to its crystals and the user's, and lies in `folder`; see
    `paraisite.training.multi_fidelity.refit.refit`. Networks are fine-tuned on the user's crystals alone (see
    `finetune_recipe` and `paraisite.training.network.run.train`): every member trains on 80 % of them, another 80 % each;
    its errors on the other 20 % are in `folder/finetune/errors.json`, the model in `folder/finetune/model`.

    Args:
        data: Crystals with κ.
        folder: The run's folder; a stopped run of networks is continued.
        options: Where and how to work, for networks.
        model: Model to start from; `FEAF` for networks.
        epochs: Passes over the data, for networks.
        selection: Which epoch's weights are kept, for networks.
        kappa_column: Name of the κ column.
        seed: Seed of a run of networks.

    Returns:
        The model.

    Raises:
        ParaisiteError: Data, model or run folder cannot be used.
    """
    if is_multi_fidelity(model):
        return refit(data, folder, model=model, kappa_column=kappa_column)
    recipe = finetune_recipe(
        data, model=model, epochs=epochs, selection=selection, kappa_column=kappa_column, seed=seed
    )
    return train(recipe, folder, options)
