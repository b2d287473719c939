"""The graph cache: the same graphs, another key for another content, no harm from damage."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from paraisite.datasets.tables import load_hh143
from paraisite.errors import ParaisiteError
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


def used(path: Path, seconds_ago: float, n_bytes: int = 1000) -> Path:
    path.write_bytes(b"x" * n_bytes)
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def test_what_was_used_least_recently_goes(tmp_path: Path) -> None:
    names = [used(tmp_path / f"{age}.npz", age).name for age in (10, 40, 20, 30)]
    cache.prune(tmp_path, 4000)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    cache.prune(tmp_path, 2999)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10.npz", "20.npz"]
    cache.prune(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_only_old_halves_of_files_go(tmp_path: Path) -> None:
    used(tmp_path / ".old.npz.1.part", 2 * cache.STALE_SECONDS)
    being_written = used(tmp_path / ".new.npz.2.part", 10)
    cache.prune(tmp_path, 0)
    assert list(tmp_path.iterdir()) == [being_written]


def test_the_bound_comes_from_the_environment(
    crystals: list[Crystal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.cached_graphs(crystals)
    (first,) = (tmp_path / "cache" / "graphs").iterdir()
    monkeypatch.setenv(cache.SIZE_VARIABLE, str(1.5e-9 * first.stat().st_size))
    os.utime(first, (0, 0))
    cache.cached_graphs(crystals)
    assert first.stat().st_mtime > 0  # a use counts, not only the writing
    os.utime(first, (0, 0))
    cache.cached_graphs(crystals[1:])
    (second,) = (tmp_path / "cache" / "graphs").iterdir()
    assert second != first
    monkeypatch.setenv(cache.SIZE_VARIABLE, "1e-6")
    second.unlink()
    cache.cached_graphs(crystals)
    assert list((tmp_path / "cache" / "graphs").iterdir()) == []


@pytest.mark.parametrize("value", ["many", "-1", "nan", "inf"])
def test_a_bound_that_is_no_number(crystals: list[Crystal], value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.SIZE_VARIABLE, value)
    with pytest.raises(ParaisiteError, match=f"PARAISITE_CACHE_GIGABYTES must be a number of gigabytes.*{value}"):
        cache.cached_graphs(crystals)


def test_processes_share_a_small_cache(tmp_path: Path) -> None:
    """Four processes write and prune one folder at once; none fails, and what stays fits."""
    code = (
        "import sys; from pathlib import Path; from paraisite.atomic import atomic_path\n"
        "from paraisite.graphs.cache import prune\n"
        "for k in range(60):\n"
        "    with atomic_path(Path(sys.argv[1]) / f'{k % 20}.npz') as path: path.write_bytes(b'x' * 1000)\n"
        "    prune(Path(sys.argv[1]), 5000)\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 5000


def test_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cache.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert cache.cache_folder() == tmp_path / "paraisite"
