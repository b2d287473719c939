"""The stream of crystals from many files, and imports that stay light."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from crystal_comparison import cif_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_poscar import SALT

from paraisite.errors import StructureError
from paraisite.structures import Crystal, ReadFailure, iter_crystals, read_crystals

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


def test_fast_paths_import_neither_pymatgen_nor_ase_readers(tmp_path: Path) -> None:
    (tmp_path / "a.cif").write_text(cif_text())
    (tmp_path / "b.extxyz").write_text(FRAME)
    (tmp_path / "c.vasp").write_text(SALT)
    code = (
        "import sys; from paraisite.structures import read_crystals; "
        f"assert len(read_crystals({str(tmp_path)!r})) == 3; "
        "print([name for name in ('pymatgen', 'ase.db', 'torch', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
