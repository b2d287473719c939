"""The Materials Project by its own client, against an API on loopback. The client takes seconds a search: `-m slow`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback import QUICK, Answer, Loopback

import paraisite
from paraisite.datasets.tables import load_togo15
from paraisite.errors import FetchError
from paraisite.fetch.common import FetchOptions
from paraisite.fetch.materials_project import FEATURES, fetch_materials_project
from paraisite.fetch.policy import HttpError
from paraisite.readers.stream import read_crystals
from paraisite.structures import to_pymatgen

KEY = "k" * 32
HEARTBEAT = {"version": "0.87.3", "db_version": "2026.10.1", "access_controlled_batch_ids": []}


def document(number: int) -> dict[str, Any]:
    crystal = load_togo15()[number]
    features = dict.fromkeys(FEATURES, 0.5) | {"is_stable": True, "nsites": crystal.n_atoms, "band_gap": None}
    return {"material_id": crystal.material_id, "structure": to_pymatgen(crystal).as_dict(), **features}


def api(documents: list[dict[str, Any]]) -> Callable[[str, dict[str, str]], Answer]:
    """The summaries of an API that knows fields, identifiers and pages."""

    def answer(path: str, headers: dict[str, str]) -> Answer:
        parts = urlsplit(path)
        if parts.path.rstrip("/").endswith("heartbeat"):
            return Answer(json.dumps(HEARTBEAT).encode())
        if headers.get("x-api-key") != KEY:
            return Answer(b'{"detail": "wrong key"}', status=401)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        found = documents
        if "material_ids" in query:
            found = [item for item in documents if item["material_id"] in query["material_ids"].split(",")]
        else:
            assert (query["is_stable"], query["deprecated"]) == ("True", "False")
        start, size = int(query.get("_skip", 0)), int(query["_limit"])
        fields = query["_fields"].split(",")
        data = [{name: item.get(name) for name in fields} for item in found[start : start + size]]
        return Answer(json.dumps({"data": data, "meta": {"total_doc": len(found)}}).encode())

    return answer


@pytest.fixture
def client() -> None:
    pytest.importorskip("mp_api")


def fetch(server: Loopback, folder: Path) -> Path:
    return fetch_materials_project(folder, FetchOptions(server.url + "/", KEY, QUICK), chunk_size=3)


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_crystals_and_features_arrive(server: Loopback, tmp_path: Path) -> None:
    documents = [document(number) for number in range(8)]
    server.answer = api(documents)
    path = fetch(server, tmp_path)
    crystals = {crystal.material_id: crystal for crystal in read_crystals([path])}
    assert {name: crystal.formula for name, crystal in crystals.items()} == {
        crystal.material_id: crystal.formula for crystal in load_togo15()[:8]
    }
    with (tmp_path / "materials_project.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["material_id"] for row in rows] == sorted(crystals)
    assert list(rows[0]) == ["material_id", "formula", *FEATURES]
    assert rows[0]["energy_above_hull"] == "0.5"
    assert rows[0]["band_gap"] == ""
    manifest = json.loads((tmp_path / "materials_project.manifest.json").read_text())
    assert (manifest["records"], manifest["kept"], manifest["dropped"]) == (8, 8, [])
    assert KEY not in "".join(item.read_text(errors="replace") for item in tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_a_stopped_fetch_goes_on_to_the_same_bytes(server: Loopback, tmp_path: Path) -> None:
    good = api([document(number) for number in range(8)])
    server.answer = good
    expected = fetch(server, tmp_path / "undisturbed").read_bytes()
    count = 0

    def failing(path: str, headers: dict[str, str]) -> Answer:
        nonlocal count
        count += "material_ids" in path
        return Answer(b"busy", status=500) if count >= 3 else good(path, headers)

    server.answer = failing
    with pytest.raises(HttpError, match=rf"{server.host} answered 500"):
        fetch(server, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".materials_project.partial"]
    server.answer = good
    server.requests.clear()
    assert fetch(server, tmp_path / "data").read_bytes() == expected
    assert sum("material_ids" in path for path in server.paths) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_an_unusable_structure_is_left_out_with_the_reason(server: Loopback, tmp_path: Path) -> None:
    server.answer = api([document(0), {**document(1), "structure": None}])
    fetch(server, tmp_path)
    manifest = json.loads((tmp_path / "materials_project.manifest.json").read_text())
    assert manifest["kept"] == 1
    assert [item["id"] for item in manifest["dropped"]] == [document(1)["material_id"]]


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_what_the_client_stumbles_over_is_one_sentence(server: Loopback, tmp_path: Path) -> None:
    server.answer = api([])
    for key in ("short", "x" * 32):
        with pytest.raises(
            FetchError, match=f"materials_project could not be fetched: {server.host} gave no usable"
        ) as error:
            paraisite.fetch_data("materials_project", tmp_path, url=server.url + "/", key=key, politeness=QUICK)
        assert "\n" not in str(error.value)
    with pytest.raises(HttpError, match="sent no crystal"):
        fetch(server, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_the_key_follows_no_redirect_to_another_server(server: Loopback, tmp_path: Path) -> None:
    other = Loopback()
    other.answer = api([document(0)])
    good = api([document(0)])
    server.answer = lambda path, headers: (
        good(path, headers) if "heartbeat" in path else Answer(status=302, headers={"Location": other.url + path})
    )
    with pytest.raises(HttpError, match=rf"leads to {other.host}, which must not see the key") as caught:
        fetch(server, tmp_path)
    assert not other.requests
    assert KEY not in str(caught.value)
    other.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_a_server_that_is_none_is_one_sentence(server: Loopback, tmp_path: Path) -> None:
    for answer in (Answer(b"<html>"), Answer(b"{}"), Answer(b"x", cut=1), Answer(status=404)):
        server.answer = lambda *_, answer=answer: answer
        with pytest.raises(HttpError, match=server.host):
            fetch(server, tmp_path)


def test_without_the_client_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mp_api", None)
    monkeypatch.setitem(sys.modules, "mp_api.client", None)
    with pytest.raises(FetchError, match=r"pip install 'paraisite\[mp\]'"):
        paraisite.fetch_data("materials_project", tmp_path, key=KEY)


def test_without_a_key_the_error_says_where_it_goes(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"--key or MP_API_KEY"):
        paraisite.fetch_data("materials_project", tmp_path)
