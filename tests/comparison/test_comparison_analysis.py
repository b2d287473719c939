"""Where the compared candidates err: groups, worst crystals and their signs, figures, and what is published."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paraisite.cli.main import main
from paraisite.comparison import compare, read_comparison
from paraisite.comparison.analysis import GROUP_ERROR_COLUMNS, MIN_GROUP_CRYSTALS, N_WORST
from paraisite.comparison.card import CARD_CANDIDATES, CARD_SCORES, card_errors, readme_table
from paraisite.comparison.protocols import ComparisonSplit, CrystalPool
from paraisite.comparison.scores import crystal_errors
from paraisite.comparison.signs import element_fractions, split_signs
from paraisite.errors import ParaisiteError
from paraisite.models.files import find_model, read_card
from paraisite.structures.crystal import Crystal

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "results" / "comparison" / "table.csv"
CARD = Path("src/paraisite/data/models/MultiFidelity/card.json")
SPECS = ("median", "median+literature", "multi_fidelity", "multi_fidelity+literature", "knn")
PROTOCOLS = ("held_out", "hh143", "literature")
FIGURES = ("parity", "errors_by_candidate", "errors_by_structure_type", "calibration")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished comparison with figures."""
    out = tmp_path_factory.mktemp("comparison")
    compare(SPECS[:2], out, PROTOCOLS)
    compare(SPECS[2:], out, ["hh143", "literature"], against=["median"], figures_of="multi_fidelity+literature")
    return out


def made_pool(rows: list[tuple[list[int], str, str, float]]) -> CrystalPool:
    """Pool of made-up crystals: atomic numbers, formula, structure type, κ."""
    numbers, formula, prototype, kappa = zip(*rows, strict=True)
    crystals = tuple(
        Crystal(np.array(atoms), np.eye(3) * 5, np.linspace(0, 0.5, 3 * len(atoms)).reshape(-1, 3), str(index))
        for index, atoms in enumerate(numbers)
    )
    return CrystalPool(
        crystals, np.array(kappa), np.array(["made"] * len(rows)), np.array(formula), np.array(prototype)
    )


def test_signs_by_hand() -> None:
    training = [
        ([11, 17], "NaCl", "rocksalt", 6.0),
        ([19, 17], "KCl", "rocksalt", 8.0),
        ([37, 17], "RbCl", "rocksalt", 4.0),
        ([30, 16], "ZnS", "zincblende", 50.0),
        ([14], "Si", "diamond", 100.0),
    ]
    asked = [
        ([30, 16], "ZnS", "wurtzite", 20.0),  # other form 2.5 times, new type, rare elements
        ([30, 16], "ZnS", "rocksalt", 30.0),  # other form within a factor of 2
        ([1, 17], "HCl", "rocksalt", 30.0),  # unseen H, the chlorides much lower
        ([55, 53], "CsI", "rocksalt", 1.0),  # nothing shared, below all
        ([11, 17], "NaCl", "rocksalt", 6.0),  # itself, but for Na
        ([14, 14], "Si", "", 2000.0),  # no structure type told
    ]
    pool = made_pool(training + asked)
    split = ComparisonSplit(1, np.arange(len(training)), np.arange(len(training), len(training) + len(asked)))
    told = split_signs(split, pool, element_fractions(pool))
    assert [sorted(signs) for signs in told] == [
        ["other_form_differs", "rare_element", "unseen_structure_type"],
        ["rare_element"],
        ["nearest_differ", "unseen_element"],
        ["beyond_training", "unseen_element"],
        ["rare_element"],
        ["beyond_training", "other_form_differs", "rare_element"],
    ]
    assert told[0]["other_form_differs"] == "its other form in the training (zincblende) has 2.5 times its κ"
    assert told[0]["rare_element"] == "at most 2 training crystals contain S or Zn"
    ratio = 30 / np.exp(np.mean(np.log([6, 8, 4])))
    assert told[2]["nearest_differ"] == (
        f"the training crystals nearest in composition (NaCl, KCl, RbCl) have 1/{ratio:.1f} of its κ"
    )
    assert told[3]["unseen_element"] == "no training crystal contains I or Cs"
    assert told[3]["beyond_training"] == "its κ is below all of the training (4 at least)"


def test_errors_by_group_are_those_of_the_predictions(folder: Path) -> None:
    errors = pd.read_csv(folder / "errors.csv")
    assert list(errors) == ["candidate", "protocol", "by", "group", "n_crystals", *GROUP_ERROR_COLUMNS]
    assert errors["n_crystals"].min() >= MIN_GROUP_CRYSTALS
    rows = pd.read_csv(folder / "runs/hh143/multi_fidelity/predictions.csv")
    difference = np.log10(rows["predicted"] / rows["kappa"])
    part = errors[(errors["candidate"] == "multi_fidelity") & (errors["protocol"] == "hh143")].set_index(
        ["by", "group"]
    )
    groups = {
        ("protocol", "hh143"): np.ones(len(rows), dtype=bool),
        ("structure_type", "half_heusler"): np.ones(len(rows), dtype=bool),
        ("element", "Li"): rows["formula"].str.contains("Li").to_numpy(),
        ("element", "Sb"): rows["formula"].str.contains("Sb").to_numpy(),
        ("kappa", "3–10"): ((rows["kappa"] >= 3) & (rows["kappa"] < 10)).to_numpy(),
    }
    for group, chosen in groups.items():
        told = part.loc[group]
        assert told["n_crystals"] == chosen.sum() > 5
        assert told["mae_log10"] == pytest.approx(difference[chosen].abs().mean(), rel=1e-3)
        assert told["bias_log10"] == pytest.approx(difference[chosen].mean(), rel=1e-3)
        assert told["mape"] == pytest.approx((rows["predicted"] / rows["kappa"] - 1).abs()[chosen].mean(), rel=1e-3)
        assert told["within_factor_2"] == pytest.approx((difference.abs() < np.log10(2))[chosen].mean(), rel=1e-3)
        held = (rows["low"] <= rows["kappa"]) & (rows["kappa"] <= rows["high"])
        assert told["coverage_90"] == pytest.approx(held[chosen].mean(), rel=1e-3)
    assert part.loc["element", "n_crystals"].sum() > 2 * 143
    without = errors[(errors["candidate"] == "knn") & (errors["by"] == "protocol")]
    assert len(without) == 2
    assert without["coverage_90"].isna().all()


def test_a_crystal_counts_once_however_many_splits_predict_it(folder: Path) -> None:
    errors = pd.read_csv(folder / "errors.csv").query("candidate == 'median' and protocol == 'held_out'")
    rows = pd.read_csv(folder / "runs/held_out/median/predictions.csv")
    by_crystal = crystal_errors(rows)
    assert len(rows) > len(by_crystal) == 87
    whole = errors[errors["by"] == "protocol"].iloc[0]
    assert whole["n_crystals"] == 87
    assert whole["mae_log10"] == pytest.approx(by_crystal.mean(), rel=1e-3)
    for kind in ("structure_type", "kappa"):
        assert errors.loc[errors["by"] == kind, "n_crystals"].sum() == 87


def test_the_worst_crystals_and_why(folder: Path) -> None:
    worst = pd.read_csv(folder / "worst.csv", keep_default_na=False)
    sizes = worst.groupby(["candidate", "protocol"]).size()
    assert (sizes == N_WORST).all()
    assert len(sizes) == len(pd.read_csv(folder / "table.csv"))
    for (spec, protocol), rows in worst.groupby(["candidate", "protocol"]):
        expected = crystal_errors(pd.read_csv(folder / "runs" / protocol / spec / "predictions.csv")).nlargest(N_WORST)
        np.testing.assert_allclose(rows["mae_log10"].astype(float), expected, rtol=1e-3)
    half_heuslers = worst[worst["protocol"] == "hh143"]
    # None has a known structure type, which explains the worst as little as the best.
    assert not half_heuslers["reason"].str.contains("structure type").any()
    assert half_heuslers["reason"].str.contains("no training crystal contains").any()
    signs = pd.read_csv(folder / "errors.csv").query("protocol == 'hh143' and by == 'sign' and candidate == 'knn'")
    assert signs.set_index("group").loc["unseen_structure_type", "n_crystals"] == 143
    # Another 107 crystals know more elements, so fewer are unseen.
    unseen = {
        spec: worst[(worst["candidate"] == spec) & (worst["protocol"] == "hh143")]["reason"] for spec in SPECS[:2]
    }
    assert unseen["median"].str.contains("no training").sum() > unseen["median+literature"].str.contains("no tr").sum()


def test_the_figures_show_the_tables(folder: Path) -> None:
    for name in FIGURES:
        assert {path.suffix for path in (folder / "figures").glob(f"{name}.*")} == {".png", ".svg", ".csv"}
    parity = pd.read_csv(folder / "figures/parity.csv")
    # What is given the literature values is not judged by them: it is shown as it is without them.
    assert parity.groupby("protocol")["candidate"].agg(set).to_dict() == {
        "hh143": {"multi_fidelity+literature"},
        "literature": {"multi_fidelity"},
    }
    assert len(parity) == 143 + 107
    bars = pd.read_csv(folder / "figures/errors_by_candidate.csv").set_index(["protocol", "candidate"])
    table = pd.read_csv(folder / "table.csv").set_index(["protocol", "candidate"])
    np.testing.assert_allclose(bars["mae_log10"], table.loc[bars.index, "mae_log10"], rtol=1e-5)
    curves = pd.read_csv(folder / "figures/calibration.csv")
    assert "knn" not in set(curves["candidate"])
    errors = pd.read_csv(folder / "errors.csv").query("by == 'protocol'").set_index(["candidate", "protocol"])
    for row in curves[curves["nominal"] == 0.9].to_dict("records"):
        expected = errors.loc[(row["candidate"], row["protocol"]), "coverage_90"]
        assert row["observed"] == pytest.approx(expected, abs=1e-3)
    rising = curves.sort_values("nominal").groupby(["candidate", "protocol"])["observed"]
    assert rising.apply(lambda values: values.is_monotonic_increasing).all()


def test_a_job_stays_done_whatever_is_named_beside_it(tmp_path: Path) -> None:
    compare(["median+literature", "median+hh143+literature"], tmp_path, ["prototype"])
    assert len(read_comparison(tmp_path)[0]) == 2
    compare(["median+hh143"], tmp_path, ["prototype"])
    assert json.loads((tmp_path / "comparison.json").read_text())["outdated"] == []
    assert not (tmp_path / "figures").exists()
    with pytest.raises(ParaisiteError, match="knn is not in this comparison"):
        compare(["median+hh143"], tmp_path, ["prototype"], figures_of="knn")
    with pytest.raises(ParaisiteError, match="holds no finished comparison; make one by `paraisite compare"):
        read_comparison(tmp_path / "nowhere")


def test_publishing_fills_the_results_and_the_card(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(find_model("MultiFidelity"), (tmp_path / CARD).parent)
    before = json.loads((tmp_path / CARD).read_text(encoding="utf-8"))
    command = [sys.executable, str(REPOSITORY / "scripts/publish_comparison.py"), "--repository", str(tmp_path)]
    made = [*command, str(folder), "--candidate", "multi_fidelity"]
    shutil.copy2(REPOSITORY / "README.md", tmp_path)
    (tmp_path / "results/comparison").mkdir(parents=True)
    (tmp_path / "results/comparison/old.csv").touch()
    subprocess.run(made, check=True)
    results = tmp_path / "results" / "comparison"
    tables = {"table.csv", "table.md", "pairs.csv", "errors.csv", "worst.csv", "comparison.json"}
    assert {path.name for path in results.iterdir()} == tables | {"figures"}
    assert [path.name for path in results.parent.iterdir()] == ["comparison"]
    assert sum(path.stat().st_size for path in results.rglob("*") if path.is_file()) < 1_500_000
    table = pd.read_csv(results / "table.csv")
    assert readme_table(table) in (tmp_path / "README.md").read_text(encoding="utf-8")
    card = json.loads((tmp_path / CARD).read_text(encoding="utf-8"))
    assert card["errors"] == card_errors(table)
    assert {name: value for name, value in card.items() if name != "errors"} == {
        name: value for name, value in before.items() if name != "errors"
    }
    names = list(card)
    assert names.index("errors") + 1 == names.index("architecture")
    row = next(row for row in card["errors"]["comparison"] if row["protocol"] == "literature")
    scored = table[(table["protocol"] == "literature") & (table["candidate"] == "multi_fidelity")].iloc[0]
    assert row["mape"] == {"mean": pytest.approx(scored["mape"], abs=1e-4), "standard_deviation": None}
    assert main(["info", str((tmp_path / CARD).parent)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"multi_fidelity: MAPE {scored['mape']:.2f}, MAE log10 {scored['mae_log10']:.2f}, within" in shown
    assert "errors on the validation parts" not in shown
    failed = subprocess.run([*command, str(tmp_path)], check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "holds no finished comparison" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_card_tells_of_all_candidates_of_the_design() -> None:
    scores = {name: [0.5, 0.25, 0.1] for name in CARD_SCORES} | {f"{name}_sd": [0.1, np.nan, 0] for name in CARD_SCORES}
    head = {"protocol": "hh143", "n_splits": 1, "n_crystals": 143, "candidate": [*CARD_CANDIDATES[:2], "knn"]}
    told = card_errors(pd.DataFrame({**head, **scores}))["comparison"]
    assert [row["candidate"] for row in told] == list(CARD_CANDIDATES[:2])
    assert told[0]["mape"] == {"mean": 0.5, "standard_deviation": 0.1}
    assert told[1]["coverage_90"] == {"mean": 0.25, "standard_deviation": None}


def test_the_shipped_card_says_what_the_published_comparison_says() -> None:
    expected = card_errors(pd.read_csv(PUBLISHED)) if PUBLISHED.exists() else None
    assert read_card(find_model("MultiFidelity")).get("errors") == expected


def test_the_readme_shows_the_published_comparison() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = readme.split("made by scripts/publish_comparison.py -->")[1].split("<!-- end of accuracy -->")[0].strip()
    assert shown == readme_table(pd.read_csv(REPOSITORY / "results" / "comparison" / "table.csv"))
