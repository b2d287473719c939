"""A server on loopback for the fetchers: AFLUX that answers slowly, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from attacks import bench  # noqa: F401 - the path to the modules beside the tests

from loopback import Loopback, aflow_record, aflux  # isort: skip - beside the tests

from paraisite.datasets.tables import load_togo15

N_RECORDS = 3000
"""Six pages of 500."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server at work.

    Attributes:
        url: Address of its AFLUX.
    """

    url: str


@cache
def _records() -> list[dict[str, Any]]:
    """Records by rising κ, as AFLUX sorts."""
    crystals = load_togo15()
    records = [aflow_record(crystals[number % len(crystals)], number) for number in range(N_RECORDS)]
    return sorted(records, key=lambda record: float(record["agl_thermal_conductivity_300K"]))


@contextmanager
def serving(delay_seconds: float) -> Iterator[Served]:
    """An AFLUX with crystals of Togo15."""
    answer = aflux(_records())
    server = Loopback()
    server.answer = lambda path, headers: replace(answer(path, headers), delay=delay_seconds)
    try:
        yield Served(f"{server.url}/API/aflux/")
    finally:
        server.stop()
