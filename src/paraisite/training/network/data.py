"""What a stage trains on: the data set of its recipe, the graphs, and the parts of the members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from paraisite.datasets.catalogue import DataSet, load_data_set, select
from paraisite.datasets.identity import crystal_keys
from paraisite.datasets.splits import Splits, composition_splits, inner_splits, limit_training, published_splits
from paraisite.errors import RecipeError
from paraisite.graphs.cache import cached_graphs
from paraisite.graphs.settings import GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import ReadFailure
from paraisite.training.network.recipe import Recipe, Split, StageRecipe


@dataclass(frozen=True, slots=True)
class StageData:
    """A data set as a stage sees it.

    Attributes:
        data_set: The crystals that have a graph, with κ.
        store: Their graphs.
        splits: Parts of the members.
    """

    data_set: DataSet
    store: GraphStore
    splits: Splits

    @property
    def kappa(self) -> Tensor:
        """κ in W/(m K), [n_crystals] float32 on the CPU."""
        return torch.as_tensor(self.data_set.kappa, dtype=torch.float32)

    @property
    def keys(self) -> frozenset[str]:
        """Keys of the crystals, each with its κ."""
        return crystal_keys(self.data_set)


def load_stage_data(recipe: Recipe, position: int, data_folder: Path | None = None) -> StageData:
    """Load what stage `position` of a recipe trains on, counted from 0.

    Raises:
        DataError: The data are not there, or hold no crystal with κ.
        RecipeError: There are too few crystals to split.
    """
    stage = recipe.stages[position]
    data, store = stage_data_set(stage, data_folder)
    return StageData(data, store, make_splits(recipe, stage, data))


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
