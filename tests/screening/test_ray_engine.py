"""The cluster engine on a local Ray cluster of several workers."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import databases
import pyarrow as pa
import pytest
from databases import rows_of

from paraisite.errors import ModelFileError, ParaisiteError, RunError
from paraisite.models.files import WEIGHTS_NAME, find_model
from paraisite.screening.manifest import done_parts, part_path
from paraisite.screening.scan import ScanOptions, ScanProgress, scan
from paraisite.sources.own_output import MANIFEST, PARTS

ray = pytest.importorskip("ray")

LOCAL = ScanOptions(processes=1, piece_size=4)
CLUSTER = replace(LOCAL, engine="ray", processes=2)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(
        num_cpus=3, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}}
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    databases.write_cifs(folder / "cifs")
    databases.write_extxyz(folder / "long.extxyz", 40)
    (folder / "broken.cif").write_text("data_broken\n_cell_length_a what\n")
    return folder


@pytest.fixture(scope="module")
def local(source: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    out = tmp_path_factory.mktemp("local")
    scan(source, out, LOCAL)
    return rows_of(out)


def test_rows_are_those_of_the_local_engine(source: Path, local: pa.Table, tmp_path: Path) -> None:
    progress = scan(source, tmp_path, CLUSTER)
    assert rows_of(tmp_path).equals(local)
    assert (progress.rows, progress.failed) == (53, 1)


def test_engines_take_over_from_each_other(source: Path, local: pa.Table, tmp_path: Path) -> None:
    scan(source, tmp_path, LOCAL)
    for index in (0, 3, 5):
        part_path(tmp_path, index).unlink()
    progress = scan(source, tmp_path, replace(CLUSTER, resume=True))
    assert progress.rows_now < progress.rows
    assert rows_of(tmp_path).equals(local)


def actor_processes() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::") and b"PieceActor" in command:
            found.append(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_killed_worker_costs_nothing(source: Path, local: pa.Table, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not killed:
            if done_parts(tmp_path):
                for process in actor_processes()[:1]:
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    scan(source, tmp_path, CLUSTER)
    killer.join()
    assert killed
    assert rows_of(tmp_path).equals(local)


def test_what_an_actor_raises_reaches_the_user_as_itself(source: Path, tmp_path: Path) -> None:
    parts = tmp_path / PARTS

    def lose_the_folder(_: ScanProgress) -> None:
        if parts.is_dir():
            shutil.rmtree(parts)
            parts.write_text("in the way")

    with pytest.raises(RunError, match=r"scan stopped at .*parts.*--resume"):
        scan(source, tmp_path, replace(CLUSTER, piece_size=1, processes=1, report=lose_the_folder))


def test_a_damaged_model_is_refused_before_the_cluster_begins(source: Path, tmp_path: Path) -> None:
    model = shutil.copytree(find_model(), tmp_path / "model")
    (model / WEIGHTS_NAME).write_bytes(b"damaged")
    with pytest.raises(ModelFileError, match=WEIGHTS_NAME):
        scan(source, tmp_path / "out", replace(CLUSTER, model=model))
    assert not (tmp_path / "out" / MANIFEST).exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_file_that_kills_every_actor_gets_a_row(tmp_path: Path) -> None:
    folder = databases.write_cifs(tmp_path / "cifs", 6)
    deadly = folder / "deadly.cif"
    deadly.write_text("data_x\n" + "# nothing but comments\n" * 5_000_000)
    stopped = threading.Event()

    def kill() -> None:
        while not stopped.is_set():
            for process in actor_processes():
                with suppress(OSError):
                    opened = [str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()]
                    if str(deadly) in opened:
                        os.kill(process, signal.SIGKILL)
            time.sleep(0.002)

    killer = threading.Thread(target=kill)
    killer.start()
    progress = scan(folder, tmp_path / "out", replace(CLUSTER, processes=1, piece_size=10))
    stopped.set()
    killer.join()
    assert (progress.rows, progress.failed) == (7, 1)
    table = rows_of(tmp_path / "out").to_pandas().set_index("source")
    assert table.loc[str(deadly), "status"] == "crashed_reader"


def test_a_cluster_that_is_not_there(source: Path, tmp_path: Path) -> None:
    ray.shutdown()
    with pytest.raises(ParaisiteError, match=r"127\.0\.0\.1:9"):
        scan(source, tmp_path, replace(CLUSTER, address="127.0.0.1:9"))
    assert not (tmp_path / MANIFEST).exists()
