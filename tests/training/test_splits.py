"""Splits: the published ones to the index, and what the inner split keeps apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraisite.datasets.catalogue import DataSet, load_data_set
from paraisite.datasets.splits import (
    Splits,
    composition_splits,
    inner_splits,
    limit_training,
    published_splits,
    published_train_indices,
)
from paraisite.errors import DataError, RecipeError
from paraisite.training.network.data import make_splits
from paraisite.training.network.recipe import Recipe, StageRecipe

RUNS = tuple(range(1, 10))
sizes = st.lists(st.integers(2, 60), min_size=1, max_size=3)
fractions = st.floats(0.3, 0.9)
quick = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("n_crystals", [95, 143, 4400])
def test_training_part_is_the_published_one(n_crystals: int, run: int) -> None:
    expected = np.random.RandomState(run).permutation(n_crystals)[: int(np.floor(0.8 * n_crystals))]
    np.testing.assert_array_equal(published_train_indices(n_crystals, run), expected)


def test_training_part_of_togo15_in_numbers() -> None:
    # The legacy generator is frozen, so these never change.
    assert published_train_indices(95, 1)[:8].tolist() == [40, 31, 46, 58, 77, 49, 87, 44]
    assert len(published_train_indices(95, 1)) == 76


def test_every_crystal_is_in_some_validation_part() -> None:
    splits = published_splits([95], RUNS)
    # The chance that a given crystal is in none of nine parts of a fifth is 0.13; most are in one or more.
    assert np.count_nonzero(splits.validation.any(axis=0)) > 70
    assert len({row.tobytes() for row in splits.validation}) == len(RUNS)


@quick
@given(part_sizes=sizes, fraction=fractions)
def test_published_splits(part_sizes: list[int], fraction: float) -> None:
    splits = published_splits(part_sizes, RUNS, fraction)
    np.testing.assert_array_equal(splits.validation, ~splits.train)
    np.testing.assert_array_equal(splits.selection, splits.validation)
    assert splits.scale.all()
    start = 0
    for size in part_sizes:
        part = splits.train[:, start : start + size]
        assert (part.sum(axis=1) == int(fraction * size)).all()
        for member, run in enumerate(RUNS):
            np.testing.assert_array_equal(
                np.flatnonzero(part[member]), np.sort(published_train_indices(size, run, fraction))
            )
        start += size


@quick
@given(part_sizes=st.lists(st.integers(10, 60), min_size=1, max_size=3), fraction=fractions, inner=st.floats(0.1, 0.6))
def test_inner_split_keeps_the_validation_part_out_of_everything(
    part_sizes: list[int], fraction: float, inner: float
) -> None:
    outer = published_splits(part_sizes, RUNS, fraction)
    splits = inner_splits(outer, RUNS, inner)
    np.testing.assert_array_equal(splits.validation, outer.validation)
    for used in (splits.train, splits.selection, splits.scale):
        assert not (used & splits.validation).any()
    assert not (splits.train & splits.selection).any()
    np.testing.assert_array_equal(splits.train | splits.selection, outer.train)
    assert (splits.selection.sum(axis=1) == np.maximum(1, np.round(inner * outer.train.sum(axis=1)))).all()


def test_inner_split_does_not_change_the_outer_one() -> None:
    outer = published_splits([95], RUNS)
    before = outer.train.copy()
    inner_splits(outer, RUNS, 0.2)
    np.testing.assert_array_equal(outer.train, before)


def test_split_of_a_run_does_not_depend_on_the_other_runs() -> None:
    whole = inner_splits(published_splits([95], RUNS), RUNS, 0.2)
    alone = inner_splits(published_splits([95], (4,)), (4,), 0.2)
    for name in ("train", "selection", "validation", "scale"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[3], err_msg=name)


def composition_data(name: str) -> tuple[DataSet, np.ndarray]:
    data = load_data_set(name)
    return data, np.array([crystal.formula for crystal in data.crystals])


@pytest.mark.parametrize("name", ["togo15", "hh143", "mix"])
def test_no_composition_is_on_both_sides(name: str) -> None:
    data, formula = composition_data(name)
    outer = composition_splits(list(formula), data.part_sizes, RUNS)
    inner = inner_splits(outer, RUNS, 0.2, list(formula))
    np.testing.assert_array_equal(outer.train, ~outer.validation)
    np.testing.assert_array_equal(inner.train | inner.selection, outer.train)
    for member in range(len(RUNS)):
        parts = [set(formula[part[member]]) for part in (inner.train, inner.selection, outer.validation)]
        assert all(parts)
        assert not parts[0] & parts[1]
        assert not (parts[0] | parts[1]) & parts[2]
    # As large as the published training part, but for a composition that no longer fits.
    largest = int(np.unique(formula, return_counts=True)[1].max())
    for start, size in zip((0, data.part_sizes[0]), data.part_sizes, strict=False):
        trained_on = outer.train[:, start : start + size].sum(axis=1)
        assert (trained_on <= int(0.8 * size)).all()
        assert (trained_on > int(0.8 * size) - largest).all()


def test_random_splits_of_togo15_do_share_compositions() -> None:
    # Why the splits by composition are there: zinc blende and wurtzite forms of one compound.
    _, formula = composition_data("togo15")
    splits = published_splits([95], RUNS)
    for member in range(len(RUNS)):
        assert set(formula[splits.train[member]]) & set(formula[splits.validation[member]])


def test_composition_split_of_a_run_does_not_depend_on_the_other_runs() -> None:
    data, formula = composition_data("togo15")
    whole, alone = (composition_splits(list(formula), data.part_sizes, runs) for runs in (RUNS, (4,)))
    np.testing.assert_array_equal(alone.train[0], whole.train[3])
    assert len({row.tobytes() for row in whole.train}) == len(RUNS)


def test_parts_that_share_a_composition_are_refused() -> None:
    with pytest.raises(DataError, match="share a composition"):
        composition_splits(["NaCl", "KCl", "NaCl", "LiF"], [2, 2], (1,))


@pytest.mark.parametrize("sizes", [(5, 20, 60), (1, 76, 1000)])
def test_limited_training_parts_are_nested(sizes: tuple[int, ...]) -> None:
    outer = published_splits([95], RUNS)
    parts = [limit_training(outer, RUNS, size) for size in sizes]
    for size, splits in zip(sizes, parts, strict=True):
        assert (splits.train.sum(axis=1) == min(size, 76)).all()
        np.testing.assert_array_equal(splits.validation, outer.validation)
        assert not (splits.scale & ~(splits.train | splits.validation)).any()
    for smaller, larger in pairwise(parts):
        assert not (smaller.train & ~larger.train).any()


def test_a_limited_training_part_is_divided_for_the_inner_split() -> None:
    splits = splits_of(load_data_set("togo15"), selection="inner", train_size=10)
    assert splits.train.sum(axis=1).tolist() == [8, 8]
    assert splits.selection.sum(axis=1).tolist() == [2, 2]
    assert splits.scale.sum(axis=1).tolist() == [10, 10]


def splits_of(data: DataSet, **stage: object) -> Splits:
    made = StageRecipe(**{"name": "first", "data": data.name, **stage})
    return make_splits(Recipe(name="plain", stages=(made,), runs=(1, 2)), made, data)


def test_mixture_is_split_part_by_part() -> None:
    data = load_data_set("mix")
    assert data.part_sizes == (95, 143)
    splits = splits_of(data)
    assert splits.train[:, :95].sum(axis=1).tolist() == [76, 76]
    assert splits.train[:, 95:].sum(axis=1).tolist() == [114, 114]


@pytest.mark.parametrize(("selection", "inner"), [("validation", False), ("last", False), ("inner", True)])
def test_selection_decides_the_split(selection: str, inner: bool) -> None:
    splits = splits_of(load_data_set("togo15"), selection=selection)
    assert bool((splits.selection & splits.validation).any()) is not inner
    assert bool(splits.scale.all()) is not inner


def shortened(n_crystals: int) -> DataSet:
    data = load_data_set("togo15")
    return replace(data, crystals=data.crystals[:n_crystals], kappa=data.kappa[:n_crystals], part_sizes=(n_crystals,))


@pytest.mark.parametrize("n_crystals", [0, 1])
def test_too_few_crystals(n_crystals: int) -> None:
    with pytest.raises(RecipeError, match="too few"):
        splits_of(shortened(n_crystals))


def test_too_few_crystals_for_an_inner_split() -> None:
    # Of three crystals two are for training at most; of two, one: nothing would be left once it selects the epoch.
    with pytest.raises(RecipeError, match="too few"):
        splits_of(shortened(2), selection="inner")
