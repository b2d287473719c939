"""AFLOW's AGL thermal conductivities with their structures, by the AFLUX search API (doi 10.1016/j.commatsci.2017.04.036).

AGL is a quasi-harmonic Debye-Grüneisen model (doi 10.1103/PhysRevB.90.174107), not a Boltzmann transport calculation.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from paraisite.atomic import sha256_of, write_text_atomic
from paraisite.errors import StructureError
from paraisite.fetch.aflow_records import crystal_of_record
from paraisite.fetch.common import (
    FetchOptions,
    FetchProgress,
    open_partial,
    read_json,
    write_crystals,
    write_manifest,
)
from paraisite.fetch.http import HttpClient
from paraisite.fetch.policy import BadAnswerError, HttpError, host_of
from paraisite.structures.checks import one_line, printable
from paraisite.structures.crystal import Crystal

_NAME = "aflow_agl"
_FILE_NAME = "aflow_agl.extxyz.gz"
AFLUX_URL = "https://aflow.org/API/aflux/"
FIELDS = (
    "agl_thermal_conductivity_300K",
    "auid",
    "aurl",
    "species",
    "composition",
    "geometry",
    "positions_fractional",
)
"""Nothing else is asked for: AFLUX leaves out entries that lack any field of a query."""
PAGE_SIZE = 500
MIN_RECORDS = 4000
"""Fewer from AFLOW itself are no whole answer: it had more than five thousand in 2024."""
MAX_RECORDS = 1_000_000
"""More are no answer to the query: the ICSD holds fewer. All of them are held in memory."""
MAX_DEPTH = 8
"""Lists within lists of one field; deeper ones are no numbers of a crystal."""
_COUNTED = re.compile(r"\s*(\d{1,12})\s+of\s+(\d{1,12})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer.

    Attributes:
        records: Entries as AFLOW words them.
        total: Entries of all pages; None where the answer does not say.
    """

    records: list[dict[str, Any]]
    total: int | None


@dataclass(frozen=True, slots=True)
class Sorted:
    """Records sorted into what can be used and what cannot.

    Attributes:
        crystals: By identifier, each with `kappa` in W/(m K).
        dropped: Identifier and reason of each record that cannot be used.
        duplicates: Records whose AUID came before.
    """

    crystals: list[Crystal]
    dropped: list[dict[str, str]]
    duplicates: int


def page_url(base: str, page: int, size: int) -> str:
    """Address of a page, counted from 1, of the entries of the ICSD that have an AGL thermal conductivity."""
    summons = ",".join(f"{field}(*)" for field in FIELDS) + f",catalog(icsd),$paging({page},{size})"
    return f"{base.rstrip('?')}?{quote(summons, safe=',*')}"


def fetch_aflow_agl(folder: Path, options: FetchOptions, page_size: int = PAGE_SIZE) -> Path:
    """Fetch every ICSD entry with `agl_thermal_conductivity_300K`.

    Args:
        folder: Data folder; it gets `aflow_agl.extxyz.gz` and `aflow_agl.manifest.json`.
        options: Where and how. Pages that an earlier, stopped fetch got are not asked for again.
        page_size: Entries a request.

    Returns:
        The extxyz file: κ at 300 K in W/(m K) in the column `kappa`.

    Raises:
        HttpError: AFLOW cannot be reached or does not answer with the whole list.
    """
    access = options.access(AFLUX_URL)
    base = access.url
    parts = open_partial(folder, _NAME, {"url": page_url(base, 1, page_size)})
    with HttpClient(options.politeness, options.limits, access) as client:
        pages = _fetch_pages(client, base, page_size, parts, options)
    records = [record for page in pages for record in page.records]
    _check_count(records, pages[-1].total, base, parts, len(pages))
    found = sort_records(records)
    if not found.crystals:
        raise HttpError(f"{host_of(base)} sent {len(records)} records, of which none can be used")
    made = parts / _FILE_NAME
    write_crystals(made, found.crystals)
    content = {
        "url": page_url(base, 1, page_size),
        "pages": len(pages),
        "page_size": page_size,
        "records": len(records),
        "kept": len(found.crystals),
        "duplicates": found.duplicates,
        "dropped": found.dropped,
        "sha256": {_FILE_NAME: sha256_of(made)},
    }
    write_manifest(folder, _NAME, content)
    target = folder / _FILE_NAME
    made.replace(target)  # last: a data set is there when its file is
    shutil.rmtree(parts)
    return target


def _fetch_pages(client: HttpClient, base: str, size: int, parts: Path, options: FetchOptions) -> list[Page]:
    """All pages, each kept in a file as it arrives."""
    pages: list[Page] = []
    seen: set[str] = set()
    n_records = n_bytes = 0
    while not pages or len(pages[-1].records) == size:
        number = len(pages) + 1
        path = _part(parts, number)
        page = _kept_page(read_json(path))
        if page is None:
            page = client.get(page_url(base, number, size), partial(parse_page, size=size))
            write_text_atomic(path, json.dumps({"total": page.total, "records": page.records}))
        n_bytes += path.stat().st_size
        n_records += len(page.records)
        _check_length(number, n_records, n_bytes, base, options)
        names = {str(record.get("auid")) for record in page.records}
        # A last page may hold nothing but repeats; a full one would be followed by the same for ever.
        if len(page.records) == size and names <= seen:
            path.unlink()
            raise HttpError(f"{host_of(base)} sends the same records as page {number} as on the pages before it")
        seen |= names
        pages.append(page)
        total = None if page.total is None else -(-page.total // size)
        options.tell(FetchProgress(_NAME, number, total, "pages", n_records))
    return pages


def _check_length(number: int, n_records: int, n_bytes: int, base: str, options: FetchOptions) -> None:
    """Refuse a list that does not end."""
    limits = options.limits
    for name, value, limit in (
        ("pages", number, limits.pages),
        ("total_bytes", n_bytes, limits.total_bytes),
        ("records", n_records, MAX_RECORDS),
    ):
        if value > limit:
            raise HttpError(f"{host_of(base)} sends a list that does not end within {limit} (the limit {name})")


def _part(parts: Path, number: int) -> Path:
    return parts / f"page-{number:04d}.json"


def _kept_page(content: Any) -> Page | None:
    if not (isinstance(content, dict) and isinstance(content.get("records"), list)):
        return None
    total = content.get("total")
    if not (
        all(isinstance(record, dict) for record in content["records"]) and (total is None or isinstance(total, int))
    ):
        return None
    return Page(content["records"], total)


def _check_count(records: list[dict[str, Any]], total: int | None, base: str, parts: Path, n_pages: int) -> None:
    """Refuse an answer that ends too early; its last page is asked for again next time."""
    expected = total if total is not None else MIN_RECORDS if base == AFLUX_URL else 1
    enough = len(records) == expected if total is not None else len(records) >= expected
    if not enough:
        _part(parts, n_pages).unlink(missing_ok=True)
        least = "" if total is not None else "at least "
        raise HttpError(f"{host_of(base)} sent {len(records)} records where {least}{expected} were expected")


def parse_page(text: str, size: int) -> Page:
    """Read an answer: a list of records, or a map from "1 of 912" to records.

    Args:
        text: The answer.
        size: Most records that a page can hold.

    Raises:
        BadAnswerError: The text is something else, such as `DB Fail!null`, which AFLUX sends with status 200.
    """
    shown = one_line(text[:200], 60)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadAnswerError(f"sent a page that is no JSON: '{shown}'") from error
    total = None
    if isinstance(content, dict) and content:
        counted = {key: _COUNTED.fullmatch(key) for key in content}
        numbers = {key: (int(match[1]), int(match[2])) for key, match in counted.items() if match}
        if len(numbers) == len(content):
            total = max(last for _, last in numbers.values())
            content = [content[key] for key in sorted(content, key=lambda key: numbers[key][0])]
    if not (isinstance(content, list) and all(isinstance(record, dict) for record in content)):
        raise BadAnswerError(f"sent a page that is no list of records: '{shown}'")
    if len(content) > size:
        raise BadAnswerError(f"sent {len(content)} records on a page of {size}")
    return Page([{name: _shallow(value) for name, value in record.items()} for record in content], total)


def _shallow(value: Any) -> Any:
    """A field, or the words that it is nested too deeply: such a record must cost itself alone."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for part in level if isinstance(part, list | dict) for item in part]
    return "nested too deeply" if level else value


def sort_records(records: Iterable[dict[str, Any]]) -> Sorted:
    """Turn records into crystals; what is inconsistent or came before is left out."""
    crystals: list[Crystal] = []
    dropped: list[dict[str, str]] = []
    seen: set[str] = set()
    duplicates = 0
    for number, record in enumerate(records, start=1):
        given = record.get("auid")
        auid = given.strip() if isinstance(given, str) else ""
        if auid and auid in seen:
            duplicates += 1
            continue
        seen.add(auid)
        try:
            crystals.append(crystal_of_record(record, auid))
        except StructureError as error:
            dropped.append(
                {"id": one_line(auid) if auid else f"record {number}", "reason": printable(str(error)[:300])}
            )
    crystals.sort(key=lambda crystal: (crystal.material_id, str(crystal.properties["auid"])))
    return Sorted(crystals, dropped, duplicates)
