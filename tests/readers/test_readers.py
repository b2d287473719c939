"""The stream of crystals from many files, and imports that stay light."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_poscar import SALT

from crystal_comparison import cif_text
from paraisite.errors import StructureError
from paraisite.readers import iter_crystals, read_crystals
from paraisite.sources.pieces import ContentsPiece
from paraisite.structures import Crystal, ReadFailure

FRAME = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nNa 0 0 0\n'


def test_bad_files_in_between(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(cif_text())
    (tmp_path / "c.cif").write_text("broken")
    (tmp_path / "d.vasp").write_text(SALT)
    names = ["a.cif", "b.cif", "c.cif", "d.vasp"]
    items = list(iter_crystals([tmp_path / name for name in names]))
    assert [item.material_id for item in items] == ["a", "b", "c", "d"]
    assert [getattr(item, "code", "ok") for item in items] == ["ok", "unreadable", "unreadable", "ok"]
    assert all(item.source == str(tmp_path / name) for item, name in zip(items, names, strict=True))


def test_a_directory_is_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.cif").write_text(cif_text())
    (tmp_path / "a.xyz").write_text(FRAME * 2)
    (tmp_path / "c").write_text(SALT)
    (tmp_path / "README.md").write_text("# Notes\n")
    (tmp_path / ".hidden.cif").write_text("broken")
    (tmp_path / "sub").mkdir()
    items = list(iter_crystals([tmp_path]))
    assert [item.material_id for item in items] == ["a#1", "a#2", "b", "c"]
    assert len(read_crystals(tmp_path)) == 4


def test_an_empty_directory_and_a_missing_path(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.cif"):
        (failure,) = iter_crystals(str(path))
        assert isinstance(failure, ReadFailure)
        assert failure.code == "unreadable"
        assert str(path) in failure.message


def test_unknown_formats(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing of use\n")
    (failure,) = iter_crystals([path])
    assert isinstance(failure, ReadFailure)
    assert failure.code == "unsupported_format"
    with pytest.raises(StructureError, match="cssr"):
        iter_crystals([path], format="cssr")


def test_a_given_format_wins_over_the_name(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(SALT)
    assert len(read_crystals(path, format="poscar")) == 1
    (failure,) = iter_crystals(path, format="cif")
    assert isinstance(failure, ReadFailure)


@pytest.mark.parametrize("content", [cif_text(), SALT, FRAME])
def test_content_tells_the_format(tmp_path: Path, content: str) -> None:
    for data in (content.encode(), gzip.compress(content.encode())):
        path = tmp_path / "mp-1.2.structure"
        path.write_bytes(data)
        (crystal,) = read_crystals(path)
        assert crystal.material_id == "mp-1.2.structure"


def test_the_first_failure_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "x.extxyz"
    path.write_text(FRAME + FRAME.replace("Na", "Rn"))
    with pytest.raises(StructureError, match="Rn") as caught:
        read_crystals(path)
    assert caught.value.code == "unsupported_element"


@pytest.mark.parametrize("name", ["x.cif.gz", "x.json.gz", "x.xyz.gz", "x.vasp.gz", "x.db", "x.structure"])
def test_broken_compression(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"x" * 1000)[:-12])
    (failure,) = iter_crystals(tmp_path / name)
    assert isinstance(failure, ReadFailure)
    assert "Traceback" not in failure.message


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200),
    name=st.sampled_from(["x.cif", "x.vasp", "x.xyz", "x.json", "x.jsonl", "x.db", "x"]),
)
def test_any_bytes_give_one_line_failures(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    for item in iter_crystals(tmp_path / name):
        assert isinstance(item, Crystal | ReadFailure)
        assert isinstance(item, Crystal) or "\n" not in item.message


def test_what_tables_and_terminals_cannot_take_is_replaced(tmp_path: Path) -> None:
    entry = json.dumps({"material_id": "a\ud800\x1b[31m\nb", "lattice_vectors": (4 * np.eye(3)).tolist()})
    good = entry[:-1] + ', "cartesian_site_positions": [[0, 0, 0]], "species_at_sites": ["Na"]}'
    (tmp_path / "x.jsonl").write_text(good + "\n" + good.replace("Na", "\\ud800\\u0000\\u2028x") + "\n")
    crystal, failure = iter_crystals(tmp_path / "x.jsonl")
    assert isinstance(crystal, Crystal)
    assert isinstance(failure, ReadFailure)
    assert crystal.material_id == failure.material_id == "a\ufffd\ufffd[31m b"
    assert "'\ufffd\ufffd x' is not a chemical element" in failure.message


@pytest.mark.parametrize("content", [b"", b" \n", b"\x1f", "\u2028\x85".encode(), b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["x.cif", "x.vasp", "x.xyz", "x.json", "x.jsonl"])
def test_every_blank_file_is_one_failure(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for items in (iter_crystals(tmp_path / name), ContentsPiece(((name, content),)).items()):
        (failure,) = items
        assert isinstance(failure, ReadFailure)


def test_numbers_that_overflow_warn_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.vasp").write_text(SALT.replace("0.5", "1e308"))
    (tmp_path / "b.xyz").write_text(FRAME.replace("4 0 0 0 4", "1e308 0 0 0 -1e308"))
    (tmp_path / "c.vasp").write_text(re.sub(r"(?m)\A(.*\n).*", r"\1-1e308", SALT))
    (tmp_path / "d.xyz").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        items = list(iter_crystals([tmp_path / name for name in ("b.xyz", "c.vasp", "d.xyz", "a.vasp")]))
    assert [getattr(item, "code", "ok") for item in items] == [
        "invalid_cell", "invalid_cell", "empty_file", "invalid_cell",
    ]  # fmt: skip
    assert "coordinates of site 2 are far outside the cell" in str(getattr(items[-1], "message", ""))


def test_fast_paths_import_neither_pymatgen_nor_ase_readers(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(cif_text())
    (tmp_path / "b.extxyz").write_text(FRAME)
    (tmp_path / "c.vasp").write_text(SALT)
    code = (
        "import sys; from paraisite.readers import read_crystals; "
        f"assert len(read_crystals({str(tmp_path)!r})) == 3; "
        "print([name for name in ('pymatgen', 'ase.db', 'torch', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
