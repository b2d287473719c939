"""The shipped networks: their cards, that they predict as their cards say, and what they say of their own predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import paraisite
from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.splits import published_splits
from paraisite.models.files import read_card
from paraisite.uncertainty.files import load_uncertainty

N_MEMBERS = 9


@pytest.fixture(scope="module")
def togo15() -> DataSet:
    return paraisite.load_data_set("togo15")


@pytest.fixture(scope="module")
def togo15_table(togo15: DataSet) -> pd.DataFrame:
    """Predictions of Togo15 by the network that was fine-tuned on it."""
    return paraisite.predict(togo15.crystals, model="FEAFTG15", members=True)


def validation_mape(table: pd.DataFrame, kappa: np.ndarray) -> float:
    """Mean over the members of the MAPE of their validation parts."""
    members = table[[f"kappa_{member}" for member in range(1, N_MEMBERS + 1)]].to_numpy().T
    validation = published_splits([len(kappa)], range(1, N_MEMBERS + 1)).validation
    relative = np.abs(members - kappa) / kappa
    return float(np.mean([row[mask].mean() for row, mask in zip(relative, validation, strict=True)]))


@pytest.mark.parametrize("name", ["FEAF", "FEAFTG15"])
def test_cards_are_complete(name: str) -> None:
    card = read_card(paraisite.shipped_models()[name])
    for key in ("description", "intended_domain", "not_for", "licence", "training_data", "recipe", "errors", "command"):
        assert card[key], key
    assert card["architecture"]["n_members"] == N_MEMBERS
    assert card["precision"]["largest_relative_change_of_kappa"] < 1e-3


def test_the_network_predicts_its_validation_crystals_as_its_card_says(
    togo15: DataSet, togo15_table: pd.DataFrame
) -> None:
    card = read_card(paraisite.shipped_models()["FEAFTG15"])
    # 16-bit weights move κ by less than 0.1 %.
    mape = validation_mape(togo15_table, togo15.kappa)
    assert mape == pytest.approx(card["errors"]["paper"]["mape"]["mean"], abs=1e-3)


def test_the_aflow_ensemble_predicts_aflow_as_its_card_says(shared: Path) -> None:
    data = paraisite.load_data_set("aflow_agl", shared)
    table = paraisite.predict(data.crystals, model="FEAF", members=True)
    kept = table["kappa"].notna().to_numpy()
    card = read_card(paraisite.shipped_models()["FEAF"])
    mape = validation_mape(table[kept], data.kappa[kept])
    assert mape == pytest.approx(card["errors"]["paper"]["mape"]["mean"], abs=1e-3)
    # Concerns about the crystals themselves, most of them metals, count for every model; what is left is the network's own.
    known = ~table["domain_reason"].str.contains("metal|vacuum|volume|molec|noble|primitive cell", na=False)
    assert (table.loc[kept & known, "domain"] == "inside").mean() > 0.9
    # Its κ is AFLOW's: an interval would be one of AFLOW's κ, not of the crystal's.
    assert table[["kappa_low", "kappa_high"]].isna().all(axis=None)


def test_the_networks_intervals_are_honest(togo15: DataSet, togo15_table: pd.DataFrame) -> None:
    found = load_uncertainty(paraisite.shipped_models()["FEAFTG15"])
    assert found is not None
    assert found.residuals is not None
    # Its own epochs were chosen by the validation parts, on which it is off by less than the run that held them out.
    held_out = published_splits(togo15.part_sizes, range(1, N_MEMBERS + 1)).validation
    tested = held_out.any(axis=0)
    members = togo15_table[[f"kappa_{member}" for member in range(1, N_MEMBERS + 1)]].to_numpy().T
    logs = np.where(held_out, np.log(np.maximum(members, 1e-3)), 0)[:, tested]
    own = np.abs(logs.sum(axis=0) / held_out[:, tested].sum(axis=0) - np.log(togo15.kappa[tested]))
    assert len(found.residuals.values) == tested.sum()
    assert np.median(found.residuals.values) > 1.2 * np.median(own)
    assert (togo15_table["kappa_low"] <= togo15_table["kappa"]).all()
    assert (togo15_table["kappa"] <= togo15_table["kappa_high"]).all()
    # Wider than where the members agree: their own spread is no error bar.
    low, high = np.quantile(members, [0.05, 0.95], axis=0)
    width = np.log(togo15_table["kappa_high"] / togo15_table["kappa_low"])
    assert (width > np.log(high / low)).mean() > 0.9


def test_the_network_knows_its_domain_and_the_one_before(togo15_table: pd.DataFrame) -> None:
    assert (togo15_table["domain"] == "inside").mean() > 0.95
    table = paraisite.predict(paraisite.load_data_set("hh143").crystals[:10], model="FEAFTG15", members=True)
    assert (table["domain"] == "outside").all()
    assert table["domain_reason"].str.contains("no crystal of the formula type ABC in togo15").all()
    assert table["domain_reason"].str.contains("the domain of aflow_agl").all()
    assert table[["kappa_low", "domain_distance"]].notna().all(axis=None)
