"""The hash of a quotient graph: equal for every way to write a crystal down, different for different crystals."""

from __future__ import annotations

import numpy as np
import pytest

from paraisite.datasets.tables import load_hh143, load_togo15
from paraisite.graphs.build import build_store
from paraisite.graphs.canonical import graph_hashes
from paraisite.structures.crystal import Crystal


def hash_of(crystal: Crystal) -> str:
    return graph_hashes(build_store([crystal]))[0]


def written_otherwise(crystal: Crystal, seed: int) -> Crystal:
    """The same crystal as a supercell of a sheared cell, moved, its atoms in another order."""
    generator = np.random.default_rng(seed)
    shear = np.eye(3) + np.triu(generator.integers(-1, 2, (3, 3)), 1)
    repeats = generator.integers(1, 3, 3)
    shifts = np.array(list(np.ndindex(*repeats)))
    fractional = (crystal.fractional @ np.linalg.inv(shear))[:, None, :] + shifts[None]
    numbers = np.repeat(crystal.numbers, len(shifts))
    cell = (shear @ crystal.cell) * repeats[:, None]
    places = fractional.reshape(-1, 3) / repeats + generator.random(3)
    order = generator.permutation(len(numbers))
    return Crystal(numbers[order], cell, places[order] % 1.0)


@pytest.mark.parametrize("seed", range(12))
def test_the_description_does_not_matter(seed: int) -> None:
    crystal = load_togo15()[8 * seed]
    assert hash_of(written_otherwise(crystal, seed)) == hash_of(crystal)


def test_different_crystals_differ() -> None:
    crystals = [*load_togo15(), *load_hh143()]
    hashes = graph_hashes(build_store(crystals))
    by_hash: dict[str, set[str]] = {}
    for crystal, value in zip(crystals, hashes, strict=True):
        by_hash.setdefault(value, set()).add(crystal.formula)
    assert all(len(formulas) == 1 for formulas in by_hash.values())
    # Zinc blende and ideal wurtzite differ beyond the nearest neighbours; no two crystals of these sets are the same.
    assert len(by_hash) == len(crystals)


def test_the_batch_does_not_matter() -> None:
    crystals = load_togo15()[:20]
    assert graph_hashes(build_store(crystals)) == [hash_of(crystal) for crystal in crystals]


@pytest.mark.parametrize("change", ["strain", "element"])
def test_a_change_is_seen(change: str) -> None:
    crystal = load_togo15()[0]
    other = (
        Crystal(crystal.numbers, crystal.cell * 1.02, crystal.fractional)
        if change == "strain"
        else Crystal(np.array([19, *crystal.numbers[1:]]), crystal.cell, crystal.fractional)
    )
    assert hash_of(other) != hash_of(crystal)
