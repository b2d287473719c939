"""Splits of a data set, one row a member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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


def inner_splits(outer: Splits, runs: Sequence[int], inner_fraction: float) -> Splits:
    """Hold a part of each member's training part out for the selection of the epoch.

    The validation part keeps out of the loss, of the selection and of the scale.

    Args:
        outer: Splits whose training parts are divided.
        runs: Run number of each member, which seeds its inner split.
        inner_fraction: Share of the training part that selects the epoch.
    """
    train = outer.train.copy()
    selection = np.zeros_like(train)
    for member, run in enumerate(runs):
        candidates = np.flatnonzero(outer.train[member])
        chosen = np.random.default_rng([run, 1]).permutation(candidates)[
            : max(1, round(inner_fraction * len(candidates)))
        ]
        train[member, chosen] = False
        selection[member, chosen] = True
    return Splits(train=train, selection=selection, validation=outer.validation, scale=outer.train)
