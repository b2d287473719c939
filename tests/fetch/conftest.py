"""Fixtures of the fetchers' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Loopback, aflow_record

from paraisite.datasets.tables import load_togo15


@pytest.fixture
def server() -> Iterator[Loopback]:
    loopback = Loopback()
    yield loopback
    loopback.stop()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own data, cache and key out of the tests."""
    monkeypatch.setenv("PARAISITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PARAISITE_DATA", raising=False)
    monkeypatch.delenv("MP_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def records() -> list[dict[str, Any]]:
    """23 records by rising κ, as AFLUX sorts."""
    crystals = sorted(load_togo15()[:23], key=lambda crystal: float(crystal.properties["kappa"]))
    return [aflow_record(crystal, number) for number, crystal in enumerate(crystals)]
