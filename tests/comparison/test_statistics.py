"""Paired tests against values by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from paraisite.comparison.statistics import corrected_t_p, holm, paired_test, wilcoxon_p

DIFFERENCES = np.array([-0.3, -0.1, -0.2, 0.05, -0.25, -0.15, -0.02, -0.31, -0.12])


def test_without_the_correction_it_is_the_plain_paired_t_test() -> None:
    assert corrected_t_p(DIFFERENCES, 0.0) == pytest.approx(stats.ttest_1samp(DIFFERENCES, 0).pvalue, rel=1e-12)


def test_the_correction_by_hand() -> None:
    # Mean 2, sample variance 2 over 3 runs, a quarter as many validated as trained on: error² = (1/3 + 1/4) 2 = 7/6.
    differences = np.array([2 - np.sqrt(2), 2.0, 2 + np.sqrt(2)])
    statistic = 2 / np.sqrt(7 / 6)
    # Student's t with two degrees of freedom has the distribution function 1/2 + t / (2 sqrt(2 + t²)).
    assert corrected_t_p(differences, 0.25) == pytest.approx(1 - statistic / np.sqrt(2 + statistic**2), rel=1e-12)


def test_the_correction_makes_it_less_sure() -> None:
    assert corrected_t_p(DIFFERENCES, 0.25) > 2 * corrected_t_p(DIFFERENCES, 0.0)


def test_the_corrected_test_is_not_too_sure_of_resampled_runs() -> None:
    # The same two predictors on resampled parts of one set: no difference in truth, though every run shares its crystals.
    rng = np.random.default_rng(1)
    found = {0.0: 0, 0.25: 0}
    for _ in range(300):
        errors = rng.normal(0, 1, 95)
        runs = np.array([errors[rng.permutation(95)[:19]].mean() for _ in range(9)])
        for ratio in found:
            found[ratio] += corrected_t_p(runs, ratio) < 0.05
    # At the level of 5 %: 15 expected, three standard deviations above it; uncorrected, many times that.
    assert found[0.25] < 27
    assert found[0.0] > 60


def test_degenerate_differences() -> None:
    assert np.isnan(corrected_t_p(np.array([0.1]), 0.25))
    assert np.isnan(wilcoxon_p(np.array([0.1])))
    assert corrected_t_p(np.zeros(5), 0.25) == wilcoxon_p(np.zeros(5)) == 1
    assert corrected_t_p(np.full(5, 0.5), 0.25) == 0


def test_wilcoxon_is_exact_for_nine_runs_of_one_sign() -> None:
    # 2 of the 2⁹ equally likely sign patterns are as extreme.
    assert wilcoxon_p(-np.arange(1.0, 10.0)) == pytest.approx(2 / 512, rel=1e-12)


def test_holm_by_hand() -> None:
    corrected = holm([0.01, 0.04, 0.03, float("nan")])
    # Sorted 0.01, 0.03, 0.04 times 3, 2, 1: 0.03, 0.06, 0.04, the last raised to 0.06.
    assert corrected[:3] == pytest.approx([0.03, 0.06, 0.06], rel=1e-12)
    assert np.isnan(corrected[3])
    assert holm([0.6, 0.9]).tolist() == [1, 1]


def test_paired_test_counts() -> None:
    found = paired_test(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.5]), 0.25)
    assert (found.n_runs, found.lower_runs) == (3, 1)
    assert found.mean_difference == pytest.approx(-1 / 6, rel=1e-12)
