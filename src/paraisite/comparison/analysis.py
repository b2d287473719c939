"""Where candidates err: their errors by group of crystals, and the crystals that each predicts worst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from paraisite.comparison.job import ComparisonJob
from paraisite.comparison.protocols import CrystalPool
from paraisite.comparison.signs import element_fractions, split_signs
from paraisite.elements import SYMBOLS

KAPPA_EDGES = (3.0, 10.0, 30.0, 100.0)
KAPPA_RANGES = ("<3", "3–10", "10–30", "30–100", "≥100")
"""Ranges of κ in W/(m K), each with its lower end and without its upper one."""
MIN_GROUP_CRYSTALS = 3
"""Crystals of the smallest group that is reported."""
N_WORST = 10
UNCERTAIN_LOG10 = float(np.log10(2))
"""Standard deviation of log10 κ from which a candidate counts as uncertain: a factor of 2."""
GROUP_ERROR_COLUMNS = ("mae_log10", "mape", "bias_log10", "within_factor_2", "coverage_90")
NO_SIGN = "none"

Signs = list[dict[str, str]]


def crystal_table(job: ComparisonJob) -> pd.DataFrame:
    """What a job predicts of each crystal, over the splits that predict it.

    Returns:
        A row per crystal, indexed by its place in the pool: `material_id`, `formula`, `prototype`, `kappa` in W/(m K);
        `predicted`, `low`, `high` (geometric means, W/(m K)), `log10_std`; and `GROUP_ERROR_COLUMNS`: its mean absolute error
        of log10 κ, mean absolute relative error, mean signed error of log10 κ, and the share of predictions within a factor
        of 2 and with κ in the 90 % interval.
    """
    rows = job.predictions()
    log10 = {name: np.log10(rows[name].to_numpy(dtype=float)) for name in ("kappa", "predicted", "low", "high")}
    error = log10["predicted"] - log10["kappa"]
    held = (rows["low"] <= rows["kappa"]) & (rows["kappa"] <= rows["high"])
    values = pd.DataFrame({
        "predicted": log10["predicted"],
        "low": log10["low"],
        "high": log10["high"],
        "log10_std": rows["log10_std"],
        "mae_log10": np.abs(error),
        "mape": np.abs(rows["predicted"] - rows["kappa"]) / rows["kappa"],
        "bias_log10": error,
        "within_factor_2": (np.abs(error) <= np.log10(2)).astype(float),
        "coverage_90": held.astype(float).where(rows["low"].notna()),
    })  # fmt: skip
    place = np.concatenate([split.predicted for split in job.splits])
    means = values.groupby(place).mean()
    means[["predicted", "low", "high"]] = 10 ** means[["predicted", "low", "high"]]
    names = rows[["material_id", "formula", "prototype", "kappa"]].groupby(place).first()
    return names.fillna({"prototype": ""}).join(means)


def analyse(jobs: Sequence[ComparisonJob], pool: CrystalPool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Report the errors by group and the worst crystals of finished jobs.

    A crystal counts once in each of its groups, however many splits predict it; so the errors of all crystals of a protocol
    are close to the means over the splits, not equal to them.

    Args:
        jobs: The jobs, all done.
        pool: Where their crystals are.

    Returns:
        The errors: `candidate`, `protocol`, `by` (`protocol`, `structure_type`, `element`, `kappa`, `sign`), `group`,
        `n_crystals` and `GROUP_ERROR_COLUMNS`, for groups of `MIN_GROUP_CRYSTALS` and more; signs are those of
        `paraisite.comparison.signs` and `uncertain`. And the worst crystals: `N_WORST` a job, with `reason`, the signs
        that they show in every split that predicts them, but for what all crystals of the job show; empty where none is left.
    """
    fractions = element_fractions(pool)
    signs: dict[tuple[str, tuple[str, ...]], dict[int, dict[str, str]]] = {}
    errors, worst = [], []
    for job in jobs:
        trained = (job.protocol, job.spec.further)
        if trained not in signs:
            signs[trained] = _crystal_signs(job, pool, fractions)
        table = crystal_table(job)
        pairs = zip(table.index.tolist(), table["log10_std"].tolist(), strict=True)
        told = [_with_uncertain(signs[trained][place], std) for place, std in pairs]
        errors += [
            {"candidate": str(job.spec), "protocol": job.protocol, **row}
            for row in _group_errors(table, job.protocol, fractions[table.index] > 0, told)
        ]
        worst.append(_worst(job, table, told))
    return pd.DataFrame(errors), pd.concat(worst, ignore_index=True)


def _crystal_signs(job: ComparisonJob, pool: CrystalPool, fractions: np.ndarray) -> dict[int, dict[str, str]]:
    """Signs of each crystal in every split that predicts it, in the words of the first, by its place in the pool."""
    found: dict[int, dict[str, str]] = {}
    for split in job.splits:
        for place, signs in zip(split.predicted.tolist(), split_signs(split, pool, fractions), strict=True):
            earlier = found.get(place, signs)
            found[place] = {name: text for name, text in earlier.items() if name in signs}
    return found


def _with_uncertain(signs: dict[str, str], log10_std: float) -> dict[str, str]:
    uncertain = {"uncertain": f"predicted as uncertain (std of log10 κ {log10_std:.2f})"}
    return signs | (uncertain if log10_std >= UNCERTAIN_LOG10 else {})


def _group_errors(table: pd.DataFrame, protocol: str, present: np.ndarray, told: Signs) -> Iterator[dict[str, object]]:
    for kind, group, chosen in _groups(table, protocol, present, told):
        if chosen.sum() >= MIN_GROUP_CRYSTALS:
            means = table.loc[chosen, list(GROUP_ERROR_COLUMNS)].mean()
            yield {"by": kind, "group": group, "n_crystals": int(chosen.sum()), **means}


def _groups(
    table: pd.DataFrame, protocol: str, present: np.ndarray, told: Signs
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Groups of crystals: kind, name, and who is in it, [n_crystals] bool."""
    yield "protocol", protocol, np.ones(len(table), dtype=bool)
    prototype = table["prototype"].to_numpy()
    for name in sorted(set(prototype) - {""}):
        yield "structure_type", name, prototype == name
    for number in np.flatnonzero(present.any(axis=0)).tolist():
        yield "element", SYMBOLS[number], present[:, number]
    range_number = np.searchsorted(KAPPA_EDGES, table["kappa"].to_numpy(), side="right")
    for position, name in enumerate(KAPPA_RANGES):
        yield "kappa", name, range_number == position
    for name in dict.fromkeys(name for signs in told for name in signs):
        yield "sign", name, np.array([name in signs for signs in told])
    yield "sign", NO_SIGN, np.array([not signs for signs in told])


def _worst(job: ComparisonJob, table: pd.DataFrame, told: Signs) -> pd.DataFrame:
    shown_by_all = set.intersection(*(set(signs) for signs in told))
    texts = ["; ".join(text for name, text in signs.items() if name not in shown_by_all) for signs in told]
    reasons = pd.Series(texts, index=table.index)
    rows = table.assign(reason=reasons).nlargest(N_WORST, "mae_log10")
    names = ["material_id", "formula", "prototype", "kappa", "predicted", "log10_std", "mae_log10", "reason"]
    return rows[names].assign(candidate=str(job.spec), protocol=job.protocol)[["candidate", "protocol", *names]]
