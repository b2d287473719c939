"""Commands and scripts that start processes: hostile folders, scripts without a guard, records that kill or raise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path

import databases
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import services
from databases import rows_of

from paraisite.models.files import find_model
from paraisite.models.inputs import Needs
from paraisite.prediction.worker import Preparation, prepare_pool, prepare_with
from paraisite.processes.child import Child, ChildDiedError, import_path
from paraisite.readers.stream import file_records
from paraisite.screening.local import scan_locally
from paraisite.screening.manifest import part_path
from paraisite.screening.scanner import ScannerSettings
from paraisite.screening.sources import open_source
from paraisite.sources.pieces import FilesPiece, Piece, RecordsPiece
from paraisite.structures.crystal import ReadOptions
from paraisite.structures.limits import ReadingLimits
from paraisite.structures.origin import Origin, Record

HOSTILE = ("gemmi", "queue", "numpy", "torch", "pickle", "signal", "threading", "ase", "pyarrow", "selectors", "psutil")
N_FILES = 210
"""Enough that `predict` shares them out."""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of data with modules in it that leave a trace when they are run."""
    folder = tmp_path / "data"
    databases.write_cifs(folder / "cifs", 2)
    (first, _) = sorted((folder / "cifs").iterdir())
    for number in range(N_FILES):
        (folder / "cifs" / f"{number}.cif").hardlink_to(first)
    for name in HOSTILE:
        (folder / f"{name}.py").write_text(
            f"open({str(tmp_path / 'RUN')!r}, 'a').write({name!r} + ' ')\nraise ImportError\n"
        )
    return folder


def run(code: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as its installed script does, without the current folder on the path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    environment["PYTHONPATH"] = os.pathsep.join(import_path())
    start = f"import sys; sys.path.remove(''); {code}"
    return subprocess.run(
        [sys.executable, "-c", start, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


MAIN = "from paraisite.cli.main import main; sys.exit(main())"


def test_no_command_runs_code_of_the_folder_it_is_called_in(hostile: Path) -> None:
    done = run(MAIN, hostile, "predict", "cifs", "--csv", "out.csv")
    assert done.returncode == 0, done.stderr
    done = run(MAIN, hostile, "scan", "cifs", "-o", "out", "-p", "1")
    assert done.returncode == 0, done.stderr
    assert not (hostile.parent / "RUN").exists()


def test_no_actor_of_ray_runs_code_of_the_folder_it_is_called_in(hostile: Path) -> None:
    pytest.importorskip("ray")
    done = run(MAIN, hostile, "scan", "cifs", "-o", "out", "-p", "1", "--engine", "ray")
    assert not (hostile.parent / "RUN").exists(), (hostile.parent / "RUN").read_text()
    assert done.returncode == 0, done.stderr
    assert rows_of(hostile / "out").num_rows == N_FILES + 2


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    databases.write_cifs(tmp_path / "cifs", 3)
    script = tmp_path / "script.py"
    script.write_text(
        "import paraisite\n"
        "print('began')\n"
        "print(len(paraisite.predict_files('cifs', processes=2)))\n"
        "print(paraisite.scan('cifs', 'out', paraisite.ScanOptions(processes=2, piece_size=2)).rows)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout.split() == ["began", "3", "3"]


# Records that end the process that reads them, or raise what nobody expects


def cut(path: Path) -> list[tuple[Record, Origin]]:
    return list(file_records(path))


def test_records_that_kill_are_found_and_named(tmp_path: Path) -> None:
    good = cut(databases.write_extxyz(tmp_path / "good.extxyz", 8))
    for place, name in ((2, "first"), (5, "second")):
        good[place] = (services.killing_record, Origin(f"odd.extxyz#{place + 1}", name))
    (tmp_path / "parts").mkdir()
    pieces: list[tuple[int, Piece]] = [
        (0, RecordsPiece(tuple(good))),
        (1, FilesPiece((str(tmp_path / "good.extxyz"),))),
    ]
    counted = list(scan_locally(iter(pieces), ScannerSettings(tmp_path, find_model()), 1))
    assert [(result.index, result.counts) for result in counted] == [
        (0, {"ok": 6, "crashed_reader": 2}), (1, {"ok": 8}),
    ]  # fmt: skip
    table = pa.concat_tables([pq.read_table(part_path(tmp_path, index)) for index in (0, 1)]).to_pandas()
    crashed = table[table["status"] == "crashed_reader"]
    assert list(crashed["source"]) == ["odd.extxyz#3", "odd.extxyz#6"]
    assert list(crashed["material_id"]) == ["first", "second"]
    assert all(source in error for source, error in zip(crashed["source"], crashed["error"], strict=True))
    # The same crystals alone or in a chunk: float32 sums differ by their last bits.
    both = table[table["status"] == "ok"].groupby("material_id")["kappa"].agg(["min", "max"])
    assert (both["max"] / both["min"] - 1).max() < 1e-5


def odd_records(path: Path, record: Record, *places: int) -> RecordsPiece:
    """Records of an intact file, some of them replaced."""
    records = cut(databases.write_extxyz(path, 8))
    for place in places:
        records[place] = (record, Origin(f"odd.extxyz#{place + 1}", f"odd{place}"))
    return RecordsPiece(tuple(records))


def test_a_worker_that_is_started_anew_without_end_leaves_out_what_kills_it(tmp_path: Path) -> None:
    piece = odd_records(tmp_path / "good.extxyz", services.killing_record, 2, 5)
    (tmp_path / "parts").mkdir()
    service = services.WriteAgain(ScannerSettings(tmp_path, find_model()))
    for _ in range(7):  # two attempts at all, two that find the first, two that find the second
        with Child(service) as child:
            child.send((0, piece))
            try:
                (result,) = child.answers()
            except ChildDiedError:
                continue
            break
    assert result.counts == {"ok": 6, "crashed_reader": 2}
    assert not list((tmp_path / "parts").glob(".*journal*"))
    table = pq.read_table(part_path(tmp_path, 0)).to_pandas()
    assert list(table.loc[table["status"] == "crashed_reader", "source"]) == ["odd.extxyz#3", "odd.extxyz#6"]


def test_a_record_that_takes_too_long_is_left_out(tmp_path: Path) -> None:
    piece = odd_records(tmp_path / "good.extxyz", services.slow_record, 2)
    (tmp_path / "parts").mkdir()
    reading = ReadOptions(limits=ReadingLimits(record_seconds=3))
    (result,) = scan_locally(iter([(0, piece)]), ScannerSettings(tmp_path, find_model(), reading=reading), 1)
    assert result.counts == {"ok": 7, "crashed_reader": 1}
    table = pq.read_table(part_path(tmp_path, 0)).to_pandas()
    (error,) = table.loc[table["status"] == "crashed_reader", "error"]
    assert "odd.extxyz#3" in error
    assert "record_seconds" in error


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see what a process reads")
def test_predict_names_the_file_that_kills_its_reader(tmp_path: Path) -> None:
    databases.write_cifs(tmp_path / "cifs", 5)
    paths = sorted((tmp_path / "cifs").iterdir())
    long = tmp_path / "long.extxyz"
    frame = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3\n' + "Na 0.5 0.25 0.125\n" * 1_000_000
    long.write_text("1000000\n" + frame)
    paths.insert(2, long)
    stopped = threading.Event()
    with prepare_pool(1, Preparation(Needs())) as pool:
        killer = threading.Thread(target=_kill_readers, args=(pool.workers[0], long, stopped))
        killer.start()
        chunks = list(prepare_with(pool, paths * 2))
        stopped.set()
        killer.join()
    status = [code for chunk in chunks for code in chunk.rows.status]
    assert status == ["ok", "ok", "crashed_reader", "ok", "ok", "ok"] * 2
    errors = [error for chunk in chunks for error in chunk.rows.error if error]
    assert all(str(long) in error for error in errors)
    assert [source for chunk in chunks for source in chunk.rows.source] == [str(path) for path in paths * 2]


def _kill_readers(worker: object, path: Path, stopped: threading.Event) -> None:
    """Kill the process of a worker whenever it has a file open."""
    while not stopped.is_set():
        process = worker.pid  # type: ignore[attr-defined]
        try:
            opened = [str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()]
            if str(path) in opened:
                os.kill(process, signal.SIGKILL)
        except OSError:
            pass  # it has ended, or closed the file
        time.sleep(0.002)


@pytest.mark.parametrize("kind", [TypeError, NotImplementedError, MemoryError, UnicodeError, RecursionError, KeyError])
def test_any_exception_costs_its_record_alone(kind: type[Exception], tmp_path: Path) -> None:
    good = cut(databases.write_extxyz(tmp_path / "good.extxyz", 3))
    good[1] = (partial(services.raising_record, kind), Origin("odd.extxyz#2", "odd"))
    items = list(RecordsPiece(tuple(good)).items())
    assert [type(item).__name__ for item in items] == ["Crystal", "ReadFailure", "Crystal"]
    assert items[1].message.startswith("odd.extxyz#2: ")
    assert items[1].code == ("too_large" if kind is MemoryError else "unreadable")


def test_a_damaged_member_of_a_zip_archive_costs_itself(tmp_path: Path) -> None:
    databases.write_cifs(tmp_path / "cifs", 4)
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((tmp_path / "cifs").iterdir()):
            archive.write(file, file.name)
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[1]
    data = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    for place in range(start, start + 8):
        data[place] ^= 0x5A
    path.write_bytes(data)
    (piece,) = open_source(path).pieces(10)
    items = list(piece.items())
    assert [type(item).__name__ for item in items] == ["Crystal", "ReadFailure", "Crystal", "Crystal"]
    assert f"{path}/{info.filename}" in items[1].message


def test_a_cell_of_parquet_that_is_no_text_costs_its_row(tmp_path: Path) -> None:
    pq_path = databases.write_parquet(tmp_path / "good.parquet", nested=False)
    texts = pq.read_table(pq_path).column("structure").to_pylist()[:3]
    raw = [text.encode() for text in texts]
    raw[1] = b"\xff" + raw[1]
    column = pa.Array.from_buffers(pa.string(), 3, pa.array(raw).buffers())
    pq.write_table(pa.table({"structure": column}), tmp_path / "odd.parquet")
    (piece,) = open_source(tmp_path / "odd.parquet").pieces(10)
    items = list(piece.items())
    assert [type(item).__name__ for item in items] == ["Crystal", "ReadFailure", "Crystal"]
    assert f"{tmp_path / 'odd.parquet'}#2" in items[1].message
