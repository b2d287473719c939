"""Roost on the real Togo15, cut short: it learns from its training part alone, and gives the same again."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from paraisite.comparison.candidates import roost
from paraisite.comparison.candidates.registry import make_candidate
from paraisite.comparison.candidates.roost import RoostEnsemble
from paraisite.datasets.catalogue import DataSet, load_data_set
from paraisite.datasets.splits import published_splits
from paraisite.errors import DataError, ParaisiteError
from paraisite.structures.crystal import Crystal


@pytest.fixture(scope="module")
def togo15() -> DataSet:
    pytest.importorskip("aviary")
    return load_data_set("togo15")


def fitted(crystals: Sequence[Crystal], kappa: np.ndarray, epochs: int = 2) -> RoostEnsemble:
    candidate = RoostEnsemble(max_epochs=epochs)
    candidate.fit(crystals, kappa)
    return candidate


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aviary", None)
    with pytest.raises(ParaisiteError, match=r"aviary-models: install it with pip install 'paraisite\[roost\]'"):
        make_candidate("roost")


def test_it_learns(togo15: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roost, "MEMBERS", (1,))
    train = published_splits(togo15.part_sizes, [1]).train[0]
    part = [togo15.crystals[index] for index in np.flatnonzero(train)]
    prediction = fitted(part, togo15.kappa[train], epochs=30).predict(togo15.crystals)
    log10_kappa = np.log10(togo15.kappa)
    error = np.abs(prediction.log10_kappa - log10_kappa)[~train]
    median_error = np.abs(np.median(log10_kappa[train]) - log10_kappa)[~train]
    assert error.mean() < 0.6 * median_error.mean()


def test_the_composition_is_all_it_sees(togo15: DataSet) -> None:
    candidate = fitted(togo15.crystals[::2], togo15.kappa[::2])
    first = togo15.crystals[0]
    larger = Crystal(
        np.tile(first.numbers, 2), first.cell * [[2], [1], [1]], np.vstack([first.fractional / [2, 1, 1]] * 2)
    )
    alone, other = (candidate.predict([crystal]).log10_kappa for crystal in (first, larger))
    np.testing.assert_array_equal(alone, other)
    assert candidate.predict(togo15.crystals).log10_kappa.std() > 0


def test_a_second_fit_forgets_the_first_and_nobody_elses_draws_move(togo15: DataSet) -> None:
    part, others, kappa = togo15.crystals[::2], togo15.crystals[1::2], togo15.kappa[::2]
    used = fitted(part[5:], kappa[5:])
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    used.fit(part, kappa)
    torch.testing.assert_close(torch.rand(1), expected, rtol=0, atol=0)
    fresh = fitted(part, kappa).predict(others)
    again = used.predict(others)
    np.testing.assert_array_equal(again.log10_kappa, fresh.log10_kappa)
    np.testing.assert_array_equal(again.log10_std, fresh.log10_std)


def test_scale_and_spread_follow_those_of_the_training_part(togo15: DataSet) -> None:
    part, others, kappa = togo15.crystals[::2], togo15.crystals[1::2], togo15.kappa[::2]
    plain, stretched = (fitted(part, values).predict(others) for values in (kappa, 10 * kappa**2))
    # The network learns the same standardised target, in single precision.
    np.testing.assert_allclose(stretched.log10_kappa, 1 + 2 * plain.log10_kappa, atol=1e-5)
    assert plain.log10_std is not None
    np.testing.assert_allclose(stretched.log10_std, 2 * plain.log10_std, atol=1e-5)


def test_the_spread_joins_that_of_each_network_and_that_between_them(togo15: DataSet) -> None:
    members = fitted(togo15.crystals, togo15.kappa)
    alone = []
    for seed in roost.MEMBERS:
        network = members._members[seed - 1]
        one = RoostEnsemble()
        one._members, one._mean, one._std = [network], members._mean, members._std
        alone.append(one.predict(togo15.crystals))
    means, spreads = (np.stack([getattr(p, name) for p in alone]) for name in ("log10_kappa", "log10_std"))
    joint = members.predict(togo15.crystals)
    np.testing.assert_allclose(joint.log10_kappa, means.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(joint.log10_std, np.sqrt((spreads**2).mean(axis=0) + means.var(axis=0)), rtol=1e-12)
    assert (means.std(axis=0) > 0).all()


def test_the_epoch_is_that_of_the_lowest_error_and_training_ends_after_it(
    togo15: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roost, "MEMBERS", (1,))
    monkeypatch.setattr(roost, "PATIENCE", 1)
    long = fitted(togo15.crystals, togo15.kappa, epochs=60)
    (best,) = long.settings()["epochs"]
    assert 1 < best < 59
    short = fitted(togo15.crystals, togo15.kappa, epochs=best)
    np.testing.assert_array_equal(short.predict(togo15.crystals).log10_kappa, long.predict(togo15.crystals).log10_kappa)


def test_no_composition_is_on_both_sides_of_the_inner_split(togo15: DataSet) -> None:
    splits = roost._inner_splits(togo15.crystals)
    formulas = np.array([crystal.formula for crystal in togo15.crystals])
    for train, selection in zip(splits.train, splits.selection, strict=True):
        assert set(formulas[train]).isdisjoint(formulas[selection])
        assert (train ^ selection).all()
        assert 15 <= selection.sum() <= 19
    assert len(np.unique(splits.selection, axis=0)) == 3


def test_one_composition_cannot_be_held_out(togo15: DataSet) -> None:
    with pytest.raises(DataError, match="all 6 training crystals are "):
        fitted(togo15.crystals[:1] * 6, np.arange(1.0, 7.0))
