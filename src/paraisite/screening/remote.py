"""Sources on public servers: fetched into the scan's folder first, so that a scan can go on without asking again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paraisite.errors import DataError
from paraisite.fetch.catalogue import fetch_data
from paraisite.fetch.common import FetchOptions, FetchReporter
from paraisite.fetch.optimade import fetch_optimade
from paraisite.fetch.policy import DEFAULT_LIMITS, HttpLimits, split_address, without_password
from paraisite.screening.sources import ScanSource, open_source
from paraisite.sources.own_output import SOURCE_FOLDER

OPTIMADE, MATERIALS_PROJECT = "optimade:", "mp:"


def is_remote(source: str | Path | Sequence[str | Path]) -> bool:
    """Whether a source lies on a server, and is fetched into the scan's folder first."""
    given = [source] if isinstance(source, str | Path) else list(source)
    return any(str(item).startswith((OPTIMADE, MATERIALS_PROJECT)) for item in given)


def words_of(source: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """A source as the user gave it, without a password in an address."""
    given = [source] if isinstance(source, str | Path) else list(source)
    return tuple(
        f"{OPTIMADE}{split_address(text.removeprefix(OPTIMADE)).url}" if text.startswith(OPTIMADE) else text
        for text in map(str, given)
    )


def find_source(
    source: str | Path | Sequence[str | Path],
    out: Path,
    query: str = "",
    report: FetchReporter | None = None,
    limits: HttpLimits = DEFAULT_LIMITS,
) -> ScanSource:
    """Find the files of a source, fetching them into `out/source` where they are on a server.

    Args:
        source: As for `open_source`, or `optimade:URL` of a provider, or `mp:stable` for the Materials Project's stable
            crystals (needs the extra `mp` and a key in `MP_API_KEY`).
        out: The scan's folder.
        query: Filter of an OPTIMADE provider.
        report: Called while structures are fetched.
        limits: What is taken from a server at most.

    Raises:
        DataError: The source holds nothing, or a filter is given to a source that has none.
        FetchError: The server does not answer with the structures.
    """
    given = [source] if isinstance(source, str | Path) else list(source)
    name = str(given[0]) if len(given) == 1 else ""
    folder = out / SOURCE_FOLDER
    if name.startswith(OPTIMADE):
        url = name.removeprefix(OPTIMADE)
        fetch_optimade(folder, url, query, FetchOptions(report=report, limits=limits))
        name = f"{OPTIMADE}{split_address(url).url}"  # without the user's password, as it stands in the manifest
        files = sorted(folder.glob("*.jsonl"))
        if not files:
            raise DataError(f"{name} has no structures for the filter {query!r}.")
        return ScanSource(f"{name} {query}".strip(), tuple(files))
    for item in map(str, given):
        if item.startswith((OPTIMADE, MATERIALS_PROJECT)) and len(given) > 1:
            raise DataError(f"{without_password(item)} is scanned alone, without other sources.")
        if item.startswith(("http://", "https://")):
            raise DataError(f"{without_password(item)} is no source of a scan; download it, or give optimade:URL.")
    if query:
        raise DataError(f"--filter is for optimade: sources; {', '.join(map(str, given))} is read whole.")
    if name.startswith(MATERIALS_PROJECT):
        if name != f"{MATERIALS_PROJECT}stable":
            raise DataError(f"{name} is not known; give mp:stable, the Materials Project's stable crystals.")
        return ScanSource(
            name, open_source(fetch_data("materials_project", folder=folder, limits=limits, report=report)).files
        )
    return open_source(given)
