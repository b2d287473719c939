"""Tables of a study, made of its run directories alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from paraisite.comparison.statistics import holm, paired_test
from paraisite.metrics import error_metrics
from paraisite.study.published import COMPRESSED, published_errors, published_runs
from paraisite.study.report.data import (
    FAMILIES_BY_DATA,
    PUBLIC_DATA_SETS,
    REPORT_DATA_SETS,
    REPORT_PROTOCOLS,
    JobResults,
    StudyResults,
    collect,
    read_job_predictions,
    read_report_json,
    validated_crystals,
)

TABLE_METRICS = {
    "mape": "MAPE",
    "median_ape": "median APE",
    "mae_w_per_mk": "MAE (W/(m K))",
    "rmse_w_per_mk": "RMSE (W/(m K))",
    "mae_log10": "MAE of log10 κ",
    "r2": "R²",
    "spearman": "Spearman",
    "sre": "SRE",
    "within_factor_2": "within a factor of 2",
}
"""Errors of κ, as `error_metrics` names them, with their titles."""
TESTED_METRICS = ("mape", "mae_log10")
WORST_CRYSTALS = 10
ERROR_COLUMNS = ["protocol", "family", "kind", "tested_on", "run", "n_training", "n_validation", *TABLE_METRICS]


def error_table(study: StudyResults) -> pd.DataFrame:
    """Errors on the validation part of every run: a row per protocol, family, data set and run.

    Protocols: `held_out`, `grouped` and `paper` (the selected epoch's weights), `last_epoch` (the last epoch's weights of the
    paper's runs) and `paper_compressed` (`mape` alone, of a compressed κ: not an error of κ).
    """
    jobs = [job for job in study.done() if job.kind != "trap"]
    table = collect(jobs, lambda job: _run_errors(job, "kappa_selected"))
    paper = [job for job in study.done() if job.protocol == "paper" and job.kind != "candidate"]
    last = collect([job for job in paper if job.kind != "trap"], lambda job: _run_errors(job, "kappa_last"))
    compressed = collect([job for job in paper if job.data != "aflow_agl"], _compressed_errors)
    frames = [table, last.assign(protocol="last_epoch"), compressed.assign(protocol="paper_compressed")]
    return pd.concat(frames, ignore_index=True).reindex(columns=ERROR_COLUMNS)


def _run_errors(job: JobResults, column: str) -> pd.DataFrame:
    rows = []
    for run, part in read_job_predictions(job).groupby("run"):
        validation = part[part["part"] == "validation"]
        errors = error_metrics(validation["kappa"].to_numpy(), validation[column].to_numpy())
        counts = {"n_training": int(part["part"].isin(["train", "selection"]).sum()), "n_validation": len(validation)}
        rows.append({"tested_on": job.data, "run": run, **counts, **errors})
    return pd.DataFrame(rows)


def _compressed_errors(job: JobResults) -> pd.DataFrame:
    entries = read_report_json(job.results / "errors.json")["by_run"]
    rows = [{"run": entry["run"], "mape": entry["paper_compressed"]["mape"]} for entry in entries]
    return pd.DataFrame(rows).assign(tested_on=job.data)


def summary_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over the runs: a row per protocol, family, data set and metric."""
    keys = ["protocol", "family", "kind", "tested_on"]
    long = errors.melt(id_vars=[*keys, "run"], value_vars=list(TABLE_METRICS), var_name="metric").dropna(subset="value")
    grouped = long.groupby([*keys, "metric"], sort=False)["value"]
    summary = pd.DataFrame({
        "mean": grouped.mean(), "standard_deviation": grouped.std(ddof=0), "n_runs": grouped.size(),
    })  # fmt: skip
    return summary.reset_index()


def main_table(summary: pd.DataFrame) -> pd.DataFrame:
    """MAPE by family and protocol, with the published figures beside ours.

    Returns:
        Columns `family`, `tested_on`, and for each of `held_out`, `grouped`, `last_epoch`, `paper` and `paper_compressed` the
        mean and `<protocol>_standard_deviation`; `published` (true κ) and `published_compressed`. NaN where there is none.
    """
    rows = []
    for tested_on, families in FAMILIES_BY_DATA.items():
        for family in families:
            row: dict[str, object] = {"family": family, "tested_on": tested_on}
            for protocol in (*REPORT_PROTOCOLS, "last_epoch", "paper_compressed"):
                row[protocol], row[f"{protocol}_standard_deviation"] = summary_of_runs(summary, family, protocol)
            published = published_runs(family).mean()
            row["published"] = np.nan if family in COMPRESSED else published
            row["published_compressed"] = published if family in COMPRESSED else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def summary_of_runs(summary: pd.DataFrame, family: str, protocol: str, metric: str = "mape") -> tuple[float, float]:
    """Mean and standard deviation over the runs of one error; NaN where there is none."""
    chosen = (summary["family"] == family) & (summary["protocol"] == protocol) & (summary["metric"] == metric)
    rows = summary[chosen]
    return (float(rows["mean"].iloc[0]), float(rows["standard_deviation"].iloc[0])) if len(rows) else (np.nan, np.nan)


def run_errors(errors: pd.DataFrame, family: str, protocol: str, metric: str = "mape") -> pd.Series:
    """One error of a family by run."""
    rows = errors[(errors["family"] == family) & (errors["protocol"] == protocol)]
    return rows.set_index("run")[metric].dropna()


def compare_families(
    errors: pd.DataFrame, pairs: Iterable[tuple[str, str]], protocol: str, metric: str
) -> pd.DataFrame:
    """Paired tests of pairs of families over the runs that both have, with Holm's correction over the pairs.

    Returns:
        Columns `protocol`, `metric`, `first`, `second`, `first_mean`, `second_mean`, the fields of `PairedTest`, and the
        corrected `t_p_holm` and `wilcoxon_p_holm`.
    """
    rows = []
    for first, second in pairs:
        joined = pd.concat(
            [run_errors(errors, name, protocol, metric).rename(name) for name in (first, second)], axis=1, join="inner"
        )
        if len(joined) == 0:
            continue
        values = joined.to_numpy(dtype=float)
        sizes = errors[(errors["family"] == first) & (errors["protocol"] == protocol)][
            ["n_validation", "n_training"]
        ].mean()
        test = paired_test(values[:, 0], values[:, 1], float(sizes["n_validation"] / sizes["n_training"]))
        means = {"first_mean": float(values[:, 0].mean()), "second_mean": float(values[:, 1].mean())}
        names = {"protocol": protocol, "metric": metric, "first": first, "second": second}
        rows.append({**names, **means, **{field: getattr(test, field) for field in test.__dataclass_fields__}})
    table = pd.DataFrame(rows)
    if len(table):
        table["t_p_holm"], table["wilcoxon_p_holm"] = holm(table["t_p"].to_list()), holm(table["wilcoxon_p"].to_list())
    return table


def compare_everywhere(errors: pd.DataFrame, groups: Sequence[Sequence[tuple[str, str]]]) -> pd.DataFrame:
    """`compare_families` for every protocol and tested metric; Holm's correction is over each group's pairs by itself."""
    frames = [
        compare_families(errors, pairs, protocol, metric)
        for pairs in groups
        for protocol in REPORT_PROTOCOLS
        for metric in TESTED_METRICS
    ]
    frames = [frame for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def family_pairs(families: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs, the one with more transfer first."""
    return [(later, earlier) for earlier, later in combinations(families, 2)]


def cross_table(study: StudyResults) -> pd.DataFrame:
    """Errors of models trained on one data set and tested on another, mean over the runs, beside the published ones.

    Returns:
        Columns `protocol`, `family`, `trained_on`, `tested_on`, `mean`, `standard_deviation`, `mae_log10`, `n_runs`,
        `published` and `published_is_compressed`.
    """
    jobs = [job for job in study.done("family") if (job.folder / "cross_errors.csv").is_file()]
    if not jobs:
        return pd.DataFrame()
    trained_on = {job.family: job.data for job in jobs}
    table = collect(jobs, lambda job: pd.read_csv(job.folder / "cross_errors.csv"))
    grouped = table.groupby(["protocol", "family", "tested_on"], sort=False)
    summary = pd.DataFrame({
        "mean": grouped["mape"].mean(),
        "standard_deviation": grouped["mape"].std(ddof=0),
        "mae_log10": grouped["mae_log10"].mean(),
        "n_runs": grouped.size(),
    }).reset_index()  # fmt: skip
    summary.insert(2, "trained_on", summary["family"].map(trained_on))
    published = published_errors().groupby(["family", "tested_on"])["mape"].mean().rename("published").reset_index()
    summary = summary.merge(published, on=["family", "tested_on"], how="left")
    summary["published_is_compressed"] = summary["family"].isin(COMPRESSED)
    return summary


def worst_crystals(study: StudyResults) -> pd.DataFrame:
    """The crystals with the largest mean |log10 error| over the runs that validated them, by family and protocol.

    Data sets whose single values may not be shown are left out.
    """
    jobs = [job for job in study.done("family") if job.data in PUBLIC_DATA_SETS]
    return collect(
        jobs,
        lambda job: validated_crystals(read_job_predictions(job)).nlargest(WORST_CRYSTALS, "mean_abs_log10_error"),
    )


def learning_curve_table(study: StudyResults, errors: pd.DataFrame) -> pd.DataFrame:
    """Held-out errors by the number of training crystals, a row per family, size and run; the whole training part last.

    Returns:
        Columns `family`, `training_crystals` (the part that selects the epoch among them), `run`, and the errors of κ.
    """
    sizes = {job.family: job.train_size for job in study.done("learning_curve")}
    held_out = errors[errors["protocol"] == "held_out"]
    small = held_out[held_out["family"].isin(list(sizes))]
    small = small.assign(
        training_crystals=[sizes[name] for name in small["family"]],
        family=[name.rpartition("-n")[0] for name in small["family"]],
    )
    whole = held_out[held_out["family"].isin(set(small["family"]))]
    whole = whole.assign(training_crystals=whole["n_training"])
    joined = pd.concat([small, whole])[["family", "training_crystals", "run", *TABLE_METRICS]]
    return joined.sort_values(["family", "training_crystals", "run"], ignore_index=True)


def runtime_table(study: StudyResults) -> pd.DataFrame:
    """Wall-clock seconds of every job that ran, longest first, and of a candidate's fit and prediction."""
    rows = []
    for job in study.jobs:
        if job.status in {"done", "failed"}:
            row = {
                "job": job.name,
                "kind": job.kind,
                "status": job.status,
                "seconds": job.seconds,
                "epochs": job.epochs,
            }
            path = job.folder / "candidate.json"
            card = read_report_json(path) if job.kind == "candidate" and path.is_file() else {}
            for name in ("seconds_fit", "seconds_predict"):
                # One number, or one per run.
                row[name] = float(np.sum(card[name])) if name in card else np.nan
            rows.append(row)
    columns = ["job", "kind", "status", "seconds", "epochs", "seconds_fit", "seconds_predict"]
    return pd.DataFrame(rows, columns=columns).sort_values("seconds", ascending=False, ignore_index=True)


def missing_table(study: StudyResults) -> pd.DataFrame:
    """Jobs without results, and why."""
    rows = [
        {"job": job.name, "status": job.status, "reason": job.error or "–"}
        for job in study.jobs
        if job.status != "done"
    ]
    return pd.DataFrame(rows, columns=["job", "status", "reason"])


def data_table(study: StudyResults) -> pd.DataFrame:
    """The data sets in figures that name no crystal's value."""
    rows = []
    for name in REPORT_DATA_SETS:
        if name in study.data:
            table = study.data[name]
            logarithm = np.log10(table["kappa"].astype(float))
            elements = {element for text in table["elements"] for element in text.split()}
            rows.append({
                "data": name,
                "crystals": len(table),
                "compositions": table["formula"].nunique(),
                "elements": len(elements),
                "space_groups": table["spacegroup"].nunique(),
                "mean_atoms": float(table["n_atoms"].mean()),
                "geometric_mean_kappa_w_per_mk": float(10 ** logarithm.mean()),
                "standard_deviation_log10": float(logarithm.std(ddof=0)),
            })  # fmt: skip
    return pd.DataFrame(rows)
