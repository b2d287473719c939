"""AFLOW's data from an AFLUX on loopback: whole or absent, whatever the server does."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback import QUICK, Answer, Loopback, aflux, aflux_page, kill_when

import paraisite
from paraisite.datasets.catalogue import load_data_set
from paraisite.datasets.tables import load_togo15
from paraisite.errors import FetchError
from paraisite.fetch import aflow, common
from paraisite.fetch.aflow import fetch_aflow_agl
from paraisite.fetch.common import FetchOptions
from paraisite.fetch.policy import HttpError
from paraisite.graphs.neighbours import find_neighbours
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS

PAGE_SIZE = 5
Records = list[dict[str, Any]]


def fetch(server: Loopback, folder: Path) -> bytes:
    return fetch_aflow_agl(folder, FetchOptions(server.url + "/API/aflux/", politeness=QUICK), PAGE_SIZE).read_bytes()


def manifest(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "aflow_agl.manifest.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture
def expected(server: Loopback, records: Records, tmp_path: Path) -> bytes:
    """What an undisturbed fetch gives; the server then still answers well."""
    server.answer = aflux(records)
    content = fetch(server, tmp_path / "undisturbed")
    server.requests.clear()
    return content


def test_the_crystals_are_those_that_were_served(server: Loopback, records: Records, tmp_path: Path) -> None:
    server.answer = aflux(records)
    fetch(server, tmp_path)
    data = load_data_set("aflow_agl", tmp_path)
    assert not data.failures
    served = {record["aurl"].rpartition("/")[2]: record for record in records}
    assert [crystal.material_id for crystal in data.crystals] == sorted(served)
    originals = {float(crystal.properties["kappa"]): crystal for crystal in load_togo15()[: len(records)]}
    for crystal, kappa in zip(data.crystals, data.kappa, strict=True):
        record, original = served[crystal.material_id], originals[kappa]
        assert crystal.properties["auid"] == record["auid"]
        assert (crystal.formula, crystal.n_atoms) == (original.formula, original.n_atoms)
        ours, theirs = (find_neighbours(item, DEFAULT_GRAPH_SETTINGS) for item in (crystal, original))
        np.testing.assert_allclose(np.sort(ours.distance), np.sort(theirs.distance), atol=1e-6)


def test_the_query_asks_for_what_is_needed(server: Loopback, expected: bytes, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    assert [aflux_page(path) for path in server.paths] == [(page, PAGE_SIZE) for page in range(1, 6)]
    fields = server.paths[0].removeprefix("/API/aflux/?").split(",")[:-2]
    assert fields == [
        "agl_thermal_conductivity_300K(*)", "auid(*)", "aurl(*)", "species(*)", "composition(*)", "geometry(*)",
        "positions_fractional(*)", "catalog(icsd)",
    ]  # fmt: skip


def test_the_manifest_tells_what_came(server: Loopback, records: Records, tmp_path: Path) -> None:
    server.answer = aflux(records)
    content = fetch(server, tmp_path)
    told = manifest(tmp_path)
    assert told["sha256"] == {"aflow_agl.extxyz.gz": hashlib.sha256(content).hexdigest()}
    assert (told["pages"], told["records"], told["kept"], told["dropped"]) == (5, 23, 23, [])
    assert told["url"].startswith(server.url)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aflow_agl.extxyz.gz", "aflow_agl.manifest.json"]


def as_texts(record: dict[str, Any]) -> dict[str, Any]:
    """A record as older servers word it."""
    record = deepcopy(record)
    for name in ("agl_thermal_conductivity_300K", "geometry"):
        record[name] = str(record[name])
    record["species"], record["composition"] = (",".join(map(str, record[key])) for key in ("species", "composition"))
    record["positions_fractional"] = ";".join(",".join(map(str, row)) for row in record["positions_fractional"])
    return record


def test_every_wording_gives_the_same_file(server: Loopback, records: Records, expected: bytes, tmp_path: Path) -> None:
    server.answer = aflux(records, keyed=True)
    assert fetch(server, tmp_path / "keyed") == expected
    server.answer = aflux([as_texts(record) for record in records])
    assert fetch(server, tmp_path / "texts") == expected


def test_a_full_last_page_needs_an_empty_one(server: Loopback, records: Records, tmp_path: Path) -> None:
    server.answer = aflux(records[:20])
    fetch(server, tmp_path)
    assert len(server.paths) == 5
    assert manifest(tmp_path)["kept"] == 20


GARBAGE = [b"DB Fail!null", b"null", b"", b"<html>busy</html>", b"{}", b"[1, 2]", b'{"error": "busy"}', b"[{]"]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("page", [1, 3, 5])
def test_garbage_is_asked_again_and_never_the_end(
    server: Loopback, records: Records, expected: bytes, tmp_path: Path, garbage: bytes, page: int
) -> None:
    good, bad = aflux(records), [Answer(garbage), Answer(garbage)]
    server.answer = lambda path, headers: bad.pop() if bad and aflux_page(path)[0] == page else good(path, headers)
    assert fetch(server, tmp_path) == expected
    assert len(server.paths) == 7


def test_lasting_garbage_is_an_error_and_the_good_pages_are_kept(
    server: Loopback, records: Records, expected: bytes, tmp_path: Path
) -> None:
    good = aflux(records)
    server.answer = lambda path, headers: Answer(b"DB Fail!null") if aflux_page(path)[0] == 3 else good(path, headers)
    with pytest.raises(HttpError, match=r"sent a page that is no JSON: 'DB Fail!null'"):
        fetch(server, tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".aflow_agl.partial"]
    server.answer = good
    server.requests.clear()
    assert fetch(server, tmp_path / "data") == expected
    assert [aflux_page(path)[0] for path in server.paths] == [3, 4, 5]


def test_a_truncated_page_is_asked_again(server: Loopback, records: Records, expected: bytes, tmp_path: Path) -> None:
    good, cut = aflux(records), [700]

    def answer(path: str, headers: dict[str, str]) -> Answer:
        whole = good(path, headers)
        return Answer(whole.body, cut=cut.pop() if cut and aflux_page(path)[0] == 2 else 0)

    server.answer = answer
    assert fetch(server, tmp_path) == expected


def spoiled(record: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**deepcopy(record), **changes}


def test_unusable_records_are_left_out_with_the_reason(
    server: Loopback, records: Records, expected: bytes, tmp_path: Path
) -> None:
    good = records[0]
    bad = [
        (spoiled(good, auid="a1", agl_thermal_conductivity_300K=None), "κ must be a number above 0"),
        (spoiled(good, auid="a2", agl_thermal_conductivity_300K="-1.5"), "κ must be a number above 0"),
        (spoiled(good, auid="a3", agl_thermal_conductivity_300K="nan"), "κ must be a number above 0"),
        (spoiled(good, auid="a4", geometry=[4.0, 4.0, 4.0]), "geometry has 3 numbers"),
        (spoiled(good, auid="a5", geometry=[4.0, 4.0, 4.0, 10.0, 10.0, 170.0]), "no cell has the angles"),
        (spoiled(good, auid="a6", geometry=[4.0, 4.0, 4.0, 0.0, 90.0, 90.0]), "is no cell"),
        (spoiled(good, auid="a7", geometry="four"), "geometry holds something that is no number"),
        (spoiled(good, auid="a8", positions_fractional=[[0, 0, 0]]), "3 coordinates do not belong to"),
        (spoiled(good, auid="a9", positions_fractional=None), "0 coordinates do not belong to"),
        (spoiled(good, auid="b1", species=[*good["species"], "Xx"]), "species do not belong to"),
        (spoiled(good, auid="b2", species=["Xx", "Yy"]), "is not a chemical element"),
        (spoiled(good, auid="b3", composition=[0.5, 1.5]), "whole numbers of atoms"),
        (spoiled(good, auid="b4", composition=[10**12, 1]), "whole numbers of atoms"),
        (spoiled(good, auid="b5", species=["Po", "O"]), "outside the 89"),
        ({"auid": "b6"}, "κ must be"),
        (spoiled(good, auid=None), "no auid"),
    ]
    server.answer = aflux([*records, *(record for record, _ in bad), records[3], records[4]])
    assert fetch(server, tmp_path) == expected
    told = manifest(tmp_path)
    assert (told["kept"], told["duplicates"], len(told["dropped"])) == (23, 2, len(bad))
    for item, (record, words) in zip(told["dropped"], bad, strict=True):
        assert item["id"] == (record["auid"] or "record 39")
        assert words in item["reason"]


def test_a_list_that_ends_too_early_is_no_list(
    server: Loopback, records: Records, expected: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = aflux(records, keyed=True)

    def short(path: str, headers: dict[str, str]) -> Answer:
        content = json.loads(good(path, headers).body)
        return Answer(json.dumps(dict(list(content.items())[:3])).encode())

    server.answer = short
    with pytest.raises(HttpError, match="sent 3 records where 23 were expected"):
        fetch(server, tmp_path)
    server.answer = good
    assert fetch(server, tmp_path) == expected, "the short page is asked for again"

    server.answer = aflux(records)
    monkeypatch.setattr(aflow, "AFLUX_URL", server.url + "/API/aflux/")
    with pytest.raises(HttpError, match="sent 23 records where at least 4000 were expected"):
        fetch(server, tmp_path / "public")
    assert not (tmp_path / "public" / "aflow_agl.extxyz.gz").exists()


def test_a_server_that_does_not_page_is_noticed(server: Loopback, records: Records, tmp_path: Path) -> None:
    server.answer = lambda *_: Answer(json.dumps(records).encode())
    with pytest.raises(HttpError, match="sent 23 records on a page of 5"):
        fetch(server, tmp_path)
    server.answer = lambda *_: Answer(json.dumps(records[:5]).encode())
    with pytest.raises(HttpError, match="sends the same records as page 2"):
        fetch(server, tmp_path)


def test_no_usable_record_is_an_error(server: Loopback, tmp_path: Path) -> None:
    server.answer = aflux([{"auid": "x"}])
    with pytest.raises(HttpError, match="1 records, of which none can be used"):
        fetch(server, tmp_path)
    assert not (tmp_path / "aflow_agl.extxyz.gz").exists()


@pytest.mark.parametrize("page", [1, 4])
def test_a_killed_fetch_goes_on_to_the_same_bytes(
    server: Loopback, records: Records, expected: bytes, tmp_path: Path, page: int
) -> None:
    good, reached, leave = aflux(records), threading.Event(), threading.Event()

    def stuck(path: str, headers: dict[str, str]) -> Answer:
        if aflux_page(path)[0] == page:
            reached.set()
            leave.wait(60)
        return good(path, headers)

    server.answer = stuck
    folder = tmp_path / "killed"
    code = (
        "from pathlib import Path; from paraisite.fetch.aflow import fetch_aflow_agl\n"
        "from paraisite.fetch.common import FetchOptions; from paraisite.fetch.policy import Politeness\n"
        f"options = FetchOptions({server.url + '/API/aflux/'!r}, politeness=Politeness(0, 60))\n"
        f"fetch_aflow_agl(Path({str(folder)!r}), options, {PAGE_SIZE})"
    )
    kill_when(code, reached)
    leave.set()
    assert [path.name for path in folder.iterdir()] == [".aflow_agl.partial"], "nothing half-written has the final name"
    with pytest.raises(paraisite.ParaisiteError, match="aflow_agl"):
        load_data_set("aflow_agl", folder)
    server.answer = good
    server.requests.clear()
    assert fetch(server, folder) == expected
    assert [aflux_page(path)[0] for path in server.paths] == list(range(page, 6)), "whole pages are not asked for again"
    ours, theirs = manifest(folder), manifest(tmp_path / "undisturbed")
    assert {**ours, "fetched": ""} == {**theirs, "fetched": ""}


def interrupt_after_two_pages(server: Loopback, records: Records, folder: Path) -> Path:
    good = aflux(records)
    server.answer = lambda path, headers: Answer(status=404) if aflux_page(path)[0] == 3 else good(path, headers)
    with pytest.raises(HttpError):
        fetch(server, folder)
    server.answer = good
    server.requests.clear()
    return folder / ".aflow_agl.partial"


def make_old(parts: Path) -> None:
    note = json.loads((parts / "request.json").read_text())
    note["started"] -= common.MAX_AGE_SECONDS + 1
    (parts / "request.json").write_text(json.dumps(note))


def ask_otherwise(parts: Path) -> None:
    note = json.loads((parts / "request.json").read_text())
    note["request"]["url"] = "http://elsewhere"
    (parts / "request.json").write_text(json.dumps(note))


@pytest.mark.parametrize(
    ("damage", "pages"),
    [
        (make_old, [1, 2, 3, 4, 5]),
        (ask_otherwise, [1, 2, 3, 4, 5]),
        (lambda parts: (parts / "request.json").write_text("{"), [1, 2, 3, 4, 5]),
        (lambda parts: (parts / "page-0002.json").write_text('{"total": null, "rec'), [2, 3, 4, 5]),
        (lambda parts: (parts / "page-0001.json").unlink(), [1, 3, 4, 5]),
        (lambda parts: (parts / ".page-0003.json.99.part").write_text("[{"), [3, 4, 5]),
        (shutil.rmtree, [1, 2, 3, 4, 5]),
    ],
)
def test_unfit_parts_are_asked_for_again(
    server: Loopback, records: Records, expected: bytes, tmp_path: Path, damage: Callable[[Path], object],
    pages: list[int],
) -> None:  # fmt: skip
    damage(interrupt_after_two_pages(server, records, tmp_path / "data"))
    assert fetch(server, tmp_path / "data") == expected
    assert [aflux_page(path)[0] for path in server.paths] == pages


def test_fetch_data_keeps_what_is_there_unless_forced(server: Loopback, records: Records, tmp_path: Path) -> None:
    server.answer = aflux(records)
    options: dict[str, Any] = {"url": server.url, "politeness": QUICK}
    path = paraisite.fetch_data("aflow_agl", tmp_path, **options)
    first = path.read_bytes()
    server.answer = aflux(records[:10])
    assert paraisite.fetch_data("aflow_agl", tmp_path, **options) == path
    assert path.read_bytes() == first
    assert paraisite.fetch_data("aflow_agl", tmp_path, force=True, **options) == path
    assert len(load_data_set("aflow_agl", tmp_path).crystals) == 10
    gzip.decompress(path.read_bytes())


def test_without_a_network_the_error_names_host_and_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(FetchError) as caught:
        paraisite.fetch_data("aflow_agl", tmp_path, url=f"http://{host}/", politeness=QUICK)
    message = str(caught.value)
    assert f"{host} cannot be reached" in message
    assert "--data DIR or PARAISITE_DATA" in message
    assert "\n" not in message
    assert not (tmp_path / "aflow_agl.extxyz.gz").exists()
