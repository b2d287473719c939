"""Scores of predictions, and paired tests of two sets of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from paraisite.comparison.statistics import holm, wilcoxon_p
from paraisite.metrics import error_metrics

ERRORS = ("mape", "median_ape", "mae_log10", "spearman", "within_factor_2")
SCORES = (*ERRORS, "negative_log_likelihood", "coverage_90")
"""Columns of scores: errors as in `paraisite.metrics`; mean negative log-likelihood of log10 κ under the candidate's normal
distribution; share of the crystals whose κ lies in the 90 % interval. The last two are NaN without a standard deviation or
an interval."""


def split_scores(rows: pd.DataFrame) -> dict[str, float]:
    """Scores of one split.

    Args:
        rows: Columns `kappa`, `predicted`, `low`, `high` in W/(m K) and `log10_std`, one row per crystal.
    """
    kappa, predicted, std, low, high = (
        rows[name].to_numpy(dtype=float) for name in ("kappa", "predicted", "log10_std", "low", "high")
    )
    errors = error_metrics(kappa, predicted)
    residual = np.log10(predicted) - np.log10(kappa)
    likelihood = 0.5 * (residual / std) ** 2 + np.log(std) + 0.5 * math.log(2 * math.pi)
    held = np.where(np.isfinite(low + high), (low <= kappa) & (kappa <= high), np.nan)
    return {
        **{name: errors[name] for name in ERRORS},
        "negative_log_likelihood": float(likelihood.mean()),
        "coverage_90": float(held.mean()),
    }


def scores(predictions: pd.DataFrame) -> dict[str, float]:
    """Mean of each score over the splits, and, as `…_sd`, its standard deviation; NaN for a single split.

    Args:
        predictions: As for `split_scores`, with a column `run`.
    """
    table = pd.DataFrame([split_scores(rows) for _, rows in predictions.groupby("run")])
    return mean_and_deviation(table)


def mean_and_deviation(table: pd.DataFrame) -> dict[str, float]:
    """Mean of each column over the rows, and, as `…_sd`, its standard deviation; NaN for a single row."""
    result: dict[str, float] = {}
    for name in table:
        values = table[name].to_numpy(dtype=float)
        result[str(name)] = float(values.mean())
        result[f"{name}_sd"] = float(values.std()) if len(values) > 1 else math.nan
    return result


def crystal_errors(predictions: pd.DataFrame) -> pd.Series[float]:
    """|log10 predicted κ - log10 κ| of each crystal, averaged over the splits that predict it, by `material_id`."""
    error = (np.log10(predictions["predicted"]) - np.log10(predictions["kappa"])).abs()
    by_crystal: pd.Series[float] = error.groupby(predictions["material_id"]).mean()
    return by_crystal


def all_pairs(errors: Mapping[str, Mapping[str, pd.Series[float]]], against: Sequence[str] = ()) -> pd.DataFrame:
    """Paired tests of every protocol, one below the other: the columns of `pair_table` after `protocol`.

    Args:
        errors: Error of each crystal (see `crystal_errors`) by protocol and candidate.
        against: As for `pair_table`.
    """
    tables = {protocol: pair_table(by_candidate, against) for protocol, by_candidate in errors.items()}
    for protocol, table in tables.items():
        table.insert(0, "protocol", protocol)
    # Tables without a row have no types that the joined table could take over.
    return pd.concat([table for table in tables.values() if len(table)] or list(tables.values()), ignore_index=True)


def pair_table(errors: Mapping[str, pd.Series[float]], against: Sequence[str] = ()) -> pd.DataFrame:
    """Compare the candidates of one protocol over the crystals, by Wilcoxon's signed-rank test.

    The test takes the trainings as they are: what other training crystals would have done is not in its p-value.

    Args:
        errors: Error of each crystal (see `crystal_errors`) by candidate.
        against: Candidates that all others are compared with; without any, each is compared with each.

    Returns:
        A row per pair: `candidate`, `against`, `n_crystals`, `mean_difference` (of |Δlog10 κ|, the candidate's minus the
        other's), `lower_crystals` (with a lower error by the candidate), `wilcoxon_p`, and `holm_p`, corrected over the rows.
    """
    done, rows = set(), []
    for other in [name for name in errors if name in against or not against]:
        for name in errors:
            if name == other or frozenset((name, other)) in done:
                continue
            done.add(frozenset((name, other)))
            difference = (errors[name] - errors[other]).dropna()
            rows.append({
                "candidate": name,
                "against": other,
                "n_crystals": len(difference),
                "mean_difference": float(difference.mean()),
                "lower_crystals": int((difference < 0).sum()),
                "wilcoxon_p": wilcoxon_p(difference.to_numpy()),
            })  # fmt: skip
    names = ["candidate", "against", "n_crystals", "mean_difference", "lower_crystals", "wilcoxon_p"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(holm_p=holm(table["wilcoxon_p"].to_list()))
