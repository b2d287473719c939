"""The shipped models: their cards, and that they predict as their cards say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import paraisite
from paraisite.datasets.splits import published_splits
from paraisite.models.files import read_card


@pytest.mark.parametrize("name", ["FEAF", "FEAFTG15"])
def test_cards_are_complete(name: str) -> None:
    card = read_card(paraisite.shipped_models()[name])
    for key in ("description", "intended_domain", "not_for", "licence", "training_data", "recipe", "errors", "command"):
        assert card[key], key
    assert card["architecture"]["n_members"] == 9
    assert card["precision"]["largest_relative_change_of_kappa"] < 1e-3


def test_the_default_model_predicts_its_validation_crystals_as_its_card_says() -> None:
    data = paraisite.load_data_set("togo15")
    table = paraisite.predict(data.crystals)
    members = table[[f"kappa_{member}" for member in range(1, 10)]].to_numpy().T
    validation = published_splits(data.part_sizes, range(1, 10)).validation
    relative = np.abs(members - data.kappa) / data.kappa
    mape = np.mean([row[mask].mean() for row, mask in zip(relative, validation, strict=True)])
    card = read_card(paraisite.shipped_models()["FEAFTG15"])
    # 16-bit weights move κ by less than 0.1 %.
    assert mape == pytest.approx(card["errors"]["paper"]["mape"]["mean"], abs=1e-3)


def test_the_aflow_ensemble_predicts_aflow_as_its_card_says(shared: Path) -> None:
    data = paraisite.load_data_set("aflow_agl", shared)
    table = paraisite.predict(data.crystals, model="FEAF")
    kept = table["kappa_mean"].notna().to_numpy()
    kappa, members = data.kappa[kept], table.loc[kept, [f"kappa_{member}" for member in range(1, 10)]].to_numpy().T
    validation = published_splits([kept.sum()], range(1, 10)).validation
    mape = np.mean([
        (np.abs(row - kappa) / kappa)[mask].mean() for row, mask in zip(members, validation, strict=True)
    ])  # fmt: skip
    card = read_card(paraisite.shipped_models()["FEAF"])
    assert mape == pytest.approx(card["errors"]["paper"]["mape"]["mean"], abs=1e-3)
