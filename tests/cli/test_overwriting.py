"""No command overwrites a file without --force, nor what it reads even with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from written_scans import make_row, write_scan

from paraisite.cli.main import main
from paraisite.datasets.tables import load_togo15
from paraisite.structures import to_ase, to_pymatgen

SELECT = "SELECT material_id, kappa FROM scan"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A crystal as CIF, one with κ as extxyz, a scan, and a table of further columns; the current folder."""
    monkeypatch.chdir(tmp_path)
    crystal = load_togo15()[0]
    (tmp_path / "cifs").mkdir()
    (tmp_path / "cifs" / "mine.cif").write_text(str(to_pymatgen(crystal).to(fmt="cif")))
    to_ase(crystal).write(tmp_path / "known.extxyz", format="extxyz")
    write_scan(tmp_path / "scan", [make_row("a", "NaCl", [1.0, 2.0, 3.0])])
    (tmp_path / "features.csv").write_text("material_id,energy\na,1\n")
    return tmp_path


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


COMMANDS = {
    "predict --csv": ["predict", "cifs", "--csv"],
    "predict --json": ["predict", "cifs", "--json"],
    "evaluate": ["evaluate", "known.extxyz", "--csv"],
    "query --csv": ["query", "scan", SELECT, "--features", "features.csv", "--csv"],
    "query --json": ["query", "scan", SELECT, "--json"],
    "top": ["top", "scan", "--features", "features.csv", "--csv"],
    "export": ["export", "scan", "--features", "features.csv", "--csv"],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_file_that_is_there_is_overwritten_when_forced_alone(
    folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out.txt").write_text("mine")
    before = files_of(folder)
    assert main([*words, "out.txt"]) == 1
    assert "out.txt is there already" in capsys.readouterr().err
    assert files_of(folder) == before
    assert main([*words, "out.txt", "--force"]) == 0
    after = files_of(folder)
    assert after.pop("out.txt") != before.pop("out.txt")
    assert after == before


INPUTS = {
    "predict": (["predict", "cifs/mine.cif", "--csv"], "cifs/mine.cif"),
    "predict a folder": (["predict", "cifs", "--json"], "cifs/mine.cif"),
    "by another name": (["predict", "cifs", "--csv"], "link.cif"),
    "evaluate": (["evaluate", "known.extxyz", "--csv"], "known.extxyz"),
    "part of a scan": (["query", "scan", SELECT, "--csv"], "scan/parts/part-00000000.parquet"),
    "manifest": (["top", "scan", "--json"], "scan/scan.json"),
    "features": (["export", "scan", "--features", "features.csv", "--csv"], "features.csv"),
}


@pytest.mark.parametrize(("words", "name"), INPUTS.values(), ids=INPUTS)
def test_what_a_command_reads_is_never_overwritten(
    folder: Path, words: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "link.cif").symlink_to(folder / "cifs" / "mine.cif")
    before = files_of(folder)
    for force in ([], ["--force"]):
        assert main([*words, name, *force]) == 1
        assert "what the command reads" in capsys.readouterr().err
    assert files_of(folder) == before


def test_two_outputs_are_two_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "cifs", "--csv", "out", "--json", "./out"]) == 1
    assert "two outputs" in capsys.readouterr().err
    assert not (folder / "out").exists()
