"""Where a model begins: random weights, a backbone's body, or a model that was trained before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from paraisite.datasets.catalogue import find_data_file
from paraisite.errors import RecipeError
from paraisite.models.network.backbones import BACKBONES
from paraisite.models.network.files import load_network
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.training.network.recipe import Recipe

FORMATION_ENERGY_WEIGHTS = BACKBONES["formation_energy"].folder
"""Folder of MatGL's formation-energy weights inside the data folder."""


def initial_model(recipe: Recipe, data_folder: Path | None = None) -> ParAIsite:
    """Make the ensemble that a recipe starts from; member k draws its random weights from `[seed, run k]`.

    Raises:
        DataError: The backbone's weights are not in the data folder.
        ModelFileError: There is no such model.
        RecipeError: The model has another number of members.
    """
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


def draw_new_heads(model: ParAIsite, recipe: Recipe, position: int) -> None:
    """Draw the head of every member anew for stage `position`, from `[seed, run, position]`."""
    model.reset_head([_member_seed(recipe.seed, run, position) for run in recipe.runs])


def _member_seed(*parts: int) -> int:
    """A generator's seed from the numbers that set one use apart from another."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _given_model(recipe: Recipe, settings: ParAIsiteSettings) -> ParAIsite:
    """Load the model that a recipe names as its start; it must have as many members as the recipe has runs."""
    source = load_network(recipe.initial)
    if source.settings != settings:
        raise RecipeError(
            f"The model {recipe.initial} has {source.settings.n_members} members, the recipe {len(recipe.runs)} runs; "
            "both must be the same."
        )
    return source
