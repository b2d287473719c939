"""OPTIMADE providers that leave out what is optional, go round in circles, or are none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback import QUICK, Answer, Loopback

from paraisite.errors import FetchError
from paraisite.fetch.common import FetchOptions
from paraisite.fetch.optimade import fetch_optimade, next_address
from paraisite.fetch.policy import HttpError, HttpLimits
from paraisite.screening.remote import find_source

pytest.importorskip("optimade.client")
OPTIONS = FetchOptions(politeness=replace(QUICK, attempts=2), limits=HttpLimits(pages=30, empty_pages=3))
Serve = Callable[[str, dict[str, str]], Answer]


def record(number: int) -> dict[str, Any]:
    return {
        "id": f"s{number}",
        "type": "structures",
        "attributes": {"lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]]},
    }


def provider(
    server: Loopback, n_pages: int = 3, change: Callable[[int, dict[str, Any]], object] = lambda *_: None
) -> Serve:
    """Two records a page; `change` spoils the content of a page."""

    def answer(path: str, _: dict[str, str]) -> Answer:
        number = int(parse_qs(urlsplit(path).query).get("page", ["1"])[0])
        link = f"{server.url}/v1/structures?page={number + 1}" if number < n_pages else None
        page: dict[str, Any] = {
            "data": [record(2 * number), record(2 * number + 1)],
            "links": {"next": link},
            "meta": {},
        }
        change(number, page)
        return Answer(json.dumps(page).encode())

    return answer


def fetched(server: Loopback, folder: Path, options: FetchOptions = OPTIONS) -> list[str]:
    fetch_optimade(folder, server.url, "", options)
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line)["id"] for line in lines]


WHOLE = [f"s{number}" for number in range(2, 8)]


@pytest.mark.parametrize(
    "change",
    [
        lambda _, page: page.pop("meta"),
        lambda _, page: page.update(meta=None),
        lambda _, page: page["meta"].update(data_available=1, data_returned="many", request_delay="long"),
        lambda _, page: page["meta"].update(data_available=0, request_delay=0.01),
        lambda _, page: page["meta"].update(request_delay=float("inf") if _ > 3 else -1),
        lambda _, page: page.update(included=[{}], errors=None),
        lambda number, page: page.pop("links") if number == 3 else None,
        lambda _, page: page["links"].update(next={"href": page["links"]["next"]}),
        lambda _, page: page["links"].update(next=(page["links"]["next"] or "").rpartition("/")[2] or None),
    ],
)
def test_what_is_optional_may_be_missing(
    server: Loopback, tmp_path: Path, change: Callable[[int, dict[str, Any]], object]
) -> None:
    server.answer = provider(server, change=change)
    assert fetched(server, tmp_path) == WHOLE


def back(number: int, page: dict[str, Any]) -> None:
    if number == 3:
        page["links"]["next"] = page["links"]["next"].replace("page=4", "page=2")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (back, "leads from page 3 back to a page that was asked for before"),
        (lambda _, page: page.update(data=[record(0)]), "sends the same records as page 2"),
        (lambda _, page: page.update(data=[]), "more than 3 empty pages one after the other"),
        (lambda *_: None, r"does not end within 30 \(the limit pages\)"),
        (
            lambda _, page: page["links"].update(next="http://127.0.0.1:1/x"),
            "another server for the next page, 127.0.0.1:1",
        ),
        (lambda _, page: page["links"].update(next="file:///etc/passwd"), "no address of a web server"),
        (lambda _, page: page["links"].update(next="http://[::1"), "no address"),
        (lambda _, page: page["links"].update(next=7), "no address"),
        (lambda _, page: page.update(links={}, meta={"more_data_available": True}), "has more data"),
        (lambda _, page: page.update(data=None), "without a list of structures"),
        (lambda _, page: page.update(data={"a": 1}), "without a list of structures"),
        (lambda _, page: page.update(data=[3]), "without a list of structures"),
        (lambda _, page: page.update(errors=[{"title": "busy"}]), "sends an error as a page: .*busy"),
    ],
)
def test_a_list_that_is_none_is_refused(
    server: Loopback, tmp_path: Path, change: Callable[[int, dict[str, Any]], object], words: str
) -> None:
    server.answer = provider(server, n_pages=10**6, change=change)
    with pytest.raises(
        FetchError, match=f"{re.escape(server.url)} did not send all its structures: .*{words}"
    ) as caught:
        fetched(server, tmp_path)
    assert "Error" not in str(caught.value)
    assert len(server.requests) < 40


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": [', b'{"data": ' + b"[" * 100_000, b"[]", b"null"])
def test_a_bad_page_is_asked_for_again_and_not_kept(server: Loopback, tmp_path: Path, body: bytes) -> None:
    good, bad = provider(server), [Answer(body)]
    server.answer = lambda path, headers: bad.pop() if bad and "page=2" in path else good(path, headers)
    assert fetched(server, tmp_path / "a") == WHOLE
    server.answer = lambda path, headers: Answer(body) if "page=2" in path else good(path, headers)
    with pytest.raises(FetchError, match="sends a page"):
        fetched(server, tmp_path / "b")
    assert [path.name for path in sorted((tmp_path / "b").glob("*.jsonl"))] == ["page-00000001.jsonl"]
    server.answer = good
    assert fetched(server, tmp_path / "b") == WHOLE, "it goes on after the page that was kept"


def test_a_fetch_that_was_stopped_still_knows_the_pages(server: Loopback, tmp_path: Path) -> None:
    good = provider(server, 10, back)
    server.answer = lambda path, headers: Answer(status=404) if "page=3" in path else good(path, headers)
    with pytest.raises(FetchError, match="404"):
        fetched(server, tmp_path)
    server.answer = good
    with pytest.raises(FetchError, match="back to a page"):
        fetched(server, tmp_path)


def test_a_fetch_that_was_stopped_at_the_very_end_is_whole(server: Loopback, tmp_path: Path) -> None:
    server.answer = provider(server)
    assert fetched(server, tmp_path) == WHOLE
    state = json.loads((tmp_path / ".optimade.json").read_text())
    (tmp_path / ".optimade.json").write_text(json.dumps({**state, "complete": False}))
    server.requests.clear()
    assert fetched(server, tmp_path) == WHOLE
    assert not server.requests
    for content in ("{", "[]", '{"pages": "x"}'):
        (tmp_path / ".optimade.json").write_text(content)
        with pytest.raises(FetchError, match="choose another folder"):
            fetched(server, tmp_path)
    (tmp_path / ".optimade.json").unlink()
    with pytest.raises(FetchError, match=r"pages without their \.optimade\.json"):
        fetched(server, tmp_path)


def test_a_busy_provider_is_asked_again_within_bounds(server: Loopback, tmp_path: Path) -> None:
    good, busy = provider(server), [Answer(status=429, headers={"Retry-After": "0.2"})]
    server.answer = lambda path, headers: busy.pop() if busy else good(path, headers)
    assert fetched(server, tmp_path / "a") == WHOLE
    assert server.times[1] - server.times[0] >= 0.2
    server.answer = lambda *_: Answer(status=429, headers={"Retry-After": "1e9"})
    with pytest.raises(FetchError, match="asks for a pause of 1000000000 s"):
        fetched(server, tmp_path / "b")


def test_the_password_is_kept_nowhere(server: Loopback, tmp_path: Path) -> None:
    good = provider(server)
    server.answer = lambda path, headers: good(path, headers) if "Authorization" in headers else Answer(status=401)
    found = find_source(f"optimade:http://user:s3cret@{server.host}/", tmp_path)
    assert found.name == f"optimade:http://{server.host}/"
    assert all("Authorization" in headers for _, headers in server.requests)
    assert not any(b"s3cret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    server.answer = lambda *_: Answer(status=401)
    with pytest.raises(FetchError, match="401") as caught:
        find_source(f"optimade:http://user:s3cret@{server.host}", tmp_path / "b")
    assert "s3cret" not in str(caught.value)


def test_links_of_providers_behind_a_proxy_stay_encrypted() -> None:
    def link(target: str) -> str | None:
        return next_address("https://93.184.216.34/v1/structures", {"links": {"next": target}}, "https://93.184.216.34")

    assert link("http://93.184.216.34/v1/structures?page=2") == "https://93.184.216.34/v1/structures?page=2"
    with pytest.raises(HttpError, match="unencrypted"):
        link("http://93.184.216.35/v1/structures?page=2")
