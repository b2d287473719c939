"""The formation-energy weights: the published bytes or nothing, and a model that gives the published energy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from loopback import QUICK, Answer, Loopback, kill_when

import paraisite
from paraisite.errors import FetchError
from paraisite.fetch import weights
from paraisite.fetch.common import FetchOptions
from paraisite.fetch.policy import HttpError
from paraisite.fetch.weights import FORMATION_ENERGY_NAME, SHA256, fetch_formation_energy_weights
from paraisite.training.network.start_weights import FORMATION_ENERGY_WEIGHTS

Serve = Callable[[str, dict[str, str]], Answer]


@pytest.fixture
def files(formation_energy_folder: Path) -> dict[str, bytes]:
    return {name: (formation_energy_folder / name).read_bytes() for name in SHA256}


def serving(files: dict[str, bytes]) -> Serve:
    """A server of files that knows ranges."""

    def answer(path: str, headers: dict[str, str]) -> Answer:
        content = files[path.rpartition("/")[2]]
        if "Range" not in headers:
            return Answer(content)
        start = int(headers["Range"].removeprefix("bytes=").removesuffix("-"))
        span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return Answer(content[start:], status=206, headers=span)

    return answer


def fetch(server: Loopback, folder: Path) -> Path:
    return fetch_formation_energy_weights(folder, FetchOptions(server.url + "/weights/", politeness=QUICK))


def test_the_weights_arrive_whole(server: Loopback, files: dict[str, bytes], tmp_path: Path) -> None:
    server.answer = serving(files)
    folder = fetch(server, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert server.paths == ["/weights/model.json", "/weights/state.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        FORMATION_ENERGY_NAME,
        f"{FORMATION_ENERGY_NAME}.manifest.json",
    ]
    entry = paraisite.fetch.catalogue.describe_data(FORMATION_ENERGY_NAME, tmp_path)
    assert entry.location == folder
    assert entry.manifest["formation_energy_cscl_ev_per_atom"] == pytest.approx(-2.2722, abs=1e-4)
    assert FORMATION_ENERGY_NAME == FORMATION_ENERGY_WEIGHTS


def test_a_truncated_file_is_continued(server: Loopback, files: dict[str, bytes], tmp_path: Path) -> None:
    good, cut = serving(files), [300_000]

    def answer(path: str, headers: dict[str, str]) -> Answer:
        whole = good(path, headers)
        return Answer(whole.body, whole.status, whole.headers, cut.pop() if cut and "state" in path else 0)

    server.answer = answer
    folder = fetch(server, tmp_path)
    assert (folder / "state.pt").read_bytes() == files["state.pt"]
    assert "Range" in server.requests[-1][1]


def test_wrong_bytes_are_refused_and_not_kept(server: Loopback, files: dict[str, bytes], tmp_path: Path) -> None:
    damaged = bytearray(files["state.pt"])
    damaged[1000] ^= 1
    server.answer = serving({**files, "state.pt": bytes(damaged)})
    with pytest.raises(
        HttpError, match=rf"{server.host} sent a state\.pt with SHA-256 .* where 35381368b17a… was expected"
    ):
        fetch(server, tmp_path)
    assert not list(tmp_path.rglob("*state.pt*"))
    assert not (tmp_path / FORMATION_ENERGY_NAME).exists()
    server.answer = serving(files)
    server.requests.clear()
    assert fetch(server, tmp_path).is_dir()
    assert server.paths == ["/weights/state.pt"], "the good file was kept"


def test_a_mirror_helps_out(
    server: Loopback, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = serving(files)
    server.answer = lambda path, headers: good(path, headers) if "/second/" in path else Answer(b"<html>", status=200)
    monkeypatch.setattr(weights, "MIRRORS", (server.url + "/first", server.url + "/second"))
    folder = fetch_formation_energy_weights(tmp_path, FetchOptions(politeness=QUICK))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    server.answer = lambda *_: Answer(status=404)
    with pytest.raises(
        FetchError, match=r"answered 404 .*/first/model\.json, and .* answered 404 .*/second/model\.json"
    ):
        paraisite.fetch_data(FORMATION_ENERGY_NAME, tmp_path / "other", politeness=QUICK)


def test_a_model_with_another_energy_is_refused(
    server: Loopback, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = serving(files)
    # The value of MatGL 3 and later, which reads the file in another convention.
    monkeypatch.setattr(weights, "CSCL_EV_PER_ATOM", -1.924)
    with pytest.raises(FetchError, match=r"gives -2\.2722 eV/atom for CsCl"):
        fetch(server, tmp_path)
    assert not (tmp_path / FORMATION_ENERGY_NAME).exists()


def test_a_killed_download_is_continued(server: Loopback, files: dict[str, bytes], tmp_path: Path) -> None:
    good, reached, leave = serving(files), threading.Event(), threading.Event()

    def stuck(path: str, headers: dict[str, str]) -> Answer:
        if "state" not in path:
            return good(path, headers)
        if "Range" in headers:
            reached.set()
            leave.wait(60)
        return Answer(files["state.pt"], cut=400_000)

    server.answer = stuck
    code = (
        "from pathlib import Path; from paraisite.fetch.weights import fetch_formation_energy_weights\n"
        "from paraisite.fetch.common import FetchOptions; from paraisite.fetch.policy import Politeness\n"
        f"options = FetchOptions({server.url!r}, politeness=Politeness(0, 60, first_pause_seconds=0.001))\n"
        f"fetch_formation_energy_weights(Path({str(tmp_path)!r}), options)"
    )
    kill_when(code, reached)
    leave.set()
    assert not (tmp_path / FORMATION_ENERGY_NAME).exists()
    server.answer = good
    server.requests.clear()
    folder = fetch(server, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    ((path, headers),) = server.requests
    assert path.endswith("state.pt")
    assert int(headers["Range"].removeprefix("bytes=").removesuffix("-")) > 300_000


def test_forced_weights_take_the_place_of_the_old(server: Loopback, files: dict[str, bytes], tmp_path: Path) -> None:
    server.answer = serving(files)
    folder = fetch(server, tmp_path)
    (folder / "state.pt").write_bytes(b"old")
    assert paraisite.fetch_data(FORMATION_ENERGY_NAME, tmp_path, url=server.url, politeness=QUICK) == folder
    assert (folder / "state.pt").read_bytes() == b"old", "what is there is left alone"
    assert paraisite.fetch_data(FORMATION_ENERGY_NAME, tmp_path, url=server.url, politeness=QUICK, force=True) == folder
    assert (folder / "state.pt").read_bytes() == files["state.pt"]
