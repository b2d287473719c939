"""Crystals read again from every kind of source, and written as CIF files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import databases
import numpy as np
import pytest
from written_scans import make_row, write_scan

from paraisite.cli.main import main
from paraisite.readers.stream import read_crystals
from paraisite.screening.export import _file_name, export_structures, read_sources
from paraisite.screening.scan import ScanOptions, scan
from paraisite.screening.selection import Selection
from paraisite.screening.sources import open_source
from paraisite.structures.crystal import Crystal, ReadFailure

Make = Callable[[Path], Path]
FORMS: dict[str, Make] = {
    "folder": lambda folder: databases.write_cifs(folder / "cifs"),
    "extxyz": lambda folder: databases.write_extxyz(folder / "all#1.extxyz"),
    "json lines": lambda folder: databases.write_jsonl(folder / "all.jsonl"),
    "parquet": lambda folder: databases.write_parquet(folder / "all.parquet", nested=True),
    "zip": lambda folder: databases.write_zip(folder / "all.zip", databases.write_cifs(folder / "cifs")),
    "tar": lambda folder: databases.write_tar(folder / "all.tar.gz", databases.write_cifs(folder / "cifs")),
}


def crystals_of(source: Path) -> list[Crystal]:
    items = [item for piece in open_source(source).pieces(5) for item in piece.items()]
    return [item for item in items if isinstance(item, Crystal)]


def write_scan_of(folder: Path, crystals: list[Crystal]) -> Path:
    rows = [
        make_row(
            crystal.material_id,
            crystal.formula,
            [1.0 + index, 2.0, 3.0],
            n_atoms=crystal.n_atoms,
            source=crystal.source,
        )
        for index, crystal in enumerate(crystals)
    ]
    return write_scan(folder, rows)


@pytest.mark.parametrize("form", FORMS)
def test_wanted_crystals_are_found_again(form: str, tmp_path: Path) -> None:
    scanned = crystals_of(FORMS[form](tmp_path))
    wanted = {crystal.source: crystal for crystal in scanned[1::4]}
    found = {item.source: item for item in read_sources(wanted)}
    assert found.keys() == wanted.keys()
    for source, item in found.items():
        assert isinstance(item, Crystal)
        assert item.material_id == wanted[source].material_id
        np.testing.assert_array_equal(item.fractional, wanted[source].fractional)


def test_what_is_gone_is_a_failure(tmp_path: Path) -> None:
    path = databases.write_extxyz(tmp_path / "all.extxyz")
    sources = [f"{path}#2", f"{path}#99", str(tmp_path / "no.cif"), str(tmp_path / "no.zip" / "member.cif#3")]
    found = {item.source: item for item in read_sources(sources)}
    assert found.keys() == set(sources)
    failures = {source for source, item in found.items() if isinstance(item, ReadFailure)}
    assert failures == set(sources[1:])
    assert {found[source].code for source in failures} == {"source_gone"}


def test_exported_crystals_are_the_scanned_ones(tmp_path: Path) -> None:
    scanned = crystals_of(databases.write_extxyz(tmp_path / "all.extxyz"))
    out = write_scan_of(tmp_path / "scan", scanned)
    table = export_structures(out, tmp_path / "chosen", Selection(lowest=3))
    assert list(table["material_id"]) == [crystal.material_id for crystal in scanned[:3]]
    assert set(table["status"]) == {"ok"}
    for row, crystal in zip(table.to_dict("records"), scanned, strict=False):
        (read,) = read_crystals(tmp_path / "chosen" / str(row["file"]))
        assert (read.formula, read.n_atoms) == (crystal.formula, crystal.n_atoms)
        assert read.volume == pytest.approx(crystal.volume, rel=1e-6)
    listed = {".paraisite.json", "structures.csv", *table["file"]}
    assert {path.name for path in (tmp_path / "chosen").iterdir()} == listed


def test_a_source_with_other_crystals_is_not_exported(tmp_path: Path) -> None:
    path = databases.write_extxyz(tmp_path / "all.extxyz")
    scanned = crystals_of(path)
    out = write_scan_of(tmp_path / "scan", scanned)
    kept = path.read_text().split("\n")
    n_lines = int(kept[0]) + 2
    path.write_text("\n".join(kept[n_lines:]))  # the first crystal is gone, and the others move up
    table = export_structures(out, tmp_path / "chosen", Selection(lowest=1))
    assert list(table["status"]) == ["source_changed"]
    assert scanned[1].formula in table["error"][0]


def test_a_source_that_was_changed_since_is_not_exported(tmp_path: Path) -> None:
    """Other cells of the same crystals: κ of the old ones must not stand beside the new ones."""
    path = databases.write_extxyz(tmp_path / "all.extxyz", 2)
    scan(path, tmp_path / "scan", ScanOptions(processes=1))
    content = path.read_text()
    path.write_text(content.replace("6", "7"))
    table = export_structures(tmp_path / "scan", tmp_path / "chosen")
    assert list(table["status"]) == ["source_changed", "source_changed"]
    assert table["error"].str.contains("was changed since it was scanned").all()
    path.write_text(content)
    assert set(export_structures(tmp_path / "scan", tmp_path / "again")["status"]) == {"ok"}


def test_identifiers_become_file_names_of_their_own(tmp_path: Path) -> None:
    crystals = crystals_of(databases.write_extxyz(tmp_path / "all.extxyz"))[:3]
    names = ["../a b", "../A b", "#"]
    rows = [
        make_row(name, crystal.formula, [1.0, 1.0, 1.0], n_atoms=crystal.n_atoms, source=crystal.source)
        for name, crystal in zip(names, crystals, strict=True)
    ]
    table = export_structures(write_scan(tmp_path / "scan", rows), tmp_path / "chosen")
    assert list(table["file"]) == ["a_b.cif", "A_b_2.cif", "crystal.cif"]


def test_nothing_chosen_is_an_empty_table(tmp_path: Path) -> None:
    out = write_scan(tmp_path / "scan", [make_row("a", "NaCl", [1.0, 2.0, 3.0])])
    assert export_structures(out, tmp_path / "chosen", Selection(where="n_atoms > 99")).empty
    assert (tmp_path / "chosen" / "structures.csv").is_file()


def test_an_export_overwrites_nothing_of_the_users(tmp_path: Path) -> None:
    path = databases.write_extxyz(tmp_path / "all.extxyz")
    scan(path, tmp_path / "scan", ScanOptions(processes=1))
    mine, folder = tmp_path / "kappa.csv", tmp_path / "cifs"
    mine.write_text("keep")
    folder.mkdir()
    (folder / "notes.txt").write_text("measured in 2019")
    for words in (["--csv", mine], ["--structures", folder]):
        assert main(["export", str(tmp_path / "scan"), *map(str, words)]) == 1
    assert mine.read_text() == "keep"
    assert [item.name for item in folder.iterdir()] == ["notes.txt"]
    assert main(["export", str(tmp_path / "scan"), "--structures", str(folder), "--force"]) == 0
    assert (folder / "notes.txt").read_text() == "measured in 2019"
    assert list(folder.glob("*.cif"))


def test_identifiers_of_any_length_and_kind_name_files() -> None:
    taken: set[str] = set()
    names = [_file_name(name, taken) for name in ("x" * 100_000, "x" * 5000, "con", "NUL.x", "../../etc/x", "☢", "")]
    assert len(set(map(str.lower, names))) == len(names)
    assert max(map(len, names)) < 120
    assert names[2:] == ["_con.cif", "_NUL.x.cif", "etc_x.cif", "crystal.cif", "crystal_2.cif"]
