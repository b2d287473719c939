"""Data sets by name and path."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from paraisite.datasets.catalogue import find_data_file, load_data_set, prototypes_of, select
from paraisite.datasets.tables import load_togo15
from paraisite.errors import DataError
from paraisite.structures import to_ase


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    frames = []
    for crystal, kappa in zip(load_togo15()[:5], (1.5, 0.0, float("nan"), "high", 12.0), strict=True):
        frames.append(to_ase(crystal))
        frames[-1].info = {"material_id": crystal.material_id, "kappa": kappa}
    del frames[3].info["kappa"]
    write(tmp_path / "mine.extxyz", frames)
    return tmp_path / "mine.extxyz"


def test_embedded_sets_have_their_published_sizes() -> None:
    assert {name: load_data_set(name).part_sizes for name in ("togo15", "hh143", "mix", "literature")} == {
        "togo15": (95,),
        "hh143": (143,),
        "mix": (95, 143),
        "literature": (107,),
    }


def test_structure_types_of_the_shipped_sets(labelled: Path) -> None:
    togo15 = prototypes_of(load_data_set("togo15"))
    assert Counter(togo15) == {"rocksalt": 36, "zincblende": 30, "wurtzite": 29}
    names = [crystal.material_id for crystal in load_data_set("togo15").crystals]
    parents = {"mp-22913": "zincblende", "mp-22914": "zincblende", "mp-1007661": "wurtzite", "mp-1018059": "wurtzite"}
    assert {name: togo15[names.index(name)] for name in parents} == parents
    assert prototypes_of(load_data_set("mix")) == togo15 + ["half_heusler"] * 143
    with pytest.raises(DataError, match="names no structure type"):
        prototypes_of(load_data_set(str(labelled)))


def test_crystals_without_a_usable_kappa_are_left_out_with_the_reason(labelled: Path) -> None:
    data = load_data_set(str(labelled))
    np.testing.assert_allclose(data.kappa, [1.5, 12.0])
    assert [failure.code for failure in data.failures] == ["invalid_kappa", "invalid_kappa", "no_kappa"]
    assert all(str(labelled) in failure.message for failure in data.failures)


def test_a_file_without_kappa_is_refused(labelled: Path) -> None:
    with pytest.raises(DataError, match="no crystal with a usable κ"):
        load_data_set(str(labelled), kappa_column="other")


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "no row"), ("name,kappa\nx,1\n", "structure files"), ("file,value\nx.cif,1\n", "one of κ")],
)
def test_a_table_without_its_columns_is_refused(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        load_data_set(str(tmp_path / "table.csv"))


def test_data_that_is_not_shipped_names_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARAISITE_DATA", raising=False)
    monkeypatch.setenv("PARAISITE_CACHE", str(tmp_path / "cache"))
    words = r"not shipped .*`paraisite data fetch aflow_agl`.*--data DIR or PARAISITE_DATA"
    with pytest.raises(DataError, match=words):
        load_data_set("aflow_agl")
    with pytest.raises(DataError, match=f"is not in the data folder {tmp_path}.*fetch aflow_agl --data {tmp_path}`"):
        load_data_set("aflow_agl", tmp_path)
    monkeypatch.setenv("PARAISITE_CACHE", "")
    with pytest.raises(DataError, match=words):
        load_data_set("aflow_agl")


def test_a_named_folder_comes_before_the_variable_and_that_before_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARAISITE_DATA", raising=False)
    monkeypatch.setenv("PARAISITE_CACHE", str(tmp_path / "cache"))
    for folder in ("cache/data", "variable/data", "named/pretrained"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "weights").touch()
    assert find_data_file("weights") == tmp_path / "cache" / "data" / "weights"
    monkeypatch.setenv("PARAISITE_DATA", str(tmp_path / "variable"))
    assert find_data_file("weights") == tmp_path / "variable" / "data" / "weights"
    assert find_data_file("weights", tmp_path / "named") == tmp_path / "named" / "pretrained" / "weights"


def test_aflow_is_found_in_the_data_folder(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAISITE_DATA", str(shared))
    data = load_data_set("aflow_agl")
    assert len(data.crystals) == 4400
    assert (data.kappa > 0).all()
    assert not data.failures


def test_select_keeps_the_parts_apart() -> None:
    mix = load_data_set("mix")
    chosen = select(mix, [0, 94, 95, 237], [])
    assert chosen.part_sizes == (2, 2)
    np.testing.assert_array_equal(chosen.kappa, mix.kappa[[0, 94, 95, 237]])


@pytest.mark.parametrize("cell", ["", " ", ".", "folder", "..", "missing.cif", "mine.extxyz", "\0", "x" * 5000])
def test_a_row_that_names_no_single_crystal_is_a_failure(cell: str, labelled: Path) -> None:
    folder = labelled.parent
    write(folder / "one.extxyz", to_ase(load_togo15()[0]))
    (folder / "folder").mkdir()
    write(folder / "folder" / "two.extxyz", to_ase(load_togo15()[1]))
    table = folder / "table.csv"
    table.write_text(f"file,kappa\none.extxyz,5\n{cell},999\n", encoding="utf-8")
    data = load_data_set(str(table))
    assert data.kappa.tolist() == [5.0]
    (failure,) = data.failures
    assert failure.code == "unreadable"
    assert f"{table}: row 2 names no file of one structure" in failure.message
