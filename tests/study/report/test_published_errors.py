"""The published errors as the package restates them, against the file that they come from and the figures of the paper."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paraisite.study.published import FAMILY_INITIAL, published_errors, published_runs

INITIAL = {"random": "random", "eform": "formation_energy", "eform+aflow": "formation_energy+aflow"}


def test_every_run_of_every_family_is_there() -> None:
    table = published_errors()
    assert len(table) == len(FAMILY_INITIAL) * 9 * 4
    assert not table.duplicated(["family", "run", "tested_on"]).any()
    assert set(table["run"]) == set(range(1, 10))


def test_the_table_restates_the_published_file(shared: Path) -> None:
    source = pd.read_csv(shared / "reference" / "published_per_run_mape.csv")
    ours = published_errors().set_index(["initial_weights", "trained_on", "run", "tested_on"])["mape"]
    for row in source.to_dict("records"):
        trained_on = str(row["trained_on"]).replace("aflow", "aflow_agl")
        for name in ("togo15", "hh143", "mix", "aflow"):
            key = (INITIAL[row["initial_weights"]], trained_on, row["run"], name.replace("aflow", "aflow_agl"))
            assert ours[key] == row[f"mape_{name}"]


@pytest.mark.parametrize(
    ("family", "mean"), [("RWTG15", 0.539), ("FETG15", 0.510), ("FEAFTG15", 0.288), ("RWAF", 0.598), ("FEAF", 0.488)]
)
def test_means_are_the_published_ones(family: str, mean: float) -> None:
    assert published_runs(family).mean() == pytest.approx(mean, abs=5e-4)


def test_a_family_without_published_errors_has_none() -> None:
    assert published_runs("RWAFTG15").empty
