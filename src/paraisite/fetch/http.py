"""A polite HTTP client: one request at a time, with a time-out, tried again after growing pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import MaxRetryError

from paraisite.errors import FetchError
from paraisite.version import __version__

USER_AGENT = f"paraisite/{__version__} {requests.utils.default_user_agent()}"
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes that may be another one a moment later."""
CONNECTION_ATTEMPTS = 2
"""Attempts where no connection can be made at all: a machine without a network should say so soon."""
CONNECT_TIMEOUT_SECONDS = 15.0
CHUNK_BYTES = 65536

Result = TypeVar("Result")


class HttpError(FetchError):
    """An answer that could not be had. The message is the reason alone; `fetch_data` adds what can be done."""


class BadAnswerError(Exception):
    """An answer that is worth asking for again.

    Attributes:
        pause_seconds: How long the server asked to wait; None where it did not.
    """

    def __init__(self, reason: str, pause_seconds: float | None = None) -> None:
        """Keep the reason, worded to follow the host's name."""
        super().__init__(reason)
        self.pause_seconds = pause_seconds


@dataclass(frozen=True, slots=True)
class Politeness:
    """How a server is treated.

    Attributes:
        interval_seconds: Least time from the start of one request to that of the next.
        timeout_seconds: Longest time that a server may be silent.
        attempts: Requests for one answer before giving up.
        first_pause_seconds: Pause after the first failure; it doubles with each further one.
        longest_pause_seconds: Limit of a pause; a server that asks for a longer one is left alone.
    """

    interval_seconds: float = 1.0
    timeout_seconds: float = 120.0
    attempts: int = 6
    first_pause_seconds: float = 2.0
    longest_pause_seconds: float = 120.0


DEFAULT_POLITENESS = Politeness()


class Pacer:
    """Keeps requests apart."""

    def __init__(self, interval_seconds: float) -> None:
        """Start with the first request free."""
        self._interval = interval_seconds
        self._next = 0.0

    def wait(self) -> None:
        """Wait until the next request may start."""
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._interval


class HttpClient:
    """Asks for pages and files; use it in a `with` block."""

    def __init__(self, politeness: Politeness) -> None:
        """Open a session that says who asks."""
        self._politeness = politeness
        self._pacer = Pacer(politeness.interval_seconds)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, url: str, parse: Callable[[str], Result]) -> Result:
        """Ask for a page.

        Args:
            url: The address.
            parse: Turns the text into the result, and raises `BadAnswerError` for a text that is to be asked for again.

        Raises:
            HttpError: The host cannot be reached, refuses, or gives no usable answer after all attempts.
        """

        def ask() -> Result:
            with self._open(url) as response:
                return parse(response.content.decode("utf-8", errors="replace"))

        return self._patiently(url, ask)

    def download(self, url: str, path: Path) -> None:
        """Download a file; what `path` already holds of it is not asked for again.

        Args:
            url: The address.
            path: Where to write. After an error it holds what came, for the next time.

        Raises:
            HttpError: As for `get`.
        """
        self._patiently(url, lambda: self._append(url, path))

    def _append(self, url: str, path: Path) -> None:
        start = path.stat().st_size if path.exists() else 0
        # Ranges count the bytes that are sent, so the server must not compress them.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with self._open(url, headers) as response:
            status = response.status_code
            fits = status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if not (fits or status == 200):
                path.unlink(missing_ok=True)
                raise BadAnswerError("sent another part of the file than was asked for")
            with path.open("ab" if fits else "wb") as handle:
                for chunk in response.iter_content(CHUNK_BYTES):
                    handle.write(chunk)

    def _open(self, url: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        """Send a request; the response has a good status (or 416 to a range), its body still to be read."""
        silence = self._politeness.timeout_seconds
        timeouts = (min(CONNECT_TIMEOUT_SECONDS, silence), silence)
        response = self._session.get(url, headers=headers, timeout=timeouts, stream=True)
        status = response.status_code
        if status in {200, 206} or (status == 416 and headers and "Range" in headers):
            return response
        response.close()
        words = f"answered {status} {response.reason or ''}".rstrip()
        if status in TRY_AGAIN:
            raise BadAnswerError(words, _retry_after(response.headers.get("Retry-After")))
        raise HttpError(f"{host_of(url)} {words} to {url}")

    def _patiently(self, url: str, action: Callable[[], Result]) -> Result:
        """Try until the action succeeds, the attempts are used up, or the server asks for too long a pause."""
        settings = self._politeness
        for attempt in range(1, settings.attempts + 1):
            self._pacer.wait()
            try:
                return action()
            except BadAnswerError as problem:
                reason, limit, asked = str(problem), settings.attempts, problem.pause_seconds
            except requests.RequestException as problem:
                reason, limit = _reason(problem, settings)
                asked = None
            if attempt >= limit:
                break
            pause = min(settings.first_pause_seconds * 2 ** (attempt - 1), settings.longest_pause_seconds)
            if asked is not None and asked > settings.longest_pause_seconds:
                raise HttpError(f"{host_of(url)} {reason} and asks for a pause of {asked:.0f} s")
            time.sleep(pause if asked is None else asked)
        raise HttpError(f"{host_of(url)} {reason} ({attempt} attempts)")


def host_of(url: str) -> str:
    """Host and port of an address, without a user's name and password."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def _reason(problem: requests.RequestException, settings: Politeness) -> tuple[str, int]:
    """Words that follow the host's name, and the attempts that such a problem is worth."""
    if isinstance(problem, requests.ReadTimeout):
        return f"gave no answer within {settings.timeout_seconds:g} s", settings.attempts
    # urllib3 gives up with this error where no connection came about.
    if isinstance(problem, requests.ConnectionError) and problem.args and isinstance(problem.args[0], MaxRetryError):
        return "cannot be reached", min(CONNECTION_ATTEMPTS, settings.attempts)
    if isinstance(problem, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "broke off the answer", settings.attempts
    return f"cannot be asked: {problem}".rstrip("."), 1


def _retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
