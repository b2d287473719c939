"""What a trained stage says of its model's uncertainty: residuals that are honest, and the domain of its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.splits import Splits
from paraisite.errors import ModelFileError
from paraisite.graphs.store import GraphStore
from paraisite.models.files import find_model, read_card
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.paraisite import ParAIsite
from paraisite.training.network.loop import EVALUATION_EDGES, EVALUATION_GRAPHS
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.results import read_stage_table
from paraisite.uncertainty.conformal import Residuals, held_out_residuals
from paraisite.uncertainty.domain import Domain, element_presence, fit_domain


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
    if stage.selection == "validation" or _parts(stage.data) & _data_before(recipe, position):
        return None
    splits = "splits by composition" if stage.split == "composition" else "random splits"
    return held_out_residuals(predictions, f"{recipe.name}, stage {stage.name}: {splits} of {Path(stage.data).name}")


def stage_domain(model: ParAIsite, data: DataSet, store: GraphStore, splits: Splits) -> Domain:
    """Describe a stage's data as the model sees them; each member's validation part sets the limits."""
    formulas = [crystal.formula for crystal in data.crystals]
    known = (splits.train | splits.selection) & ~splits.validation
    features = store_features(model, store)
    return fit_domain(data.name, features, element_presence(store), formulas, known=known, held_out=splits.validation)


def store_features(model: ParAIsite, store: GraphStore) -> np.ndarray:
    """Features of every graph, [n_members, n_graphs, n_features] float32."""
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [
            model.body(GraphBatch.from_arrays(store.collate(indices), device)).cpu()
            for indices in store.batches(EVALUATION_GRAPHS, EVALUATION_EDGES)
        ]
    return torch.cat(parts, dim=1).numpy()


def _parts(data: str) -> set[str]:
    """Data sets that a data set is made of."""
    return {"togo15", "hh143"} if data == "mix" else {data}


def _data_before(recipe: Recipe, position: int) -> set[str]:
    """Data sets of all stages before one, also of the models that the run and they began with."""
    found: set[str] = set().union(*(_parts(stage.data) for stage in recipe.stages[:position]))
    initial, seen = recipe.initial, set[str]()
    while initial not in {"random", "formation_energy"} | seen:
        seen.add(initial)
        try:
            before = read_card(find_model(initial)).get("recipe", {})
        except ModelFileError:
            break  # a model of a model that is no longer there
        for stage in before.get("stages", []):
            found |= _parts(str(stage["data"]))
        initial = str(before.get("initial", "random"))
    return found


def read_predictions(stage_folder: str | Path) -> pd.DataFrame:
    """Read a finished stage's predictions.

    Raises:
        RunError: The folder has none.
    """
    return read_stage_table(stage_folder, "predictions.csv")
