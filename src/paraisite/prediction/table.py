"""The table of predictions: one row per structure, the same columns everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paraisite.metrics import MIN_KAPPA_W_PER_MK
from paraisite.prediction.prepare import Rows
from paraisite.uncertainty.judgement import Judgement

if TYPE_CHECKING:
    import pandas as pd

ESTIMATE_COLUMNS = ("kappa", "kappa_low", "kappa_high")
"""The estimate and the ends of its calibrated 90 % interval, in W/(m K)."""


def member_columns(n_members: int) -> list[str]:
    """Names of the columns of each member's κ."""
    return [f"kappa_{member}" for member in range(1, n_members + 1)]


def spread_columns(n_members: int) -> list[str]:
    """Names of the columns that a table has only where the members are asked for."""
    return ["kappa_mean", "kappa_std", *member_columns(n_members)]


def columns(n_members: int | None = None) -> list[str]:
    """Names of the table's columns.

    Args:
        n_members: Members of the ensemble whose own predictions are asked for; None where they are not.
    """
    members = [] if n_members is None else spread_columns(n_members)
    domain = ["domain", "domain_distance", "domain_reason"]
    return ["material_id", "formula", "n_atoms", *ESTIMATE_COLUMNS, *members, *domain, "status", "error", "source"]


def kappa_columns(kappa: np.ndarray, judgement: Judgement, *, members: bool = False) -> dict[str, np.ndarray]:
    """The numbers of each prediction, by column, each [n_graphs].

    Args:
        kappa: κ at 300 K of each member in W/(m K), [n_members, n_graphs].
        judgement: What the model says of these predictions.
        members: Whether to give each member's κ, their mean and their standard deviation (n in the denominator) too.

    Returns:
        `kappa`, the median of the members, is the estimate whose error is published; `kappa_low` and `kappa_high` are the
        ends of its calibrated 90 % interval, NaN for a model without one.
    """
    each = np.maximum(kappa, MIN_KAPPA_W_PER_MK)
    estimate = {
        "kappa": np.median(each, axis=0),
        "kappa_low": judgement.kappa_low,
        "kappa_high": judgement.kappa_high,
        "domain_distance": judgement.domain_distance,
    }
    if not members:
        return estimate
    spread = {"kappa_mean": each.mean(axis=0), "kappa_std": each.std(axis=0)}
    return estimate | spread | dict(zip(member_columns(len(each)), each, strict=True))


def make_columns(
    rows: Rows, predicted: np.ndarray, kappa: np.ndarray, judgement: Judgement, *, members: bool = False
) -> dict[str, Any]:
    """Join rows and predictions, without pandas.

    Args:
        rows: One row per structure.
        predicted: Rows that were predicted, [n_graphs] int64.
        kappa: κ at 300 K of each member in W/(m K), [n_members, n_graphs].
        judgement: What the model says of these predictions.
        members: Whether to add the columns of `spread_columns`.

    Returns:
        The columns of `columns`, each a list or array [n_rows]; κ is NaN where there is no prediction. The numbers are those
        of `kappa_columns`, the domain that of `paraisite.uncertainty.judgement.Judgement`.
    """
    n_rows = len(rows.status)
    content: dict[str, Any] = {"material_id": rows.material_id, "formula": rows.formula, "n_atoms": rows.n_atoms}
    for name, values in kappa_columns(kappa, judgement, members=members).items():
        content[name] = np.full(n_rows, np.nan)
        content[name][predicted] = values
    for name, words in (("domain", judgement.domain), ("domain_reason", judgement.domain_reason)):
        content[name] = [""] * n_rows
        for row, word in zip(predicted, words, strict=True):
            content[name][row] = word
    content |= {"status": rows.status, "error": rows.error, "source": rows.source}
    return {name: content[name] for name in columns(len(kappa) if members else None)}


def make_table(
    rows: Rows, predicted: np.ndarray, kappa: np.ndarray, judgement: Judgement, *, members: bool = False
) -> pd.DataFrame:
    """As `make_columns`, as a DataFrame."""
    import pandas as pd  # noqa: PLC0415 - half a second, for which the command line has no use

    return pd.DataFrame(make_columns(rows, predicted, kappa, judgement, members=members))
