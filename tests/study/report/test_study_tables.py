"""Tables of a study whose predictions are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paraisite.errors import RunError
from paraisite.metrics import error_metrics
from paraisite.study.report import tables
from paraisite.study.report.data import FAMILIES, StudyResults, read_study, validated_crystals
from paraisite.study.report.hypotheses import hypothesis_table, per_run_table

EXACT = 1e-12


@pytest.fixture(scope="module")
def study(study_folder: Path) -> StudyResults:
    return read_study(study_folder)


@pytest.fixture(scope="module")
def errors(study: StudyResults) -> pd.DataFrame:
    return tables.error_table(study)


@pytest.mark.parametrize(
    ("protocol", "column"), [("paper", "kappa_selected"), ("held_out", "kappa_selected"), ("last_epoch", "kappa_last")]
)
def test_errors_are_those_of_the_validation_part(
    study: StudyResults, errors: pd.DataFrame, protocol: str, column: str
) -> None:
    job = study.find("FEAFTG15", "paper" if protocol == "last_epoch" else protocol)
    assert job is not None
    predictions = pd.read_csv(job.results / "predictions.csv")
    part = predictions[(predictions["run"] == 4) & (predictions["part"] == "validation")]
    expected = error_metrics(part["kappa"].to_numpy(), part[column].to_numpy())
    chosen = (errors["family"] == "FEAFTG15") & (errors["protocol"] == protocol) & (errors["run"] == 4)
    row = errors[chosen].iloc[0]
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=EXACT)
    assert (row["n_training"], row["n_validation"]) == (76, 19)


def test_compressed_errors_stand_apart(errors: pd.DataFrame) -> None:
    compressed = errors[errors["protocol"] == "paper_compressed"]
    assert compressed["mae_log10"].isna().all()
    assert not (compressed["tested_on"] == "aflow_agl").any()
    traps = errors[errors["kind"] == "trap"]
    assert set(traps["protocol"]) == {"paper_compressed"}, "a trap's error in true κ is none of the study's"


def test_summary_is_mean_and_population_deviation(errors: pd.DataFrame) -> None:
    values = tables.run_errors(errors, "RWTG15", "held_out").to_numpy()
    found = tables.mean_and_deviation(tables.summary_table(errors), "RWTG15", "held_out")
    assert found == pytest.approx((values.mean(), values.std()), rel=EXACT)


def test_main_table_has_every_family_and_keeps_the_scales_apart(errors: pd.DataFrame) -> None:
    main = tables.main_table(tables.summary_table(errors)).set_index("family")
    assert list(main.index) == [name for families in FAMILIES.values() for name in families]
    assert main.loc["FEAFTG15", "published_compressed"] == pytest.approx(0.288, abs=5e-4)
    assert main["published"].isna().to_dict() == {
        name: name in {"RWAFTG15", "FEAFTG15", "FEAFHH143", "FEAFMIX"} for name in main.index
    }


def test_validated_crystals_by_hand() -> None:
    table = pd.DataFrame({
        "run": [1, 1, 2, 2], "material_id": ["a", "b", "a", "b"], "formula": ["A", "B", "A", "B"],
        "part": ["validation", "train", "validation", "validation"], "kappa": [1.0, 10.0, 1.0, 10.0],
        "kappa_selected": [10.0, 99.0, 0.1, 10.0],
    })  # fmt: skip
    found = validated_crystals(table).set_index("material_id")
    assert found.loc["a", ["predicted", "lowest", "highest", "mean_abs_log10_error"]].tolist() == [
        5.05,
        0.1,
        10,
        1,
    ]
    assert found["n_runs"].to_dict() == {"a": 2, "b": 1}
    assert found.loc["b", "mean_abs_log10_error"] == 0


def test_worst_crystals_name_none_of_aflow(study: StudyResults) -> None:
    worst = tables.worst_crystals(study)
    n_jobs = sum(job.data != "aflow_agl" for job in study.done("family"))
    assert len(worst) == tables.WORST_CRYSTALS * n_jobs
    assert not worst["material_id"].str.startswith("made-up").any()
    assert (
        worst.groupby(["protocol", "family"])["mean_abs_log10_error"]
        .apply(lambda part: part.is_monotonic_decreasing)
        .all()
    )


def test_comparison_is_paired_over_the_runs_that_both_have(errors: pd.DataFrame) -> None:
    without = errors[~((errors["family"] == "FEAFTG15") & (errors["run"] == 3))]
    row = tables.compare(without, [("FEAFTG15", "RWTG15")], "held_out", "mae_log10").iloc[0]
    first, second = (tables.run_errors(without, name, "held_out", "mae_log10") for name in ("FEAFTG15", "RWTG15"))
    assert row["n_runs"] == 8
    assert row["mean_difference"] == pytest.approx((first - second).dropna().mean(), rel=EXACT)
    assert row["mean_difference"] < 0


def test_holm_counts_the_pairs_of_a_group(errors: pd.DataFrame) -> None:
    pairs = tables.family_pairs(FAMILIES["togo15"])
    assert len(pairs) == 6
    table = tables.compare(errors, pairs, "held_out", "mape")
    least = table["t_p"].min()
    assert table["t_p_holm"].min() == pytest.approx(min(1.0, 6 * least), rel=EXACT)


def test_learning_curve_ends_with_the_whole_training_part(study: StudyResults, errors: pd.DataFrame) -> None:
    curves = tables.learning_curves(study, errors)
    assert set(curves["training_crystals"]) == {10, 20, 76}
    assert set(curves["family"]) == {"RWTG15", "FETG15", "FEAFTG15"}
    assert len(curves) == 3 * 3 * 9


def test_cross_table_names_what_was_trained_on(study: StudyResults) -> None:
    cross = tables.cross_table(study)
    rows = cross[(cross["family"] == "RWHH143") & (cross["protocol"] == "paper")].set_index("tested_on")
    assert set(rows["trained_on"]) == {"hh143"}
    assert rows.loc["hh143", "published"] == pytest.approx(0.382, abs=5e-4)
    assert cross[cross["published_is_compressed"]]["family"].unique().tolist() == ["FEAFTG15", "FEAFHH143", "FEAFMIX"]


def test_hypotheses_by_hand() -> None:
    published = pd.Series([0.2, 0.4, 0.6], index=[1, 2, 3])
    rows = [
        {"step": "step 2", "hypothesis": "h", "scale": "true", "trap": True, "family": family, "run": run,
         "published": published[run], "ours": published[run] + shift}
        for family, shift in (("RWTG15", 0.1), ("RWTG15-seed43", -0.3))
        for run in (1, 2, 3)
    ]  # fmt: skip
    row = hypothesis_table(pd.DataFrame(rows)).iloc[0]
    assert row["rmse"] == pytest.approx(0.2, rel=EXACT)
    assert row["rmse_between_seeds"] == pytest.approx(0.4, rel=EXACT)
    assert row["correlation"] == pytest.approx(1, rel=EXACT)


def test_per_run_table_has_the_seeds_and_the_scales(errors: pd.DataFrame) -> None:
    table = per_run_table(errors)
    seeds = table[(table["step"] == "step 2") & table["trap"]]["family"].unique().tolist()
    assert seeds == ["RWTG15", "RWTG15-seed43", "RWTG15-seed44"]
    trap = table[(table["step"] == "step 3") & table["trap"]]
    assert trap["ours"].to_numpy() == pytest.approx(0.2 + trap["run"].to_numpy() / 100, rel=EXACT)


def test_data_table_tells_no_single_value(study: StudyResults) -> None:
    table = tables.data_table(study).set_index("data")
    assert table.loc["togo15", "crystals"] == 95
    kappa = study.data["aflow_agl"]["kappa"].to_numpy()
    numbers = table.loc["aflow_agl"].to_numpy(dtype=float)
    assert not np.isclose(numbers[:, None], kappa[None, :], rtol=1e-6).any()


def test_folder_that_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"study\.json"):
        read_study(tmp_path)
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(RunError, match="damaged"):
        read_study(tmp_path)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        read_study(tmp_path)
