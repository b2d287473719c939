"""The polite client against a server that misbehaves."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from loopback import QUICK, Answer, Loopback

from paraisite.fetch.http import HttpClient
from paraisite.fetch.policy import BadAnswerError, HttpError, Politeness


def get(url: str, politeness: Politeness = QUICK) -> str:
    with HttpClient(politeness) as client:
        return client.get(url, str)


def in_turn(server: Loopback, *answers: Answer) -> None:
    """Send these answers one after the other; the last one for ever."""
    queue = list(answers)
    server.answer = lambda *_: queue.pop(0) if len(queue) > 1 else queue[0]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_errors_are_asked_again(server: Loopback, status: int) -> None:
    in_turn(server, Answer(status=status), Answer(status=status), Answer(b"fine"))
    assert get(server.url) == "fine"
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_lasting_errors_are_not(server: Loopback, status: int) -> None:
    in_turn(server, Answer(status=status), Answer(b"fine"))
    with pytest.raises(HttpError, match=f"{server.host} answered {status}"):
        get(server.url + "/x")
    assert len(server.requests) == 1


def test_attempts_are_limited(server: Loopback) -> None:
    in_turn(server, Answer(status=500))
    with pytest.raises(HttpError, match=f"{server.host} answered 500 .*4 attempts"):
        get(server.url)
    assert len(server.requests) == QUICK.attempts


def test_pauses_double_up_to_the_limit(server: Loopback) -> None:
    in_turn(server, Answer(status=500))
    with pytest.raises(HttpError):
        get(server.url, replace(QUICK, first_pause_seconds=0.05, longest_pause_seconds=0.1))
    gaps = [later - earlier for earlier, later in zip(server.times, server.times[1:], strict=False)]
    assert all(gap >= pause for gap, pause in zip(gaps, (0.05, 0.1, 0.1), strict=True))


def test_retry_after_is_honoured(server: Loopback) -> None:
    in_turn(server, Answer(status=429, headers={"Retry-After": "0.3"}), Answer(b"fine"))
    assert get(server.url) == "fine"
    assert server.times[1] - server.times[0] >= 0.3


def test_retry_after_may_be_a_date(server: Loopback) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    in_turn(server, Answer(status=503, headers={"Retry-After": date}))
    with pytest.raises(HttpError, match=r"asks for a pause of 3[56]\d\d s"):
        get(server.url)
    assert len(server.requests) == 1, "a server that wants to be left alone is"


def test_requests_keep_their_distance(server: Loopback) -> None:
    in_turn(server, Answer(b"fine"))
    with HttpClient(replace(QUICK, interval_seconds=0.1)) as client:
        for _ in range(3):
            client.get(server.url, str)
    gaps = [later - earlier for earlier, later in zip(server.times, server.times[1:], strict=False)]
    assert min(gaps) > 0.08, "0.1 s less what a busy machine lends one request and takes from the next"


def test_it_says_who_asks(server: Loopback) -> None:
    in_turn(server, Answer(b"fine"))
    get(server.url)
    assert server.requests[0][1]["User-Agent"].startswith("paraisite/")


def test_a_page_that_breaks_off_is_asked_again(server: Loopback) -> None:
    in_turn(server, Answer(b"0123456789", cut=4), Answer(b"0123456789"))
    assert get(server.url) == "0123456789"


def test_silence_has_an_end(server: Loopback) -> None:
    in_turn(server, Answer(b"fine", delay=2.0))
    started = time.monotonic()
    with pytest.raises(HttpError, match=r"gave no answer within 0\.2 s \(2 attempts\)"):
        get(server.url, replace(QUICK, timeout_seconds=0.2, attempts=2))
    assert time.monotonic() - started < 1.5


def test_nobody_there_names_the_host() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(HttpError, match=f"{host} cannot be reached"):
        get(f"http://user:secret@{host}/page")


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/x", "http://"])
def test_no_address_at_all(url: str) -> None:
    with pytest.raises(HttpError, match="cannot be asked"):
        get(url)


def test_a_text_that_is_refused_is_asked_again(server: Loopback) -> None:
    in_turn(server, Answer(b"garbage"), Answer(b"fine"))

    def parse(text: str) -> str:
        if text == "garbage":
            raise BadAnswerError("sent garbage")
        return text

    with HttpClient(QUICK) as client:
        assert client.get(server.url, parse) == "fine"


CONTENT = bytes(range(256)) * 2000


def ranged(content: bytes = CONTENT, cut: int = 0) -> Answer:
    return Answer(content, cut=cut)


def partial(start: int, of: bytes = CONTENT) -> Answer:
    headers = {"Content-Range": f"bytes {start}-{len(of) - 1}/{len(of)}"}
    return Answer(of[start:], status=206, headers=headers)


def download(server: Loopback, path: Path) -> bytes:
    with HttpClient(QUICK) as client:
        client.download(server.url + "/file", path)
    return path.read_bytes()


def test_a_broken_download_goes_on_where_it_was(server: Loopback, tmp_path: Path) -> None:
    def answer(_: str, headers: dict[str, str]) -> Answer:
        if "Range" not in headers:
            return ranged(cut=100_000)
        return partial(int(headers["Range"].removeprefix("bytes=").removesuffix("-")))

    server.answer = answer
    assert download(server, tmp_path / "part") == CONTENT
    start = int(server.requests[1][1]["Range"].removeprefix("bytes=").removesuffix("-"))
    assert len(CONTENT) - 200_000 < start <= len(CONTENT) - 100_000, "most of what was sent is kept"
    assert len(server.requests) == 2


def test_a_server_without_ranges_starts_over(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:1000])
    in_turn(server, ranged())
    assert download(server, tmp_path / "part") == CONTENT


def test_another_range_than_asked_for_is_thrown_away(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:1000])
    in_turn(server, partial(500), ranged())
    assert download(server, tmp_path / "part") == CONTENT


def test_a_part_longer_than_the_file_starts_over(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT + b"more")
    server.answer = lambda _, headers: Answer(status=416) if "Range" in headers else ranged()
    assert download(server, tmp_path / "part") == CONTENT
