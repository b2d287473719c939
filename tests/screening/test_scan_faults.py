"""Scans of broken sources and into broken places: intact rows are as ever, the rest is told, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import databases
import numpy as np
import pandas as pd
import pytest
from databases import rows_of

from paraisite.cli.main import main
from paraisite.errors import RunError
from paraisite.screening.scan import ScanOptions, scan

OPTIONS = ScanOptions(processes=1, piece_size=5)
N_FILES = 60
SAME_PIECES = ["material_id", "formula", "n_atoms", "volume", "graph_hash", "status", "error"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty intact CIF files."""
    path = tmp_path_factory.mktemp("intact") / "cifs"
    databases.write_cifs(path, N_FILES)
    return path


@pytest.fixture(scope="module")
def intact(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return scanned(folder, tmp_path_factory.mktemp("out") / "scan")


def scanned(source: Path, out: Path) -> pd.DataFrame:
    scan(source, out, OPTIONS)
    return rows_of(out).to_pandas().set_index("material_id", drop=False)


def assert_same_predictions(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found[SAME_PIECES], expected[SAME_PIECES])
    # Batches are cut otherwise, which moves float32 sums by their last bits.
    np.testing.assert_allclose(found["kappa"], expected["kappa"], rtol=1e-5, atol=1e-5)


def broken_copy(folder: Path, copy: Path) -> list[str]:
    """Copy the files, and break every tenth in a way of its own; the names of the broken ones."""
    broken = []
    copy.mkdir()
    for number, path in enumerate(sorted(folder.iterdir())):
        data = path.read_bytes()
        if number % 10 == 3:
            broken.append(path.stem)
            data = (
                b"",
                data[: len(data) // 2],
                data.replace(b"_atom_site_fract_x", b"_x"),
                b"\x00" * 99,
                b"PK",
                data[:-40],
            )[number // 10]
        (copy / path.name).write_bytes(data)
    return broken


def test_a_tenth_of_broken_files_changes_no_other_row(folder: Path, intact: pd.DataFrame, tmp_path: Path) -> None:
    broken = broken_copy(folder, tmp_path / "cifs")
    table = scanned(tmp_path / "cifs", tmp_path / "out")
    assert len(broken) == N_FILES // 10
    assert len(table) == N_FILES
    good = table.drop(broken)
    assert (good["status"] == "ok").all()
    assert_same_predictions(good, intact.drop(broken))
    failed = table.loc[broken]
    assert failed["kappa"].isna().all()
    assert (failed["status"] != "ok").all()
    assert failed["error"].str.endswith(".").all()
    assert all(name in error for name, error in failed["error"].items())


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_a_damaged_archive_keeps_the_rows_before_the_damage(
    folder: Path, intact: pd.DataFrame, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"all.{ending}"
    write = databases.write_zip if ending == "zip" else databases.write_tar
    data = write(path, folder).read_bytes()
    if ending == "zip":
        # A zip archive lists its files at its end; without it there are none. Here a stretch in the middle is lost.
        path.write_bytes(data[: len(data) // 2] + bytes(3000) + data[len(data) // 2 + 3000 :])
    else:
        path.write_bytes(data[: int(0.7 * len(data))])
    assert main(["scan", str(path), "-o", str(tmp_path / "out"), "-p", "1"]) == 3
    capsys.readouterr()
    table = rows_of(tmp_path / "out").to_pandas().set_index("material_id", drop=False)
    good, failed = table[table["status"] == "ok"], table[table["status"] != "ok"]
    assert 0 < len(good) < N_FILES
    assert len(failed)
    assert failed["error"].str.contains(str(path), regex=False).all()
    assert_same_predictions(good, intact.loc[good.index])


def test_a_zip_archive_without_its_end_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    path = databases.write_zip(tmp_path / "all.zip", folder)
    path.write_bytes(path.read_bytes()[:-500])
    (row,) = scanned(path, tmp_path / "out").to_dict("records")
    assert row["status"] == "unreadable"
    assert "the archive is broken" in row["error"]


@pytest.mark.parametrize("place", ["/proc/nothing/scan", "{}/file/scan", "/dev/null/scan"])
def test_a_place_that_cannot_be_written_is_one_sentence(
    folder: Path, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["scan", str(folder), "-o", place.format(tmp_path), "-p", "1"]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("Error: The scan stopped at")
    assert said.endswith("--resume.")
    assert (tmp_path / "file").read_text() == ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 KB, where one may be mounted: pages of 4 KB for six small files of a scan, and room for a few parts."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.name != "posix"
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(disk)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("no file system can be mounted here; the limit on the size of files stands in for it")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_up_keeps_its_parts_and_the_scan_goes_on(
    folder: Path, small_disk: Path, intact: pd.DataFrame
) -> None:
    with pytest.raises(RunError, match=r"No space left on device.*--resume"):
        scan(folder, small_disk / "scan", OPTIONS)
    kept = {path: path.stat().st_mtime_ns for path in (small_disk / "scan" / "parts").iterdir()}
    assert kept
    subprocess.run(["mount", "-o", "remount,size=4M", str(small_disk)], check=True)
    scan(folder, small_disk / "scan", ScanOptions(processes=1, piece_size=5, resume=True))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    table = rows_of(small_disk / "scan").to_pandas().set_index("material_id", drop=False)
    assert_same_predictions(table, intact)


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are no text")
def test_names_that_are_no_text_are_scanned(folder: Path, tmp_path: Path) -> None:
    data = next(folder.iterdir()).read_bytes()
    (tmp_path / "in").mkdir()
    for name in (b"\xff\xfe.cif", b"line\nbreak.cif", "é.cif".encode()):
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(data)
    (tmp_path / "in" / os.fsdecode(b"broken \xff.cif")).write_text("broken")
    table = scanned(tmp_path / "in", tmp_path / "out")
    assert sorted(table["status"]) == ["ok", "ok", "ok", "unreadable"]
    assert sorted(table.index) == sorted(["\ufffd\ufffd", "broken \ufffd", "line break", "é"])
