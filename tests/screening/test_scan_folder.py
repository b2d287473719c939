"""A scan's folder: one scan at a time, the source that it began with, its own output, its options."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import databases
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from databases import rows_of

from paraisite.errors import DataError, ModelFileError, ParaisiteError, RunError
from paraisite.models.files import CARD_NAME, WEIGHTS_NAME, find_model
from paraisite.outputs import output_folder
from paraisite.prediction.predict import input_files
from paraisite.screening.identity import changed_meanwhile, differences, fingerprint, identify, identify_all
from paraisite.screening.lock import LEASE, locked_scan
from paraisite.screening.manifest import part_path, read_manifest, read_progress
from paraisite.screening.scan import ScanOptions, scan
from paraisite.screening.sources import ScanSource, open_source
from paraisite.sources.own_output import MANIFEST
from paraisite.sources.walk import crystals_below
from paraisite.structures.crystal import ReadFailure
from paraisite.threads import number_of_processes, usable_cores

OPTIONS = ScanOptions(processes=1, piece_size=5)
RESUME = ScanOptions(processes=1, resume=True)
N_ROWS = databases.N_CRYSTALS


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.write_extxyz(tmp_path_factory.mktemp("source") / "long.extxyz")


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "scan"
    scan(source, out, OPTIONS)
    return out


@pytest.fixture
def own_copy(source: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The scan as a kill leaves it, with a source of its own that may be changed."""
    copy, out = tmp_path / "long.extxyz", tmp_path / "scan"
    shutil.copy2(source, copy)
    scan(copy, out, OPTIONS)
    part_path(out, 1).unlink()
    return copy, out


# One scan at a time


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_scan_is_refused_and_harms_nothing(source: Path, tmp_path: Path, resume: bool) -> None:
    out = tmp_path / "scan"
    with locked_scan(out):
        half_written = part_path(out, 0).with_name(".part-00000000.parquet.1.part")
        half_written.parent.mkdir()
        half_written.write_bytes(b"half")
        with pytest.raises(RunError, match=rf"at work in .*process {os.getpid()}.*choose another folder"):
            scan(source, out, replace(OPTIONS, resume=resume))
        assert half_written.read_bytes() == b"half"
    assert not (out / LEASE).exists()


def held_by_another(out: Path) -> subprocess.Popen[str]:
    code = (
        "import sys, time; from pathlib import Path; from paraisite.screening.lock import locked_scan\n"
        "with locked_scan(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_killed_scan_gives_way_at_once(tmp_path: Path) -> None:
    process = held_by_another(tmp_path)
    with pytest.raises(RunError, match=f"process {process.pid}"), locked_scan(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    start = time.monotonic()
    with locked_scan(tmp_path):
        assert time.monotonic() - start < 5


def write_foreign_lease(out: Path, seconds: float) -> Path:
    """The lease of a scan on another machine."""
    lease = out / LEASE
    content = f"filelock/2\npid=1\nhost=elsewhere\nmode=lease\ntoken={'0' * 32}\nduration={seconds}\n"
    lease.write_text(content)
    return lease


def test_a_dead_scan_of_another_machine_gives_way_after_a_while(tmp_path: Path) -> None:
    write_foreign_lease(tmp_path, 1.0)
    start = time.monotonic()
    with locked_scan(tmp_path, lease_seconds=1.0):
        assert time.monotonic() - start >= 0.9


def test_a_living_scan_of_another_machine_does_not(tmp_path: Path) -> None:
    lease = write_foreign_lease(tmp_path, 2.0)
    stop = threading.Event()

    def show_life() -> None:
        while not stop.wait(0.1):
            os.utime(lease)

    living = threading.Thread(target=show_life)
    living.start()
    try:
        with pytest.raises(RunError, match="process 1 on elsewhere"), locked_scan(tmp_path, lease_seconds=2.0):
            pass
    finally:
        stop.set()
        living.join()


def test_a_scan_that_was_taken_over_stops(tmp_path: Path) -> None:
    with locked_scan(tmp_path, lease_seconds=0.6) as lock:
        lock.check()
        (tmp_path / LEASE).unlink()
        write_foreign_lease(tmp_path, 0.6)
        deadline = time.monotonic() + 30
        with pytest.raises(RunError, match="took over"):  # noqa: PT012 - the heartbeat finds out in its own time
            while time.monotonic() < deadline:
                lock.check()
                time.sleep(0.1)
    assert (tmp_path / LEASE).exists(), "the lease of the other one"


# The source that it began with


def test_a_file_of_another_content_and_the_same_size_is_refused_by_name(own_copy: tuple[Path, Path]) -> None:
    copy, out = own_copy
    content = copy.read_bytes()
    times = copy.stat()
    copy.write_bytes(content.replace(b"Lattice", b"LATTICE", 1))
    os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert copy.stat().st_size == len(content)
    with pytest.raises(RunError, match=r"begun with other files: .*long\.extxyz was changed since"):
        scan(copy, out, RESUME)
    # Put back, also at another time, it is the file that it was.
    copy.write_bytes(content)
    assert scan(copy, out, RESUME).rows == N_ROWS


def test_records_in_another_order_are_another_source(own_copy: tuple[Path, Path]) -> None:
    copy, out = own_copy
    lines = copy.read_text().splitlines(keepends=True)
    first = int(lines[0]) + 2
    copy.write_text("".join(lines[first:] + lines[:first]))
    with pytest.raises(RunError, match=r"long\.extxyz was changed since"):
        scan(copy, out, RESUME)


def test_files_that_are_new_or_gone_are_named(tmp_path: Path) -> None:
    folder = databases.write_cifs(tmp_path / "cifs", 4)
    before = identify_all(sorted(folder.iterdir()))
    first, second, *_ = sorted(folder.iterdir())
    first.rename(folder / "new.cif")
    second.write_text("data_x\n")
    now = identify_all(sorted(folder.iterdir()))
    assert fingerprint(before) != fingerprint(now)
    assert differences(before, now) == f"{second} was changed since; {first} is gone; {folder / 'new.cif'} is new"
    assert differences(before, before[::-1]) == "the same files in another order"
    assert differences(None, now) == "other files"


@pytest.mark.parametrize("place", [0, 100_000, 199_999])
def test_a_long_file_is_known_by_its_ends_and_its_time(tmp_path: Path, place: int) -> None:
    path = tmp_path / "long"
    path.write_bytes(bytes(200_000))
    before = identify(path)
    content = bytearray(200_000)
    content[place] = 1
    path.write_bytes(content)
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns + 1))
    assert identify(path).content() != before.content()


def test_many_files_are_identified_in_their_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.cif" for number in range(600)]
    for path in paths:
        path.write_text(path.name)
    found = identify_all([*paths, tmp_path / "none", tmp_path])
    assert [Path(one.path) for one in found] == [*paths, tmp_path / "none", tmp_path]
    assert len({one.sample for one in found[:600]}) == 600
    assert (found[600].size, found[600].sample, found[601].sample) == (-1, "", "")
    assert not changed_meanwhile(found)
    os.utime(paths[3], ns=(1, 1))
    assert not changed_meanwhile(found), "the content is the same"
    paths[3].write_text("other")
    paths[5].unlink()
    assert changed_meanwhile(found) == f"{paths[3]} was changed since; {paths[5]} is gone"


def test_a_source_that_changes_during_the_scan_is_told(source: Path, tmp_path: Path) -> None:
    copy = shutil.copy2(source, tmp_path / "long.extxyz")

    def change(_: object) -> None:
        copy.write_bytes(copy.read_bytes().replace(b"Lattice", b"LATTICE", 1))

    with pytest.raises(RunError, match=r"changed while it was scanned: .*long\.extxyz"):
        scan(copy, tmp_path / "scan", replace(OPTIONS, report=change))
    assert not read_progress(tmp_path / "scan").complete


# Its own output


def test_a_scan_inside_its_source_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    databases.write_cifs(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    scan(".", "scan", OPTIONS)
    part_path(Path("scan"), 1).unlink()
    content = Path("scan", MANIFEST).read_text()
    Path("scan", MANIFEST).write_text(content.replace('"complete": true', '"complete": false'))
    assert scan(".", "scan", RESUME).rows == N_ROWS
    assert open_source(".").files == tuple(sorted(Path(".").glob("*.cif")))  # noqa: PTH201 - as the user writes it


def test_what_paraisite_wrote_is_left_out_and_said(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cifs = databases.write_cifs(tmp_path / "cifs", 3)
    shutil.copytree(whole, tmp_path / "earlier")
    (tmp_path / "earlier" / "mine.cif").write_bytes(next(cifs.iterdir()).read_bytes())
    with output_folder(tmp_path / "exported", "export") as new:
        shutil.copytree(cifs, new, dirs_exist_ok=True)
    (tmp_path / "exported" / "added.cif").write_bytes(next(cifs.iterdir()).read_bytes())
    users = sorted([*cifs.iterdir(), tmp_path / "earlier" / "mine.cif", tmp_path / "exported" / "added.cif"])
    assert sorted(open_source(tmp_path).files) == users
    assert f"left out: in {tmp_path / 'earlier'}, {tmp_path / 'exported'}" in caplog.text
    assert sorted(open_source(f"{tmp_path}/**/*").files) == users
    # What the user names is read.
    assert len(open_source(tmp_path / "exported").files) == 4
    assert open_source(tmp_path / "earlier").files == (tmp_path / "earlier" / "mine.cif",)
    assert sorted(input_files(tmp_path)) == users
    for kind in (None, "cif"):
        assert sorted(item.source for item in crystals_below([tmp_path], kind)) == sorted(map(str, users))


def test_a_prediction_of_a_scan_s_folder_is_one_sentence(whole: Path) -> None:
    assert input_files(whole) == [whole]
    (failure,) = crystals_below([whole])
    assert isinstance(failure, ReadFailure)
    assert failure.code == "unreadable"
    assert "only what paraisite wrote" in failure.message


def test_a_scan_s_parts_are_no_source(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no files of structures"):
        open_source(whole)
    with pytest.raises(DataError, match="part of the scan"):
        open_source(part_path(whole, 0))
    (tmp_path / "list.txt").write_text(f"{part_path(whole, 0)}\n")
    with pytest.raises(DataError, match="part of the scan"):
        open_source(tmp_path / "list.txt")


# Its options


def test_a_scan_goes_on_with_the_source_and_the_options_of_its_folder(whole: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "scan")
    part_path(out, 1).unlink()
    assert scan(None, out, RESUME).rows == N_ROWS
    assert rows_of(out).equals(rows_of(whole))
    assert read_manifest(out) == read_manifest(whole)


@pytest.mark.parametrize(
    "given",
    [{"piece_size": 6}, {"model": "FEAF"}, {"symmetry": True}, {"members": True}, {"allow_missing_hydrogens": True}],
)
def test_an_option_that_contradicts_is_refused_by_name(whole: Path, given: dict[str, object]) -> None:
    (name,) = given
    with pytest.raises(RunError, match=rf"begun with {name} .*, not .*leave the option out"):
        scan(None, whole, replace(RESUME, **given))  # type: ignore[arg-type]


def test_a_scan_that_is_not_there_needs_a_source(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Say what to scan"):
        scan(None, tmp_path / "scan", RESUME)
    assert not (tmp_path / "scan").exists()


def test_minus_one_is_every_core() -> None:
    assert number_of_processes(-1) == number_of_processes(None) == usable_cores() >= 1
    assert (number_of_processes(3), number_of_processes(None, 1), number_of_processes(-1, 1)) == (3, 1, usable_cores())
    for number in (0, -2):
        with pytest.raises(ParaisiteError, match=f"{number} processes"):
            number_of_processes(number)


def test_a_scan_by_every_core(source: Path, whole: Path, tmp_path: Path) -> None:
    assert scan(source, tmp_path, replace(OPTIONS, processes=-1)).rows == N_ROWS
    assert rows_of(tmp_path).equals(rows_of(whole))


# What cannot work is not begun, and an empty scan is not complete


def test_a_source_of_nothing_is_never_complete(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no structure at all"):
        scan(ScanSource("nothing", ()), tmp_path, OPTIONS)
    assert not read_progress(tmp_path).complete


def test_a_table_without_rows_is_a_row_with_the_reason(tmp_path: Path) -> None:
    pq.write_table(pa.table({"structure": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    progress = scan(tmp_path / "empty.parquet", tmp_path / "scan", OPTIONS)
    assert (progress.rows, progress.failed) == (1, 1)
    assert "has no rows" in rows_of(tmp_path / "scan")["error"][0].as_py()


@pytest.mark.parametrize("with_hash", [True, False])
def test_a_damaged_model_is_its_own_error_and_begins_nothing(source: Path, tmp_path: Path, with_hash: bool) -> None:
    model = shutil.copytree(find_model(), tmp_path / "model")
    weights = model / WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes()[:-9])
    if not with_hash:  # as cards from before: only the working process finds out
        card = json.loads((model / CARD_NAME).read_text())
        del card["sha256"]
        (model / CARD_NAME).write_text(json.dumps(card))
    with pytest.raises(ModelFileError, match=WEIGHTS_NAME):
        scan(source, tmp_path / "scan", replace(OPTIONS, model=model))
    assert not (tmp_path / "scan" / MANIFEST).exists()
    assert scan(source, tmp_path / "scan", OPTIONS).rows == N_ROWS


@pytest.mark.parametrize("device", ["cuda:999", "gpu", ""])
def test_a_device_that_is_not_there_begins_nothing(source: Path, tmp_path: Path, device: str) -> None:
    with pytest.raises(ParaisiteError, match="device"):
        scan(source, tmp_path / "scan", replace(OPTIONS, device=device))
    assert not (tmp_path / "scan").exists()


@pytest.mark.slow
def test_a_second_command_is_refused_while_the_first_goes_on(shared: Path, tmp_path: Path) -> None:
    """Two commands at once, as array jobs that are started twice."""
    source = tmp_path / "all.extxyz.gz"
    source.write_bytes((shared / "data" / "aflow_agl.extxyz.gz").read_bytes())
    command = [sys.executable, "-m", "paraisite", "scan", str(source), "-o", str(tmp_path / "out")]
    command += ["--piece-size", "40000", "-p", "1"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "out" / "parts").glob(".*.part")) and first.poll() is None:
        time.sleep(0.05)
    second = subprocess.run([*command, "--resume"], check=False, capture_output=True, text=True)
    third = subprocess.run(command, check=False, capture_output=True, text=True)
    assert first.wait() in {0, 3}
    assert (second.returncode, third.returncode) == (1, 1)
    assert "at work in" in second.stderr
    assert read_progress(tmp_path / "out").complete
