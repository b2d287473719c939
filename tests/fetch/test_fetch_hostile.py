"""Servers that attack: each costs a sentence, within the limits of time and size."""

from __future__ import annotations

import gzip
import json
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile import OK, RawServer, Script, for_ever, trickle
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import QUICK, Answer, Loopback, aflux, aflux_page

import paraisite
from paraisite.cli.main import main
from paraisite.errors import DataError, FetchError
from paraisite.fetch.aflow import fetch_aflow_agl, sort_records
from paraisite.fetch.common import FetchOptions
from paraisite.fetch.http import HttpClient, retry_after
from paraisite.fetch.policy import (
    NO_ACCESS,
    Access,
    HttpError,
    HttpLimits,
    check_step,
    parse_limits,
    public_url,
    same_server,
    split_address,
)
from paraisite.screening.remote import find_source

LIMITS = HttpLimits(page_bytes=2**20, file_bytes=2**20, answer_seconds=1)
ONCE = replace(QUICK, attempts=2)
Serve = Callable[[Script], RawServer]


@pytest.fixture
def raw() -> Iterator[Serve]:
    servers: list[RawServer] = []

    def serve(script: Script) -> RawServer:
        servers.append(RawServer(script))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


def ask(url: str, limits: HttpLimits = LIMITS, access: Access = NO_ACCESS) -> str:
    with HttpClient(ONCE, limits, access) as client:
        return client.get(url, str)


CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"
BOMB = gzip.compress(bytes(2**26))
SLOW = {
    "body": lambda _: iter([OK, b"Content-Length: 100000\r\n\r\n", *trickle(b"x" * 500)]),
    "body without length": lambda _: iter([OK, b"\r\n", *trickle(b"x" * 500)]),
    "headers": lambda _: iter([OK, b"X-Long: ", *trickle(b"x" * 500)]),
    "status": lambda _: trickle(b"HTTP/1.1 200 " + b"O" * 500),
    "chunks": lambda _: iter([OK, b"Transfer-Encoding: chunked\r\n\r\n", *trickle(b"1\r\nx\r\n" * 100)]),
    "interim answers": lambda _: iter([b"HTTP/1.1 100 Continue\r\n\r\n", 0.02] * 500),
    "redirect": lambda _: iter([b"HTTP/1.1 302 Found\r\nLocation: ", *trickle(b"/" * 500)]),
}
LONG = {
    "without length": lambda _: iter([OK, b"\r\n", *([bytes(65536)] * 100)]),
    "with a length": lambda _: iter([OK, b"Content-Length: 99999999999999999999\r\n\r\n", bytes(1000)]),
    "in chunks": lambda _: iter([OK, b"Transfer-Encoding: chunked\r\n\r\n", *([CHUNK] * 100)]),
    "packed": lambda _: iter(
        [OK, b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB), BOMB]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SLOW)
def test_the_slowest_answer_has_an_end(raw: Serve, name: str) -> None:
    server = raw(SLOW[name])
    started = time.monotonic()
    with pytest.raises(HttpError, match=rf"{server.host} takes longer than 1 s .*answer_seconds"):
        ask(server.url)
    assert time.monotonic() - started < 4
    assert len(server.heads) == 1, "a server that wastes time is not asked again"


@pytest.mark.parametrize("name", LONG)
def test_the_longest_answer_has_an_end(raw: Serve, name: str) -> None:
    server = raw(LONG[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(HttpError, match=rf"{server.host} sends more than 1048576 bytes \(the limit page_bytes\)"):
        ask(server.url)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000, "KiB"


def test_an_endless_redirect_is_not_read(raw: Serve, server: Loopback) -> None:
    server.answer = lambda *_: Answer(b"fine")
    head = f"HTTP/1.1 302 Found\r\nLocation: {server.url}/\r\n\r\n".encode()
    endless = raw(lambda _: iter([head, *([bytes(65536)] * 1000)]))
    assert ask(endless.url) == "fine"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "x" * 200, "identity, deflate"])
def test_only_what_was_asked_for_is_unpacked(server: Loopback, encoding: str) -> None:
    server.answer = lambda *_: Answer(b"fine", headers={"Content-Encoding": encoding})
    with pytest.raises(HttpError, match="which was not asked for"):
        ask(server.url)


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        OK + b"X-A: b\r\n" * 200 + b"\r\n",
        OK + b"X-A: " + b"b" * 70_000 + b"\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Content-Length: 10\r\n\r\nabc",
        b"",
    ],
)
def test_a_broken_answer_is_one_sentence(raw: Serve, answer: bytes) -> None:
    server = raw(lambda _: iter([answer]))
    with pytest.raises(HttpError, match=rf"^{server.host} (sends|broke).*\(2 attempts\)$"):
        ask(server.url)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("file:///etc/passwd", "no address of a web server"),
        ("ftp://127.0.0.1/x", "no address of a web server"),
        ("http://[::1", "no address of a web server"),
        ("http://127.0.0.1:99999999/", "no address of a web server"),
        ("http://", "redirects more than 5 times"),
        ("http:///x", "redirects more than 5 times"),
        ("http://.example./", "cannot be"),
        ("http://" + "a" * 300 + "/", "cannot be"),
        ("http://exa\x7fmple/", "cannot be"),
        ("/again", r"redirects more than 5 times \(the limit redirects\)"),
        ("", r"redirects more than 5 times"),
        ("\xff\xfe", "."),
    ],
)
def test_a_bad_redirect_is_one_sentence(raw: Serve, location: str, words: str) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: " + location.encode("latin-1") + b"\r\nContent-Length: 0\r\n\r\n"
    server = raw(lambda _: iter([head]))
    with pytest.raises(HttpError, match=words) as caught:
        ask(server.url)
    assert str(caught.value).isprintable()


def test_steps_that_lead_astray_are_refused() -> None:
    public = "https://93.184.216.34/x"
    for target in ("https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest", "https://[::1]/",
                   "https://2130706433/", "https://localhost/", "https://[::ffff:127.0.0.1]/"):  # fmt: skip
        with pytest.raises(HttpError, match="inside this machine or its network"):
            check_step(public, target)
    with pytest.raises(HttpError, match="from https to an unencrypted address"):
        check_step(public, "http://93.184.216.34/x")
    assert check_step(public, "https://me:pw@93.184.216.35/y?z") == "https://93.184.216.35/y?z"
    assert check_step("http://127.0.0.1:1/", "http://127.0.0.1:2/") == "http://127.0.0.1:2/"
    assert same_server("http://a/", "https://A/x")
    assert not same_server("https://a/", "http://a/")
    assert not same_server("http://a:8080/", "https://a/")


RETRY_AFTER = [
    "e", "1e400", "-1e400", "nan", "", " ", "0 ", "Mon, 01 Jan 0000 00:00:00 GMT", "-5", "Mon, 99 Foo 99999 99:99:99 GMT",
    "1" * 5000, "\x00", "Fri, 31 Dec 9999 23:59:59 -2359",
]  # fmt: skip


@pytest.mark.parametrize("value", RETRY_AFTER)
def test_any_retry_after_is_understood_or_passed_over(server: Loopback, value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds >= 0
    server.answer = lambda *_: Answer(status=503, headers={"Retry-After": value.replace("\x00", "")})
    with pytest.raises(HttpError, match="answered 503"):
        ask(server.url)


def test_a_password_reaches_its_server_and_nothing_else(
    server: Loopback, records: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = aflux(records)
    url = f"http://user:s3cret@{server.host}/API/aflux/"
    paraisite.fetch_data("aflow_agl", tmp_path / "data", url=url, politeness=QUICK)
    assert server.requests[0][1]["Authorization"] == "Basic dXNlcjpzM2NyZXQ="
    assert all(b"s3cret" not in path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert "s3cret" not in repr(FetchOptions(url, "s3cret")) + repr(split_address(url))
    for status in (401, 500, 302):
        server.answer = lambda *_, status=status: Answer(
            status=status, headers={"Retry-After": "900", "Location": "file:/"}
        )
        assert main(["data", "fetch", "aflow_agl", "--data", str(tmp_path / "x"), "--url", url]) == 1
    for bad in (url + "?token=s3cret", f"ftp://user:s3cret@{server.host}/", f"http://user:s3cret@{server.host}:x/"):
        assert main(["data", "fetch", "aflow_agl", "--data", str(tmp_path / "x"), "--url", bad]) == 1
        with pytest.raises((FetchError, DataError)) as caught:
            find_source(f"optimade:{bad}", tmp_path / "scan")
        assert "s3cret" not in str(caught.value)
    with pytest.raises(DataError, match=r"^http://h/a\.zip is no source"):
        find_source("http://user:s3cret@h/a.zip", tmp_path / "scan")
    output = capsys.readouterr()
    assert "s3cret" not in output.out + output.err
    assert "Unexpected" not in output.err
    assert not any(b"s3cret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert public_url("http://a:b@h/p?q=s3cret#f") == "http://h/p"


def test_a_redirect_to_another_server_takes_no_password_along(server: Loopback) -> None:
    other = Loopback()
    other.answer = lambda *_: Answer(b"fine")
    server.answer = lambda *_: Answer(status=302, headers={"Location": f"{other.url}/x"})
    given = Access(server.url, {"Authorization": "Basic s3cret"})
    assert ask(server.url, access=given) == "fine"
    assert server.requests[0][1]["Authorization"] == "Basic s3cret"
    assert "s3cret" not in str(other.requests)
    other.requests.clear()
    with pytest.raises(HttpError, match=rf"{server.host} leads to {other.host}, which must not see the key"):
        ask(server.url, access=replace(given, headers={"x-api-key": "s3cret"}, strict=True))
    assert not other.requests
    other.stop()


def nested(depth: int) -> Any:
    value: Any = 1.0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "field",
    [
        {"positions_fractional": nested(400)},
        {"species": nested(20)},
        {"composition": [10**400, 1]},
        {"agl_thermal_conductivity_300K": 10**400},
        {"agl_thermal_conductivity_300K": "9" * 5000},
        {"geometry": [1e308] * 6},
        {"auid": {"a": 1}},
        {"auid": "a\nb"},
        {"aurl": "x/\x1b[31mred"},
        {"aurl": "x/\ud800"},
        {"species": ["\ud800", "O"]},
        {"species": [{"a": []}, None]},
    ],
)
def test_a_weird_record_costs_itself_alone(
    server: Loopback, records: list[dict[str, Any]], tmp_path: Path, field: dict[str, Any]
) -> None:
    server.answer = aflux([{**records[0], "auid": "aflow:weird", **field}, *records])
    fetch_aflow_agl(tmp_path, FetchOptions(server.url, politeness=QUICK), 5)
    manifest = json.loads((tmp_path / "aflow_agl.manifest.json").read_text(encoding="utf-8"))
    assert (manifest["kept"], len(manifest["dropped"])) == (23, 1)
    assert all(value.isprintable() for value in manifest["dropped"][0].values())


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
FIELDS = ("auid", "aurl", "species", "composition", "geometry", "positions_fractional", "agl_thermal_conductivity_300K")


@settings(max_examples=300, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_no_record_stops_a_fetch(changes: dict[str, Any], records: list[dict[str, Any]]) -> None:
    found = sort_records([{**records[0], **changes}])
    assert len(found.crystals) + len(found.dropped) == 1


@pytest.mark.parametrize("body", [b"[" * 100_000, b'[{"a": ' * 5000, b'{"1 of ' + b"9" * 5000 + b'": {}}', b"1" * 5000,
                                  b"\xff\xfe[\x00]", b'[{"a": NaN}, 3]'])  # fmt: skip
def test_a_bad_page_is_not_kept(server: Loopback, tmp_path: Path, body: bytes) -> None:
    server.answer = lambda *_: Answer(body)
    with pytest.raises(HttpError, match="sent a page"):
        fetch_aflow_agl(tmp_path, FetchOptions(server.url, politeness=ONCE), 5)
    assert not list(tmp_path.rglob("page-*"))


def test_a_list_without_an_end_is_refused(server: Loopback, records: list[dict[str, Any]], tmp_path: Path) -> None:
    def endless(path: str, _: dict[str, str]) -> Answer:
        page, size = aflux_page(path)
        return Answer(json.dumps([{**records[0], "auid": f"a{page}-{k}"} for k in range(size)]).encode())

    server.answer = endless
    for limits in (HttpLimits(pages=4), HttpLimits(total_bytes=20_000)):
        with pytest.raises(HttpError, match="does not end within"):
            fetch_aflow_agl(tmp_path, FetchOptions(server.url, politeness=QUICK, limits=limits), 5)


def test_limits_are_raised_by_name() -> None:
    assert parse_limits(["page_bytes=5", "pages=7"]) == HttpLimits(page_bytes=5, pages=7)
    for bad in ("bytes=5", "pages", "pages=0", "pages=-1", "pages=1e9", "pages=" + "9" * 30, "pages=٣"):
        with pytest.raises(FetchError, match="limit"):
            parse_limits([bad])


def test_a_download_has_a_limit_too(raw: Serve, tmp_path: Path) -> None:
    server = raw(lambda _: iter([OK, b"\r\n", *for_ever_bounded()]))
    with HttpClient(ONCE, LIMITS) as client, pytest.raises(HttpError, match="file_bytes"):
        client.download(server.url, tmp_path / "part")
    assert (tmp_path / "part").stat().st_size <= LIMITS.file_bytes


def for_ever_bounded() -> Iterator[bytes]:
    endless = for_ever(bytes(65536))
    return (next(endless) for _ in range(1000))
