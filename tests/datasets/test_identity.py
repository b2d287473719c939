"""Crystals are known by content: by species, cell, positions and κ, not by order, names or the last digits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import write_data

from paraisite.datasets.catalogue import DataSet, data_set_names, load_data_set, parts_of, select
from paraisite.datasets.identity import crystal_keys, data_names, join_keys, split_keys


@pytest.fixture(scope="module")
def togo15() -> DataSet:
    return load_data_set("togo15")


def test_every_crystal_of_the_shipped_data_has_a_key_of_its_own() -> None:
    sizes = {name: len(crystal_keys(load_data_set(name))) for name in ("togo15", "hh143", "mix", "literature")}
    assert sizes == {"togo15": 95, "hh143": 143, "mix": 238, "literature": 107}


def test_writing_and_reading_changes_no_key(togo15: DataSet, tmp_path: Path) -> None:
    copy = load_data_set(write_data(tmp_path / "copy.extxyz", 95))
    assert crystal_keys(copy) == crystal_keys(togo15)
    assert crystal_keys(select(togo15, range(94, -1, -1), [])) == crystal_keys(togo15)


def test_positions_on_the_other_side_of_a_cell_are_the_same(togo15: DataSet) -> None:
    noise = np.random.default_rng(1)
    moved = [
        replace(
            crystal,
            material_id="another",
            cell=crystal.cell + noise.uniform(-1e-6, 1e-6, (3, 3)),
            fractional=crystal.fractional - 1 + noise.uniform(-1e-7, 1e-7, crystal.fractional.shape),
        )
        for crystal in togo15.crystals
    ]
    assert crystal_keys(replace(togo15, crystals=tuple(moved))) == crystal_keys(togo15)


def test_other_values_are_other_crystals(togo15: DataSet) -> None:
    keys = crystal_keys(togo15)
    strained = tuple(replace(crystal, cell=1.01 * crystal.cell) for crystal in togo15.crystals)
    assert not crystal_keys(replace(togo15, kappa=1.01 * togo15.kappa)) & keys
    assert not crystal_keys(replace(togo15, crystals=strained)) & keys


def test_keys_are_written_and_read(togo15: DataSet) -> None:
    keys = crystal_keys(togo15)
    assert split_keys(join_keys(keys)) == keys
    assert split_keys("") == frozenset()


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts_of("mix") == data_names("mix") == {"togo15", "hh143"}
    assert parts_of("togo15") == {"togo15"}
    assert all(data_names(name) == parts_of(name) for name in data_set_names())
    monkeypatch.chdir(tmp_path)
    assert (
        data_names("mine.extxyz") == data_names(str(tmp_path / "." / "mine.extxyz")) == {str(tmp_path / "mine.extxyz")}
    )
