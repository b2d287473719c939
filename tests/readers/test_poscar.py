"""POSCAR: equal to pymatgen, and VASP 4 files without symbols refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystal_comparison import deviation
from paraisite.readers import iter_crystals
from paraisite.structures import Crystal, ReadFailure, from_ase, from_pymatgen

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
        SALT.replace("Na Cl", "Na Cl ! symbols").replace("1 1\n", "1 1 # counts\n"),
        SALT.replace("0 0 0", "0 0 0 Na+").replace("0.5 0.5 0.5", "0.5 0.5 0.5 Cl-"),
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
        ("unreadable", SALT.replace("Na Cl\n", "Na\n"), "1 element symbols and 2 counts"),
        ("unreadable", SALT.replace("1 1\n", "1\n"), "2 element symbols and 1 counts"),
        ("unreadable", SALT.replace("1 1\n", "1 1\n1\n"), "2 element symbols and 3 counts"),
        ("unreadable", SALT.replace("1 1\n", "1 1.0\n"), "counts"),
        ("unreadable", SALT + "0.2 0.2 0.2\n", "a row more"),
        ("unreadable", SALT.replace("1.0\n", "1.0 -1.0 1.0\n", 1), "scales"),
        ("unreadable", SALT.replace("1.0\n", "1.0 1.0\n", 1), "scale"),
        ("unreadable", SALT.replace("Direct", "Direct configuration=     1"), "trajectory"),
        ("unsupported_element", SALT.replace("Na Cl", "H.5 Cl"), "H.5"),
        ("contradicts_file", SALT.replace("0 0 0", "0 0 0 K"), "group 1 as Na, but its rows are of K"),
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


SELECTIVE = SALT.replace("Na Cl\n", "").replace("Direct", "Selective dynamics\nDirect")


@pytest.mark.parametrize("flags", ["T T T", "F F F", "T F T", ".TRUE. .FALSE. .TRUE.", "T", "T T"])
@pytest.mark.parametrize("text", [SELECTIVE, SELECTIVE.replace("Selective dynamics\n", "")])
@pytest.mark.parametrize("comment", ["salt", "Na Cl"])
def test_flags_and_comments_are_no_elements(tmp_path: Path, flags: str, text: str, comment: str) -> None:
    text = text.replace("salt", comment).replace("0 0 0\n", f"0 0 0 {flags}\n").replace(".5\n", f".5 {flags}\n")
    failure = read(tmp_path, text)
    assert isinstance(failure, ReadFailure)
    assert "names no elements" in failure.message


def test_three_scales_as_ase_reads_them(tmp_path: Path) -> None:
    from ase.io.vasp import read_vasp

    crystal = read(tmp_path, SALT.replace("1.0\n", "1.1 1.0 0.9\n", 1))
    assert isinstance(crystal, Crystal)
    assert deviation(crystal, from_ase(read_vasp(tmp_path / "POSCAR"))) < 1e-9


def test_symbols_after_flags(tmp_path: Path) -> None:
    crystal = read(tmp_path, SELECTIVE.replace("0 0 0", "0 0 0 T T T Na").replace(".5\n", ".5 F F F F\n"))
    assert isinstance(crystal, Crystal)
    assert crystal.formula == "NaF"


@pytest.mark.parametrize("n_groups", [19, 20, 21, 40, 47])
def test_lines_that_vasp_wraps(tmp_path: Path, n_groups: int) -> None:
    wrapped = [
        "\n".join("   ".join(words[start : start + 20]) for start in range(0, n_groups, 20))
        for words in ([["Na", "Cl"][number % 2] for number in range(n_groups)], ["1"] * n_groups)
    ]
    rows = "\n".join(f"0.5 0.5 {number / n_groups}" for number in range(n_groups))
    crystal = read(tmp_path, "\n".join(["salt", "9", "1 0 0", "0 1 0", "0 0 9", *wrapped, "Direct", rows]) + "\n")
    assert isinstance(crystal, Crystal), crystal
    assert (crystal.numbers[::2] == 11).all()
    assert (crystal.numbers[1::2] == 17).all()


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        ("Na4 Cl4", ""),
        ("Cl1 Na1", ""),
        ("Na4 Cl3", "contradicts_file"),
        ("K4 Cl4", "contradicts_file"),
        ("NaCl3 by hand", ""),
        ("P21", ""),
        ("C15 B2", "contradicts_file"),
        ("Q4 Cl3", ""),
    ],
)
def test_a_comment_that_is_a_formula_is_compared(tmp_path: Path, comment: str, code: str) -> None:
    (tmp_path / "POSCAR").write_text(SALT.replace(SALT.splitlines()[0], comment, 1))
    (item,) = iter_crystals(tmp_path / "POSCAR")
    assert getattr(item, "code", "") == code, item
