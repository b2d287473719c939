"""The training loop: schedule, batches, masks, best epochs, and chains of stages."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from tiny_runs import parameters_of, start_state, tiny_recipe, tiny_stage, two_stages, write_data

from paraisite.datasets.splits import Splits
from paraisite.errors import RunError
from paraisite.models.network.files import load_network
from paraisite.training.network.data import StageData
from paraisite.training.network.loop import epoch_batches, joint_batch_size, learning_rate, train_epochs
from paraisite.training.network.options import RunOptions
from paraisite.training.network.recipe import Recipe, StageRecipe
from paraisite.training.network.run import train
from paraisite.training.network.state import METRICS, TrainingState

Snapshots = list[dict[str, np.ndarray]]
SEED = [42, 0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_data(tmp_path_factory.mktemp("data") / "tiny.extxyz")


def trained(recipe: Recipe, change: Callable[[StageData], StageData] | None = None) -> TrainingState:
    """State after a recipe's first stage."""
    state, stage_data = start_state(recipe)
    deque(train_epochs(state, change(stage_data) if change else stage_data, recipe.stages[0], SEED), maxlen=0)
    return state


@pytest.mark.parametrize("cosine_epochs", [7, 1000])
def test_schedule_equals_torch(cosine_epochs: int) -> None:
    stage = tiny_stage("togo15", cosine_epochs=cosine_epochs)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=stage.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cosine_epochs, stage.learning_rate_floor)
    for epoch in range(min(cosine_epochs, 300) + 1):
        # PyTorch multiplies its way from epoch to epoch in float64, which loses a few digits.
        assert learning_rate(stage, epoch) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()


def test_schedule_stays_at_its_floor() -> None:
    stage = tiny_stage("togo15", cosine_epochs=7)
    assert [learning_rate(stage, epoch) for epoch in (7, 8, 100)] == [stage.learning_rate_floor] * 3


@pytest.mark.parametrize(("n_crystals", "batch_size"), [(1, 8), (95, 8), (95, 200), (4400, 64)])
def test_batches_of_an_epoch_cover_every_crystal_once(n_crystals: int, batch_size: int) -> None:
    batches = epoch_batches(n_crystals, batch_size, SEED, 3)
    assert np.sort(np.concatenate(batches)).tolist() == list(range(n_crystals))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert 1 <= len(batches[-1]) <= batch_size


@pytest.mark.parametrize(("trained_on", "size"), [(76, 10), (61, 12), (8, 95)])
def test_a_joint_batch_holds_the_batch_size_of_a_member_on_average(trained_on: int, size: int) -> None:
    train = np.arange(95) < np.array([[trained_on], [trained_on]])
    assert joint_batch_size(Splits(train, ~train, ~train, train), 8) == size


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    first, same = (np.concatenate(epoch_batches(95, 10, SEED, 3)) for _ in range(2))
    np.testing.assert_array_equal(first, same)
    for seed, epoch in (([42, 0], 4), ([43, 0], 3), ([42, 1], 3)):
        assert not np.array_equal(first, np.concatenate(epoch_batches(95, 10, seed, epoch)))


def spoil_validation_of_first(stage_data: StageData) -> StageData:
    """Labels a hundred times too large where the first member validates."""
    factor = np.where(stage_data.splits.validation[0], 100.0, 1.0)
    data_set = stage_data.data_set
    return replace(stage_data, data_set=replace(data_set, kappa=data_set.kappa * factor))


def test_validation_labels_have_no_influence_on_a_member(data: str) -> None:
    recipe = tiny_recipe(data)
    plain, spoilt = trained(recipe), trained(recipe, spoil_validation_of_first)
    for name, value in plain.model.named_parameters():
        other = spoilt.model.get_parameter(name)
        assert torch.equal(value[0], other[0]), name
    # The second member trains on some of them.
    assert not torch.equal(plain.model.head[0].weight[1], spoilt.model.head[0].weight[1])
    # And the first member's errors there are taken with the labels given.
    assert float(plain.history[-1][0, 2]) != float(spoilt.history[-1][0, 2])


def test_member_does_not_depend_on_the_others(data: str) -> None:
    first, second = trained(tiny_recipe(data)), trained(tiny_recipe(data, runs=(1, 7)))
    assert not torch.equal(first.model.head[0].weight[1], second.model.head[0].weight[1])
    for one, other in zip(first.history, second.history, strict=True):
        # The same batches through the same kernels: at most float32 rounding, which twelve steps do not widen much.
        np.testing.assert_allclose(one[0].numpy(), other[0].numpy(), rtol=1e-5)


def test_training_lowers_the_loss(data: str) -> None:
    recipe = tiny_recipe(data, stages=(tiny_stage(data, epochs=15),))
    history = torch.stack(trained(recipe).history)
    assert bool((history[-1, :, 0] < 0.8 * history[0, :, 0]).all())


def with_snapshots(recipe: Recipe) -> tuple[TrainingState, Snapshots]:
    """State after a stage, and the parameters after each epoch."""
    state, stage_data = start_state(recipe)
    snapshots = [parameters_of(now.model) for now in train_epochs(state, stage_data, recipe.stages[0], SEED)]
    return state, snapshots


@pytest.mark.parametrize(("selection", "every"), [("validation", 1), ("inner", 1), ("validation", 3)])
def test_best_epoch_of_each_member_is_restored(data: str, selection: str, every: int) -> None:
    # So large a learning rate that the errors go up and down, and the best epoch is not always the last.
    stage = tiny_stage(data, epochs=8, learning_rate=5e-3, selection=selection, validate_every=every)
    state, snapshots = with_snapshots(tiny_recipe(data, stages=(stage,), runs=(1, 2, 3)))
    errors = torch.stack(state.history)[:, :, METRICS.index("selection_mape")].numpy()
    best = np.nanargmin(errors, axis=0)
    assert state.best_epoch.tolist() == (best + 1).tolist()
    assert len({*best.tolist(), 7}) > 1
    state.restore_best()
    for name, value in parameters_of(state.model).items():
        for member in range(3):
            np.testing.assert_array_equal(value[member], snapshots[best[member]][name][member], err_msg=name)


def test_validation_is_left_out_in_the_epochs_between(data: str) -> None:
    stage = tiny_stage(data, epochs=5, validate_every=2)
    history = torch.stack(trained(tiny_recipe(data, stages=(stage,))).history)
    validated = [bool(row[:, 1:5].isfinite().all()) for row in history]
    assert validated == [False, True, False, True, True]
    assert bool(history[:, :, [0, 5]].isfinite().all())


def test_state_of_a_member_with_undefined_errors_is_not_the_best(data: str) -> None:
    state, _ = start_state(tiny_recipe(data))
    state.epoch = 1
    state.keep_best(torch.tensor([0.5, torch.nan], dtype=torch.float64))
    state.epoch = 2
    state.keep_best(torch.tensor([torch.nan, 0.7], dtype=torch.float64))
    assert state.best_error.tolist() == [0.5, 0.7]
    assert state.best_epoch.tolist() == [1, 2]


def still(stage: StageRecipe) -> StageRecipe:
    """A stage whose steps are far below float32's resolution: its weights stay where they began."""
    return replace(stage, name="second", learning_rate=1e-30, learning_rate_floor=0.0)


def test_stage_begins_with_the_selected_weights_of_the_one_before(data: str, tmp_path: Path) -> None:
    first = tiny_stage(data, epochs=8, learning_rate=5e-3)
    train(tiny_recipe(data, stages=(first, still(first))), tmp_path)
    before, after = (parameters_of(load_network(tmp_path / name / "model")) for name in ("first", "second"))
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    table = pd.read_csv(tmp_path / "first" / "predictions.csv")
    # Else the test would not tell the selected weights from the last ones.
    assert not np.allclose(table["kappa_selected"], table["kappa_last"], rtol=1e-3)


def test_files_of_a_run_agree(data: str, tmp_path: Path) -> None:
    recipe = two_stages(data)
    train(recipe, tmp_path)
    for stage, column in zip(recipe.stages, ("selection", "validation"), strict=True):
        metrics = pd.read_csv(tmp_path / stage.name / "metrics.csv")
        table = pd.read_csv(tmp_path / stage.name / "predictions.csv")
        assert len(metrics) == stage.epochs * len(recipe.runs)
        for run in recipe.runs:
            rows = table[(table["run"] == run) & (table["part"] == column)]
            found = ((rows["kappa_selected"] - rows["kappa"]).abs() / rows["kappa"]).mean()
            best = metrics.loc[metrics["run"] == run, f"{column}_mape"].min()
            # The loop's errors are float32, those of the table float64.
            assert found == pytest.approx(best, rel=1e-5)


def test_a_training_that_diverges_saves_no_model(tmp_path: Path) -> None:
    data = write_data(tmp_path / "tiny.extxyz", factor=1e40)  # beyond float32
    with pytest.raises(RunError, match=r"Stage 'first' diverged in epoch 1: .* run 1, 2 .* no model was saved"):
        train(tiny_recipe(data), tmp_path / "run", RunOptions(checkpoint_every=1))
    assert {path.name for path in (tmp_path / "run" / "first").iterdir()} == {"splits.json"}


def test_weights_that_are_no_numbers_stop_the_training(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second member alone, in the third epoch: its last finite state stays in the checkpoint."""
    steps = []
    step = torch.optim.Adam.step

    def spoil(self: torch.optim.Adam) -> None:
        step(self)
        steps.append(1)
        if len(steps) == 6:
            with torch.no_grad():
                self.param_groups[0]["params"][0][1, ..., 0] = torch.nan

    monkeypatch.setattr(torch.optim.Adam, "step", spoil)
    with pytest.raises(RunError, match=r"diverged in epoch 3: .* of run 2 are"):
        train(tiny_recipe(data), tmp_path, RunOptions(checkpoint_every=1))
    with safe_open(tmp_path / "first" / "checkpoint.safetensors", "pt") as checkpoint:
        assert checkpoint.metadata()["epoch"] == "2"
        assert all(bool(checkpoint.get_tensor(name).isfinite().all()) for name in checkpoint.keys() if "model." in name)  # noqa: SIM118
    assert not (tmp_path / "first" / "model").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
def test_cuda_gives_the_same_numbers(data: str, tmp_path: Path) -> None:
    recipe = two_stages(data)
    tables = []
    for device in ("cpu", "cuda"):
        train(recipe, tmp_path / device, RunOptions(device=device))
        tables.append(pd.read_csv(tmp_path / device / "second" / "metrics.csv"))
    # Sums run in another order; Adam's first steps have the size of the learning rate whatever the gradient's, so a
    # gradient near zero may turn its step around, and eight epochs of that are some 1e-3 of the error.
    np.testing.assert_allclose(tables[1].to_numpy(), tables[0].to_numpy(), rtol=1e-2)
