"""POSCAR: equal to pymatgen, and VASP 4 files without symbols refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from crystal_comparison import deviation

from paraisite.structures import Crystal, ReadFailure, from_pymatgen, iter_crystals

SALT = """salt
1.0
0.0 2.8 2.8
2.8 0.0 2.8
2.8 2.8 0.0
Na Cl
1 1
Direct
0 0 0
0.5 0.5 0.5
"""


def read(tmp_path: Path, text: str, name: str = "POSCAR") -> Crystal | ReadFailure:
    (tmp_path / name).write_text(text)
    (item,) = iter_crystals(tmp_path / name)
    return item


@pytest.mark.parametrize(
    "text",
    [
        SALT,
        SALT.replace("1.0\n", "-43.9\n", 1),
        SALT.replace("1.0\n", "2.0\n", 1),
        SALT.replace("Direct", "Cartesian").replace("0.5 0.5 0.5", "2.8 2.8 2.8").replace("1.0\n", "1.1\n", 1),
        SALT.replace("Direct", "Selective dynamics\nDirect")
        .replace("0 0 0", "0 0 0 T T F")
        .replace(".5\n", ".5 F F F\n"),
        SALT.replace("Na Cl", "Na_pv Cl/1a2b3c"),
        SALT.replace("Na Cl\n", "").replace("0 0 0", "0 0 0 Na").replace("0.5 0.5 0.5", "0.5 0.5 0.5 Cl"),
        SALT.replace("\n", "\r\n"),
        SALT + "\n0 0 0\n0 0 0\n",
    ],
)
def test_variants_read_as_pymatgen_reads_them(tmp_path: Path, text: str) -> None:
    from pymatgen.io.vasp import Poscar

    crystal = read(tmp_path, text)
    assert isinstance(crystal, Crystal), crystal
    clean = text.replace("\r", "").replace("Na_pv Cl/1a2b3c", "Na Cl")
    assert deviation(crystal, from_pymatgen(Poscar.from_str(clean).structure)) < 1e-9
    assert crystal.material_id == "POSCAR"


@pytest.mark.parametrize("name", ["CONTCAR", "POSCAR_relaxed", "mp-1.vasp", "mp-1.poscar", "without_a_hint"])
def test_names_and_content(tmp_path: Path, name: str) -> None:
    assert isinstance(read(tmp_path, SALT, name), Crystal)


@pytest.mark.parametrize(
    ("code", "text", "word"),
    [
        ("unreadable", SALT.replace("Na Cl\n", ""), "VASP 4"),
        ("unreadable", SALT.replace("1 1\n", "1 2\n"), "coordinates"),
        ("unreadable", SALT.replace("1 1\n", "one one\n"), "counts"),
        ("unreadable", SALT.replace("Direct", "?"), "Cartesian"),
        ("unreadable", SALT.replace("0.5 0.5 0.5", "0.5 0.5 x"), "numbers"),
        ("unreadable", "salt\n", "scale"),
        ("no_atoms", SALT.replace("1 1\n", "0 0\n"), "atoms"),
        ("no_cell", SALT.replace("1.0\n", "0.0\n", 1), "cell"),
        ("invalid_cell", SALT.replace("2.8 2.8 0.0", "0.0 5.6 5.6"), "volume"),
        ("invalid_cell", SALT.replace("0.5 0.5 0.5", "0.5 nan 0.5"), "finite"),
        ("unsupported_element", SALT.replace("Na", "Fr"), "Fr"),
        ("empty_file", "", "empty"),
    ],
)
def test_one_sentence_for_each_reason(tmp_path: Path, code: str, text: str, word: str) -> None:
    failure = read(tmp_path, text)
    assert isinstance(failure, ReadFailure), failure
    assert (failure.code, failure.source) == (code, str(tmp_path / "POSCAR"))
    assert word in failure.message
