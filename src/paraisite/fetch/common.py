"""What every fetcher needs: options, a folder for what is not yet whole, and files that are the same for the same content."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paraisite.atomic import atomic_path, write_text_atomic
from paraisite.fetch.policy import DEFAULT_LIMITS, DEFAULT_POLITENESS, Access, HttpLimits, Politeness, split_address
from paraisite.structures.convert import to_ase
from paraisite.structures.crystal import Crystal
from paraisite.version import __version__

MAX_AGE_SECONDS = 7 * 86400
"""Age from which the parts of a stopped fetch are no longer continued: the data behind them may have changed."""


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """What a progress display shows.

    Attributes:
        name: Name of the data set.
        done: Steps done.
        total: Steps in all; None while that is unknown.
        unit: What a step is, such as `pages`.
        records: Records so far; 0 where a step is no set of records.
    """

    name: str
    done: int
    total: int | None
    unit: str
    records: int = 0


FetchReporter = Callable[[FetchProgress], None]


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """From where and how to fetch.

    Attributes:
        url: Base address in place of the public one; it may hold a user's name and password (`https://user:password@host/`).
        key: The user's key, for a source that asks for one.
        politeness: Pauses, time-outs and attempts.
        report: Called after every step.
        limits: What is taken from a server at most.
    """

    url: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    politeness: Politeness = DEFAULT_POLITENESS
    report: FetchReporter | None = None
    limits: HttpLimits = DEFAULT_LIMITS

    def access(self, public: str) -> Access:
        """The server to ask, with the user's name and password beside its address; without a choice, a public one."""
        return split_address(self.url or public)

    def tell(self, progress: FetchProgress) -> None:
        """Report a step to whoever wants to know."""
        if self.report is not None:
            self.report(progress)


def partial_folder(folder: Path, name: str) -> Path:
    """Hidden folder of the parts of a fetch that is not yet whole."""
    return folder / f".{name}.partial"


def open_partial(folder: Path, name: str, request: dict[str, Any]) -> Path:
    """Make the folder of parts, or keep that of an earlier fetch of the same.

    Args:
        folder: The data folder.
        name: Name of the data set.
        request: What is asked for; parts of another request, or old ones, are thrown away.
    """
    partial = partial_folder(folder, name)
    note = partial / "request.json"
    kept = read_json(note)
    request = json.loads(json.dumps(request))  # as it reads when it is kept: tuples become lists
    fits = isinstance(kept, dict) and kept.get("request") == request
    if not (fits and 0 <= time.time() - float(kept.get("started", 0)) < MAX_AGE_SECONDS):
        shutil.rmtree(partial, ignore_errors=True)
        write_text_atomic(note, json.dumps({"started": time.time(), "request": request}) + "\n")
    return partial


def read_json(path: Path) -> Any:
    """Content of a JSON file; None where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def write_crystals(path: Path, crystals: Iterable[Crystal]) -> None:
    """Write crystals as gzipped extxyz; the same crystals give the same bytes.

    Args:
        path: The file; it is moved to its place when whole.
        crystals: Identifier and properties become columns; Å.
    """
    from ase.io import write  # noqa: PLC0415 - slow to import and seldom needed

    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        # Neither a date nor a file's name, which would make equal content differ.
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as text,
    ):
        for crystal in crystals:
            write(text, to_ase(crystal), format="extxyz")


def manifest_path(folder: Path, name: str) -> Path:
    """Where the manifest of a fetched data set lies."""
    return folder / f"{name}.manifest.json"


def write_manifest(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write what was fetched, from where and when."""
    when = {"name": name, "fetched": datetime.now(UTC).isoformat(timespec="seconds"), "paraisite": __version__}
    text = json.dumps({**when, **content}, indent=2, ensure_ascii=False)
    write_text_atomic(manifest_path(folder, name), text + "\n")
