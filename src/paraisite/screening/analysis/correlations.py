"""How what an ensemble says of crystals goes with their features, and with what other ensembles say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from paraisite.screening.analysis.crystals import (
    KAPPA,
    LOG_KAPPA,
    LOG_SPREAD,
    TABLE,
    VARIANCE,
    Crystals,
    Quantity,
    Step,
)
from paraisite.screening.query import quoted

FEWEST = 3
"""Crystals that a correlation needs at least."""
TESTS = ("pearson", "spearman")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns whose correlation is tested.

    Attributes:
        step: Label of the first's scan.
        quantity: Title of the first.
        other: Title of the second.
        columns: Both columns of the joined table.
    """

    step: str
    quantity: str
    other: str
    columns: tuple[str, str]


def correlate(crystals: Crystals) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test every quantity of every scan against every feature, and the quantities against each other.

    Pearson's r and Spearman's rank correlation with two-sided p-values, over the crystals that have both numbers; and the
    p-values after Benjamini and Hochberg's correction over all tests of both tables (doi 10.1111/j.2517-6161.1995.tb02031.x).

    Args:
        crystals: The joined scans.

    Returns:
        Two tables, of features and of quantities: columns `step`, `quantity`, `other`, `n`, and for `pearson` and `spearman`
        the coefficient, `…_p` and `…_p_corrected`; NaN below `FEWEST` crystals and for a column that does not vary.
    """
    groups = (list(_feature_pairs(crystals)), list(_quantity_pairs(crystals)))
    rows = [
        {"step": pair.step, "quantity": pair.quantity, "other": pair.other, **_coefficients(crystals, pair)}
        for pairs in groups
        for pair in pairs
    ]
    names = [f"{test}{ending}" for test in TESTS for ending in ("", "_p")]
    table = pd.DataFrame(rows, columns=["step", "quantity", "other", "n", *names])
    p_values = table[[f"{test}_p" for test in TESTS]].to_numpy(dtype=float)
    corrected = benjamini_hochberg(p_values.ravel()).reshape(p_values.shape)
    table = table.assign(**{f"{test}_p_corrected": corrected[:, position] for position, test in enumerate(TESTS)})
    table = table[[*table.columns[:4], *(f"{test}{ending}" for test in TESTS for ending in ("", "_p", "_p_corrected"))]]
    n_features = len(groups[0])
    return table.iloc[:n_features], table.iloc[n_features:].reset_index(drop=True)


def _feature_pairs(crystals: Crystals) -> Iterator[Pair]:
    for step in crystals.steps:
        own = {name: step.column(name) for name in step.own_features}
        others = {**{name: name for name in crystals.features}, **own}
        for quantity in crystals.quantities:
            for title, column in others.items():
                yield Pair(step.label, quantity.title, title, (step.column(quantity.name), column))


def _quantity_pairs(crystals: Crystals) -> Iterator[Pair]:
    for step in crystals.steps:
        for first, second in ((KAPPA, VARIANCE), (LOG_KAPPA, LOG_SPREAD)) if crystals.has_members else ():
            yield _between(step, first, step, second)
    for step, other in combinations(crystals.steps, 2):
        for quantity in crystals.quantities:
            yield _between(step, quantity, other, quantity)


def _between(step: Step, quantity: Quantity, other: Step, second: Quantity) -> Pair:
    columns = (step.column(quantity.name), other.column(second.name))
    return Pair(step.label, quantity.title, f"{second.title}, {other.label}", columns)


def _coefficients(crystals: Crystals, pair: Pair) -> dict[str, float]:
    first, second = (crystals.values(column) for column in pair.columns)
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    result: dict[str, float] = {"n": len(first)}
    if len(first) < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return result
    pearson, spearman = stats.pearsonr(first, second), stats.spearmanr(first, second)
    return result | {
        "pearson": float(pearson.statistic),
        "pearson_p": float(pearson.pvalue),
        "spearman": float(spearman.statistic),
        "spearman_p": float(spearman.pvalue),
    }


def benjamini_hochberg(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values for their number; NaN stays NaN and does not count as a test.

    Args:
        p_values: p-values of all tests, [n_tests].

    Returns:
        Corrected p-values in the same order, [n_tests].
    """
    corrected = np.full(len(p_values), np.nan)
    tested = ~np.isnan(p_values)
    if tested.any():
        corrected[tested] = stats.false_discovery_control(p_values[tested])
    return corrected


def matrix_quantities(crystals: Crystals) -> tuple[Quantity, ...]:
    """What the correlation matrix begins with, each for every scan."""
    return (KAPPA, VARIANCE) if crystals.has_members else (KAPPA,)


def correlation_matrix(crystals: Crystals) -> pd.DataFrame:
    """Pearson's r between κ, the members' variance and the features, over the crystals that have both numbers.

    Returns:
        A square table with the names of the columns as index: κ of every scan, the
        variance of every scan where all keep their members, then features.
    """
    columns = {
        f"{quantity.title}, {step.label}": step.column(quantity.name)
        for quantity in matrix_quantities(crystals)
        for step in crystals.steps
    }
    columns |= {name: name for name in crystals.features}
    titles = list(columns)
    # An infinite number would make every sum infinite.
    finite = {
        title: f"CASE WHEN isfinite({quoted(name)}::DOUBLE) THEN {quoted(name)}::DOUBLE END"
        for title, name in columns.items()
    }
    pairs = list(combinations(titles, 2))
    chosen = ", ".join(f"corr({finite[first]}, {finite[second]})" for first, second in pairs)
    values = crystals.select(chosen, TABLE)[0]
    matrix = pd.DataFrame(np.eye(len(titles)), index=titles, columns=titles)
    for (first, second), value in zip(pairs, values, strict=True):
        matrix.loc[first, second] = matrix.loc[second, first] = np.nan if value is None else value
    return matrix
