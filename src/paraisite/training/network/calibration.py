"""What a trained stage says of its model's uncertainty: residuals that are honest, and the domain of its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from paraisite.datasets.identity import data_names, split_keys
from paraisite.errors import ModelFileError
from paraisite.graphs.store import GraphStore
from paraisite.models.card import check_card
from paraisite.models.files import find_model, read_card
from paraisite.models.network.backbones import BACKBONES
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.paraisite import ParAIsite
from paraisite.training.network.data import StageData, load_stage_data
from paraisite.training.network.loop import EVALUATION_EDGES, EVALUATION_GRAPHS
from paraisite.training.network.recipe import Recipe
from paraisite.uncertainty.conformal import Residuals, held_out_residuals
from paraisite.uncertainty.domain import Domain, element_presence, fit_domain
from paraisite.uncertainty.judgement import Uncertainty

KEYS_IN_CARD = "trained_on_crystals"
"""What a card calls the keys of all crystals that its model was trained on, one after the other."""


def stage_uncertainty(
    recipe: Recipe,
    position: int,
    model: ParAIsite,
    data: StageData,
    predictions: pd.DataFrame,
    *,
    run_folder: Path,
    data_folder: Path | None = None,
) -> Uncertainty:
    """Calibrate the model of a stage by its own predictions.

    Args:
        recipe: The run's recipe.
        position: Number of the stage, from 0.
        model: The stage's model.
        data: What the stage trained on.
        predictions: Its table of predictions.
        run_folder: The run's folder, which holds the models of the stages before.
        data_folder: Folder of what the package does not ship.
    """
    domain = stage_domain(model, data)
    earlier = earlier_domain(recipe, position, model, data_folder)
    return Uncertainty(stage_residuals(recipe, position, data, predictions, run_folder), domain, earlier)


def earlier_domain(recipe: Recipe, position: int, model: ParAIsite, data_folder: Path | None = None) -> Domain | None:
    """Describe the data of the stage before, as the model of stage `position` sees them; None where there are no others."""
    if position == 0 or data_names(recipe.stages[position - 1].data) == data_names(recipe.stages[position].data):
        return None
    return stage_domain(model, load_stage_data(recipe, position - 1, data_folder))


def stage_residuals(
    recipe: Recipe, position: int, data: StageData, predictions: pd.DataFrame, run_folder: Path
) -> Residuals | None:
    """Take a stage's residuals from its predictions of the validation parts.

    Args:
        recipe: The run's recipe.
        position: Number of the stage, from 0.
        data: What the stage trained on.
        predictions: Its table of predictions.
        run_folder: The run's folder, which holds the models of the stages before.

    Returns:
        The residuals; None where they would be optimistic: the validation part selected the epoch, or an earlier stage,
        or one of the model that the run began with, was trained on the same data set or on a crystal of it. Crystals are
        compared by content.
    """
    stage = recipe.stages[position]
    seen = names_before(recipe, position) & data_names(stage.data)
    if stage.selection == "validation" or seen or keys_before(recipe, position, run_folder) & data.keys:
        return None
    splits = "splits by composition" if stage.split == "composition" else "random splits"
    source = f"{recipe.name}, stage {stage.name}: {splits} of {Path(stage.data).name}"
    return held_out_residuals(predictions, source)


def stage_domain(model: ParAIsite, data: StageData) -> Domain:
    """Describe a stage's data as the model sees them; each member's validation part sets the limits."""
    formulas = [crystal.formula for crystal in data.data_set.crystals]
    splits = data.splits
    known = (splits.train | splits.selection) & ~splits.validation
    return fit_domain(
        data.data_set.name,
        store_features(model, data.store),
        element_presence(data.store),
        formulas,
        known=known,
        held_out=splits.validation,
    )


def store_features(model: ParAIsite, store: GraphStore) -> np.ndarray:
    """Features of every graph, [n_members, n_graphs, n_features] float32."""
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [
            model.body(GraphBatch.from_arrays(store.collate(indices), device)).cpu()
            for indices in store.batches(EVALUATION_GRAPHS, EVALUATION_EDGES)
        ]
    return torch.cat(parts, dim=1).numpy()


def keys_before(recipe: Recipe, position: int, run_folder: Path) -> frozenset[str]:
    """Keys of the crystals that the model of stage `position` was trained on before it.

    They are in the card of the model that the stage began with; cards of version 0.1.0 have none.
    """
    try:
        before = run_folder / recipe.stages[position - 1].name / "model" if position else find_model(recipe.initial)
        return split_keys(check_card(read_card(before), before).trained_on_crystals)
    except ModelFileError:
        return frozenset()  # random weights or a backbone, or a model that is no longer there


def names_before(recipe: Recipe, position: int) -> frozenset[str]:
    """Names of the data of all stages before one, also of the models that the run and they began with."""
    found = frozenset[str]().union(*(data_names(stage.data) for stage in recipe.stages[:position]))
    initial, seen = recipe.initial, set[str]()
    while initial not in {"random", *BACKBONES} | seen:
        seen.add(initial)
        try:
            recipe_before = check_card(read_card(find_model(initial)), find_model(initial)).recipe
        except ModelFileError:
            break  # a model of a model that is no longer there
        if recipe_before is None:
            break
        found = found.union(*(data_names(stage.data) for stage in recipe_before.stages))
        initial = recipe_before.initial
    return found
