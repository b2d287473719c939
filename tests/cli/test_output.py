"""What commands print and write: in any encoding, at any width, with names that someone meant harm by."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import paraisite
from paraisite.cli.output import TableWriter, clean, show_predictions, show_table
from paraisite.reporting.csv_files import write_csv
from paraisite.structures import to_pymatgen

ESCAPE = "\x1b[31m"


@pytest.fixture(scope="module")
def cif() -> bytes:
    crystal = paraisite.load_data_set("togo15").crystals[0]
    return str(to_pymatgen(crystal).to(fmt="cif")).encode()


def run(*words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "paraisite", *map(os.fspath, words)]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, check=False)


def shown(table: pd.DataFrame, width: int, show: object = show_table) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    show(table, console)  # type: ignore[operator]
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


# Encodings and names


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_of_the_output_is_taken(cif: bytes, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "μ κ.cif").write_bytes(cif)
    (tmp_path / "=1+1.cif").write_bytes(cif)
    (tmp_path / f"{ESCAPE}red.cif").write_bytes(cif)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.cif")).write_bytes(cif)
    result = run("predict", ".", "nope\u03ba.cif", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert result.returncode == 3
    assert b"4 ok, 1 unreadable" in result.stderr
    assert b"Traceback" not in result.stderr
    assert b"\x1b[31m" not in result.stdout + result.stderr
    table = run("predict", ".", "--csv", "-", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert table.returncode == 0
    rows = list(csv.DictReader(io.StringIO(table.stdout.decode("utf-8"))))
    assert {row["material_id"] for row in rows} >= {"μ κ", "'=1+1"}
    assert "\x1b" not in table.stdout.decode()


def test_json_keeps_every_text(cif: bytes, tmp_path: Path) -> None:
    (tmp_path / "=1+1.cif").write_bytes(cif)
    result = run("predict", "=1+1.cif", "--json", "-", cwd=tmp_path, PYTHONIOENCODING="ascii")
    (row,) = json.loads(result.stdout.decode("utf-8"))
    assert row["material_id"] == "=1+1"


def test_clean_takes_the_power_from_control_characters() -> None:
    assert clean(f"a{ESCAPE}b\r\nc\x07\u202e") == "a\ufffd[31mb  c\ufffd\ufffd"


# Tables as files


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_spreadsheet_runs_no_cell(text: str) -> None:
    file = io.StringIO(newline="")
    write_csv(pd.DataFrame({"name": [text], "kappa": [-1.5]}), file, header=True)
    ((name, kappa),) = list(csv.reader(file.getvalue().splitlines()[1:]))
    assert name.startswith("'") or not name.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert float(kappa) == -1.5


def test_csv_is_read_back_by_pandas(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1.5, np.nan, 1e-300], "b": ["x,y", 'q"', "two\nlines"], "n": [1, 2, 3]})
    with TableWriter(tmp_path / "a.csv", tmp_path / "a.json") as writer:
        writer.write(table[:1])
        writer.write(table[1:])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a.csv"), table)
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [row["a"] for row in rows] == [1.5, None, 1e-300]


def test_an_empty_table_has_a_header(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "a.csv", tmp_path / "a.json") as writer:
        writer.write(pd.DataFrame({"a": [], "b": []}))
    assert (tmp_path / "a.csv").read_text() == "a,b\n"
    assert json.loads((tmp_path / "a.json").read_text()) == []


# Widths


def test_a_wide_table_is_a_block_per_row() -> None:
    table = pd.DataFrame({f"column_{number}": [number, pd.NA] for number in range(20)})
    lines = shown(table, 80)
    assert lines[:3] == ["row 1", "column_0   0", "column_1   1"]
    assert max(map(len, lines)) <= 80
    assert shown(table[["column_0"]], 80)[0] == "column_0"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_identifiers_are_never_broken(width: int) -> None:
    name = "a_long_identifier_" * 5
    table = paraisite.predict(paraisite.load_data_set("togo15").crystals[:2]).assign(material_id=[name, "short"])
    lines = shown(table, width, show_predictions)
    assert sum(name in line for line in lines) == 1
    assert lines == [line.rstrip() for line in lines]
    assert any(name in line for line in shown(table[["material_id", "formula", "kappa"]], width))


def test_what_failed_has_no_table_around_it(tmp_path: Path) -> None:
    result = run("predict", "nope.cif", cwd=tmp_path)
    assert result.returncode == 3
    assert result.stdout.decode().split("\n") == ["  nope.cif: there is no such file; check the path.", ""]


# Devices


@pytest.mark.parametrize("device", ["gpu", "cuda:999", "mps", "", "cpu:0", "κ", "cuda:-1"])
def test_any_word_for_a_device_is_one_sentence(cif: bytes, tmp_path: Path, device: str) -> None:
    (tmp_path / "a.cif").write_bytes(cif)
    result = run("predict", "a.cif", "--device", device, cwd=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith("Error: ")
    assert "device" in line


@pytest.mark.parametrize("words", [["scan", "."], ["finetune", "mine.csv"], ["train", "RWTG15"]])
def test_a_wrong_device_leaves_no_folder_behind(tmp_path: Path, words: list[str]) -> None:
    result = run(*words, "-o", "out", "--device", "gpu", cwd=tmp_path)
    assert result.returncode == 1
    assert "There is no device 'gpu'" in result.stderr.decode()
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_with_the_name() -> None:
    with pytest.raises(OSError, match="No space left") as caught, TableWriter(Path("/dev/full"), None) as writer:
        writer.write(pd.DataFrame({"material_id": ["NaCl"]}))
    assert caught.value.filename == "/dev/full"
