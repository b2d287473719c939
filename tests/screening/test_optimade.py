"""Scans of a real OPTIMADE reference server on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import databases
import pytest
import requests
from databases import rows_of

from paraisite.errors import DataError, FetchError
from paraisite.fetch.common import FetchOptions, FetchProgress
from paraisite.fetch.optimade import fetch_optimade
from paraisite.screening.scan import ScanOptions, scan
from paraisite.screening.state import usable_parts

pytest.importorskip("optimade.client")
pytest.importorskip("optimade.server")

OPTIONS = ScanOptions(processes=1, piece_size=5)
N_CRYSTALS = 44
"""Three of the server's pages of 20, with the disordered one."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The reference server with our crystals, and a disordered one, in its in-memory store."""
    folder = tmp_path_factory.mktemp("optimade")
    records = [
        json.loads(line) for line in databases.write_jsonl(folder / "all.jsonl", N_CRYSTALS).read_text().splitlines()
    ]
    mixed = json.loads(json.dumps(records[0]))
    mixed["id"] = "mixed"
    mixed["attributes"]["species"][0].update(chemical_symbols=["Na", "K"], concentration=[0.5, 0.5])
    header = {"x-optimade": {"meta": {"api_version": "1.1.0"}}}
    lines = [json.dumps(item) for item in [header, *records, mixed]]
    (folder / "data.jsonl").write_text("\n".join(lines) + "\n")
    settings = {
        "insert_test_data": False,
        "insert_from_jsonl": str(folder / "data.jsonl"),
        "provider": {"prefix": "ours", "name": "ours", "description": "crystals of the tests"},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "uvicorn", "optimade.server.main:app", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "OPTIMADE_CONFIG_FILE": str(folder / "settings.json")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while True:
        try:
            if requests.get(f"{url}/v1/info", timeout=5).ok:
                break
        except requests.RequestException:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.2)
    yield url
    process.send_signal(signal.SIGTERM)
    process.wait()


def test_a_provider_is_scanned(server: str, tmp_path: Path) -> None:
    scan(f"optimade:{server}", tmp_path / "remote", OPTIONS)
    table = rows_of(tmp_path / "remote").to_pandas().set_index("material_id")
    scan(databases.write_extxyz(tmp_path / "all.extxyz", N_CRYSTALS), tmp_path / "local", OPTIONS)
    local = rows_of(tmp_path / "local").to_pandas().set_index("material_id")
    assert set(table.index) == {*local.index, "mixed"}
    assert table.loc["mixed", "status"] == "partial_occupancy"
    for name in local.index:
        assert table.loc[name, "kappa"] == pytest.approx(local.loc[name, "kappa"], rel=1e-4)
        assert table.loc[name, "graph_hash"] == local.loc[name, "graph_hash"]


def test_the_fetch_is_told(server: str, tmp_path: Path) -> None:
    seen: list[FetchProgress] = []
    scan(f"optimade:{server}", tmp_path, replace(OPTIONS, report_fetch=seen.append))
    assert [(now.done, now.unit) for now in seen] == [(1, "pages"), (2, "pages"), (3, "pages")]
    assert seen[-1].records == N_CRYSTALS + 1


def test_a_filter(server: str, tmp_path: Path) -> None:
    element = databases.crystals()[0].formula[:2]
    scan(f"optimade:{server}", tmp_path, replace(OPTIONS, query=f'elements HAS "{element}"'))
    formulas = rows_of(tmp_path)["formula"].to_pylist()
    assert formulas
    assert all(element in formula for formula in formulas if formula)
    assert json.loads((tmp_path / "scan.json").read_text())["source"].endswith(f'elements HAS "{element}"')


def test_a_resumed_scan_does_not_ask_again(server: str, tmp_path: Path) -> None:
    scan(f"optimade:{server}", tmp_path, OPTIONS)
    usable_parts(tmp_path)[0].unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "source").iterdir()}
    scan(f"optimade:{server}", tmp_path, replace(OPTIONS, resume=True))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "source").iterdir()} == before


def test_a_stopped_fetch_goes_on_after_its_last_page(server: str, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(progress: FetchProgress) -> None:
        if progress.done == 2:
            raise StoppedError("stopped")

    with pytest.raises((StoppedError, FetchError)):
        fetch_optimade(tmp_path / "a", server, "", FetchOptions(report=stop))
    pages: list[int] = []
    fetch_optimade(tmp_path / "a", server, "", FetchOptions(report=lambda now: pages.append(now.done)))
    assert pages == [3]
    fetch_optimade(tmp_path / "b", server, "", FetchOptions())
    names = [path.name for path in sorted((tmp_path / "b").glob("*.jsonl"))]
    assert len(names) == 3
    assert [(tmp_path / "a" / name).read_bytes() for name in names] == [
        (tmp_path / "b" / name).read_bytes() for name in names
    ]


def test_mistakes_are_one_sentence(server: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="grammar"):
        fetch_optimade(tmp_path / "a", server, "elements HAVE NaCl", FetchOptions())
    with pytest.raises(FetchError, match="did not send"):
        fetch_optimade(tmp_path / "b", "http://127.0.0.1:9", "", FetchOptions())
    with pytest.raises(DataError, match="--filter"):
        scan(tmp_path, tmp_path / "out", replace(OPTIONS, query="nelements=2"))
    with pytest.raises(DataError, match="no structures"):
        scan(f"optimade:{server}", tmp_path / "none", replace(OPTIONS, query="nelements=7"))
    fetch_optimade(tmp_path / "c", server, "", FetchOptions())
    with pytest.raises(FetchError, match="another query"):
        fetch_optimade(tmp_path / "c", server, "nelements=2", FetchOptions())
