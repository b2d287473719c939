"""Splits of a data set, one row per member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from paraisite.errors import DataError


@dataclass(frozen=True, slots=True)
class Splits:
    """Which crystals each member trains on, selects its epoch by, and is validated on.

    Attributes:
        train: Crystals in the loss, [n_members, n_crystals] bool.
        selection: Crystals by which the epoch is selected, [n_members, n_crystals] bool.
        validation: Crystals of the outer validation part, [n_members, n_crystals] bool.
        scale: Crystals that the target scale is taken from, [n_members, n_crystals] bool.
    """

    train: np.ndarray
    selection: np.ndarray
    validation: np.ndarray
    scale: np.ndarray


def published_train_indices(n_crystals: int, run: int, train_fraction: float = 0.8) -> np.ndarray:
    """Crystals that run `run` of the published study trains on, in its order, [floor(fraction n)] int64.

    The first part of `numpy.random.RandomState(run).permutation(n_crystals)`, as in the code of doi 10.1039/d5cp04401d.
    """
    # The legacy generator is the published one.
    order = np.random.RandomState(run).permutation(n_crystals)
    return order[: int(train_fraction * n_crystals)]


def published_splits(part_sizes: Sequence[int], runs: Sequence[int], train_fraction: float = 0.8) -> Splits:
    """Split as the paper does: the validation part also selects the epoch, and the scale is that of the whole data set.

    Args:
        part_sizes: Number of crystals of each part of the data set; every part is split by itself (MIX has two).
        runs: Run number of each member.
        train_fraction: Share of each part for training.
    """
    n_crystals = sum(part_sizes)
    train = np.zeros((len(runs), n_crystals), dtype=bool)
    for member, run in enumerate(runs):
        start = 0
        for size in part_sizes:
            train[member, start + published_train_indices(size, run, train_fraction)] = True
            start += size
    return Splits(train=train, selection=~train, validation=~train, scale=np.ones_like(train))


def composition_splits(
    compositions: Sequence[str], part_sizes: Sequence[int], runs: Sequence[int], train_fraction: float = 0.8
) -> Splits:
    """Split so that no composition is on both sides: whole compositions are drawn until the training part is full.

    Args:
        compositions: Reduced formula of each crystal, [n_crystals].
        part_sizes: Number of crystals of each part of the data set; every part is split by itself.
        runs: Run number of each member, which seeds its split.
        train_fraction: Share of each part for training, at most.

    Raises:
        DataError: Two parts share a composition, so that splitting each by itself cannot keep it on one side.
    """
    names, group = np.unique(np.asarray(compositions), return_inverse=True)
    part = np.repeat(np.arange(len(part_sizes)), part_sizes)
    if len(np.unique(np.stack([group, part]), axis=1).T) > len(names):
        raise DataError("Two parts of the data set share a composition; split them by composition one at a time.")
    train = np.zeros((len(runs), len(group)), dtype=bool)
    for member, run in enumerate(runs):
        for number, size in enumerate(part_sizes):
            order = np.random.default_rng([run, 2]).permutation(np.unique(group[part == number]))
            train[member] |= np.isin(group, _fill_groups(group, order, int(train_fraction * size)))
    return Splits(train=train, selection=~train, validation=~train, scale=np.ones_like(train))


def _fill_groups(group: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """The first groups of `order` that hold at most `size` crystals together, one at least."""
    held = np.cumsum(np.bincount(group, minlength=int(group.max()) + 1)[order])
    return order[: max(1, int(np.searchsorted(held, size, side="right")))]


def limit_training(outer: Splits, runs: Sequence[int], size: int) -> Splits:
    """Cut each member's training part down to `size` crystals; smaller sizes are subsets of larger ones.

    Args:
        outer: Splits whose training parts are cut.
        runs: Run number of each member, which seeds the choice.
        size: Crystals that are kept.

    Returns:
        Splits in which the other training crystals are in no part.
    """
    train = np.zeros_like(outer.train)
    for member, run in enumerate(runs):
        candidates = np.flatnonzero(outer.train[member])
        train[member, np.random.default_rng([run, 3]).permutation(candidates)[:size]] = True
    return replace(outer, train=train, scale=outer.scale & (train | outer.validation))


def inner_splits(
    outer: Splits, runs: Sequence[int], inner_fraction: float, compositions: Sequence[str] | None = None
) -> Splits:
    """Hold a part of each member's training part out for the selection of the epoch.

    The validation part keeps out of the loss, of the selection and of the scale.

    Args:
        outer: Splits whose training parts are divided.
        runs: Run number of each member, which seeds its inner split.
        inner_fraction: Share of the training part that selects the epoch.
        compositions: Reduced formula of each crystal, [n_crystals]: with it, no composition is on both sides.
    """
    train = outer.train.copy()
    selection = np.zeros_like(train)
    group = None if compositions is None else np.unique(np.asarray(compositions), return_inverse=True)[1]
    for member, run in enumerate(runs):
        candidates = np.flatnonzero(outer.train[member])
        size = max(1, round(inner_fraction * len(candidates)))
        generator = np.random.default_rng([run, 1])
        if group is None:
            chosen = generator.permutation(candidates)[:size]
        else:
            order = generator.permutation(np.unique(group[candidates]))
            chosen = candidates[np.isin(group[candidates], _fill_groups(group[candidates], order, size))]
        train[member, chosen] = False
        selection[member, chosen] = True
    return Splits(train=train, selection=selection, validation=outer.validation, scale=outer.train)
