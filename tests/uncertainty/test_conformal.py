"""Calibrated intervals: by hand, on simulated ensembles, and where they cannot be given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulated_predictions import simulated

from paraisite.uncertainty.conformal import (
    MAX_CRYSTALS,
    HeldOut,
    Residuals,
    held_out_residuals,
    quantile_rank,
)


def test_interval_by_hand() -> None:
    # Nine crystals, so that the rank of the 90 % quantile is the last: lowest and highest end of all nine.
    held_out = np.array([[True] * 5 + [False] * 4, [False] * 4 + [True] * 5])
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.1, 0.2, 0.3])
    low, high = Residuals(values, held_out, "").interval(np.exp(np.array([[1.0, 0.0], [3.0, 0.0]])))
    # Crystal 0: members 1 and 3; held out of both is the fifth, with the mean 2.
    np.testing.assert_allclose(np.log(low), [1.0 - 0.4, -0.6])
    np.testing.assert_allclose(np.log(high), [3.0 + 0.6, 0.6])


def test_a_lower_level_takes_an_inner_rank() -> None:
    values = np.arange(1, 10) / 10
    low, high = Residuals(values, np.ones((1, 9), bool), "").interval(np.ones((1, 1)), level=0.5)
    np.testing.assert_allclose([np.log(low[0]), np.log(high[0])], [-0.5, 0.5])


@pytest.mark.parametrize(("n", "rank"), [(8, None), (9, 9), (19, 18), (99, 90), (100, 91)])
def test_rank_of_the_quantile(n: int, rank: int | None) -> None:
    assert quantile_rank(n, 0.9) == rank


def test_too_few_crystals_give_no_interval() -> None:
    low, high = Residuals(np.ones(8), np.ones((2, 8), bool), "").interval(np.ones((2, 3)))
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize(("own_noise", "least", "most"), [(0.03, 0.87, 0.94), (0.3, 0.9, 0.99)])
def test_new_crystals_are_covered_as_promised_or_more(own_noise: float, least: float, most: float) -> None:
    """As promised where the members err alike; more where each errs by itself, since all nine are better than a few."""
    table = simulated(3000, seed=1, own_noise=own_noise)
    number = table["material_id"].str[3:].astype(int)
    residuals = held_out_residuals(table[number < 400], "simulated")
    new = table[number >= 400]
    low, high = residuals.interval(new["kappa_selected"].to_numpy().reshape(9, -1))
    kappa = new["kappa"].to_numpy()[: len(low)]
    # 400 crystals to calibrate by: a standard error of 0.015.
    assert least < float(((low <= kappa) & (kappa <= high)).mean()) < most


def test_the_interval_holds_the_spread_of_the_members() -> None:
    residuals = held_out_residuals(simulated(400, seed=2), "simulated")
    agreeing, disagreeing = np.ones((9, 1)), np.exp(np.linspace(-2, 2, 9))[:, None]
    widths = [float(np.log(high / low)[0]) for low, high in map(residuals.interval, (agreeing, disagreeing))]
    assert widths[1] > widths[0] + 1


def test_residuals_of_a_table_by_hand() -> None:
    table = pd.DataFrame({
        "run": [1, 1, 1, 2, 2, 2],
        "material_id": ["a", "b", "c"] * 2,
        "formula": ["A", "B", "C"] * 2,
        "part": ["validation", "train", "selection", "validation", "validation", "train"],
        "kappa": [1.0, 2.0, 3.0] * 2,
        "kappa_selected": [np.e, 9.0, 9.0, np.e**3, -5.0, 9.0],
    })  # fmt: skip
    found = held_out_residuals(table, "here")
    # a: mean of 1 and 3 against 0; b: a prediction below zero is raised to 0.001.
    np.testing.assert_allclose(found.values, [2.0, np.log(2 / 1e-3)])
    assert found.held_out.tolist() == [[True, False], [True, True]]


def test_a_member_without_numbers_makes_the_residual_infinite() -> None:
    table = simulated(40, seed=3)
    table.loc[table["run"] == 4, "kappa_selected"] = np.nan
    found = HeldOut.from_predictions(table).residuals("")[0]
    assert np.array_equal(np.isinf(found.values), found.held_out[4])


def test_large_calibrations_are_thinned_and_keep_their_quantiles() -> None:
    table = simulated(3000, seed=4)
    whole = HeldOut.from_predictions(table).residuals("")[0]
    found = held_out_residuals(table, "")
    assert len(found.values) == MAX_CRYSTALS < len(whole.values)
    steps = [0.1, 0.5, 0.9, 0.99]
    np.testing.assert_allclose(np.quantile(found.values, steps), np.quantile(whole.values, steps), rtol=0.02)
