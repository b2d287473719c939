"""Intervals of the multi-fidelity model by source: quantiles, likeness, and coverage where the law is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paraisite.metrics import NORMAL_90
from paraisite.models.files import find_model
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.models.multi_fidelity.likeness import UNLIKE, blend, likeness, membership
from paraisite.models.multi_fidelity.model import Member
from paraisite.training.multi_fidelity.calibration import HeldOutPredictions, weighted_quantile
from paraisite.uncertainty.conformal import LEVEL, quantile_rank


@pytest.mark.parametrize("n", [9, 10, 19, 20, 99, 100, 345])
def test_equal_weights_give_the_conformal_rank(n: int) -> None:
    score = np.random.default_rng(n).permutation(n).astype(float) + 1
    assert weighted_quantile(score, np.ones(n)) == quantile_rank(n, LEVEL)


@pytest.mark.parametrize("n", [0, 1, 8])
def test_too_few_have_no_quantile(n: int) -> None:
    weight = np.zeros(20)
    weight[:n] = 1
    assert weighted_quantile(np.arange(20.0), weight) is None
    assert weighted_quantile(np.arange(20.0), np.full(20, n / 20)) is None


def test_weights_of_zero_and_one_choose_the_crystals() -> None:
    generator = np.random.default_rng(0)
    score, chosen = generator.exponential(size=200), np.arange(200) % 4 == 0
    assert weighted_quantile(score, chosen.astype(float)) == np.sort(score[chosen])[quantile_rank(50, LEVEL) - 1]  # type: ignore[operator]


def test_likeness_is_that_of_the_correlated_crystals() -> None:
    members = membership(np.array(["a", "b", "b"]), ("a", "b", "c"))
    correlation = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]])
    weights = likeness(correlation, members)
    own = 1 / (1 + UNLIKE)
    half = 0.5 / (0.5 + UNLIKE)
    np.testing.assert_allclose(weights, [[own, 0, 0], [0, half, 0], [half / 2, half / 2, 0], [0, 0, 0]])
    np.testing.assert_allclose(blend(weights, np.array([1.0, 2.0, 5.0]))[[0, 3]], [own + 5 * (1 - own), 5])


def test_each_source_gets_its_own_width_and_a_small_one_that_of_all() -> None:
    """One source's errors are three times what the process says, the other's half: each is covered at the level."""
    generator = np.random.default_rng(1)
    factor = np.repeat([3.0, 0.5, 1.0], [400, 400, 4])
    weights = np.repeat(np.eye(3), [400, 400, 4], axis=0)
    held_out = HeldOutPredictions(np.zeros(804), np.ones(804), weights, ("wild", "tame", "few"))
    log10_kappa = factor * generator.normal(size=804)
    widths = held_out.widths(log10_kappa)
    assert widths["wild"] == pytest.approx(3 * NORMAL_90, rel=0.15)
    assert widths["tame"] == pytest.approx(NORMAL_90 / 2, rel=0.15)
    assert widths["few"] == weighted_quantile(np.abs(log10_kappa), np.ones(804))
    new = factor[:800] * generator.normal(size=800)
    covered = np.abs(new) <= NORMAL_90 * held_out.calibrated_std(widths)[:800]
    for part in (slice(0, 400), slice(400, 800)):
        assert covered[part].mean() == pytest.approx(LEVEL, abs=0.05)  # three standard errors of 400


def test_fewer_crystals_than_the_level_needs_get_their_largest_error() -> None:
    held_out = HeldOutPredictions(np.zeros(4), np.ones(4), np.ones((4, 1)), ("mine",))
    assert held_out.widths(np.array([0.1, -0.7, 0.2, 0.3])) == {"mine": 0.7}


def test_no_member_of_the_held_out_ensemble_sees_the_crystal() -> None:
    """κ of one fold changes what is said of other folds' crystals, not of its own; the same goes for single members."""
    model = load_multi_fidelity(find_model())
    rows = model.data.fold == 2
    changed = replace(model.data, log10_kappa=np.where(rows, model.data.log10_kappa + 3, model.data.log10_kappa))
    members = [Member(one.parameters, changed, one.known) for one in model.members]
    for before, after in (
        (HeldOutPredictions.of(model.members, model.data), HeldOutPredictions.of(members, changed)),
        (
            HeldOutPredictions.of_ensemble(model.members, model.data, stated=True),
            HeldOutPredictions.of_ensemble(members, changed, stated=True),
        ),
    ):
        np.testing.assert_allclose(after.log10_mean[rows], before.log10_mean[rows], rtol=1e-9)
        assert np.abs(after.log10_mean - before.log10_mean)[~rows].max() > 0.1
        np.testing.assert_array_equal(after.log10_std, before.log10_std)


def test_the_median_of_several_is_better_than_one() -> None:
    model = load_multi_fidelity(find_model())
    single = HeldOutPredictions.of(model.members, model.data)
    several = HeldOutPredictions.of_ensemble(model.members, model.data, stated=False)
    errors = [np.abs(one.log10_mean - model.data.log10_kappa).mean() for one in (single, several)]
    assert errors[1] < errors[0]
    assert several.likeness.sum(axis=1).max() <= 1


def test_shipped_sets_are_covered_by_what_was_held_out() -> None:
    """Stated sources: each set's held-out crystals lie in its intervals at the level, by the quantile's own rank."""
    model = load_multi_fidelity(find_model())
    held_out = HeldOutPredictions.of_ensemble(model.members, model.data, stated=True)
    widths = held_out.widths(model.data.log10_kappa)
    held = np.abs(held_out.log10_mean - model.data.log10_kappa) <= NORMAL_90 * held_out.calibrated_std(widths)
    for name in held_out.names:
        own = model.data.source == name
        rank = quantile_rank(int(own.sum()), LEVEL)
        assert rank is not None
        assert held[own].sum() in (rank - 1, rank)  # the last one lies on the end
