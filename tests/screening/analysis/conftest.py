"""Scans of the same crystals by different models, as tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest

sys.path.append(str(Path(__file__).parents[1] / "screening"))

from written_scans import random_rows, write_csv, write_scan

N_CRYSTALS = 40
DOMAIN = {
    "kappa_low": pa.float64(), "kappa_high": pa.float64(), "domain": pa.string(), "domain_distance": pa.float64(),
    "domain_reason": pa.string(),
}  # fmt: skip


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two scans of the same crystals; the second lacks one, has another, and tells the domain."""
    folder = tmp_path_factory.mktemp("scans")
    told = {
        "domain_distance": 1.5,
        "domain_reason": "elements Na not in the data",
        "kappa_low": 0.5,
        "kappa_high": 99.0,
    }
    second = [
        {**row, **told, "domain": "edge" if index % 4 == 0 else "inside"}
        for index, row in enumerate(random_rows(N_CRYSTALS + 1, seed=2)[1:])
    ]
    return [
        write_scan(folder / "first", random_rows(N_CRYSTALS, seed=1), model="RWTG15"),
        write_scan(folder / "second", second, model="FEAFTG15", more=DOMAIN),
    ]


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with a number, a flag, a text and a known κ; it lacks some crystals and has others."""
    numbers = range(10, 60)
    columns = {
        "material_id": [f"mp-{number}" for number in numbers],
        "energy": [None if number == 20 else number**0.5 for number in numbers],
        "is_stable": [number % 3 == 0 for number in numbers],
        "prototype": ["a | b"] * len(numbers),
        "kappa_known": [float(number) for number in numbers],
        "constant": [1.0] * len(numbers),
    }
    return write_csv(tmp_path_factory.mktemp("features") / "features.csv", columns)
