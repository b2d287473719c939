"""From training to the tables of prediction and scan: which models are calibrated, and what their rows say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pytest
from tiny_runs import tiny_recipe, tiny_stage, write_data

import paraisite
from paraisite.cli.main import main
from paraisite.datasets.prototypes import build
from paraisite.datasets.tables import load_togo15
from paraisite.errors import RunError
from paraisite.models.files import CARD_NAME, UNCERTAINTY_NAME, read_card
from paraisite.models.network.files import load_network, save_network
from paraisite.prediction.evaluation import evaluate
from paraisite.prediction.predict import Predictor
from paraisite.training.network.calibration import KEYS_IN_CARD
from paraisite.training.network.recalibrate import add_uncertainty
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.run import train
from paraisite.uncertainty.files import load_uncertainty
from paraisite.uncertainty.judgement import Uncertainty

RUNS = (1, 2, 3)
N_CRYSTALS = 30
"""Enough that three members hold nine different crystals out, the fewest for a 90 % interval."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_data(tmp_path_factory.mktemp("data") / "tiny.extxyz", N_CRYSTALS)


def recipe_of(data: str, *selections: str, **changes: object) -> Recipe:
    stages = tuple(
        replace(tiny_stage(data, epochs=1, batch_size=30), name=f"stage-{number}", selection=selection, **changes)
        for number, selection in enumerate(selections, 1)
    )
    return tiny_recipe(data, stages=stages, runs=RUNS)


@pytest.fixture(scope="module")
def trained(data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a calibrated stage."""
    folder = tmp_path_factory.mktemp("run")
    train(recipe_of(data, "inner"), folder)
    return folder


def uncertainty_of(folder: Path, stage: str = "stage-1") -> Uncertainty:
    found = load_uncertainty(folder / stage / "model")
    assert found is not None
    return found


def test_residuals_are_those_of_the_validation_parts(trained: Path) -> None:
    residuals = uncertainty_of(trained).residuals
    assert residuals is not None
    table = pd.read_csv(trained / "stage-1" / "predictions.csv")
    rows = table[table["part"] == "validation"].copy()
    rows["log"] = np.log(np.maximum(rows["kappa_selected"], 1e-3))
    grouped = rows.groupby("material_id")
    expected = (grouped["log"].mean() - np.log(grouped["kappa"].first())).abs()
    np.testing.assert_allclose(residuals.values, np.sort(expected), rtol=1e-5)
    assert read_card(trained / "stage-1" / "model")["uncertainty"]["interval"]["n_crystals"] == len(expected)


@pytest.mark.parametrize(
    ("selections", "changes", "calibrated"),
    [
        (("last",), {}, True),
        (("inner",), {"split": "composition"}, True),
        (("validation",), {}, False),
        (("validation", "inner"), {}, False),
    ],
    ids=["last", "composition", "selected_on_validation", "trained_on_it_before"],
)
def test_only_honest_residuals_calibrate(
    data: str, tmp_path: Path, selections: tuple[str, ...], changes: dict[str, object], calibrated: bool
) -> None:
    train(recipe_of(data, *selections, **changes), tmp_path)
    found = uncertainty_of(tmp_path, f"stage-{len(selections)}")
    assert (found.residuals is not None) == calibrated
    assert found.earlier is None  # the same data


def test_a_model_that_began_with_the_same_data_is_not_calibrated(data: str, trained: Path, tmp_path: Path) -> None:
    recipe = replace(recipe_of(data, "inner"), initial=str(trained / "stage-1" / "model"))
    train(recipe, tmp_path)
    assert uncertainty_of(tmp_path).residuals is None


def reversed_copy(data: str, path: Path, n_left_out: int) -> str:
    """The same crystals in another order, some left out."""
    frames = ase.io.read(data, ":")
    ase.io.write(path, frames[::-1][n_left_out:], format="extxyz")
    return str(path)


@pytest.mark.parametrize("spelling", ["relative", "dotted", "linked", "copied", "cut"])
def test_data_are_known_by_content_not_by_the_spelling_of_their_path(
    data: str, trained: Path, tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(data)
    monkeypatch.chdir(path.parent)
    link = tmp_path / "link.extxyz"
    link.symlink_to(path)
    other = {
        "relative": path.name,
        "dotted": str(path.parent / ".." / path.parent.name / path.name),
        "linked": str(link),
        "copied": reversed_copy(data, tmp_path / "copy.extxyz", 0),
        "cut": reversed_copy(data, tmp_path / "cut.extxyz", 3),
    }[spelling]
    train(replace(recipe_of(other, "inner"), initial=str(trained / "stage-1" / "model")), tmp_path / "run")
    assert uncertainty_of(tmp_path / "run").residuals is None


def test_an_evaluation_knows_crystals_that_the_model_has_seen(data: str, trained: Path, tmp_path: Path) -> None:
    copy = reversed_copy(data, tmp_path / "another name.extxyz", 5)
    other = write_data(tmp_path / "tiny.extxyz", N_CRYSTALS, factor=2.0)
    assert evaluate(copy, trained).seen_in_training
    assert not evaluate(other, trained).seen_in_training


def test_a_card_passes_on_what_its_models_were_trained_on(data: str, trained: Path, tmp_path: Path) -> None:
    """The middle run saw other data, and the first model is gone when the last run begins."""
    first, other = tmp_path / "first", write_data(tmp_path / "other.extxyz", N_CRYSTALS, factor=2.0)
    shutil.copytree(trained / "stage-1" / "model", first)
    train(replace(recipe_of(other, "inner"), initial=str(first)), tmp_path / "middle")
    assert uncertainty_of(tmp_path / "middle").residuals is not None
    shutil.rmtree(first)
    copy = reversed_copy(data, tmp_path / "copy.extxyz", 0)
    last = replace(recipe_of(copy, "inner"), initial=str(tmp_path / "middle" / "stage-1" / "model"))
    train(last, tmp_path / "last")
    assert uncertainty_of(tmp_path / "last").residuals is None


def test_a_card_without_crystals_is_compared_by_the_resolved_path(data: str, trained: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    shutil.copytree(trained / "stage-1" / "model", first)
    card = json.loads((first / CARD_NAME).read_text())
    del card[KEYS_IN_CARD]
    (first / CARD_NAME).write_text(json.dumps(card))
    dotted = str(Path(data).parent / "." / ".." / Path(data).parent.name / Path(data).name)
    train(replace(recipe_of(dotted, "inner"), initial=str(first)), tmp_path / "run")
    assert uncertainty_of(tmp_path / "run").residuals is None


def test_the_stage_before_is_known_too(data: str, tmp_path: Path) -> None:
    other = write_data(tmp_path / "other.extxyz", 45, factor=1.5)  # the same crystals with other κ are other data
    stages = recipe_of(data, "validation", "inner").stages
    train(tiny_recipe(data, stages=(replace(stages[0], data=other), stages[1]), runs=RUNS), tmp_path / "run")
    found = uncertainty_of(tmp_path / "run", "stage-2")
    assert found.residuals is not None
    assert found.earlier is not None
    assert (found.domain.name, found.earlier.name) == ("tiny", "other")
    assert found.earlier.elements.sum() > found.domain.elements.sum()
    table = paraisite.predict([build("diamond", ["C"], {"a": 3.567})], tmp_path / "run" / "stage-2" / "model")
    assert table["domain_reason"][0].endswith("the domain of other")


def test_the_table_of_a_calibrated_model(trained: Path) -> None:
    strange = build("perovskite", ["Sr", "Ti", "O"], {"a": 3.905})
    table = paraisite.predict([*load_togo15()[:N_CRYSTALS], strange], trained / "stage-1" / "model")
    assert (table["kappa_low"] < table["kappa_high"]).all()
    assert (table["kappa_low"] <= table["kappa"]).all()
    assert (table["kappa"] <= table["kappa_high"]).all()
    assert (table["domain"][:N_CRYSTALS] == "inside").mean() > 0.8
    assert table["domain"].iloc[-1] == "outside"
    assert "formula type ABC3" in table["domain_reason"].iloc[-1]
    assert (table["domain_distance"] >= 0).all()
    assert ((table["domain"] == "inside") == (table["domain_reason"] == "")).all()


def test_the_table_of_a_model_without_it(trained: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(trained / "stage-1" / "model", tmp_path / "model"))
    crystals = load_togo15()[:5]
    with_it = paraisite.predict(crystals, model)
    (model / UNCERTAINTY_NAME).unlink()
    without = paraisite.predict(crystals, model)
    assert list(without.columns) == list(with_it.columns)
    assert without[["kappa_low", "kappa_high", "domain_distance"]].isna().all(axis=None)
    assert (without[["domain", "domain_reason"]] == "").all(axis=None)
    pd.testing.assert_series_equal(without["kappa"], with_it["kappa"])


def test_a_failed_structure_is_not_judged(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.cif").touch()
    table = Predictor(trained / "stage-1" / "model").predict_files(tmp_path / "empty.cif")
    assert table["status"][0] == "empty_file"
    assert np.isnan(table.loc[0, ["kappa_low", "domain_distance"]].astype(float)).all()
    assert table["domain"][0] == ""


def test_the_rows_of_a_scan_say_the_same(trained: Path, data: str, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from paraisite.screening.scanner import Scanner, ScannerSettings
    from paraisite.sources.pieces import FilesPiece

    (tmp_path / "empty.cif").touch()
    model, files = trained / "stage-1" / "model", (data, str(tmp_path / "empty.cif"))
    scanner = Scanner(ScannerSettings(tmp_path / "scan", model))
    rows = pa.concat_tables(scanner.tables(FilesPiece(files))).to_pandas()
    table = Predictor(model).predict_files(files)
    for name in ("kappa_low", "kappa_high", "domain_distance"):
        np.testing.assert_allclose(rows[name], table[name], rtol=1e-5, atol=1e-5)
    assert list(rows["domain"].fillna("")) == list(table["domain"])
    assert list(rows["domain_reason"].fillna("")) == list(table["domain_reason"])
    assert rows["domain"].notna().sum() == N_CRYSTALS


def test_adding_it_later_gives_the_same(trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    before = uncertainty_of(run)
    (run / "stage-1" / "model" / UNCERTAINTY_NAME).unlink()
    add_uncertainty(run / "stage-1")
    after = uncertainty_of(run)
    assert np.array_equal(before.domain.centres, after.domain.centres)
    assert (before.domain.limits, before.domain.formula_types) == (after.domain.limits, after.domain.formula_types)
    assert before.residuals is not None
    assert after.residuals is not None
    # The table's κ are float32, written with as many digits.
    np.testing.assert_allclose(after.residuals.values, before.residuals.values, rtol=1e-5)


def test_a_packed_copy_takes_the_residuals_of_a_held_out_run(data: str, trained: Path, tmp_path: Path) -> None:
    train(recipe_of(data, "validation"), tmp_path / "paper")
    stage, packed = tmp_path / "paper" / "stage-1", tmp_path / "packed"
    save_network(load_network(stage / "model"), packed, read_card(stage / "model"), packed=True)
    assert add_uncertainty(stage, packed).residuals is None
    add_uncertainty(stage, packed, residuals_from=trained / "stage-1")
    found, held_out = load_uncertainty(packed), uncertainty_of(trained).residuals
    assert found is not None
    assert found.residuals is not None
    assert held_out is not None
    np.testing.assert_allclose(found.residuals.values, held_out.values, rtol=1e-5)
    with pytest.raises(RunError, match="optimistic"):
        add_uncertainty(stage, packed, residuals_from=stage)
    with pytest.raises(RunError, match="not the folder of a finished stage"):
        add_uncertainty(tmp_path)


def test_finetuning_by_the_command_line_is_calibrated(data: str, tmp_path: Path) -> None:
    run, table = str(tmp_path / "run"), tmp_path / "kappa.json"
    assert main(["finetune", data, "-o", run, "--epochs", "1"]) == 0
    assert main(["predict", data, "--model", run, "--json", str(table)]) == 0
    rows = json.loads(table.read_text(encoding="utf-8"))
    assert len(rows) == N_CRYSTALS
    assert all(0 < row["kappa_low"] < row["kappa_high"] for row in rows)
    assert {row["domain"] for row in rows} >= {"inside"}
