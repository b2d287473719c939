"""The graph cache: the same graphs, another key for another content, no harm from damage."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from paraisite.datasets.tables import load_hh143
from paraisite.graphs import cache
from paraisite.graphs.build import BuiltGraphs, build_graphs
from paraisite.graphs.settings import GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal


@pytest.fixture
def crystals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Crystal]:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    far_apart = Crystal(np.array([10]), np.eye(3) * 9.0, np.zeros((1, 3)), "Ne")
    return [far_apart, *load_hh143() * 4]


def assert_equal(first: BuiltGraphs, second: BuiltGraphs) -> None:
    for item in fields(GraphStore):
        np.testing.assert_array_equal(getattr(first.store, item.name), getattr(second.store, item.name))
    np.testing.assert_array_equal(first.kept, second.kept)
    assert [(i, e.code, str(e)) for i, e in first.failures] == [(i, e.code, str(e)) for i, e in second.failures]
    assert first.n_pairs == second.n_pairs


def test_the_second_time_comes_from_the_file(
    crystals: list[Crystal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cache.cached_graphs(crystals)
    assert len(list((tmp_path / "cache" / "graphs").iterdir())) == 1
    monkeypatch.setattr(cache, "build_graphs", lambda *_: pytest.fail("built again"))
    assert_equal(cache.cached_graphs(crystals), first)


def test_content_and_settings_decide_the_key(crystals: list[Crystal]) -> None:
    key = cache.content_key(crystals, GraphSettings())
    moved = replace(crystals[1], fractional=crystals[1].fractional + 1e-9)
    assert cache.content_key([crystals[0], moved, *crystals[2:]], GraphSettings()) != key
    assert cache.content_key(crystals[::-1], GraphSettings()) != key
    assert cache.content_key(crystals, GraphSettings(cutoff_angstrom=4.1)) != key
    renamed = replace(crystals[1], material_id="another name")
    assert cache.content_key([crystals[0], renamed, *crystals[2:]], GraphSettings()) == key


def test_a_damaged_file_is_built_again(crystals: list[Crystal], tmp_path: Path) -> None:
    first = cache.cached_graphs(crystals)
    file = next((tmp_path / "cache" / "graphs").iterdir())
    whole = file.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"x" * 100):
        file.write_bytes(damaged)
        assert_equal(cache.cached_graphs(crystals), first)
        assert file.read_bytes() == whole or len(file.read_bytes()) == len(whole)


def test_it_can_be_turned_off(crystals: list[Crystal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.CACHE_VARIABLE, "")
    assert_equal(cache.cached_graphs(crystals), build_graphs(crystals))
    assert not (tmp_path / "cache").exists()
