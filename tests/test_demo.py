"""The demonstration, with fewer epochs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paraisite.demo import recorded_curve, recorded_results, run_demo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def predictions(folder: Path) -> pd.DataFrame:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PARAISITE_DATA", raising=False)
        return run_demo(folder, epochs=3).predictions


def test_errors_stand_beside_the_published_ones(predictions: pd.DataFrame, folder: Path) -> None:
    assert len(predictions) > 0
    errors = pd.read_csv(folder / "errors.csv").set_index("step")
    assert list(errors.index) == ["RWTG15", "FETG15", "FEAFTG15"]
    assert errors.loc["RWTG15", "trained"] == "now"
    assert errors.loc["FETG15", "trained"].startswith("recorded")
    assert errors.loc["FETG15", "published_mape"] == 0.51
    # Even after three epochs, what was learnt from AFLOW is worth more than nothing.
    assert errors.loc["FEAFTG15", "mape_paper_protocol"] < errors.loc["RWTG15", "mape_paper_protocol"]
    assert (errors["mape_paper_protocol"] <= errors["mape_last_epoch"]).all()


def test_plots_hold_validation_points_only(predictions: pd.DataFrame, folder: Path) -> None:
    assert len(predictions) > 0
    for name in ("predicted_against_computed", "error_by_epoch"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
        assert len(pd.read_csv(folder / f"{name}.csv")) > 0
    points = pd.read_csv(folder / "predicted_against_computed.csv")
    written = pd.read_csv(folder / "FEAFTG15" / "togo15" / "predictions.csv")
    validation = written[written["part"] == "validation"]
    assert points["n_runs"].sum() == len(validation) == 9 * 19
    first = points.iloc[0]
    own = validation[validation["material_id"] == first["material_id"]]["kappa_selected"]
    assert first["predicted"] == pytest.approx(own.mean())


def test_examples_name_the_papers_hit_and_strangers(predictions: pd.DataFrame) -> None:
    assert "mp-9127" in set(predictions["material_id"])
    assert predictions["kappa"].notna().all()
    assert predictions["note"].str.contains("far from").any()


def test_records_are_complete() -> None:
    results = recorded_results()
    for family in ("RWTG15", "FETG15", "RWAFTG15", "FEAFTG15"):
        assert {"held_out", "paper", "last_epoch", "paper_compressed"} <= results[family]["summary"].keys()
        curve = recorded_curve(family)
        assert len(curve) == 300
        assert np.isfinite(curve["mean"]).all()
