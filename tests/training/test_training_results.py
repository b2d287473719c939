"""Tables and errors of a trained stage against hand-computed values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.splits import Splits
from paraisite.metrics import error_metrics
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.structures.crystal import Crystal
from paraisite.training.network.loop import PUBLISHED_AFLOW_SCALE, compressed_mape, member_mape
from paraisite.training.network.recipe import StageRecipe
from paraisite.training.network.results import history_table, predictions_table, stage_errors
from paraisite.training.network.state import METRICS, TrainingState

EXACT = 1e-12
"""Relative: float64 rounding of a handful of operations."""


def test_errors_by_hand() -> None:
    found = error_metrics(np.array([1.0, 10.0, 100.0, 4.0]), np.array([2.0, 5.0, 300.0, 5.0]))
    # Relative errors 1, 0.5, 2, 0.25; differences 1, -5, 200, 1; ratios 2, 1/2, 3, 5/4.
    assert found["mape"] == pytest.approx(3.75 / 4, rel=EXACT)
    assert found["median_ape"] == pytest.approx(0.75, rel=EXACT)
    assert found["mae_w_per_mk"] == pytest.approx(207 / 4, rel=EXACT)
    assert found["rmse_w_per_mk"] == pytest.approx(np.sqrt(40027 / 4), rel=EXACT)
    assert found["mae_log10"] == pytest.approx(np.log10(2 * 2 * 3 * 1.25) / 4, rel=EXACT)
    # Mean 28.75; squared deviations 770.0625 + 351.5625 + 5076.5625 + 612.5625 = 6810.75.
    assert found["r2"] == pytest.approx(1 - 40027 / 6810.75, rel=EXACT)
    # Ranks 1 3 4 2 and 1 2.5 4 2.5: Pearson of the ranks is 4.5 / sqrt(5 * 4.5).
    assert found["spearman"] == pytest.approx(4.5 / np.sqrt(22.5), rel=EXACT)
    assert found["sre"] == pytest.approx((2 / 3 + 2 / 3 + 1 + 2 / 9) / 4, rel=EXACT)


@pytest.mark.parametrize("predicted", [-3.0, 0.0])
def test_symmetric_relative_error_is_at_most_two(predicted: float) -> None:
    assert error_metrics(np.array([1.0, 10.0]), np.array([predicted, 10.0]))["sre"] == 1


def test_within_a_factor_of_two() -> None:
    kappa = np.array([1.0, 1.0, 1.0, 1.0])
    assert error_metrics(kappa, np.array([1.99, 0.51, 2.01, 0.49]))["within_factor_2"] == 0.5


def test_perfect_predictions() -> None:
    kappa = np.array([0.5, 2.0, 70.0])
    found = error_metrics(kappa, kappa.copy())
    assert (found.pop("r2"), found.pop("within_factor_2")) == (1, 1)
    assert found.pop("spearman") == pytest.approx(1, rel=EXACT)
    assert set(found.values()) == {0}


@pytest.mark.parametrize("predicted", [-0.5, 0.0, 1e-9])
def test_prediction_without_a_logarithm_is_raised_to_the_least(predicted: float) -> None:
    found = error_metrics(np.array([1.0, 10.0]), np.array([predicted, 10.0]))
    assert found["mae_log10"] == pytest.approx(1.5, rel=EXACT)
    assert found["mape"] == pytest.approx((1 - predicted) / 2, rel=EXACT)


def test_single_crystal_has_no_correlation() -> None:
    found = error_metrics(np.array([2.0]), np.array([3.0]))
    assert np.isnan([found["r2"], found["spearman"]]).all()
    assert found["mape"] == 0.5


def test_constant_predictions_have_no_rank_correlation() -> None:
    found = error_metrics(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    assert np.isnan(found["spearman"])
    assert found["r2"] == pytest.approx(0, abs=EXACT)


def test_member_errors_by_hand() -> None:
    kappa = torch.tensor([1.0, 2.0, 4.0])
    predicted = torch.tensor([[2.0, 2.0, 1.0], [0.0, 3.0, 4.0]])
    mask = torch.tensor([[True, False, True], [False, True, False]])
    torch.testing.assert_close(member_mape(kappa, predicted, mask), torch.tensor([0.875, 0.5]))
    assert bool(member_mape(kappa, predicted, torch.zeros_like(mask)).isnan().all())


def test_compressed_error_by_hand() -> None:
    model = ParAIsite(ParAIsiteSettings(n_members=1))
    kappa = torch.tensor([0.5, 3.0, 40.0])
    model.target.fit(kappa, torch.ones(1, 3, dtype=torch.bool))
    standardised = torch.tensor([[0.3, -1.0, 1.2]])
    mask = torch.tensor([[True, False, True]])
    logarithm = np.log10(kappa.double().numpy() + 1)
    label = (logarithm - logarithm.mean()) / logarithm.std()
    mean, deviation = PUBLISHED_AFLOW_SCALE
    label, predicted = (10 ** (mean + deviation * value) - 1 for value in (label, standardised.numpy()[0]))
    expected = (np.abs(predicted - label) / label)[[0, 2]].mean()
    # float32 against float64, through a power.
    assert float(compressed_mape(model, kappa, standardised, mask)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wild", [150.0, 1e4, float("inf")])
def test_a_wild_crystal_costs_no_member_its_compressed_error(wild: float) -> None:
    """Of two members, one trains on the crystal: the other's error is what it is without it, and neither is NaN."""
    model = ParAIsite(ParAIsiteSettings(n_members=2))
    kappa = torch.tensor([0.5, 3.0, 40.0])
    model.target.fit(kappa, torch.ones(2, 3, dtype=torch.bool))
    standardised = torch.tensor([[0.3, -1.0, wild], [0.3, -1.0, wild]], requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    errors = compressed_mape(model, kappa, standardised, mask)
    tame = compressed_mape(model, kappa[:2], standardised[:, :2], mask[:, :2])
    torch.testing.assert_close(errors[0], tame[0])
    assert errors[1] > 1e20
    errors[0].backward()
    assert standardised.grad is not None
    assert bool(standardised.grad.isfinite().all())
    assert bool((standardised.grad[0, :2] != 0).all())


def test_a_compressed_label_below_zero_is_no_gain() -> None:
    """The published scale puts low κ below zero: its relative error counts as an error all the same."""
    model = ParAIsite(ParAIsiteSettings(n_members=1))
    kappa = torch.tensor([0.01, 100.0, 120.0, 90.0, 110.0, 95.0, 105.0])
    model.target.fit(kappa, torch.ones(1, 7, dtype=torch.bool))
    mask = torch.tensor([[True] + [False] * 6])
    assert float(model.target(kappa)[0, 0]) < -PUBLISHED_AFLOW_SCALE[0] / PUBLISHED_AFLOW_SCALE[1]
    assert float(compressed_mape(model, kappa, torch.zeros(1, 7), mask)) > 0


RUNS = (1, 5)
TRAIN = np.array([[True, True, False, False], [True, False, False, False]])
VALIDATION = np.array([[False, False, True, True], [False, False, True, True]])
SELECTED = np.array([[1.0, 2.0, 6.0, 4.0], [1.0, 2.0, 3.0, 2.0]])
LAST = SELECTED + 1


def four_crystals() -> DataSet:
    numbers = ([11, 17], [12, 8], [14, 14], [31, 33])
    cell, sites = 5 * np.eye(3), np.array([[0.0] * 3, [0.5] * 3])
    crystals = tuple(Crystal(np.array(pair), cell, sites, f"id-{k}") for k, pair in enumerate(numbers))
    return DataSet("four", crystals, np.array([1.0, 2.0, 3.0, 4.0]), (4,))


def table() -> pd.DataFrame:
    splits = Splits(train=TRAIN, selection=~TRAIN & ~VALIDATION, validation=VALIDATION, scale=TRAIN)
    return predictions_table(RUNS, four_crystals(), splits, SELECTED, LAST)


def history_state() -> TrainingState:
    """State of three epochs, the second not validated."""
    model = ParAIsite(ParAIsiteSettings(n_members=2))
    state = TrainingState.start(model, torch.optim.Adam(model.parameters()))
    for epoch in range(3):
        row = torch.full((2, len(METRICS)), 10.0 * (epoch + 1), dtype=torch.float64)
        row[1] += 1
        row[:, 2] -= 5 * epoch**2
        row[:, 4] += 100
        if epoch == 1:
            row[:, 1:5] = torch.nan
        state.history.append(row)
    state.best_epoch = torch.tensor([3, 1])
    return state


def test_predictions_table() -> None:
    found = table()
    assert found["run"].tolist() == [1] * 4 + [5] * 4
    assert found["material_id"].tolist() == ["id-0", "id-1", "id-2", "id-3"] * 2
    assert found["formula"].tolist() == ["NaCl", "MgO", "Si", "GaAs"] * 2
    parts = {1: ["train", "train", "validation", "validation"], 5: ["train", "selection", "validation", "validation"]}
    assert found["part"].tolist() == [*parts[1], *parts[5]]
    assert found["kappa"].tolist() == [1, 2, 3, 4] * 2
    assert found["kappa_selected"].tolist() == SELECTED.ravel().tolist()
    assert found["kappa_last"].tolist() == LAST.ravel().tolist()


def test_history_table() -> None:
    found = history_table(history_state(), RUNS)
    assert list(found.columns) == ["epoch", "run", *METRICS]
    assert found["epoch"].tolist() == [1, 1, 2, 2, 3, 3]
    assert found["run"].tolist() == [1, 5] * 3
    assert found["train_loss"].tolist() == [10, 11, 20, 21, 30, 31]
    assert found["selection_mape"].isna().tolist() == [False, False, True, True, False, False]


def errors(selection: str) -> dict[str, Any]:
    stage = StageRecipe(name="first", data="four", epochs=3, selection=selection)
    return stage_errors(history_state(), stage, RUNS, table())


@pytest.mark.parametrize(("selection", "protocol"), [("validation", "paper"), ("inner", "held_out")])
def test_errors_of_the_selected_epoch_are_named_by_their_protocol(selection: str, protocol: str) -> None:
    found = errors(selection)
    # Run 1: |6 - 3| / 3 and 0; run 5: 0 and |2 - 4| / 4.
    assert [entry[protocol]["mape"] for entry in found["by_run"]] == pytest.approx([0.5, 0.25], rel=EXACT)
    assert [entry["selected_epoch"] for entry in found["by_run"]] == [3, 1]
    assert found["summary"][protocol]["mape"] == pytest.approx({"mean": 0.375, "standard_deviation": 0.125}, rel=EXACT)


@pytest.mark.parametrize("selection", ["validation", "inner", "last"])
def test_errors_of_the_last_epoch(selection: str) -> None:
    found = errors(selection)
    # One more than selected: run 1: 4/3 and 1/4; run 5: 1/3 and 1/4.
    expected = [(4 / 3 + 0.25) / 2, (1 / 3 + 0.25) / 2]
    assert [entry["last_epoch"]["mape"] for entry in found["by_run"]] == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("selection", ["inner", "last"])
def test_paper_protocol_beside_another_is_the_lowest_validation_error(selection: str) -> None:
    found = errors(selection)
    # Validation errors 10, none, 10 and 11, none, 11; compressed 110 and 111 at the lowest.
    assert [entry["paper"] for entry in found["by_run"]] == [{"mape": 10}, {"mape": 11}]
    assert [entry["paper_compressed"] for entry in found["by_run"]] == [{"mape": 110}, {"mape": 111}]
    assert "held_out" not in found["summary"] or selection == "inner"


def test_validation_selection_is_never_called_held_out() -> None:
    assert set(errors("validation")["summary"]) == {"paper", "last_epoch", "paper_compressed"}
    assert set(errors("last")["summary"]) == {"paper", "last_epoch", "paper_compressed"}
