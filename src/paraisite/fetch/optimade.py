"""Structures of an OPTIMADE provider by the official client (doi 10.1038/s41597-021-00974-z), a file per page."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests

from paraisite.atomic import write_text_atomic
from paraisite.errors import FetchError
from paraisite.fetch.common import FetchOptions, FetchProgress, read_json
from paraisite.fetch.http import HttpClient
from paraisite.fetch.policy import BadAnswerError, HttpError, check_step, host_of, same_server
from paraisite.readers.optimade import STATEMENT_KEYS, STRUCTURE_KEYS
from paraisite.structures.checks import one_line

RESPONSE_FIELDS = [*STRUCTURE_KEYS, *STATEMENT_KEYS]
STATE_FILE = ".optimade.json"
"""Hidden, so that it is not taken for structures."""
SEEN_FILE = ".optimade.seen"
"""A line per page: hashes of its records and of its link to the next one, for a fetch that goes on."""
NO_LIMIT = 10**12
"""The client turns 0, its word for no limit, into None, and compares that with a number of pages."""


def fetch_optimade(folder: Path, url: str, query: str, options: FetchOptions) -> Path:
    """Fetch the structures that a filter finds; a fetch that was stopped goes on after its last page.

    Args:
        folder: Gets `page-….jsonl`, a record a line, and hidden files with the address, the filter and the next page.
        url: The provider's base address, without version; it may hold a user's name and password, which are kept nowhere.
        query: Filter in OPTIMADE's grammar; empty takes everything.
        options: Pauses, limits, and what is called with the progress.

    Returns:
        The folder.

    Raises:
        FetchError: The client is not installed, the provider cannot be reached, does not understand the filter, sends what is
            no list of structures or a list that does not end, or the folder holds another query.
    """
    access = FetchOptions(url=url).access("")
    request = {"url": access.url.rstrip("/"), "filter": query}
    state = _state(folder, request)
    if not state["complete"]:
        folder.mkdir(parents=True, exist_ok=True)
        if not (state["pages"] and state["next"] is None):  # else it was stopped at the very end
            with HttpClient(options.politeness, options.limits, access) as http:
                _ask(_Spool(folder, state, options, http), http)
        write_text_atomic(folder / STATE_FILE, json.dumps({**state, "complete": True}) + "\n")
        (folder / SEEN_FILE).unlink(missing_ok=True)
    return folder


def _state(folder: Path, request: dict[str, str]) -> dict[str, Any]:
    """What an earlier fetch into the folder has left, or the beginning of one."""
    kinds: dict[str, type | tuple[type, ...]] = {
        "pages": int,
        "records": int,
        "complete": bool,
        "next": (str, type(None)),
    }
    path = folder / STATE_FILE
    state = read_json(path)
    if state is None and not path.exists():
        if any(folder.glob("page-*.jsonl")):
            raise FetchError(f"{folder} holds pages without their {STATE_FILE}; choose another folder.")
        return {**request, "next": None, "pages": 0, "records": 0, "bytes": 0, "complete": False}
    if not (isinstance(state, dict) and all(isinstance(state.get(name), kind) for name, kind in kinds.items())):
        raise FetchError(f"{path} is damaged; choose another folder.")
    if {key: state.get(key) for key in request} != request:
        raise FetchError(f"{folder} holds structures of another query; choose another folder.")
    return {"bytes": 0, **state}


class _Spool:
    """Writes each page as it comes, and takes it out of the client's memory.

    The client's own guards are left idle, since they trust what the provider says of its size: `meta` is optional, and may be
    wrong.
    """

    def __init__(self, folder: Path, state: dict[str, Any], options: FetchOptions, http: HttpClient) -> None:
        self._folder, self.state, self._options, self._http = folder, state, options, http
        # The client begins with the first page; where pages are there already, it is led from it to the next one.
        self._skip_to = state["next"]
        self.failure: Exception | None = None
        self._n_empty = 0
        path = folder / SEEN_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._seen_lines = lines[: state["pages"]]  # the last one may be of a page that was not finished
        self._seen = {item for line in self._seen_lines for item in line.split()}
        write_text_atomic(path, "".join(f"{line}\n" for line in self._seen_lines))

    def __call__(self, asked: str, page: dict[str, Any]) -> dict[str, Any] | None:
        try:
            leads_to = self._take(asked, page)
        except Exception as failure:
            self.failure = failure  # the client would keep its words alone
            raise
        # The client takes a query without any data for one that ran astray.
        page.update(data=[{}], meta={}, links={}, included=[], errors=[])
        return {"next": leads_to, "advance_results": 0}

    def _take(self, asked: str, page: dict[str, Any]) -> str | None:
        """Keep a page; the address of the next one."""
        self._http.pause(_request_delay(page))
        if self._skip_to:
            leads_to, self._skip_to = self._skip_to, None
            return check_step(asked, leads_to)
        state, records = self.state, page["data"]
        leads_to = next_address(asked, page, state["url"])
        lines = [json.dumps({key: record.get(key) for key in ("id", "type", "attributes")}) for record in records]
        text = "".join(f"{line}\n" for line in lines)
        number = state["pages"] + 1
        self._check_end(number, text, leads_to, asked)
        if text:
            write_text_atomic(self._folder / f"page-{number:08d}.jsonl", text)
        state.update(
            next=leads_to, pages=number, records=state["records"] + len(records), bytes=state["bytes"] + len(text)
        )
        write_text_atomic(self._folder / STATE_FILE, json.dumps(state) + "\n")
        self._options.tell(FetchProgress("optimade", number, None, "pages", state["records"]))
        return leads_to

    def _check_end(self, number: int, text: str, leads_to: str | None, asked: str) -> None:
        """Refuse a list that goes round in circles or does not end; note the page for the next ones."""
        host, limits = host_of(asked), self._options.limits
        link = "-" if leads_to is None else f"L{hashlib.sha256(leads_to.encode()).hexdigest()[:24]}"
        content = f"C{hashlib.sha256(text.encode()).hexdigest()[:24]}" if text else "-"
        if link != "-" and link in self._seen:
            raise HttpError(f"{host} leads from page {number} back to a page that was asked for before")
        if content != "-" and content in self._seen:
            raise HttpError(f"{host} sends the same records as page {number} as on a page before it")
        self._n_empty = 0 if text else self._n_empty + 1
        if leads_to is not None and self._n_empty > limits.empty_pages:
            raise HttpError(f"{host} sends more than {limits.empty_pages} empty pages one after the other")
        for name, value, limit in (
            ("pages", number + (leads_to is not None), limits.pages),
            ("total_bytes", self.state["bytes"] + len(text), limits.total_bytes),
        ):
            if value > limit:
                raise HttpError(f"{host} sends a list that does not end within {limit} (the limit {name})")
        self._seen |= {link, content} - {"-"}
        with (self._folder / SEEN_FILE).open("a", encoding="utf-8") as handle:
            handle.write(f"{link} {content}\n")


def next_address(asked: str, page: dict[str, Any], base: str) -> str | None:
    """Address of the page after one; None after the last.

    Args:
        asked: Address of the page.
        page: Its content.
        base: The provider's base address.

    Raises:
        HttpError: The link is no address, leads to another server, or is missing though there are more data.
    """
    links, meta = page.get("links"), page.get("meta")
    link = links.get("next") if isinstance(links, dict) else None
    if isinstance(link, dict):
        link = link.get("href")
    if link is None or link == "":
        if isinstance(meta, dict) and meta.get("more_data_available") is True:
            raise HttpError(f"{host_of(asked)} has more data, but gives no link to them")
        return None
    try:
        if not isinstance(link, str):
            raise TypeError("no text")
        parts, own = urlsplit(urljoin(asked, link)), urlsplit(asked)
        # Providers behind a proxy often call themselves by http; they are asked as before.
        if (own.scheme, parts.scheme) == ("https", "http") and own.hostname == parts.hostname:
            parts = parts._replace(scheme="https", netloc=own.netloc)
        target = check_step(asked, urlunsplit(parts))
    except (TypeError, ValueError):
        raise HttpError(f"{host_of(asked)} gives a link to the next page that is no address") from None
    if not (same_server(asked, target) or same_server(base, target)):
        raise HttpError(f"{host_of(asked)} leads to another server for the next page, {host_of(target)}")
    return target


def _request_delay(page: dict[str, Any]) -> float:
    """Seconds that the provider asks to wait before the next request."""
    meta = page.get("meta")
    delay = meta.get("request_delay") if isinstance(meta, dict) else None
    if not isinstance(delay, int | float) or math.isnan(delay):
        return 0.0
    return float(max(0.0, min(delay, 1e9)))


def _check_page(response: requests.Response) -> None:
    """Refuse an answer that is no page of records, before anything of it is kept."""
    try:
        content = response.json()
        json.dumps(content)  # what cannot be written is nested too deeply
    except (ValueError, RecursionError):
        raise BadAnswerError(f"sends a page that is no JSON: '{one_line(response.text[:200], 60)}'") from None
    records = content.get("data") if isinstance(content, dict) else None
    if isinstance(content, dict) and content.get("errors"):
        raise BadAnswerError(f"sends an error as a page: {one_line(str(content['errors'])[:500])}")
    if not (isinstance(records, list) and all(isinstance(record, dict) for record in records)):
        raise BadAnswerError("sends a page without a list of structures")


def _ask(spool: _Spool, http: HttpClient) -> None:
    try:
        from optimade.client import OptimadeClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise FetchError("An OPTIMADE source needs its client: pip install 'paraisite[optimade]'.") from error
    url, query = str(spool.state["url"]), str(spool.state["filter"])
    client = OptimadeClient(
        base_urls=[url],
        max_results_per_provider=NO_LIMIT,
        use_async=False,
        silent=True,
        callbacks=[spool],
        http_client=http.session_class(_check_page),
    )
    try:
        found = client.get(query, response_fields=RESPONSE_FIELDS)
    except RuntimeError as error:
        raise FetchError(f"The filter {query!r} is not in OPTIMADE's grammar: {one_line(error, limit=200)}.") from error
    failure = spool.failure or http.failure
    if failure is not None and not isinstance(failure, HttpError):
        raise failure
    errors = found["structures"][query][url]["errors"]
    if failure is not None or errors:
        reason = failure or str(errors[0]).removeprefix("RuntimeError: ")
        raise FetchError(
            f"{url} did not send all its structures: {one_line(reason, limit=200)}; give the command again."
        ) from failure
