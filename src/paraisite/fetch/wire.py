"""One request within the limits: redirects step by step, a body of bounded size, and an end to the slowest answer.

`requests` limits the silence between two bytes, and neither the whole time nor the size of an answer.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Self
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError

from paraisite.fetch.policy import (
    Access,
    BadAnswerError,
    HttpError,
    HttpLimits,
    Politeness,
    check_step,
    host_of,
)
from paraisite.structures.checks import one_line
from paraisite.version import __version__

USER_AGENT = f"paraisite/{__version__} {requests.utils.default_user_agent()}"
CONNECT_TIMEOUT_SECONDS = 15.0
CHUNK_BYTES = 16384
"""Small, since older versions of urllib3 unpack a chunk as a whole: at most 16 MiB come of it."""
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_TO_ANYBODY = frozenset({"accept", "accept-encoding", "range"})
"""Headers that a server may see to which another one leads."""


_Unpacking = requests.exceptions.ContentDecodingError


class UnreachableError(BadAnswerError):
    """No connection came about."""


class _Watch:
    """Cuts the connections of a request when its time is up, whatever they wait for: headers, a handshake, or a body."""

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._token = _WATCH.set(self)
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _WATCH.reset(self._token)
        with self._lock:
            for line in self._lines:
                line.close()
            self._lines.clear()

    def add(self, line: socket.socket) -> None:
        # A second handle of the same connection: TLS takes the first one away from its owner.
        with self._lock:
            self._lines.append(socket.fromfd(line.fileno(), line.family, line.type))
        if self.expired:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            self.expired = True
            for line in self._lines:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)


_WATCH: ContextVar[_Watch | None] = ContextVar("watch", default=None)


def _watch(line: socket.socket | None) -> None:
    watch = _WATCH.get()
    if watch is not None and line is not None:
        watch.add(line)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        line = super()._new_conn()
        _watch(line)
        return line

    def request(self, *args: Any, **options: Any) -> None:
        _watch(self.sock)  # of an earlier request
        super().request(*args, **options)


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        line = super()._new_conn()
        _watch(line)
        return line

    def request(self, *args: Any, **options: Any) -> None:
        _watch(self.sock)
        super().request(*args, **options)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        _use_watched(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        _use_watched(manager)
        return manager


def _use_watched(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Session(requests.Session):
    """Follows no redirect, and reads nothing of one: the body of a redirect may be endless too."""

    def resolve_redirects(self, *_: Any, **__: Any) -> Generator[requests.Response, None, None]:
        yield from ()


class Wire:
    """Sends requests; use it in a `with` block."""

    def __init__(self, politeness: Politeness, limits: HttpLimits, access: Access) -> None:
        """Open a session that says who asks."""
        self._politeness, self._limits, self._access = politeness, limits, access
        self._session = _Session()
        self._session.headers["User-Agent"] = USER_AGENT
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        """Send a request and follow its redirects; the body is still to be read, by `chunks`, within the block.

        Raises:
            HttpError: The answer takes too long, or a redirect leads where none may.
            BadAnswerError: No answer, or a broken one.
        """
        with _Watch(self._limits.answer_seconds) as watch:
            try:
                with self._follow(url, headers) as response:
                    yield response
            except BadAnswerError:
                self._check_time(watch, url)
                raise
            self._check_time(watch, url)

    def _check_time(self, watch: _Watch, url: str) -> None:
        if watch.expired:
            seconds = self._limits.answer_seconds
            raise HttpError(f"{host_of(url)} takes longer than {seconds} s for an answer (the limit answer_seconds)")

    def _follow(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        at = url
        for _ in range(self._limits.redirects + 1):
            response = self._send(at, headers)
            try:
                leads_to = self._session.get_redirect_target(response)
            except UnicodeError:
                leads_to = "an unreadable address"
            if leads_to is None:
                return response
            response.close()
            try:
                target = urljoin(at, leads_to)
            except ValueError:
                target = leads_to
            at = check_step(at, target, self._access)
        raise HttpError(f"{host_of(url)} redirects more than {self._limits.redirects} times (the limit redirects)")

    def _send(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        allowed = dict(headers)
        if self._access.opens(url):
            allowed.update(self._access.headers)
        elif self._access.url:
            allowed = {name: value for name, value in headers.items() if name.lower() in _TO_ANYBODY}
        silence = self._politeness.timeout_seconds
        with self._as_ours(host_of(url)):
            request = self._session.prepare_request(requests.Request("GET", url, headers=allowed))
            settings = self._session.merge_environment_settings(url, {}, True, None, None)
            return self._session.send(
                request, timeout=(min(CONNECT_TIMEOUT_SECONDS, silence), silence), allow_redirects=False, **settings
            )

    def chunks(self, response: requests.Response, limit: int, name: str) -> Iterator[bytes]:
        """The body, unpacked, in chunks.

        Args:
            response: From `open`.
            limit: Bytes at most.
            name: Name of the limit.

        Raises:
            HttpError: The body is longer than the limit, or packed in a way that was not asked for.
            BadAnswerError: The body breaks off.
        """
        host = host_of(response.url)
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        asked = response.request.headers.get("Accept-Encoding", "") if response.request.headers else ""
        if encoding not in _ENCODINGS or (asked == "identity" and encoding not in {"", "identity"}):
            raise HttpError(f"{host} packs its answer as {one_line(encoding, 40)!r}, which was not asked for")
        too_long = HttpError(f"{host} sends more than {limit} bytes (the limit {name})")
        length = response.headers.get("Content-Length", "")
        if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
            raise too_long
        done = 0
        with self._as_ours(host):
            for chunk in response.iter_content(CHUNK_BYTES):
                done += len(chunk)
                if done > limit:
                    raise too_long
                yield chunk

    @contextmanager
    def _as_ours(self, host: str) -> Iterator[None]:
        """Turn what the network raises into our errors."""
        try:
            yield
        except (requests.RequestException, HTTPError, UnicodeError, ValueError) as problem:
            # From None: its own words may hold the query of an address.
            raise _worded(problem, host, self._politeness) from None


def _worded(problem: Exception, host: str, politeness: Politeness) -> BadAnswerError | HttpError:
    if isinstance(problem, requests.Timeout) and not isinstance(problem, requests.ConnectTimeout):
        return BadAnswerError(f"gave no answer within {politeness.timeout_seconds:g} s")
    if isinstance(problem, requests.exceptions.SSLError):
        return HttpError(f"{host} has no certificate that this machine trusts")
    for inner in _within(problem):
        known = isinstance(inner, http.client.IncompleteRead | http.client.RemoteDisconnected)
        if isinstance(inner, http.client.HTTPException) and not known:
            return BadAnswerError(f"sends no proper HTTP answer ({one_line(inner, 80)})")
    # urllib3 gives up with this error where no connection came about.
    if isinstance(problem, requests.ConnectionError) and isinstance((problem.args or (None,))[0], MaxRetryError):
        return UnreachableError("cannot be reached")
    broken = requests.ConnectionError, requests.exceptions.ChunkedEncodingError, _Unpacking, HTTPError
    if isinstance(problem, broken) and not isinstance(problem, LocationValueError):
        unpacked = isinstance(problem, _Unpacking)
        return BadAnswerError("sends a body that cannot be unpacked" if unpacked else "broke off the answer")
    return HttpError(f"{host} cannot be asked: its address is refused as {type(problem).__name__}")


def _within(problem: BaseException) -> Iterator[BaseException]:
    """An exception, and those that it holds or came of."""
    left, seen = [problem], set[int]()
    while left:
        item = left.pop()
        if id(item) not in seen:
            seen.add(id(item))
            yield item
            left += [
                inner for inner in (*item.args, item.__cause__, item.__context__) if isinstance(inner, BaseException)
            ]
            reason = getattr(item, "reason", None)
            left += [reason] if isinstance(reason, BaseException) else []
