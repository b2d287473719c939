"""Candidates on the real Togo15: they see their training part alone, and give the same again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paraisite.comparison.candidates.gaussian_process import gaussian_process_structure
from paraisite.comparison.candidates.registry import CANDIDATES, make_candidate
from paraisite.comparison.candidates.run import run_candidate
from paraisite.comparison.candidates.slack import AglTable, SlackAgl
from paraisite.datasets.catalogue import DataSet, load_data_set
from paraisite.datasets.splits import Splits, inner_splits, limit_training, published_splits
from paraisite.errors import ParaisiteError
from paraisite.metrics import error_metrics
from paraisite.structures.crystal import Crystal
from paraisite.structures.space_group import find_symmetry
from paraisite.training.multi_fidelity.fit import CAUTIONS

RUNS = (1, 2)
LOOKED_UP = ("slack_agl", "slack_agl_calibrated")
OWN_EXTRA = ("roost",)
"""Candidates that need an extra of their own, and have tests of their own."""
LEARNED = [name for name in CANDIDATES if name not in (*LOOKED_UP, *OWN_EXTRA)]


@pytest.fixture(scope="module")
def togo15() -> DataSet:
    return load_data_set("togo15")


def splits_of(data: DataSet, runs: tuple[int, ...] = RUNS) -> Splits:
    return published_splits(data.part_sizes, runs)


def validation_log10_error(folder: Path) -> float:
    table = pd.read_csv(folder / "predictions.csv")
    rows = table[table["part"] == "validation"]
    return error_metrics(rows["kappa"].to_numpy(), rows["kappa_selected"].to_numpy())["mae_log10"]


@pytest.fixture(scope="module")
def folders(togo15: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every candidate that needs no data, on two splits."""
    out = tmp_path_factory.mktemp("candidates")
    for name in LEARNED:
        run_candidate(name, togo15, splits_of(togo15), RUNS, out / name)
    return out


@pytest.mark.parametrize("name", LEARNED)
def test_a_run_tells_what_it_did(name: str, folders: Path, togo15: DataSet) -> None:
    table = pd.read_csv(folders / name / "predictions.csv")
    assert list(table) == ["run", "material_id", "formula", "part", "kappa", "kappa_selected", "log10_std"]
    assert table["run"].tolist() == [1] * 95 + [2] * 95
    assert table["material_id"].tolist() == [crystal.material_id for crystal in togo15.crystals] * 2
    np.testing.assert_array_equal((table["part"] == "validation"), splits_of(togo15).validation.ravel())
    assert set(table["part"]) == {"train", "validation"}
    assert (table["kappa_selected"] > 0).all()
    card = json.loads((folders / name / "candidate.json").read_text())
    assert card["name"] == name
    assert card["title"]
    assert [entry["run"] for entry in card["by_run"]] == [1, 2]
    assert all(entry["settings"] and entry["seconds_fit"] >= 0 for entry in card["by_run"])
    assert card["versions"].keys() >= {"paraisite", "scikit-learn", "matminer"}
    n_tried = {"knn": 5, "multi_fidelity": len(CAUTIONS)}.get(name)
    assert {entry["settings"].get("n_tried") for entry in card["by_run"]} == {n_tried}


def test_what_learns_beats_the_median_and_the_known_crystals_are_known(folders: Path) -> None:
    errors = {name: validation_log10_error(folders / name) for name in LEARNED}
    assert all(errors[name] < 0.5 * errors["median"] for name in LEARNED if name != "median"), errors
    for name in ("knn", "extra_trees", "gaussian_process_magpie"):
        table = pd.read_csv(folders / name / "predictions.csv").query("part == 'train'")
        assert error_metrics(table["kappa"].to_numpy(), table["kappa_selected"].to_numpy())["mape"] < 0.1


@pytest.mark.parametrize("name", LEARNED)
def test_validation_crystals_do_not_leak(name: str, folders: Path, togo15: DataSet, tmp_path: Path) -> None:
    splits = splits_of(togo15, RUNS[:1])
    kappa = np.where(splits.validation[0], togo15.kappa[::-1] * 100, togo15.kappa)
    run_candidate(name, replace(togo15, kappa=kappa), splits, RUNS[:1], tmp_path)
    before = pd.read_csv(folders / name / "predictions.csv").query("run == 1")
    after = pd.read_csv(tmp_path / "predictions.csv")
    for column in ("kappa_selected", "log10_std"):
        np.testing.assert_array_equal(after[column], before[column])


@pytest.mark.parametrize("name", ["median", "knn", "extra_trees", "gaussian_process_aflow"])
def test_a_second_fit_forgets_the_first(name: str, togo15: DataSet) -> None:
    part, others, kappa = togo15.crystals[::2], togo15.crystals[1::2], togo15.kappa[::2]
    used, fresh = make_candidate(name), make_candidate(name)
    used.fit(part, kappa)
    first = used.predict(others).log10_kappa
    used.fit(part, 10 * kappa)
    fresh.fit(part, 10 * kappa, [togo15.source] * len(part))  # one source is none
    second = used.predict(others).log10_kappa
    np.testing.assert_array_equal(second, fresh.predict(others).log10_kappa)
    # Ten times the κ, ten times the prediction; a tree breaks ties between features by rounding.
    assert np.abs(second - first - 1).mean() < 0.02


@pytest.mark.parametrize("name", ["knn", "extra_trees", "gaussian_process_aflow"])
def test_running_again_gives_the_same_bytes(name: str, folders: Path, togo15: DataSet, tmp_path: Path) -> None:
    run_candidate(name, togo15, splits_of(togo15), RUNS, tmp_path)
    assert (tmp_path / "predictions.csv").read_bytes() == (folders / name / "predictions.csv").read_bytes()


def test_the_inner_part_is_trained_on_and_what_is_left_out_is_not(togo15: DataSet, tmp_path: Path) -> None:
    outer = splits_of(togo15)
    run_candidate("median", togo15, inner_splits(outer, RUNS, 0.2), RUNS, tmp_path / "inner")
    run_candidate("median", togo15, outer, RUNS, tmp_path / "outer")
    assert (tmp_path / "inner/predictions.csv").read_bytes() == (tmp_path / "outer/predictions.csv").read_bytes()
    few = inner_splits(limit_training(outer, RUNS, 20), RUNS, 0.2)
    run_candidate("median", togo15, few, RUNS, tmp_path / "few")
    table = pd.read_csv(tmp_path / "few/predictions.csv").query("run == 1")
    assert table["part"].value_counts().to_dict() == {"unused": 56, "train": 20, "validation": 19}
    trained = table[table["part"] == "train"]["kappa"]
    np.testing.assert_allclose(table["kappa_selected"], 10 ** np.median(np.log10(trained)))


def test_the_gaussian_process_knows_what_it_does_not_know(togo15: DataSet) -> None:
    candidate = gaussian_process_structure()
    candidate.fit(togo15.crystals[:60], togo15.kappa[:60])
    known, new = candidate.predict(togo15.crystals[:60]), candidate.predict(load_data_set("hh143").crystals[::10])
    assert known.log10_std is not None
    assert new.log10_std is not None
    assert new.log10_std.min() > np.median(known.log10_std)
    assert "Matern" in candidate.settings()["kernel"]


def test_the_slack_model_is_looked_up(togo15: DataSet, shared: Path, tmp_path: Path) -> None:
    run_candidate("slack_agl_calibrated", togo15, splits_of(togo15), RUNS, tmp_path, shared)
    card = json.loads((tmp_path / "candidate.json").read_text())
    settings = card["by_run"][0]["settings"]
    assert 0 < settings["coverage"] < 1
    asked = {crystal.formula for crystal in togo15.crystals}
    entries = [crystal for crystal in load_data_set("aflow_agl", shared).crystals if crystal.formula in asked]
    found = {(crystal.formula, find_symmetry(crystal).space_group) for crystal in entries}
    known = np.array([(c.formula, find_symmetry(c).space_group) in found for c in togo15.crystals])
    assert known.mean() == settings["coverage"]
    for name in set(CANDIDATES) - set(OWN_EXTRA):
        make_candidate(name, shared)


def test_an_agl_value_needs_formula_and_space_group(togo15: DataSet) -> None:
    crystals = {(c.formula, c.properties["spacegroup"]): c for c in togo15.crystals}
    cubic, hexagonal = crystals["ZnS", 216], crystals["ZnS", 186]
    halves = [cubic.fractional / [2, 1, 1], cubic.fractional / [2, 1, 1] + np.array([0.5, 0, 0])]
    larger = Crystal(np.tile(cubic.numbers, 2), cubic.cell * [[2], [1], [1]], np.vstack(halves))
    table = AglTable([cubic, larger, cubic], np.array([1.0, 10.0, 1000.0]))
    np.testing.assert_array_equal(table.log10_kappa([larger, hexagonal, crystals["NaCl", 225]]), [1.0, np.nan, np.nan])


def test_recalibration_is_a_line_in_the_logarithms(togo15: DataSet, shared: Path) -> None:
    plain, calibrated = SlackAgl(shared), SlackAgl(shared, calibrated=True)
    candidates = (plain, calibrated)
    for candidate in candidates:
        candidate.fit(togo15.crystals, togo15.kappa)
    first, second = (candidate.predict(togo15.crystals).log10_kappa for candidate in candidates)
    settings = calibrated.settings()
    missing = first == plain.settings()["log10_kappa_without_value"]
    assert missing.mean() == pytest.approx(1 - settings["coverage"])
    np.testing.assert_allclose(second[~missing], settings["offset"] + settings["slope"] * first[~missing])
    np.testing.assert_array_equal(second[missing], first[missing])
    residual = np.log10(togo15.kappa)[~missing] - second[~missing]
    assert abs(residual.mean()) < 1e-12  # a least-squares line
    assert abs(residual @ first[~missing]) < 1e-10


def test_missing_data_are_named(monkeypatch: pytest.MonkeyPatch, togo15: DataSet, tmp_path: Path) -> None:
    monkeypatch.delenv("PARAISITE_DATA", raising=False)
    for name in set(CANDIDATES) - set(OWN_EXTRA) - set(LOOKED_UP):
        make_candidate(name)
    for name in LOOKED_UP:
        with pytest.raises(ParaisiteError, match=r"aflow_agl\.extxyz\.gz"):
            make_candidate(name)
    with pytest.raises(ParaisiteError, match=r"--data DIR or PARAISITE_DATA"):
        run_candidate("slack_agl", togo15, splits_of(togo15), RUNS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_judged_is_refused(togo15: DataSet, tmp_path: Path) -> None:
    with pytest.raises(ParaisiteError, match="no candidate 'crystal_ball'; choose among median"):
        make_candidate("crystal_ball")
    named = replace(togo15, name="aflow_agl")
    with pytest.raises(ParaisiteError, match="knows the values of aflow_agl"):
        run_candidate("gaussian_process_aflow", named, splits_of(togo15), RUNS, tmp_path)
    with pytest.raises(ParaisiteError, match="has 3 crystals"):
        run_candidate("knn", togo15, limit_training(splits_of(togo15), RUNS, 3), RUNS, tmp_path)
