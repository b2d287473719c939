"""Extended XYZ: equal to ASE, frame by frame, and a broken frame costs no other."""

from __future__ import annotations

import contextlib
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_comparison import DATA_FILES
from paraisite.readers import iter_crystals
from paraisite.structures import Crystal, ReadFailure

HEADER = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 pbc="T T T"'
GOOD = f"2\n{HEADER} material_id=good kappa=3.5\nNa 0 0 0\nCl 2 2 2\n"


def read(tmp_path: Path, text: str) -> list[Crystal | ReadFailure]:
    path = tmp_path / "x.extxyz"
    path.write_text(text)
    return list(iter_crystals(path))


@pytest.mark.parametrize("name", DATA_FILES)
def test_shared_data_reads_as_ase_reads_it(shared: Path, name: str) -> None:
    from ase.io import iread

    path = shared / "data" / name
    text = gzip.decompress(path.read_bytes()).decode() if name.endswith(".gz") else path.read_text()
    ours = iter_crystals(path)
    for crystal, atoms in zip(ours, iread(io.StringIO(text), format="extxyz"), strict=True):
        assert isinstance(crystal, Crystal)
        info = dict(atoms.info)
        assert crystal.material_id == info.pop("material_id")
        # ASE takes the formulas NaN and F for a number and a flag.
        properties = dict(crystal.properties)
        assert str(properties.pop("formula", "")).lower()[:1] == str(info.pop("formula", "")).lower()[:1]
        assert properties == info
        assert np.array_equal(crystal.numbers, atoms.numbers)
        assert np.array_equal(crystal.cell, atoms.cell[:])
        np.testing.assert_allclose(crystal.positions, atoms.positions, atol=1e-9)


def test_ids_and_columns_keep_their_text_and_types(tmp_path: Path) -> None:
    header = f'{HEADER} id=0012 kappa=3.5 n=3 flag=F note="a b" vector="1 2 3"'
    (crystal,) = read(tmp_path, f"1\n{header}\nNa 0 0 0\n")
    assert isinstance(crystal, Crystal)
    assert crystal.material_id == "0012"
    assert dict(crystal.properties) == {"kappa": 3.5, "n": 3, "flag": False, "note": "a b"}


@pytest.mark.parametrize("extra", ["flag", "name={x y}", 'data="_JSON [[1]]"', "note='it is'", 'q="a \\" b"'])
def test_unusual_headers_are_split_as_ase_does(tmp_path: Path, extra: str) -> None:
    (crystal,) = read(tmp_path, f"1\n{HEADER} kappa=2 {extra}\nNa 0 0 0\n")
    assert isinstance(crystal, Crystal), crystal
    assert crystal.properties["kappa"] == 2


def test_frames_that_ase_writes_with_other_columns(tmp_path: Path) -> None:
    from ase.build import bulk
    from ase.io import write

    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.new_array("tags2", np.arange(2))
    atoms.new_array("forces2", np.ones((2, 3)))
    atoms.info["energy"] = -1.5
    write(tmp_path / "x.extxyz", [atoms, atoms], columns=["tags2", "symbols", "forces2", "positions"])
    items = list(iter_crystals(tmp_path / "x.extxyz"))
    assert [item.material_id for item in items] == ["x#1", "x#2"]
    assert isinstance(items[0], Crystal)
    np.testing.assert_allclose(items[0].positions, atoms.positions, atol=1e-7)


def test_atomic_numbers_and_deuterium(tmp_path: Path) -> None:
    by_number = HEADER.replace("species:S:1", "Z:I:1")
    first, second = read(tmp_path, f"1\n{by_number}\n11 0 0 0\n2\n{HEADER}\nLi 0 0 0\nD 2 2 2\n")
    assert isinstance(first, Crystal)
    assert isinstance(second, Crystal)
    assert first.formula == "Na"
    assert second.formula == "LiH"


@pytest.mark.parametrize(
    ("code", "frame"),
    [
        ("no_cell", "1\nProperties=species:S:1:pos:R:3\nNa 0 0 0\n"),
        ("no_cell", "1\n\nNa 0 0 0\n"),
        ("no_cell", f"1\n{HEADER.replace('T T T', 'T T F')}\nNa 0 0 0\n"),
        ("no_cell", f"1\n{HEADER.replace('4 0 0 0 4 0 0 0 4', '0 0 0 0 4 0 0 0 4')}\nNa 0 0 0\n"),
        ("invalid_cell", f"1\n{HEADER.replace('4 0 0 0 4 0 0 0 4', '4 0 0 4 0 0 0 0 4')}\nNa 0 0 0\n"),
        ("invalid_cell", f"1\n{HEADER.replace('4 0 0 0', 'nan 0 0 0')}\nNa 0 0 0\n"),
        ("invalid_cell", f"1\n{HEADER}\nNa 0 nan 0\n"),
        ("invalid_cell", f"1\n{HEADER}\nNa 0 inf 0\n"),
        ("no_atoms", f"0\n{HEADER}\n"),
        ("unsupported_element", f"1\n{HEADER}\nRn 0 0 0\n"),
        ("unsupported_element", f"1\n{HEADER}\nQq 0 0 0\n"),
        ("unreadable", f"1\n{HEADER}\nNa 0 zero 0\n"),
        ("unreadable", f"1\n{HEADER}\nNa 0 0\n"),
        ("unreadable", f"1\n{HEADER.replace('4 0 0 0 4 0 0 0 4', '4 4 4')}\nNa 0 0 0\n"),
        ("unreadable", f"1\n{HEADER.replace('pos:R:3', 'x:R:3')}\nNa 0 0 0\n"),
        ("unreadable", f"3\n{HEADER}\nNa 0 0 0\nCl 2 2 2\n"),
        ("unreadable", f"4\n{HEADER}\nNa 0 0 0\n"),
        ("unreadable", f"1\n{HEADER}\nNa 0 0 0\nCl 2 2 2\n"),
        ("unreadable", f"{'9' * 5000}\n{HEADER}\nNa 0 0 0\n"),
        ("unreadable", f"two\n{HEADER}\nNa 0 0 0\nCl 2 2 2\n"),
    ],
)
def test_a_broken_frame_loses_no_other(tmp_path: Path, code: str, frame: str) -> None:
    before, broken, after = read(tmp_path, GOOD + frame + GOOD)
    assert isinstance(before, Crystal)
    assert isinstance(after, Crystal)
    assert isinstance(broken, ReadFailure), broken
    assert broken.code == code
    assert broken.message.startswith(f"{tmp_path / 'x.extxyz'}#2")
    assert after.source == f"{tmp_path / 'x.extxyz'}#3"


def test_a_failure_keeps_the_id_of_its_frame(tmp_path: Path) -> None:
    (failure,) = read(tmp_path, f"1\n{HEADER} material_id=mp-1\nRn 0 0 0\n")
    assert failure.material_id == "mp-1"


def test_cut_off_compression_keeps_the_frames_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = "".join(GOOD.replace("3.5", f"{value!r}") for value in rng.random(2000))
    (tmp_path / "x.xyz.gz").write_bytes(gzip.compress(frames.encode())[:-5000])
    items = list(iter_crystals(tmp_path / "x.xyz.gz"))
    assert len(items) > 500
    assert all(isinstance(item, Crystal) for item in items[:-1])
    assert isinstance(items[-1], ReadFailure)
    assert items[-1].code == "unreadable"


def test_frames_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.extxyz"
    path.write_text(GOOD * 3)
    stream = iter_crystals(path)
    assert isinstance(next(stream), Crystal)
    stream.close()  # type: ignore[attr-defined]


@settings(deadline=None)
@given(st.text(alphabet='012 \n"=ab.TLNaCl', max_size=200))
def test_any_text_gives_crystals_or_failures(text: str) -> None:
    from paraisite.errors import StructureError
    from paraisite.readers.extxyz import extxyz_records
    from paraisite.structures.origin import Origin

    for record in extxyz_records(io.StringIO(text)):
        with contextlib.suppress(StructureError):
            assert isinstance(record(Origin("x", "x")), Crystal)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pos:R:3", "pos:R:3" + 5000 * "0"),
        ("species:S:1", f"species:S:{5000 * '9'}"),
        ("kappa=3.5", f"kappa={5000 * '9'}"),
    ],
)
def test_numbers_of_thousands_of_digits(tmp_path: Path, old: str, new: str) -> None:
    broken, good = read(tmp_path, GOOD.replace(old, new) + GOOD)
    assert isinstance(good, Crystal)
    assert isinstance(broken, Crystal if "kappa" in old else ReadFailure)


def test_a_whole_number_that_no_float_holds(tmp_path: Path) -> None:
    (crystal,) = read(tmp_path, GOOD.replace("kappa=3.5", f"kappa={400 * '9'}"))
    assert isinstance(crystal, Crystal)
    assert crystal.properties["kappa"] == float("inf")


def test_a_column_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    # The bracket leaves the header to ASE.
    (failure,) = read(
        tmp_path, GOOD.replace("species:S:1", "species:S:99999999999999").replace("kappa=", "kappa=[1] x=")
    )
    assert isinstance(failure, ReadFailure)
    assert "wider than any row" in failure.message


@pytest.mark.parametrize("more", ["", " note='by hand'"])
def test_columns_that_do_not_agree(tmp_path: Path, more: str) -> None:
    frame = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties={}{}\n{}\n'
    both = "species:S:1:Z:I:1:pos:R:3"
    frames = [(both, "Na 11 0 0 0"), (both, "Na 12 0 0 0"), ("species:S:1:pos:R:3", "Na 11 0 0 0")]
    (tmp_path / "x.xyz").write_text("".join(frame.format(columns, more, row) for columns, row in frames))
    items = list(iter_crystals(tmp_path / "x.xyz"))
    assert [getattr(item, "code", "ok") for item in items] == ["ok", "contradicts_file", "unreadable"]
