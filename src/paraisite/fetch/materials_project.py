"""Stable crystals of the Materials Project by its official client `mp-api` (doi 10.1063/1.4812323; data CC BY 4.0)."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from paraisite.atomic import sha256_of, write_text_atomic
from paraisite.errors import FetchError, StructureError
from paraisite.fetch.common import (
    FetchOptions,
    FetchProgress,
    open_partial,
    read_json,
    write_crystals,
    write_manifest,
)
from paraisite.fetch.http import HttpClient
from paraisite.fetch.policy import Access, BadAnswerError, HttpError, host_of, without_password
from paraisite.readers.json_structures import jsonl_records
from paraisite.structures.checks import one_line
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin

_NAME = "materials_project"
_FILE_NAME = "materials_project.extxyz.gz"
TABLE_NAME = "materials_project.csv"
API_URL = "https://api.materialsproject.org/"
KEY_VARIABLE = "MP_API_KEY"
CRITERIA = {"is_stable": True, "deprecated": False}
FEATURES = (
    "energy_above_hull",
    "formation_energy_per_atom",
    "energy_per_atom",
    "uncorrected_energy_per_atom",
    "is_stable",
    "theoretical",
    "volume",
    "density",
    "density_atomic",
    "nsites",
    "nelements",
    "band_gap",
    "is_metal",
    "total_magnetization",
)
"""Columns of the table under the Materials Project's own names: energies in eV/atom, `band_gap` in eV, `volume` in Å³ of the
cell, `density` in g/cm³, `density_atomic` in Å³/atom, `total_magnetization` in Bohr magnetons of the cell."""
CHUNK_SIZE = 500
"""Crystals a request: their identifiers must fit into an address of 8 192 characters."""
LIST_CHUNK_SIZE = 1000
_IDENTIFIER = re.compile(r"[\w.-]{1,100}", re.ASCII)


def fetch_materials_project(folder: Path, options: FetchOptions, chunk_size: int = CHUNK_SIZE) -> Path:
    """Fetch the crystals on the convex hull, with features.

    Args:
        folder: Data folder; it gets `materials_project.extxyz.gz`, `materials_project.csv` (see `FEATURES`) and a manifest.
        options: Where and how; the key is that of the user, else the one in `MP_API_KEY`. Chunks that an earlier, stopped
            fetch got are not asked for again.
        chunk_size: Crystals a request.

    Returns:
        The extxyz file.

    Raises:
        FetchError: `mp-api` or the key is missing.
        HttpError: The Materials Project cannot be reached, refuses the key, or does not give every crystal.
    """
    key = options.key or os.environ.get(KEY_VARIABLE)
    if not key:
        raise FetchError(
            f"The Materials Project asks for a key (free at https://materialsproject.org/api): give --key or {KEY_VARIABLE}."
        )
    if not (key.isascii() and key.isprintable()):
        raise FetchError("The key for the Materials Project has characters that no key has; copy it anew.")
    access = options.access(API_URL)
    url = access.url.rstrip("/") + "/"
    if not {"Authorization"}.isdisjoint(access.headers):
        raise FetchError(f"{url} asks for a key, not for a user's name and password; give the address without them.")
    parts = open_partial(
        folder, _NAME, {"url": url, "criteria": CRITERIA, "features": FEATURES, "chunk_size": chunk_size}
    )
    http = HttpClient(options.politeness, options.limits, Access(url, {"x-api-key": key}, strict=True))
    with http:
        chunks = _fetch_chunks(_Summary(url, key, http), parts, chunk_size, options)
    rows: list[dict[str, Any]] = []
    dropped: list[dict[str, str]] = []
    made = parts / _FILE_NAME
    write_crystals(made, _crystals(chunks, rows, dropped))
    if not rows:
        raise HttpError(f"{host_of(url)} sent no crystal that can be used")
    write_text_atomic(parts / TABLE_NAME, _table(rows))
    content = {
        "url": url,
        "criteria": CRITERIA,
        "records": len(rows) + len(dropped),
        "kept": len(rows),
        "dropped": dropped,
        "sha256": {name: sha256_of(parts / name) for name in (_FILE_NAME, TABLE_NAME)},
    }
    write_manifest(folder, _NAME, content)
    (parts / TABLE_NAME).replace(folder / TABLE_NAME)
    made.replace(folder / _FILE_NAME)  # last: a data set is there when its file is
    shutil.rmtree(parts)
    return folder / _FILE_NAME


class _Summary:
    """The client's search in the summaries, with its errors as ours."""

    def __init__(self, url: str, key: str, http: HttpClient) -> None:
        self._host, self._key = host_of(url), key
        try:
            from mp_api.client import MPRester  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise FetchError(
                "The Materials Project's client is not installed: pip install 'paraisite[mp]' (or mp-api)."
            ) from error
        # The client asks for this page without limits, so it is seen first to be one.
        http.get(f"{url}heartbeat", _check_heartbeat)
        with self._as_ours():
            rester = MPRester(
                key,
                endpoint=url,
                session=http.session_class(_check_json)(),
                use_document_model=False,
                mute_progress_bars=True,
                notify_db_version=False,
            )
            self._search = rester.materials.summary.search

    def search(self, **query: Any) -> list[dict[str, Any]]:
        """Documents that match, as plain maps."""
        with self._as_ours():
            return [dict(document) for document in self._search(**query)]

    def _as_ours(self) -> _ClientErrors:
        return _ClientErrors(self._host, self._key)


class _ClientErrors:
    """Turns any error of the client into one sentence: it lets through those of requests and of JSON too."""

    def __init__(self, host: str, key: str) -> None:
        self._host, self._key = host, key

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, FetchError):
            words = one_line(without_password(str(error)[:2000].replace(self._key, "…")))
            raise HttpError(f"{self._host} gave no usable answer: {words}") from None  # the client's may hold the key


def _check_heartbeat(text: str) -> None:
    content = _json(text)
    if not (isinstance(content, dict) and isinstance(content.get("db_version"), str)):
        raise BadAnswerError("sends a heartbeat without db_version; is it the Materials Project's API?")


def _check_json(response: requests.Response) -> None:
    content = _json(response.text)
    data = content.get("data") if isinstance(content, dict) else None
    if not (isinstance(data, list) and all(isinstance(item, dict) for item in data)):
        raise BadAnswerError("sends a page without a list of documents")


def _json(text: str) -> Any:
    try:
        content = json.loads(text)
        json.dumps(content)
    except (ValueError, RecursionError):
        raise BadAnswerError(f"sends a page that is no JSON: '{one_line(text[:200], 60)}'") from None
    return content


def _fetch_chunks(summary: _Summary, parts: Path, size: int, options: FetchOptions) -> list[Path]:
    """Files of documents, by identifier, each kept as it arrives."""
    listing = parts / "identifiers.json"
    identifiers = read_json(listing)
    if not isinstance(identifiers, list):
        found = summary.search(**CRITERIA, fields=["material_id"], chunk_size=LIST_CHUNK_SIZE)
        identifiers = sorted({_identifier(document) for document in found} - {""})
        write_text_atomic(listing, json.dumps(identifiers))
    starts = range(0, len(identifiers), size)
    chunks = []
    for number, start in enumerate(starts, start=1):
        path = parts / f"chunk-{number:05d}.json"
        if not isinstance(read_json(path), list):
            wanted = identifiers[start : start + size]
            documents = summary.search(
                material_ids=wanted, fields=["material_id", "structure", *FEATURES], chunk_size=size
            )
            documents = _asked_for(documents, wanted, options.access(API_URL).url)
            write_text_atomic(path, json.dumps(documents))
        chunks.append(path)
        options.tell(FetchProgress(_NAME, number, len(starts), "chunks", min(start + size, len(identifiers))))
    return chunks


def _asked_for(documents: list[dict[str, Any]], wanted: list[str], url: str) -> list[dict[str, Any]]:
    """One document for each identifier that was asked for, in their order."""
    found = {_identifier(document): document for document in documents}
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise HttpError(f"{host_of(url)} left out {len(missing)} of {len(wanted)} crystals, among them {missing[0]}")
    return [found[name] for name in sorted(wanted)]


def _identifier(document: dict[str, Any]) -> str:
    """The identifier of a document; empty where it has none that can be a name."""
    name = document.get("material_id")
    return name if isinstance(name, str) and _IDENTIFIER.fullmatch(name) else ""


def _crystals(chunks: list[Path], rows: list[dict[str, Any]], dropped: list[dict[str, str]]) -> Iterator[Crystal]:
    """Crystals of the kept documents; fills the rows of the table and what was left out on the way."""
    for path in chunks:
        for document in read_json(path):
            name = str(document["material_id"])
            entry = {"material_id": name, "structure": document.get("structure")}
            try:
                crystal = next(jsonl_records([json.dumps(entry)]))(Origin(source=name, material_id=name))
            except StructureError as error:
                dropped.append({"id": name, "reason": str(error)})
                continue
            features = {feature: document.get(feature) for feature in FEATURES}
            rows.append({"material_id": name, "formula": crystal.formula, **features})
            yield Crystal(
                crystal.numbers, crystal.cell, crystal.fractional, name, properties={"formula": crystal.formula}
            )


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
