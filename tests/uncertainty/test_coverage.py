"""Measured coverage takes nothing from the crystal it tests; errors by domain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from simulated_predictions import simulated

from paraisite.errors import DataError
from paraisite.uncertainty.coverage import error_by_domain, measured_coverage

ENDS = ["kappa_low", "kappa_high"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulated(120, seed=5)


@pytest.fixture(scope="module")
def before(table: pd.DataFrame) -> pd.DataFrame:
    return measured_coverage(table).table.set_index("material_id")


def test_exchangeable_crystals_are_covered_as_often_as_promised() -> None:
    found = measured_coverage(simulated(500, seed=6))
    assert found.level == 0.9
    assert found.coverage > found.expected - 3 * found.standard_error
    assert found.coverage < 1
    assert found.expected == pytest.approx(0.905, abs=0.005)
    ratio = found.table["kappa_high"] / found.table["kappa_low"]
    assert found.median_width == pytest.approx(float(ratio.median()))


def test_every_held_out_crystal_is_tested_once(table: pd.DataFrame, before: pd.DataFrame) -> None:
    held_out = table[table["part"] == "validation"]
    assert sorted(before.index) == sorted(held_out["material_id"].unique())
    counts = held_out.groupby("material_id").size()
    assert before["n_members"].to_dict() == counts.to_dict()


@pytest.mark.parametrize("row", [0, 40, -1])
def test_the_tested_kappa_takes_no_part(table: pd.DataFrame, before: pd.DataFrame, row: int) -> None:
    name = before.index[row]
    changed = table.copy()
    formula = changed.loc[changed["material_id"] == name, "formula"].iloc[0]
    changed.loc[changed["formula"] == formula, "kappa"] *= 1000  # its own and that of its other polymorph
    after = measured_coverage(changed).table.set_index("material_id")
    assert after.loc[name, ENDS].equals(before.loc[name, ENDS])
    assert not after.loc[name, "covered"]
    assert not after[ENDS].equals(before[ENDS])


def test_members_that_trained_on_a_crystal_take_no_part(table: pd.DataFrame, before: pd.DataFrame) -> None:
    name = before.index[10]
    trained = table.loc[(table["material_id"] == name) & (table["part"] == "train"), "run"]
    changed = table.copy()
    changed.loc[changed["run"].isin(trained), "kappa_selected"] *= 7
    after = measured_coverage(changed).table.set_index("material_id")
    assert after.loc[name, ENDS].equals(before.loc[name, ENDS])
    assert not after[ENDS].equals(before[ENDS])


def test_composition_or_crystal_is_left_out(table: pd.DataFrame) -> None:
    by_crystal = measured_coverage(table, apart="material_id").table
    by_composition = measured_coverage(table).table
    assert (by_crystal["n_residuals"] >= by_composition["n_residuals"]).all()
    assert by_crystal["n_residuals"].sum() > by_composition["n_residuals"].sum()


def test_residuals_of_easier_crystals_cover_too_little() -> None:
    easy, hard = (simulated(300, seed=7, noise=noise, own_noise=0.05) for noise in (0.1, 0.5))
    found = measured_coverage(hard, easy)
    assert found.coverage < 0.6
    assert measured_coverage(hard).coverage > 0.85
    assert measured_coverage(easy, hard).coverage > 0.97


def test_other_crystals_are_refused(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="different crystals"):
        measured_coverage(table, simulated(60, seed=5))


def test_too_few_crystals_are_refused() -> None:
    with pytest.raises(DataError, match="enough residuals"):
        measured_coverage(simulated(8, seed=8))


def test_errors_by_domain_by_hand() -> None:
    table = pd.DataFrame({
        "kappa_reference": [1.0, 2.0, 4.0, 8.0, 5.0],
        "kappa": [2.0, 2.0, 1.0, np.nan, 5.0],
        "kappa_low": [0.5, 3.0, np.nan, np.nan, 1.0],
        "kappa_high": [1.5, 4.0, np.nan, np.nan, 9.0],
        "domain": ["inside", "inside", "outside", "", "inside"],
    })  # fmt: skip
    found = error_by_domain(table)
    assert list(found.index) == ["inside", "outside"]
    assert found["n_crystals"].to_list() == [3, 1]
    assert found["mape"].to_list() == pytest.approx([1 / 3, 0.75])
    assert found["median_factor"].to_list() == pytest.approx([1.0, 4.0])
    assert found.loc["inside", "coverage"] == pytest.approx(2 / 3)
    assert np.isnan(found.loc["outside", "coverage"])
