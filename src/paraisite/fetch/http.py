"""A polite HTTP client: one request at a time, within limits, tried again after growing pauses.

Every request of every fetcher goes through here, those of other packages' clients by `session_class`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import requests

from paraisite.fetch.policy import (
    DEFAULT_LIMITS,
    NO_ACCESS,
    Access,
    BadAnswerError,
    HttpError,
    HttpLimits,
    Politeness,
    host_of,
    public_url,
)
from paraisite.fetch.wire import UnreachableError, Wire
from paraisite.structures.checks import one_line

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes that may be another one a moment later."""
CONNECTION_ATTEMPTS = 2
"""Attempts where no connection can be made at all: a machine without a network should say so soon."""
ERROR_BYTES = 2**20
"""Bytes of a page that comes with an error."""

Result = TypeVar("Result")


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

    def delay(self, seconds: float) -> None:
        """Let the next request start no sooner than in so many seconds."""
        self._next = max(self._next, time.monotonic() + seconds)


class HttpClient:
    """Asks for pages and files; use it in a `with` block."""

    def __init__(self, politeness: Politeness, limits: HttpLimits = DEFAULT_LIMITS, access: Access = NO_ACCESS) -> None:
        """Begin without a connection.

        Args:
            politeness: Pauses, time-outs and attempts.
            limits: What is taken from a server at most.
            access: Headers that the server of a base address sees, and no other.
        """
        self.politeness, self.limits = politeness, limits
        self._pacer = Pacer(politeness.interval_seconds)
        self._wire = Wire(politeness, limits, access)
        self.failure: HttpError | None = None
        """What ended the last request of a `session_class`, whose client may keep its words alone."""

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._wire.close()

    def get(self, url: str, parse: Callable[[str], Result]) -> Result:
        """Ask for a page.

        Args:
            url: The address.
            parse: Turns the text into the result, and raises `BadAnswerError` for a text that is to be asked for again.

        Raises:
            HttpError: The host cannot be reached, refuses, gives no usable answer after all attempts, or exceeds a limit.
        """

        def ask() -> Result:
            with self._wire.open(url, {}) as response:
                _check_status(response, url)
                text = self._body(response).decode("utf-8", errors="replace")
            return parse(text)

        return self._patiently(url, ask)

    def download(self, url: str, path: Path, max_bytes: int | None = None) -> None:
        """Download a file; what `path` already holds of it is not asked for again.

        Args:
            url: The address.
            path: Where to write. After an error it holds what came, for the next time.
            max_bytes: Bytes at most, where fewer than the limit `file_bytes`.

        Raises:
            HttpError: As for `get`.
        """
        limit = min(max_bytes or self.limits.file_bytes, self.limits.file_bytes)
        self._patiently(url, lambda: self._append(url, path, limit))

    def pause(self, seconds: float) -> None:
        """Let the next request start no sooner than in so many seconds, up to the longest pause."""
        self._pacer.delay(min(seconds, self.politeness.longest_pause_seconds))

    def session_class(self, check: Callable[[requests.Response], None] = lambda _: None) -> type[requests.Session]:
        """A session for the client of another package: its requests go by the rules of this one.

        Args:
            check: Raises `BadAnswerError` for an answer with status 200 that is to be asked for again.

        Returns:
            A class whose sessions can do GET alone. They give the answer to an error that lasts, such as 404, to the client,
            which words it, and raise `HttpError` where no answer came.
        """
        http = self

        class Session(requests.Session):
            def request(self, method: str, url: str, *_: Any, **options: Any) -> requests.Response:  # type: ignore[override]
                if method.upper() != "GET":
                    raise HttpError(f"{host_of(str(url))} is only read, by GET, not {one_line(method, 20)}")
                prepared = requests.Request("GET", url, params=options.get("params")).prepare()
                given = {**self.headers, **(options.get("headers") or {})}
                return http._respond(prepared.url or url, given, check)

        return Session

    def _respond(
        self, url: str, headers: Mapping[str, Any], check: Callable[[requests.Response], None]
    ) -> requests.Response:
        def ask() -> requests.Response:
            with self._wire.open(url, {name: str(value) for name, value in headers.items()}) as response:
                _check_passing(response)
                # The client reads the body from where a read one is kept.
                response._content = self._body(response) if response.status_code == 200 else self._start(response)
                response._content_consumed = True
            if response.status_code == 200:
                check(response)
            return response

        try:
            return self._patiently(url, ask)
        except HttpError as failure:
            self.failure = failure
            raise

    def _body(self, response: requests.Response) -> bytes:
        return b"".join(self._wire.chunks(response, self.limits.page_bytes, "page_bytes"))

    def _start(self, response: requests.Response) -> bytes:
        """The page of an error, as far as it is worth reading."""
        try:
            return b"".join(self._wire.chunks(response, ERROR_BYTES, ""))
        except (HttpError, BadAnswerError):
            return b""

    def _append(self, url: str, path: Path, limit: int) -> None:
        start = path.stat().st_size if path.exists() else 0
        if start > limit:
            path.unlink()
            start = 0
        # Ranges count the bytes that are sent, so the server must not compress them.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with self._wire.open(url, headers) as response:
            status = response.status_code
            if not (start and status == 416):
                _check_status(response, url)
            fits = status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if not (fits or status == 200):
                path.unlink(missing_ok=True)
                raise BadAnswerError("sent another part of the file than was asked for")
            with path.open("ab" if fits else "wb") as handle:
                for chunk in self._wire.chunks(response, limit - start if fits else limit, "file_bytes"):
                    handle.write(chunk)

    def _patiently(self, url: str, action: Callable[[], Result]) -> Result:
        """Try until the action succeeds, the attempts are used up, or the server asks for too long a pause."""
        settings = self.politeness
        for attempt in range(1, settings.attempts + 1):
            self._pacer.wait()
            try:
                return action()
            except BadAnswerError as problem:
                unreachable = isinstance(problem, UnreachableError)
                limit = min(CONNECTION_ATTEMPTS, settings.attempts) if unreachable else settings.attempts
                reason, asked = str(problem), problem.pause_seconds
            if asked is not None and asked > settings.longest_pause_seconds:
                raise HttpError(f"{host_of(url)} {reason} and asks for a pause of {asked:.0f} s")
            if attempt >= limit:
                break
            pause = min(settings.first_pause_seconds * 2 ** (attempt - 1), settings.longest_pause_seconds)
            time.sleep(pause if asked is None else asked)
        raise HttpError(f"{host_of(url)} {reason} ({attempt} attempts)")


def _check_passing(response: requests.Response) -> None:
    if response.status_code in TRY_AGAIN:
        raise BadAnswerError(_status(response), retry_after(response.headers.get("Retry-After")))


def _check_status(response: requests.Response, url: str) -> None:
    _check_passing(response)
    if response.status_code not in {200, 206}:
        raise HttpError(f"{host_of(url)} {_status(response)} to {public_url(url)}")


def _status(response: requests.Response) -> str:
    reason = one_line(response.reason, 60) if response.reason else ""
    return f"answered {response.status_code} {reason}".rstrip()


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date; None where it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)
