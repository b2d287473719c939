"""JSON in its many arrangements, and ASE databases."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crystal_comparison import deviation
from paraisite.readers import iter_crystals, read_crystals
from paraisite.structures import Crystal, ReadFailure, from_ase, to_pymatgen


@pytest.fixture
def salt() -> Crystal:
    from ase.build import bulk

    return from_ase(bulk("NaCl", "rocksalt", a=5.6))


@pytest.fixture
def structure(salt: Crystal) -> dict[str, Any]:
    return json.loads(json.dumps(to_pymatgen(salt).as_dict()))


def read(path: Path, data: object) -> list[Crystal | ReadFailure]:
    text = data if isinstance(data, str) else json.dumps(data)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return list(iter_crystals(path))


def test_one_structure(tmp_path: Path, salt: Crystal, structure: dict[str, Any]) -> None:
    for name in ("x.json", "x.json.gz"):
        (crystal,) = read(tmp_path / name, structure)
        assert isinstance(crystal, Crystal)
        assert deviation(crystal, salt) < 1e-9
        assert crystal.material_id == "x"


@pytest.mark.parametrize(
    "arrangement", ["list", "map", "entries", "map of entries", "split table", "column table", "lines"]
)
def test_arrangements(tmp_path: Path, structure: dict[str, Any], arrangement: str) -> None:
    entries = [{"material_id": name, "kappa": 2.5, "tags": [1], "structure": structure} for name in ("a", "b")]
    data: Any = {
        "list": [structure, structure],
        "map": {"a": structure, "b": structure},
        "entries": entries,
        "map of entries": {"1": entries[0], "2": entries[1]},
        "split table": {"index": ["a", "b"], "columns": ["structure", "kappa"], "data": [[structure, 2.5]] * 2},
        "column table": {"structure": {"a": structure, "b": structure}, "kappa": {"a": 2.5, "b": 2.5}},
        "lines": "\n".join(json.dumps(entry) for entry in entries),
    }[arrangement]
    for name in ("x.json", "x.jsonl") if arrangement == "lines" else ("x.json",):
        items = read(tmp_path / name, data)
        assert [item.material_id for item in items] == (["x#1", "x#2"] if arrangement == "list" else ["a", "b"])
        for item in items:
            assert isinstance(item, Crystal)
            assert dict(item.properties) == ({} if arrangement in ("list", "map") else {"kappa": 2.5})


def test_oxidation_states_and_xyz_only(tmp_path: Path, salt: Crystal, structure: dict[str, Any]) -> None:
    for site in structure["sites"]:
        site["species"][0]["oxidation_state"] = 1
        del site["abc"]
    (crystal,) = read(tmp_path / "x.json", structure)
    assert isinstance(crystal, Crystal)
    assert deviation(crystal, salt) < 1e-9


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("partial_occupancy", lambda s: s["sites"][0]["species"][0].update(occu=0.5)),
        (
            "partial_occupancy",
            lambda s: s["sites"][0].update(species=[{"element": "Na", "occu": 0.5}, {"element": "K", "occu": 0.5}]),
        ),
        ("unsupported_element", lambda s: s["sites"][0]["species"][0].update(element="X")),
        ("no_cell", lambda s: s.pop("lattice")),
        ("no_cell", lambda s: s["lattice"].update(pbc=[True, True, False])),
        ("invalid_cell", lambda s: s["lattice"].update(matrix=[[1, 0, 0], [2, 0, 0], [0, 0, 1]])),
        ("invalid_cell", lambda s: s["sites"][0].update(abc=[float("nan"), 0, 0])),
        ("no_atoms", lambda s: s["sites"].clear()),
        ("unreadable", lambda s: s["sites"][0].pop("species")),
        ("unreadable", lambda s: s["sites"].append([1])),
        ("unreadable", lambda s: s["sites"][0].update(abc=[10**400, 0, 0])),
        ("unreadable", lambda s: s["lattice"].update(matrix=[1, 2])),
    ],
)
def test_a_bad_entry_loses_no_other(tmp_path: Path, structure: dict[str, Any], code: str, change: Any) -> None:
    broken = json.loads(json.dumps(structure))
    change(broken)
    first, bad, last = read(tmp_path / "x.json", {"a": structure, "b": broken, "c": structure})
    assert isinstance(first, Crystal)
    assert isinstance(last, Crystal)
    assert isinstance(bad, ReadFailure), bad
    assert (bad.code, bad.material_id) == (code, "b")
    assert bad.message.startswith(f"{tmp_path / 'x.json'}#2")


def test_a_bad_line_loses_no_other(tmp_path: Path, structure: dict[str, Any]) -> None:
    line = json.dumps(structure)
    first, bad, last = read(tmp_path / "x.jsonl", f"{line}\n{line[:50]}\n\n{line}\n")
    assert isinstance(first, Crystal)
    assert isinstance(bad, ReadFailure)
    assert isinstance(last, Crystal)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("unreadable", "{"),
        ("too_large", "[" * 100_000),
        ("unreadable", "[" + "1" * 10_000 + "]"),
        ("unsupported_format", '{"a": 1}'),
        ("unsupported_format", "[1]"),
        ("unsupported_format", "3"),
        ("empty_file", " "),
    ],
)
def test_json_without_structures(tmp_path: Path, code: str, text: str) -> None:
    (failure,) = read(tmp_path / "x.json", text)
    assert isinstance(failure, ReadFailure)
    assert failure.code == code


@pytest.mark.parametrize("name", ["x.db", "x.json"])
def test_ase_databases(tmp_path: Path, name: str) -> None:
    from ase import Atoms
    from ase.build import bulk
    from ase.db import connect

    database = connect(tmp_path / name)
    database.write(bulk("NaCl", "rocksalt", a=5.6), kappa=7.5, note="b1", data={"big": [1, 2]})
    database.write(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7]]), material_id="molecule")
    database.write(bulk("Si"), material_id="mp-149")
    first, second, third = iter_crystals(tmp_path / name)
    assert isinstance(first, Crystal)
    assert first.material_id == "x#1"
    assert dict(first.properties) == {"kappa": 7.5, "note": "b1"}
    assert deviation(first, from_ase(bulk("NaCl", "rocksalt", a=5.6))) < 1e-9
    assert isinstance(second, ReadFailure)
    assert (second.code, second.material_id) == ("no_cell", "molecule")
    assert third.material_id == "mp-149"


def test_a_broken_row_of_an_ase_json_database(tmp_path: Path) -> None:
    from ase.build import bulk
    from ase.db import connect

    database = connect(tmp_path / "x.json")
    for _ in range(2):
        database.write(bulk("Si"))
    data = json.loads((tmp_path / "x.json").read_text())
    del data["1"]["numbers"]
    first, second = read(tmp_path / "x.json", data)
    assert isinstance(first, ReadFailure)
    assert isinstance(second, Crystal)


def test_ase_json_of_single_atoms(tmp_path: Path) -> None:
    from ase.build import bulk

    bulk("Si").write(tmp_path / "si.json")
    (crystal,) = read_crystals(tmp_path / "si.json")
    assert crystal.material_id == "si"


def test_foreign_databases_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (a)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    (failure,) = iter_crystals(path)
    assert isinstance(failure, ReadFailure)
    assert failure.code == "unsupported_format"
    assert path.read_bytes() == before
    path.write_bytes(b"not sqlite")
    (failure,) = iter_crystals(path)
    assert failure.code == "unsupported_format"  # type: ignore[union-attr]
    path.write_bytes(before[:20])
    (failure,) = iter_crystals(path)
    assert isinstance(failure, ReadFailure)


def test_sites_and_species_that_do_not_pair(tmp_path: Path) -> None:
    record = {
        "lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        "cartesian_site_positions": [[0, 0, 0], [2, 2, 2], [1, 1, 1]],
        "species_at_sites": ["Cs", "Cl"],
    }
    (failure,) = read(tmp_path / "x.json", record)
    assert isinstance(failure, ReadFailure)
    assert "2 atoms but has 3 positions" in failure.message


def test_the_answer_of_an_optimade_provider(tmp_path: Path) -> None:
    attributes = {
        "lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        "cartesian_site_positions": [[0, 0, 0], [2, 2, 2]],
        "species_at_sites": ["Cs", "Cl"],
    }
    records = [{"id": name, "type": "structures", "attributes": attributes} for name in ("a", "b")]
    items = read(tmp_path / "x.json", {"data": [*records, None], "meta": {"more_data_available": False}})
    assert [item.material_id for item in items] == ["a", "b", "x#3"]
    assert [isinstance(item, Crystal) for item in items] == [True, True, False]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda one: one["lattice"].update(a=one["lattice"]["a"] * 1.03), "a = "),
        (lambda one: one["lattice"].update(gamma=one["lattice"]["gamma"] + 3), "γ = "),
        (lambda one: one["lattice"].update(volume=one["lattice"]["volume"] * 1.03), "cell volume"),
        (lambda one: one["lattice"]["matrix"][0].__setitem__(0, one["lattice"]["matrix"][0][0] + 0.5), "states"),
        (lambda one: one["sites"][0]["xyz"].__setitem__(0, one["sites"][0]["xyz"][0] + 0.3), "Cartesian"),
        (lambda one: one["sites"][1]["abc"].__setitem__(2, one["sites"][1]["abc"][2] + 0.3), "Cartesian"),
    ],
)
def test_what_pymatgen_writes_twice_must_agree(
    tmp_path: Path, structure: dict[str, Any], change: Any, word: str
) -> None:
    changed = json.loads(json.dumps(structure))
    change(changed)
    (tmp_path / "x.json").write_text(json.dumps([structure, changed]))
    intact, failure = iter_crystals(tmp_path / "x.json")
    assert isinstance(intact, Crystal)
    assert isinstance(failure, ReadFailure)
    assert (failure.code, word in failure.message) == ("contradicts_file", True), failure
