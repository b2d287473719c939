"""What a fetch takes from a server and gives to it: pauses, limits, where a redirect may lead, who sees a password."""

from __future__ import annotations

import ipaddress
import re
import socket
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from paraisite.errors import FetchError, ParaisiteError
from paraisite.structures.checks import one_line
from paraisite.structures.limits import updated_limits

_STANDARD_PORTS = {"http": 80, "https": 443}
_PASSWORD = re.compile(r"(?<=://)[^/?#\s]*@")


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


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What is taken from a server at most; each limit can be raised, none can be switched off.

    Attributes:
        page_bytes: Bytes of a page, unpacked.
        file_bytes: Bytes of a downloaded file.
        answer_seconds: Time from a request to the last byte of its answer, redirects included.
        redirects: Redirects of one request.
        pages: Pages of a list.
        empty_pages: Pages without a record, one after the other.
        total_bytes: Bytes of all pages of a list.
    """

    page_bytes: int = 64 * 2**20
    file_bytes: int = 2**32
    answer_seconds: int = 600
    redirects: int = 5
    pages: int = 1_000_000
    empty_pages: int = 10
    total_bytes: int = 2**36


DEFAULT_POLITENESS = Politeness()
DEFAULT_LIMITS = HttpLimits()


def parse_limits(texts: Sequence[str]) -> HttpLimits:
    """Limits from texts such as `page_bytes=1000000000`.

    Raises:
        FetchError: A text names no limit, or its value is no whole number above 0.
    """
    try:
        limits: HttpLimits = updated_limits(texts, DEFAULT_LIMITS)[0]
    except ParaisiteError as error:
        raise FetchError(str(error)) from error
    return limits


@dataclass(frozen=True, slots=True)
class Access:
    """Headers that open one server, and are shown to no other.

    Attributes:
        url: Base address of the server, without a user's name and password.
        headers: What proves who asks.
        strict: Whether an answer of another server is refused too, rather than asked for without the headers.
    """

    url: str = ""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    strict: bool = False

    def opens(self, url: str) -> bool:
        """Whether an address lies on the server."""
        return bool(self.url) and same_server(self.url, url)


NO_ACCESS = Access()


def split_address(given: str) -> Access:
    """Take the user's name and password out of a base address.

    Args:
        given: The address as the user gave it; it has no query, which could hold a token and would end up in manifests.

    Raises:
        FetchError: It is no address of a web server, or has a query.
    """
    shown = without_password(given)
    try:
        parts = urlsplit(given)
        named = parts.scheme in _STANDARD_PORTS and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        named = False
    if not named or not given.isprintable() or " " in given:
        raise FetchError(f"{one_line(shown)} is no address; it must begin with http:// or https:// and name a host.")
    if parts.query or parts.fragment:
        raise FetchError(
            f"{urlunsplit(parts._replace(netloc=_host(parts), query='', fragment=''))} has a query or a fragment; "
            "give the base address alone."
        )
    url = urlunsplit(parts._replace(netloc=_host(parts), query="", fragment=""))
    if parts.username is None:
        return Access(url)
    secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Access(url, {"Authorization": f"Basic {b64encode(secret.encode()).decode()}"})


def without_password(text: str) -> str:
    """A text whose addresses lack the user's name and password."""
    return _PASSWORD.sub("", text)


def public_url(url: str) -> str:
    """An address as it may be shown: without a user's name and password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return one_line(without_password(url).partition("?")[0])
    return one_line(urlunsplit(parts._replace(netloc=_host(parts), query="", fragment="")))


def host_of(url: str) -> str:
    """Host and port of an address, without a user's name and password."""
    try:
        return one_line(_host(urlsplit(url)) or public_url(url))
    except ValueError:
        return public_url(url)


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _server(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _STANDARD_PORTS.get(parts.scheme, 0)


def same_server(known: str, url: str) -> bool:
    """Whether two addresses lie on one server; the step from http to https on the standard ports leads to no other."""
    ours, theirs = _server(known), _server(url)
    return ours == theirs or (
        ours[1] == theirs[1] and (ours[0], ours[2], theirs[0], theirs[2]) == ("http", 80, "https", 443)
    )


def check_step(source: str, target: str, access: Access = NO_ACCESS) -> str:
    """The address that a redirect or a link leads to, without a user's name and password.

    Args:
        source: Address of the answer that leads there.
        target: The address, absolute.
        access: What opens the server that was asked at first.

    Raises:
        HttpError: It is no http(s) address; leads from https to http; from a public server to one inside this machine or
            its network; or with a key to another server.
    """
    host = host_of(source)
    try:
        parts = urlsplit(target)
        named = parts.scheme in _STANDARD_PORTS and bool(_server(target)[1])
    except ValueError:
        named = False
    if not named:
        raise HttpError(f"{host} leads to {public_url(target)!r}, which is no address of a web server")
    if (urlsplit(source).scheme, parts.scheme) == ("https", "http"):
        raise HttpError(f"{host} leads from https to an unencrypted address on {host_of(target)}")
    if access.strict and not access.opens(target):
        raise HttpError(f"{host} leads to {host_of(target)}, which must not see the key")
    if _server(source)[1] != _server(target)[1] and is_inside(target) and not is_inside(source):
        raise HttpError(f"{host} leads to {host_of(target)}, which lies inside this machine or its network")
    return urlunsplit(parts._replace(netloc=_host(parts)))


def is_inside(url: str) -> bool:
    """Whether any address of a host belongs to this machine or a private network."""
    _, host, port = _server(url)
    try:
        found = {str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False  # it cannot be reached by this name, or by a proxy alone
    return any(not ipaddress.ip_address(item.partition("%")[0]).is_global for item in found)
