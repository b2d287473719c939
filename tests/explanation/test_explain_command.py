"""`paraisite predict --explain`, run as a user runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from paraisite.cli.main import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two files, the second of which is not there."""
    path = tmp_path / "mine.cif"
    write(path, bulk("MgO", "rocksalt", a=4.25))
    return [str(path), str(tmp_path / "missing.cif")]


def test_json_and_pictures(files: list[str], tmp_path: Path) -> None:
    out, pictures = tmp_path / "out.json", tmp_path / "pictures"
    assert main(["predict", *files, "--explain-plot", str(pictures), "--json", str(out)]) == 3
    first, second = json.loads(out.read_text(encoding="utf-8"))
    assert second["status"] == "unreadable"
    assert second["explanation"] is None
    explanation = first["explanation"]
    assert explanation["kappa"] == pytest.approx(first["kappa"])
    assert explanation["neighbours"][0]["formula"] == "MgO"
    assert len(explanation["attributions"]) == 65
    assert len(explanation["groups"]) == 6
    (picture,) = pictures.glob("*.png")
    assert picture.name == "0001_mine.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_terminal_without_the_library(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    assert main(["predict", files[0], "--explain"]) == 0
    output = capsys.readouterr().out
    for words in ("AGL, expected", "nearest training crystals", "mp-1265", "90 % interval", "'paraisite[explain]'"):
        assert words in output
    assert main(["predict", files[0], "--explain-plot", str(tmp_path / "pictures")]) == 1
    assert "'paraisite[explain]'" in capsys.readouterr().err
    assert not (tmp_path / "pictures").exists()


def test_the_terminal_shows_groups_and_descriptors(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", files[0], "--explain"]) == 0
    output = capsys.readouterr().out
    for words in ("bonding and ionicity", "the other 57 descriptors", "× "):
        assert words in output
    assert output.count(" = ") == 8


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [(["--csv", "-"], 2, "a CSV table has no place for explanations"), (["-m", "FEAF"], 1, "an ensemble of networks")],
)
def test_what_cannot_be_explained_is_refused(
    options: list[str], code: int, words: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", files[0], "--explain", *options]) == code
    error = " ".join(capsys.readouterr().err.split())
    assert words in error
    assert "Traceback" not in error
