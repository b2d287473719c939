"""The table of predictions: one row a structure, the same columns everywhere."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paraisite.metrics import MIN_KAPPA_W_PER_MK
from paraisite.prediction.prepare import Rows
from paraisite.uncertainty.judgement import Judgement

RANGE = (0.05, 0.95)
"""Quantiles of the members, interpolated in log κ, that `kappa_low` and `kappa_high` give."""


def columns(n_members: int) -> list[str]:
    """Names of the table's columns for an ensemble of `n_members`."""
    members = [f"kappa_{member}" for member in range(1, n_members + 1)]
    statistics = ["kappa_mean", "kappa_std", "kappa_median", "kappa_low", "kappa_high", "interval_low", "interval_high"]
    domain = ["domain", "domain_distance", "domain_reason"]
    return ["material_id", "formula", "n_atoms", *statistics, *members, *domain, "status", "error", "source"]


def kappa_columns(kappa: np.ndarray, judgement: Judgement) -> dict[str, np.ndarray]:
    """The numbers that are told of each prediction, by column, each [n_graphs].

    Args:
        kappa: κ at 300 K of each member in W/(m K), [n_members, n_graphs].
        judgement: What the model says of these predictions.
    """
    members = np.maximum(kappa, MIN_KAPPA_W_PER_MK)
    low, high = np.exp(np.quantile(np.log(members), RANGE, axis=0))
    return {
        "kappa_mean": members.mean(axis=0),
        "kappa_std": members.std(axis=0),
        "kappa_median": np.median(members, axis=0),
        "kappa_low": low,
        "kappa_high": high,
        "interval_low": judgement.interval_low,
        "interval_high": judgement.interval_high,
        **{f"kappa_{member}": values for member, values in enumerate(members, 1)},
        "domain_distance": judgement.domain_distance,
    }


def make_table(rows: Rows, predicted: np.ndarray, kappa: np.ndarray, judgement: Judgement) -> pd.DataFrame:
    """Join rows and predictions.

    Args:
        rows: One row a structure.
        predicted: Rows that were predicted, [n_graphs] int64.
        kappa: κ at 300 K of each member in W/(m K), [n_members, n_graphs].
        judgement: What the model says of these predictions.

    Returns:
        The columns of `columns`; κ is NaN where there is no prediction. `kappa_std` is the standard deviation over the
        members (n in the denominator), `kappa_low` to `kappa_high` their 5–95 % range; the other columns are those of
        `paraisite.uncertainty.judgement.Judgement`.
    """
    numbers = kappa_columns(kappa, judgement)
    full = np.full((len(rows.status), len(numbers)), np.nan)
    full[predicted] = np.stack(list(numbers.values()), axis=1)
    texts = np.full((len(rows.status), 2), "", dtype=object)
    texts[predicted] = np.array([judgement.domain, judgement.domain_reason], dtype=object).T
    table = pd.DataFrame({"material_id": rows.material_id, "formula": rows.formula, "n_atoms": rows.n_atoms})
    table[list(numbers)] = full
    table[["domain", "domain_reason"]] = texts
    table["status"], table["error"], table["source"] = rows.status, rows.error, rows.source
    return table[columns(len(kappa))]
