"""Splits: the published ones to the index, and what the inner split keeps apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraisite.datasets.catalogue import DataSet, load_data_set
from paraisite.datasets.splits import Splits, inner_splits, published_splits, published_train_indices
from paraisite.errors import RecipeError
from paraisite.training.recipe import Recipe, StageRecipe
from paraisite.training.run import make_splits

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
