"""The tables of an analysis, beside those of correlations: what was scanned, by member, by domain, and against known κ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from paraisite.datasets.catalogue import load_data_set
from paraisite.errors import ParaisiteError
from paraisite.models.files import find_model, read_card
from paraisite.screening.analysis.crystals import _PREDICTED, KAPPA, VARIANCE, Crystals, Step, members_of

QUANTILES = {"percentile_5": 0.05, "quartile_1": 0.25, "median": 0.5, "quartile_3": 0.75, "percentile_95": 0.95}
KNOWN_DATA = ("togo15", "hh143", "mix", "aflow_agl")


def scan_table(crystals: Crystals) -> pd.DataFrame:
    """Describe the scans.

    Returns:
        Columns `step`, `model`, `members`, `structures`, `predicted`, `duplicates` (of another structure of the scan),
        `median_kappa` in W/(m K), `fitted_to`, the data of the model's last stage, and, where the scans keep their members,
        `median_variance` and `variance_of_data`, in W²/(m K)².
    """
    rows = []
    for step in crystals.steps:
        variance = "median(kappa_std ** 2)" if crystals.has_members else "NULL"
        chosen = f"median(kappa), {variance}, count(duplicate_of)"
        kappa, median_variance, duplicates = crystals.select(chosen, f"{step.view} WHERE {_PREDICTED}")[0]
        data, of_data = fitted_data(step)
        spread = {"median_variance": median_variance, "variance_of_data": of_data} if crystals.has_members else {}
        rows.append({
            "step": step.label, "model": step.manifest.model, "members": step.manifest.n_members,
            "structures": step.n_rows, "predicted": step.n_predicted, "duplicates": duplicates, "median_kappa": kappa,
            "fitted_to": data, **spread,
        })  # fmt: skip
    return pd.DataFrame(rows)


def fitted_data(step: Step) -> tuple[str, float]:
    """The data set of a model's last stage and the variance of its κ in W²/(m K)²; empty and NaN where it is not known."""
    try:
        name = str(read_card(find_model(step.manifest.model))["recipe"]["stages"][-1]["data"])
        return name, float(load_data_set(name).kappa.var()) if name in KNOWN_DATA else float("nan")
    except (ParaisiteError, KeyError, IndexError, TypeError):
        return "", float("nan")


def variance_table(crystals: Crystals) -> pd.DataFrame:
    """Distribution of var(κ) over the crystals by step, in W²/(m K)²: columns `step`, `mean`, `QUANTILES`."""
    rows = []
    for step in crystals.steps:
        values = crystals.values(step.column(VARIANCE.name))
        rows.append({"step": step.label, "mean": values.mean(), **_quantiles(values)})
    return pd.DataFrame(rows)


def member_table(crystals: Crystals) -> pd.DataFrame:
    """Distribution of every member's κ in W/(m K): columns `step`, `member`, `lowest`, `highest`, `QUANTILES`."""
    rows = []
    for step in crystals.steps:
        for member, name in enumerate(members_of(step), 1):
            chosen = f"min({name}), max({name}), quantile_cont({name}, {list(QUANTILES.values())})"
            lowest, highest, values = crystals.select(chosen, step.view)[0]
            limits = {"step": step.label, "member": member, "lowest": lowest, "highest": highest}
            rows.append({**limits, **dict(zip(QUANTILES, values, strict=True))})
    return pd.DataFrame(rows)


def domain_table(crystals: Crystals) -> pd.DataFrame:
    """Crystals by their place in the model's domain, for scans that have it.

    Returns:
        Columns `step`, `domain`, `crystals`, `share`, `median_kappa` in W/(m K), and `median_relative_spread` where
        the scans keep their members.
    """
    rows = []
    for step in crystals.steps:
        if step.has_domain:
            spread = ", median(kappa_std / kappa_mean)" if crystals.has_members else ""
            chosen = f"domain, count(*), median(kappa){spread}"
            source = f"{step.view} WHERE {_PREDICTED} AND domain IS NOT NULL GROUP BY domain ORDER BY count(*) DESC"
            for domain, n, kappa, *of_members in crystals.select(chosen, source):
                rows.append({
                    "step": step.label, "domain": domain, "crystals": n, "share": n / step.n_predicted,
                    "median_kappa": kappa, **dict(zip(["median_relative_spread"], of_members, strict=False)),
                })  # fmt: skip
    return pd.DataFrame(rows)


def agreement_table(crystals: Crystals, columns: Sequence[str]) -> pd.DataFrame:
    """Compare κ of every scan with joined columns of κ, over the crystals where that is above zero.

    Args:
        crystals: The joined scans.
        columns: Numeric columns of the joined table, in W/(m K).

    Returns:
        Columns `column`, `step`, `n`, `spearman`, `pearson_log10`, `median_ratio` (κ over the column), `within_factor_2`.
    """
    rows = []
    for column in columns:
        for step in crystals.steps:
            known, mean = known_and_predicted(crystals, column, step)
            row: dict[str, object] = {"column": column, "step": step.label, "n": len(known)}
            if len(known) > 2 and np.ptp(known) > 0 and np.ptp(mean) > 0:
                row["spearman"] = float(stats.spearmanr(known, mean).statistic)
                row["pearson_log10"] = float(stats.pearsonr(np.log10(known), np.log10(mean)).statistic)
                row["median_ratio"] = float(np.median(mean / known))
                row["within_factor_2"] = float((np.abs(np.log2(mean / known)) <= 1).mean())
            rows.append(row)
    return pd.DataFrame(
        rows, columns=["column", "step", "n", "spearman", "pearson_log10", "median_ratio", "within_factor_2"]
    )


def known_and_predicted(crystals: Crystals, column: str, step: Step) -> tuple[np.ndarray, np.ndarray]:
    """A joined column and κ of the crystals where the column is above zero, both in W/(m K)."""
    known, kappa = crystals.values(column), crystals.values(step.column(KAPPA.name))
    used = np.isfinite(known) & (known > 0)
    return known[used], kappa[used]


def _quantiles(values: np.ndarray) -> dict[str, float]:
    return dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values())).tolist(), strict=True))
