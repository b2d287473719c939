"""Paired tests of two predictors over the runs of a study.

The runs' training parts overlap, so that their errors are not independent and a plain t-test is too sure of itself. The
corrected resampled t-test (Nadeau and Bengio 2003, doi 10.1023/A:1024068626366) widens the variance by the ratio of test to
training crystals; Wilcoxon's signed-rank test stands beside it and assumes no shape. Holm's step-down correction is over
the pairs of one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

SIGNIFICANT = 0.05
"""Corrected p-value below which two predictors are told apart."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """How much lower or higher the errors of one predictor are than those of another, over the same runs.

    Attributes:
        n_runs: Runs that both have.
        mean_difference: Mean of the first's error minus the second's.
        standard_deviation: Of these differences, over the runs.
        lower_runs: Runs in which the first's error is the lower.
        t_p: Two-sided p-value of the corrected resampled t-test; NaN below two runs.
        wilcoxon_p: Two-sided p-value of Wilcoxon's signed-rank test; NaN below two runs.
    """

    n_runs: int
    mean_difference: float
    standard_deviation: float
    lower_runs: int
    t_p: float
    wilcoxon_p: float


def paired_test(first: np.ndarray, second: np.ndarray, test_to_training: float) -> PairedTest:
    """Compare the errors of two predictors over the same runs.

    Args:
        first: Errors of the first, [n_runs].
        second: Errors of the second in the same runs, [n_runs].
        test_to_training: Crystals validated over crystals trained on, in a run.
    """
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    n_runs = len(differences)
    return PairedTest(
        n_runs=n_runs,
        mean_difference=float(differences.mean()) if n_runs else float("nan"),
        standard_deviation=float(differences.std()) if n_runs else float("nan"),
        lower_runs=int((differences < 0).sum()),
        t_p=corrected_t_p(differences, test_to_training),
        wilcoxon_p=wilcoxon_p(differences),
    )


def corrected_t_p(differences: np.ndarray, test_to_training: float) -> float:
    """Two-sided p-value of Nadeau and Bengio's corrected resampled t-test (doi 10.1023/A:1024068626366).

    The variance of the mean of n differences is taken as (1/n + n_test/n_training) times their sample variance.

    Args:
        differences: Differences of the errors, [n_runs].
        test_to_training: Crystals validated over crystals trained on, in a run.
    """
    n_runs = len(differences)
    if n_runs < 2:
        return float("nan")
    if not differences.any():
        return 1.0
    error = np.sqrt((1 / n_runs + test_to_training) * differences.var(ddof=1))
    statistic = np.inf if error == 0 else abs(differences.mean()) / error
    return float(2 * stats.t.sf(statistic, n_runs - 1))


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; NaN below two runs, 1 where nothing differs."""
    if len(differences) < 2:
        return float("nan")
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's step-down correction; NaN stays NaN and does not count as a test.

    Args:
        p_values: p-values of one family of tests, [n_tests].

    Returns:
        Corrected p-values in the same order, at most 1, [n_tests].
    """
    values = np.asarray(p_values, dtype=float)
    corrected = np.full(len(values), np.nan)
    order = [index for index in np.argsort(values) if not np.isnan(values[index])]
    highest = 0.0
    for position, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - position) * values[index]))
        corrected[index] = highest
    return corrected
