"""What a trained stage says of its model's uncertainty: residuals that are honest, and the domain of its data."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from paraisite.datasets.catalogue import parts_of
from paraisite.errors import ModelFileError
from paraisite.graphs.store import GraphStore
from paraisite.models.files import find_model, read_card
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.paraisite import ParAIsite
from paraisite.training.network.data import StageData, load_stage_data
from paraisite.training.network.loop import EVALUATION_EDGES, EVALUATION_GRAPHS
from paraisite.training.network.recipe import Recipe
from paraisite.uncertainty.conformal import Residuals, held_out_residuals
from paraisite.uncertainty.domain import Domain, element_presence, fit_domain
from paraisite.uncertainty.judgement import Uncertainty


def stage_uncertainty(
    recipe: Recipe,
    position: int,
    model: ParAIsite,
    data: StageData,
    predictions: pd.DataFrame,
    *,
    data_folder: Path | None = None,
) -> Uncertainty:
    """Calibrate the model of a stage by its own predictions.

    Args:
        recipe: The run's recipe.
        position: Number of the stage, from 0.
        model: The stage's model.
        data: What the stage trained on.
        predictions: Its table of predictions.
        data_folder: Folder of what the package does not ship.
    """
    domain = stage_domain(model, data)
    earlier = earlier_domain(recipe, position, model, data_folder)
    return Uncertainty(stage_residuals(recipe, position, predictions), domain, earlier)


def earlier_domain(recipe: Recipe, position: int, model: ParAIsite, data_folder: Path | None = None) -> Domain | None:
    """Describe the data of the stage before, as the model of stage `position` sees them; None where there are no others."""
    if position == 0 or recipe.stages[position - 1].data == recipe.stages[position].data:
        return None
    return stage_domain(model, load_stage_data(recipe, position - 1, data_folder))


def stage_residuals(recipe: Recipe, position: int, predictions: pd.DataFrame) -> Residuals | None:
    """Take a stage's residuals from its predictions of the validation parts.

    Args:
        recipe: The run's recipe.
        position: Number of the stage, from 0.
        predictions: Its table of predictions.

    Returns:
        The residuals; None where they would be optimistic: the validation part selected the epoch, or an earlier stage,
        or one of the model that the run began with, was trained on the same data set.
    """
    stage = recipe.stages[position]
    if stage.selection == "validation" or parts_of(stage.data) & _data_before(recipe, position):
        return None
    splits = "splits by composition" if stage.split == "composition" else "random splits"
    return held_out_residuals(predictions, f"{recipe.name}, stage {stage.name}: {splits} of {Path(stage.data).name}")


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


def store_features(model: ParAIsite, store: GraphStore) -> torch.Tensor:
    """Features of every graph, [n_members, n_graphs, n_features], on the CPU."""
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [
            model.body(GraphBatch.from_arrays(store.collate(indices), device)).cpu()
            for indices in store.batches(EVALUATION_GRAPHS, EVALUATION_EDGES)
        ]
    return torch.cat(parts, dim=1)


def _data_before(recipe: Recipe, position: int) -> set[str]:
    """Data sets of all stages before one, also of the models that the run and they began with."""
    found: set[str] = set().union(*(parts_of(stage.data) for stage in recipe.stages[:position]))
    initial, seen = recipe.initial, set[str]()
    while initial not in {"random", "formation_energy"} | seen:
        seen.add(initial)
        try:
            before = read_card(find_model(initial)).get("recipe", {})
        except ModelFileError:
            break  # a model of a model that is no longer there
        for stage in before.get("stages", []):
            found |= parts_of(str(stage["data"]))
        initial = str(before.get("initial", "random"))
    return found
