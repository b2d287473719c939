"""Structures of an OPTIMADE provider by the official client (doi 10.1038/s41597-021-00974-z), a file a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from paraisite.atomic import write_text_atomic
from paraisite.errors import FetchError
from paraisite.fetch.common import FetchOptions, FetchProgress, read_json
from paraisite.structures.checks import one_line
from paraisite.structures.optimade import STATEMENT_KEYS, STRUCTURE_KEYS

RESPONSE_FIELDS = [*STRUCTURE_KEYS, *STATEMENT_KEYS]
ATTEMPTS = 5
STATE_FILE = ".optimade.json"
"""Hidden, so that it is not taken for structures."""


def fetch_optimade(folder: Path, url: str, query: str, options: FetchOptions) -> Path:
    """Fetch the structures that a filter finds; a fetch that was stopped goes on after its last page.

    Args:
        folder: Gets `page-….jsonl`, a record a line, and a hidden file with the address, the filter and the next page.
        url: The provider's base address, without version.
        query: Filter in OPTIMADE's grammar; empty takes everything.
        options: Who is told of the progress.

    Returns:
        The folder.

    Raises:
        FetchError: The client is not installed, the provider cannot be reached or does not understand the filter, or the
            folder holds another query.
    """
    request = {"url": url.rstrip("/"), "filter": query}
    state = read_json(folder / STATE_FILE) or {**request, "next": None, "pages": 0, "records": 0, "complete": False}
    if {key: state.get(key) for key in request} != request:
        raise FetchError(f"{folder} holds structures of another query; choose another folder.")
    if not state["complete"]:
        folder.mkdir(parents=True, exist_ok=True)
        _ask(_Spool(folder, state, options))
        write_text_atomic(folder / STATE_FILE, json.dumps({**state, "complete": True}) + "\n")
    return folder


class _Spool:
    """Writes each page as it comes, and takes it out of the client's memory but for one record."""

    def __init__(self, folder: Path, state: dict[str, Any], options: FetchOptions) -> None:
        self._folder, self.state, self._options = folder, state, options
        # The client begins with the first page; where pages are there already, it is led from it to the next one.
        self._skip_to = state["next"]

    def __call__(self, _: str, page: dict[str, Any]) -> dict[str, Any] | None:
        state, skip_to = self.state, self._skip_to
        if skip_to:
            self._skip_to = None
            page["data"] = page["data"][:1]
            return {"next": skip_to, "advance_results": 0}
        link = page["links"].get("next")
        state["next"] = link.get("href") if isinstance(link, dict) else link
        records = page["data"]
        state["pages"] += 1
        state["records"] += len(records)
        lines = [json.dumps({key: record.get(key) for key in ("id", "type", "attributes")}) for record in records]
        path = self._folder / f"page-{state['pages']:08d}.jsonl"
        if lines:
            write_text_atomic(path, "\n".join(lines) + "\n")
        write_text_atomic(self._folder / STATE_FILE, json.dumps(state) + "\n")
        # The client takes a query without any data for one that ran astray.
        page["data"] = [{"id": record.get("id")} for record in records[:1]]
        self._options.tell(FetchProgress("optimade", state["pages"], None, "pages", state["records"]))
        return None


def _ask(spool: _Spool) -> None:
    try:
        from optimade.client import OptimadeClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise FetchError("An OPTIMADE source needs its client: pip install 'paraisite[optimade]'.") from error
    url, query = str(spool.state["url"]), str(spool.state["filter"])
    client = OptimadeClient(
        base_urls=[url],
        max_results_per_provider=0,
        max_attempts=ATTEMPTS,
        use_async=False,
        silent=True,
        callbacks=[spool],
    )
    try:
        found = client.get(query, response_fields=RESPONSE_FIELDS)
    except RuntimeError as error:
        raise FetchError(f"The filter {query!r} is not in OPTIMADE's grammar: {one_line(error, limit=200)}.") from error
    errors = found["structures"][query][url]["errors"]
    if errors:
        raise FetchError(
            f"{url} did not send all its structures: {one_line(errors[0], limit=200)}; give the command again."
        )
