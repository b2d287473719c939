"""What a stage can be told beyond the published protocol: frozen parts, early stopping, other losses, left-out data."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_runs import parameters_of, start_state, tiny_recipe, tiny_stage, write_data

from paraisite.datasets.catalogue import load_data_set
from paraisite.datasets.splits import Splits
from paraisite.models.network.files import load_network
from paraisite.training.network.data import stage_data_set
from paraisite.training.network.loop import train_epochs
from paraisite.training.network.recipe import StageRecipe
from paraisite.training.network.run import train
from paraisite.training.network.state import METRICS, TrainingState


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_data(tmp_path_factory.mktemp("data") / "tiny.extxyz")


@pytest.fixture(scope="module")
def first(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained first stage, from whose model the others begin."""
    folder = tmp_path_factory.mktemp("first")
    train(tiny_recipe(data), folder)
    return folder / "first" / "model"


def parts_that_moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {name.split(".")[0] for name, value in after.items() if not np.array_equal(value, before[name])}


@pytest.mark.parametrize(("trained", "moved"), [("all", {"body", "head"}), ("head", {"head"}), ("new_head", {"head"})])
def test_what_is_trained(data: str, first: Path, tmp_path: Path, trained: str, moved: set[str]) -> None:
    recipe = tiny_recipe(data, stages=(tiny_stage(data, trained=trained, selection="last"),), initial=str(first))
    model = train(recipe, tmp_path)
    assert parts_that_moved(parameters_of(load_network(first)), parameters_of(model)) == moved
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_new_head_is_drawn_for_each_member(data: str, first: Path, tmp_path: Path) -> None:
    stage = tiny_stage(data, trained="new_head", learning_rate=1e-30, learning_rate_floor=0.0, epochs=1)
    model = train(tiny_recipe(data, stages=(stage,), initial=str(first)), tmp_path)
    before, after = load_network(first).head[0].weight, model.head[0].weight
    assert not torch.equal(before, after)
    assert not torch.equal(after[0], after[1])


def test_a_frozen_body_thaws_in_the_next_stage(data: str, tmp_path: Path) -> None:
    stages = (tiny_stage(data, trained="head", selection="last"), tiny_stage(data, name="second", selection="last"))
    train(tiny_recipe(data, stages=stages), tmp_path)
    before, after = (parameters_of(load_network(tmp_path / name / "model")) for name in ("first", "second"))
    assert parts_that_moved(before, after) == {"body", "head"}


def test_a_stage_ends_when_nobody_improves(data: str) -> None:
    # Steps far below float32's resolution: the first validated epoch stays the best.
    stage = tiny_stage(data, epochs=50, patience=4, validate_every=2, learning_rate=1e-30, learning_rate_floor=0.0)
    state, stage_data = start_state(tiny_recipe(data, stages=(stage,)))
    deque(train_epochs(state, stage_data, stage, [42, 0]), maxlen=0)
    assert state.epoch == 6
    assert state.best_epoch.tolist() == [2, 2]


def test_an_early_end_is_told_and_resumed(data: str, tmp_path: Path) -> None:
    stage = tiny_stage(data, epochs=300, patience=3, learning_rate=5e-3)
    recipe = tiny_recipe(data, stages=(stage,))
    train(recipe, tmp_path)
    epochs = json.loads((tmp_path / "first" / "errors.json").read_text())["epochs"]
    assert epochs < 300
    assert pd.read_csv(tmp_path / "first" / "metrics.csv")["epoch"].max() == epochs
    content = (tmp_path / "first" / "predictions.csv").read_bytes()
    # Stopped before it could tell its end: the last checkpoint is taken up, and the end is the same.
    (tmp_path / "first" / "errors.json").unlink()
    train(recipe, tmp_path)
    assert (tmp_path / "first" / "predictions.csv").read_bytes() == content


def test_the_compressed_loss_also_selects(data: str) -> None:
    stage = tiny_stage(data, epochs=8, learning_rate=5e-3, loss="compressed_mape")
    state, stage_data = start_state(tiny_recipe(data, stages=(stage,)))
    deque(train_epochs(state, stage_data, stage, [42, 0]), maxlen=0)
    history = torch.stack(state.history)
    columns = {name: history[:, :, column] for column, name in enumerate(METRICS)}
    torch.testing.assert_close(columns["selection_mape"], columns["validation_mape_compressed"])
    assert not torch.allclose(columns["selection_mape"], columns["validation_mape"])
    assert float(columns["train_loss"][-1].mean()) < float(columns["train_loss"][0].mean())


def test_crystals_in_no_part_teach_nothing(data: str) -> None:
    """The κ of crystals that a short training part leaves out changes no weight."""
    stage = tiny_stage(data, train_size=4, selection="last")
    recipe = tiny_recipe(data, stages=(stage,))
    states: list[TrainingState] = []
    for factor in (1.0, 100.0):
        state, stage_data = start_state(recipe)
        splits = stage_data.splits
        unused = ~(splits.train | splits.validation).any(axis=0)
        assert unused.any()
        kappa = np.where(unused, stage_data.data_set.kappa * factor, stage_data.data_set.kappa)
        changed = replace(stage_data, data_set=replace(stage_data.data_set, kappa=kappa))
        deque(train_epochs(state, changed, stage, [42, 0]), maxlen=0)
        states.append(state)
    for name, value in parameters_of(states[0].model).items():
        np.testing.assert_array_equal(parameters_of(states[1].model)[name], value, err_msg=name)


def test_unused_crystals_are_told_from_the_others(data: str, tmp_path: Path) -> None:
    train(tiny_recipe(data, stages=(tiny_stage(data, train_size=5, selection="inner"),)), tmp_path)
    table = pd.read_csv(tmp_path / "first" / "predictions.csv")
    counts = table.groupby(["run", "part"]).size().unstack()
    assert counts.to_dict("records") == [{"selection": 1, "train": 4, "unused": 4, "validation": 3}] * 2


def test_left_out_compositions() -> None:
    whole = load_data_set("mix")
    left_over, store = stage_data_set(StageRecipe("first", "mix", without="togo15"))
    assert len(store) == len(left_over.crystals) == 143
    assert left_over.part_sizes == (0, 143)
    assert {failure.code for failure in left_over.failures} == {"left_out"}
    assert len(left_over.failures) == len(whole.crystals) - 143


def test_all_selections_are_masks_of_one_shape(data: str) -> None:
    _, stage_data = start_state(tiny_recipe(data, stages=(tiny_stage(data, split="composition"),)))
    splits: Splits = stage_data.splits
    assert splits.train.shape == splits.selection.shape == splits.validation.shape == (2, len(stage_data.store))
