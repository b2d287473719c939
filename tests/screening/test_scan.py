"""Scans end to end: rows, faults, kills, and going on."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import databases
import numpy as np
import pytest
from databases import rows_of

from paraisite.cli.main import main
from paraisite.errors import DataError, ModelFileError, ParaisiteError, RunError
from paraisite.prediction.predict import predict_files
from paraisite.screening.manifest import part_path
from paraisite.screening.rows import schema
from paraisite.screening.scan import ScanOptions, ScanProgress, scan
from paraisite.screening.scanner import Scanner, ScannerSettings
from paraisite.screening.state import usable_parts
from paraisite.sources.own_output import MANIFEST
from paraisite.sources.pieces import FilesPiece

OPTIONS = ScanOptions(processes=2, piece_size=5, members=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 crystals in files of several formats, broken ones and one without bonds among them."""
    folder = tmp_path_factory.mktemp("source")
    databases.write_cifs(folder / "cifs")
    databases.write_extxyz(folder / "long.extxyz")
    (folder / "broken.cif").write_text("data_broken\n_cell_length_a what\n")
    (folder / "empty.cif").write_text("")
    (folder / "noble.vasp").write_text("Ar\n1.0\n9 0 0\n0 9 0\n0 0 9\nAr\n1\ndirect\n0 0 0\n")
    return folder


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "scan"
    scan(source, out, OPTIONS)
    return out


def test_rows_are_those_of_predict(whole: Path, source: Path) -> None:
    table = rows_of(whole).to_pandas()
    assert len(table) == 2 * databases.N_CRYSTALS + 3
    files = [source / "broken.cif", *sorted((source / "cifs").iterdir()), source / "empty.cif", source / "long.extxyz"]
    expected = predict_files([*files, source / "noble.vasp"], members=True)
    for name in ("material_id", "formula", "n_atoms", "status", "error", "source"):
        assert table[name].tolist() == expected[name].tolist(), name
    for name in ("kappa", "kappa_low", "kappa_high", "kappa_mean", "kappa_std", "kappa_3"):
        # Batches are cut otherwise, which moves float32 sums by their last bits; κ = 10^z - 1 near 0 loses more of them.
        np.testing.assert_allclose(
            table[name].astype(float), expected[name].astype(float), rtol=1e-5, atol=1e-5, err_msg=name
        )


def test_structure_columns(whole: Path) -> None:
    table = rows_of(whole).to_pandas().set_index("material_id")
    by_id = {crystal.material_id: crystal for crystal in databases.crystals()}
    for name, crystal in by_id.items():
        row = table.loc[name].iloc[0]
        assert row["volume"] == pytest.approx(crystal.volume, rel=1e-4)
        assert row["volume_per_atom"] * row["n_atoms"] == pytest.approx(row["volume"])
        assert row["atomic_density"] == pytest.approx(1 / row["volume_per_atom"])
        assert row["n_elements"] == 2
    failed = table[~table["status"].isin(["ok"])]
    assert failed[["kappa", "kappa_1", "graph_hash"]].isna().all(axis=None)
    assert failed.loc["noble", "status"] == "no_bonds"
    assert failed.loc["noble", "volume"] == pytest.approx(729)


def test_density_and_space_group_of_known_crystals(tmp_path: Path) -> None:
    (tmp_path / "NaCl.vasp").write_text("NaCl\n5.64\n0 .5 .5\n.5 0 .5\n.5 .5 0\nNa Cl\n1 1\ndirect\n0 0 0\n.5 .5 .5\n")
    scan(tmp_path / "NaCl.vasp", tmp_path / "out", replace(OPTIONS, processes=1, symmetry=True))
    (row,) = rows_of(tmp_path / "out").to_pylist()
    assert row["spacegroup"] == 225
    assert row["density"] == pytest.approx(2.16, abs=0.01)


def test_both_descriptions_of_a_crystal_have_one_hash(whole: Path) -> None:
    hashes = rows_of(whole).to_pandas().dropna(subset="graph_hash").groupby("material_id")["graph_hash"]
    assert (hashes.size() == 2).all()
    assert (hashes.nunique() == 1).all()


def test_the_manifest(whole: Path) -> None:
    content = json.loads((whole / MANIFEST).read_text())
    assert content["complete"] is True
    assert content["rows"] == 27
    assert content["rows_by_status"]["ok"] == 24
    assert rows_of(whole).schema.names == schema(9).names


def test_progress_is_told(source: Path, tmp_path: Path) -> None:
    seen: list[ScanProgress] = []
    last = scan(source, tmp_path, replace(OPTIONS, report=seen.append))
    assert [progress.parts for progress in seen] == list(range(1, len(seen) + 1))
    assert (last.rows, last.failed, last.parts) == (27, 3, len(usable_parts(tmp_path)))
    assert seen[-1] == last


def test_the_time_that_is_left_is_told(source: Path, tmp_path: Path) -> None:
    seen: list[ScanProgress] = []
    scan(source, tmp_path, replace(OPTIONS, processes=1, piece_size=2, report=seen.append))
    left = [progress.seconds_left for progress in seen]
    assert None not in left
    assert left[-1] == 0
    # What the source is made of differs from file to file; the order of magnitude must be right.
    halfway = seen[len(seen) // 2]
    assert halfway.seconds_left is not None
    assert halfway.seconds_left < 5 * seen[-1].seconds


def test_a_scan_is_not_begun_twice(whole: Path, source: Path) -> None:
    with pytest.raises(RunError, match="--resume"):
        scan(source, whole, OPTIONS)


def test_a_finished_scan_is_left_as_it_is(whole: Path, source: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in usable_parts(whole)}
    progress = scan(source, whole, replace(OPTIONS, resume=True))
    assert {path: path.stat().st_mtime_ns for path in usable_parts(whole)} == before
    assert (progress.rows, progress.rows_now) == (27, 0)


@pytest.mark.parametrize("change", [{"piece_size": 6}, {"model": "FEAF"}, {"symmetry": True}])
def test_a_scan_goes_on_as_it_was_begun(whole: Path, source: Path, change: dict[str, object]) -> None:
    with pytest.raises(RunError, match=next(iter(change))):
        scan(source, whole, replace(OPTIONS, resume=True, **change))  # type: ignore[arg-type]


def test_a_scan_goes_on_with_its_own_files(whole: Path, tmp_path: Path) -> None:
    databases.write_cifs(tmp_path / "cifs")
    with pytest.raises(RunError, match=r"source|other files"):
        scan(tmp_path / "cifs", whole, replace(OPTIONS, resume=True))


def test_lost_parts_are_made_again(whole: Path, source: Path, tmp_path: Path) -> None:
    scan(source, tmp_path, OPTIONS)
    part_path(tmp_path, 1).unlink()
    (tmp_path / "parts" / ".part-00000001.parquet.123.part").write_bytes(b"half")
    scan(source, tmp_path, replace(OPTIONS, resume=True))
    assert rows_of(tmp_path).equals(rows_of(whole))
    assert not list((tmp_path / "parts").glob(".*"))


def command(source: Path, out: Path, *more: str) -> list[str]:
    words = ["scan", str(source), "-o", str(out), "--resume", "-p", "2", "--piece-size", "5", "--members", *more]
    return [sys.executable, "-m", "paraisite.cli.main", *words]


def killed_and_resumed(source: Path, out: Path, n_kills: int) -> None:
    generator = np.random.default_rng(1)
    # The time of a whole scan; the kills are spread over it and a little more.
    start = time.monotonic()
    subprocess.run(command(source, out.with_name("timed")), check=False, capture_output=True)
    seconds = time.monotonic() - start
    for _ in range(n_kills):
        process = subprocess.Popen(command(source, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(float(generator.uniform(0.1, 1.0)) * seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert subprocess.run(command(source, out), check=False, capture_output=True).returncode == 3


@pytest.mark.parametrize("n_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kills_lose_and_repeat_nothing(whole: Path, source: Path, tmp_path: Path, n_kills: int) -> None:
    killed_and_resumed(source, tmp_path / "out", n_kills)
    assert rows_of(tmp_path / "out").equals(rows_of(whole))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_killed_worker_is_replaced(source: Path, whole: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one(_: ScanProgress) -> None:
        if not killed:
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
            commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
            killed.append(next(child for child, words in commands.items() if b"paraisite.processes.serve" in words))
            os.kill(killed[0], signal.SIGKILL)

    scan(source, tmp_path, replace(OPTIONS, piece_size=5, report=kill_one))
    assert killed
    assert rows_of(tmp_path).equals(rows_of(whole))


def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(source: Path, whole: Path, tmp_path: Path) -> None:
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        "from paraisite.cli.main import main; main()"
    )
    words = command(source, tmp_path / "out")
    result = subprocess.run([sys.executable, "-c", limited, *words[3:]], check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "out" / "parts").glob(".*"))
    assert subprocess.run(command(source, tmp_path / "out"), check=False, capture_output=True).returncode == 3
    assert rows_of(tmp_path / "out").equals(rows_of(whole))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_folder_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file.*Not a directory"):
        scan(source, tmp_path / "file" / "out", OPTIONS)


def test_mistakes_are_told_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        scan(tmp_path / "nowhere", tmp_path / "out", OPTIONS)
    with pytest.raises(ModelFileError, match="no-such"):
        scan(source, tmp_path / "out", replace(OPTIONS, model="no-such"))
    assert not (tmp_path / "out").exists()


def test_an_unknown_engine(source: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="engine"):
        scan(source, tmp_path / "out", replace(OPTIONS, engine="dask"))  # type: ignore[arg-type]


def test_a_folder_without_a_scan(tmp_path: Path) -> None:
    with pytest.raises(ParaisiteError, match="holds no scan"):
        usable_parts(tmp_path)


def test_the_command_line(source: Path, whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(source), "-o", str(tmp_path / "out"), "--piece-size", "5", "--members"]) == 3
    assert "27 structures, 3 without a prediction" in capfd.readouterr().out
    assert rows_of(tmp_path / "out").equals(rows_of(whole))


def test_a_piece_of_any_size_is_written_in_bounded_chunks(tmp_path: Path) -> None:
    path = databases.write_extxyz(tmp_path / "all.extxyz")
    folder = Path(str(pytest.importorskip("paraisite").shipped_models()["FEAFTG15"]))
    scanner = Scanner(ScannerSettings(tmp_path, folder))
    tables = list(scanner.tables(FilesPiece((str(path),) * 40)))
    assert [len(table) for table in tables] == [256, 224]
