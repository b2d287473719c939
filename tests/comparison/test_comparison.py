"""The comparison: what its protocols train on, its scores, and a folder that goes on and grows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paraisite.cli.main import main
from paraisite.comparison import ComparisonProgress, compare
from paraisite.comparison.candidates.interface import CandidatePrediction
from paraisite.comparison.job import make_job, run_comparison_job
from paraisite.comparison.protocols import COMPARISON_PROTOCOLS, CrystalPool, load_pool, protocol_splits
from paraisite.comparison.scores import SCORES, all_pairs, crystal_errors, pair_table, scores
from paraisite.comparison.specs import parse_spec, parse_specs
from paraisite.comparison.view import pair_view
from paraisite.datasets.splits import published_splits
from paraisite.errors import ParaisiteError
from paraisite.metrics import NORMAL_90, error_metrics
from paraisite.structures.crystal import Crystal

SPECS = ("median", "knn", "gaussian_process_structure", "median+literature")
QUICK = ("prototype", "hh143")


class Recorder:
    """A candidate that keeps what it is given, and has an interval of its own."""

    name = title = "recorder"

    def __init__(self) -> None:
        self.given: list[tuple[Sequence[Crystal], np.ndarray, np.ndarray | None]] = []

    def fit(self, crystals: Sequence[Crystal], kappa: np.ndarray, source: np.ndarray | None = None) -> None:
        self.given.append((crystals, kappa, source))

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        zero = np.zeros(len(crystals))
        return CandidatePrediction(zero, zero + 0.5, zero - 2, zero + 1)

    def settings(self) -> dict[str, Any]:
        return {"n_tried": len(self.given)}


@pytest.fixture(scope="module")
def pool() -> CrystalPool:
    return load_pool(["togo15", "hh143", "literature"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison of two protocols."""
    out = tmp_path_factory.mktemp("comparison")
    compare(SPECS, out, QUICK, against=["median"])
    return out


def predictions(folder: Path, protocol: str, spec: str) -> pd.DataFrame:
    return pd.read_csv(folder / "runs" / protocol / spec / "predictions.csv")


@pytest.mark.parametrize("name", COMPARISON_PROTOCOLS)
@pytest.mark.parametrize("further", [(), ("literature",), ("hh143", "literature")])
def test_nothing_that_is_predicted_is_trained_on(name: str, further: tuple[str, ...], pool: CrystalPool) -> None:
    for split in protocol_splits(COMPARISON_PROTOCOLS[name], pool, further):
        assert len(split.training)
        assert len(split.predicted)
        assert not np.intersect1d(split.training, split.predicted).size
        assert len(np.unique(split.training)) == len(split.training)
        assert set(pool.source[split.predicted]) == {COMPARISON_PROTOCOLS[name].predicted}
        own = {*COMPARISON_PROTOCOLS[name].trained, *further} - (
            {"hh143", "literature"} & {COMPARISON_PROTOCOLS[name].predicted}
        )
        assert set(pool.source[split.training]) == own


def test_each_protocol_splits_as_it_says(pool: CrystalPool) -> None:
    splits = {name: protocol_splits(protocol, pool) for name, protocol in COMPARISON_PROTOCOLS.items()}
    assert {name: len(parts) for name, parts in splits.items()} == {
        "held_out": 9, "grouped": 5, "prototype": 3, "hh143": 1, "literature": 1
    }  # fmt: skip
    published = published_splits([95], range(1, 10))
    for row, split in enumerate(splits["held_out"]):
        np.testing.assert_array_equal(split.training, np.flatnonzero(published.train[row]))
        np.testing.assert_array_equal(split.predicted, np.flatnonzero(published.validation[row]))
    for split in splits["grouped"]:
        assert not set(pool.formula[split.training]) & set(pool.formula[split.predicted])
    types = [set(pool.prototype[split.predicted]) for split in splits["prototype"]]
    assert types == [{"rocksalt"}, {"wurtzite"}, {"zincblende"}]
    assert sum(len(split.predicted) for split in splits["prototype"]) == 95
    assert all(not types[row] & set(pool.prototype[s.training]) for row, s in enumerate(splits["prototype"]))
    assert len(splits["hh143"][0].training) == 95
    assert len(splits["literature"][0].training) == 95 + 143


def test_further_data_leave_the_asked_compositions_out(pool: CrystalPool) -> None:
    # The first of the literature's crystals are given compositions of Togo15.
    formula = pool.formula.astype(object)
    literature = pool.of("literature")
    formula[literature[:20]] = formula[:20]
    doctored = replace(pool, formula=formula.astype(str))
    for split in protocol_splits(COMPARISON_PROTOCOLS["held_out"], doctored, ("literature",)):
        asked = set(doctored.formula[split.predicted])
        given = np.intersect1d(split.training, literature)
        assert not set(doctored.formula[given]) & asked
        left_out = np.setdiff1d(literature, given)
        assert set(doctored.formula[left_out]) <= asked
        assert len(left_out)


def test_the_job_hands_the_sources_on_and_takes_the_candidates_own_interval(pool: CrystalPool, tmp_path: Path) -> None:
    spec, splits = parse_spec("median+hh143"), protocol_splits(COMPARISON_PROTOCOLS["prototype"], pool, ["hh143"])
    job, recorder, seen = make_job("prototype", spec, splits, pool, tmp_path), Recorder(), []
    assert job.card() is None
    run_comparison_job(job, recorder, pool, seen.append)
    assert seen == [1, 2, 3]
    for split, (crystals, kappa, source) in zip(splits, recorder.given, strict=True):
        assert [id(crystal) for crystal in crystals] == [id(pool.crystals[index]) for index in split.training]
        np.testing.assert_array_equal(kappa, pool.kappa[split.training])
        assert list(source) == [pool.sources[name] for name in pool.source[split.training]]
        assert {one.name for one in source} == {"togo15", "hh143"}
    table = job.predictions()
    np.testing.assert_allclose(table[["predicted", "log10_std", "low", "high"]], np.tile([1, 0.5, 0.01, 10], (95, 1)))
    card = job.card()
    assert card is not None
    assert card["n_tried"] == 3
    # Another κ is another job, and leaves this one outdated.
    other = make_job("prototype", spec, splits, replace(pool, kappa=pool.kappa * 2), tmp_path)
    assert other.card() is None
    assert other.is_outdated()


def test_scores_by_hand() -> None:
    rows = pd.DataFrame({
        "run": [1, 1, 2], "kappa": [1.0, 10.0, 100.0], "predicted": [10.0, 10.0, 60.0], "log10_std": [1.0, 0.5, 0.5],
        "low": [0.5, 11.0, 10.0], "high": [20.0, 20.0, 200.0],
    })  # fmt: skip
    result = scores(rows)
    likelihood = -stats.norm.logpdf([0.0, 1.0, 2.0], [1.0, 1.0, np.log10(60)], [1.0, 0.5, 0.5])
    first, second = likelihood[:2].mean(), likelihood[2]
    assert result["negative_log_likelihood"] == pytest.approx((first + second) / 2)
    assert result["negative_log_likelihood_sd"] == pytest.approx(abs(first - second) / 2)
    assert result["coverage_90"] == pytest.approx((0.5 + 1) / 2)
    assert result["mape"] == pytest.approx((9 / 2 + 0.4) / 2)
    assert result["within_factor_2"] == pytest.approx((0.5 + 1) / 2)
    without = scores(rows.assign(log10_std=np.nan, low=np.nan, high=np.nan).query("run == 1"))
    assert np.isnan(without["negative_log_likelihood"])
    assert np.isnan(without["coverage_90"])
    assert np.isnan(without["mape_sd"])
    assert without["mape"] == pytest.approx(4.5)


def test_pairs_are_tested_over_the_crystals_and_corrected_together() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"material_id": list("abab"), "kappa": 1.0, "predicted": [10.0, 1.0, 1000.0, 0.1]})
    assert crystal_errors(table).to_dict() == pytest.approx({"a": 2.0, "b": 0.5})
    errors = {name: pd.Series(rng.random(30) + shift) for name, shift in (("x", 0.0), ("y", 0.2), ("z", 0.0))}
    pairs = pair_table(errors, ["x"]).set_index("candidate")
    assert list(pairs.index) == ["y", "z"]
    expected = {name: stats.wilcoxon(errors[name] - errors["x"]).pvalue for name in "yz"}
    assert pairs["wilcoxon_p"].to_dict() == pytest.approx(expected)
    smaller = min(expected, key=lambda name: expected[name])
    assert pairs.loc[smaller, "holm_p"] == pytest.approx(2 * expected[smaller])
    assert pairs.loc["y", "mean_difference"] == pytest.approx((errors["y"] - errors["x"]).mean())
    assert len(pair_table(errors)) == 3
    assert len(pair_table(errors, ["x", "y"])) == 3
    both = all_pairs({"held_out": errors, "hh143": {"x": errors["x"]}}, ["x"])
    assert both["protocol"].tolist() == ["held_out"] * 2


def test_a_verdict_needs_mean_and_ranks() -> None:
    # The second errs less on most crystals, but for a few large errors; the third errs more on all.
    base = pd.Series(np.linspace(1, 2, 40))
    large = pd.Series(np.where(np.arange(40) < 3, 9.0, -0.3))
    errors = {"first": base, "second": base + large, "third": base + 0.1, "fourth": base + base / 1e9}
    pairs = pair_table(errors, ["first"]).assign(protocol="held_out")
    assert pairs["holm_p"].max() < 0.05
    assert pairs["mean_difference"].min() > 0
    assert pair_view(pairs, "held_out")["verdict"].to_dict() == {
        "second": "undecided", "third": "worse", "fourth": "worse"
    }  # fmt: skip
    doubtful = pairs.assign(holm_p=0.06)
    assert set(pair_view(doubtful, "held_out")["verdict"]) == {"undecided"}


def test_a_comparison_tells_everything(folder: Path) -> None:
    table = pd.read_csv(folder / "table.csv")
    assert list(zip(table["protocol"], table["candidate"], strict=True)) == [(p, s) for p in QUICK for s in SPECS]
    assert table.set_index("protocol")["n_splits"].to_dict() == {"prototype": 3, "hh143": 1}
    rows = predictions(folder, "prototype", "knn")
    assert list(rows) == [
        "run", "material_id", "formula", "prototype", "kappa", "predicted", "log10_std", "low", "high"
    ]  # fmt: skip
    assert rows["material_id"].nunique() == len(rows) == 95
    errors = [error_metrics(part["kappa"].to_numpy(), part["predicted"].to_numpy()) for _, part in rows.groupby("run")]
    row = table[(table["protocol"] == "prototype") & (table["candidate"] == "knn")].iloc[0]
    assert row["mape"] == pytest.approx(np.mean([error["mape"] for error in errors]))
    assert row["mae_log10_sd"] == pytest.approx(np.std([error["mae_log10"] for error in errors]))
    assert row["n_tried"] == 5
    assert row["seconds_fit"] > 0
    assert {f"{name}{end}" for name in (*SCORES, "seconds_fit", "seconds_predict") for end in ("", "_sd")} <= set(table)
    process = table[table["candidate"] == "gaussian_process_structure"]
    assert process[["negative_log_likelihood", "coverage_90"]].notna().all(axis=None)
    assert table.loc[table["protocol"] == "hh143", "mape_sd"].isna().all()
    rows = predictions(folder, "hh143", "gaussian_process_structure")
    half = np.log10(rows["high"] / rows["predicted"])
    np.testing.assert_allclose(half, NORMAL_90 * rows["log10_std"])
    np.testing.assert_allclose(np.log10(rows["predicted"] / rows["low"]), half)
    content = json.loads((folder / "comparison.json").read_text())
    assert {name: data["n_crystals"] for name, data in content["data"].items()} == {
        "togo15": 95, "hh143": 143, "literature": 107
    }  # fmt: skip
    assert content["outdated"] == []
    assert all(job["versions"]["paraisite"] and job["splits"][0]["settings"] for job in content["jobs"])
    pairs = pd.read_csv(folder / "pairs.csv")
    assert len(pairs) == 6
    assert set(pairs["against"]) == {"median"}
    knn = pairs[(pairs["protocol"] == "prototype") & (pairs["candidate"] == "knn")].iloc[0]
    assert knn["mean_difference"] < 0
    assert knn["holm_p"] < 0.05
    text = (folder / "table.md").read_text()
    assert "| knn | " in text
    assert "HH143 from Togo15: 143 crystals" in text


def test_further_data_change_what_is_learned(folder: Path) -> None:
    plain, given = (predictions(folder, "hh143", spec)["predicted"] for spec in ("median", "median+literature"))
    togo15, literature = (load_pool([name]).kappa for name in ("togo15", "literature"))
    np.testing.assert_allclose(plain, 10 ** np.median(np.log10(togo15)))
    np.testing.assert_allclose(given, 10 ** np.median(np.log10(np.concatenate([togo15, literature]))))


def test_a_stopped_comparison_goes_on_and_a_candidate_joins_in(folder: Path, tmp_path: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("runs/*/*/*")}
    stopped = folder / "runs/prototype/knn"
    (stopped / "job.json").unlink()
    seen: list[ComparisonProgress] = []
    table = compare(SPECS, folder, QUICK, against=["median"], report=seen.append)
    assert len(table) == 8
    assert [(now.done, now.job, now.splits_done) for now in seen] == [
        *((7, "prototype/knn", number) for number in range(4)),
        (8, "", 0),
    ]
    for path, (content, time) in before.items():
        if path.parent != stopped:
            assert path.stat().st_mtime_ns == time
        elif path.name == "predictions.csv":
            assert path.read_bytes() == content
    later = compare(["knn"], folder, ["prototype"], further=["hh143"], against=["knn"])
    assert len(later) == 9
    assert "knn+hh143" in set(later["candidate"])
    pairs = pd.read_csv(folder / "pairs.csv")
    assert set(pairs["against"]) == {"knn"}
    # What was done with other data is left out, said, and done again when it is asked for.
    card = json.loads((stopped / "job.json").read_text())
    (stopped / "job.json").write_text(json.dumps({**card, "fingerprint": "of other data"}))
    assert len(compare(["median"], folder, QUICK)) == 8
    assert json.loads((folder / "comparison.json").read_text())["outdated"] == ["prototype/knn"]
    assert len(compare(["knn"], folder, QUICK)) == 9


def test_specs_are_read() -> None:
    assert [str(spec) for spec in parse_specs(["knn", "knn + literature+hh143", "knn"], ["literature"])] == [
        "knn+literature",
        "knn+hh143+literature",
    ]
    with pytest.raises(ParaisiteError, match="no candidate 'crystal_ball'; choose among median"):
        parse_spec("crystal_ball")
    with pytest.raises(ParaisiteError, match=r"'togo15' cannot be given to knn .* choose among hh143, literature"):
        parse_spec("knn+togo15")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["compare", "-o", str(tmp_path / "out"), "--protocols", "hh143"]
    assert main([*options, "-c", "median,knn", "--against", "knn"]) == 0
    shown = capsys.readouterr().out
    assert "HH143 from Togo15: 143 crystals predicted" in shown
    assert "Paired tests" in shown
    assert max(map(len, shown.splitlines())) <= 80 + len(str(tmp_path))
    mistakes = {
        ("-c", "crystal_ball"): "no candidate 'crystal_ball'",
        ("-c", "knn", "--further", "mix"): "'mix' cannot be given to knn",
        ("-c", "knn", "--against", "roost"): "roost is not in this comparison; compare with one of knn, median",
        ("-c", "knn+literature", "--protocols", "literature"): "Nothing is left to judge",
        ("--protocols", "guess"): "no protocol 'guess'; choose among held_out",
        ("-c", ","): "No candidate is named",
    }
    for arguments, sentence in mistakes.items():
        assert main([*options, *arguments]) == 1
        assert sentence in capsys.readouterr().err.replace("\n", " ")
