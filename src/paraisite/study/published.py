"""The published errors beside which the study puts its own (doi 10.1039/d5cp04401d)."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

FAMILY_INITIAL = {
    "RWAF": ("random", "aflow_agl"),
    "FEAF": ("formation_energy", "aflow_agl"),
    "RWTG15": ("random", "togo15"),
    "FETG15": ("formation_energy", "togo15"),
    "FEAFTG15": ("formation_energy+aflow", "togo15"),
    "RWHH143": ("random", "hh143"),
    "FEHH143": ("formation_energy", "hh143"),
    "FEAFHH143": ("formation_energy+aflow", "hh143"),
    "RWMIX": ("random", "mix"),
    "FEMIX": ("formation_energy", "mix"),
    "FEAFMIX": ("formation_energy+aflow", "mix"),
}
"""Initial weights and training data of each family with published errors; RWAFTG15 has none."""
COMPRESSED = ("FEAFTG15", "FEAFHH143", "FEAFMIX")
"""Families whose published errors are those of a compressed κ, mapped back with AFLOW's scale, and not of κ."""


def published_errors() -> pd.DataFrame:
    """Read the published errors of every run.

    Returns:
        Columns `family`, `initial_weights`, `trained_on`, `run`, `tested_on` and `mape` (a fraction).
    """
    with (files("paraisite") / "data" / "published_errors.csv").open(encoding="utf-8") as handle:
        table = pd.read_csv(handle, comment="#")
    names = {key: family for family, key in FAMILY_INITIAL.items()}
    keys = zip(table["initial_weights"], table["trained_on"], strict=True)
    table.insert(0, "family", [names[key] for key in keys])
    return table


def published_runs(family: str, tested_on: str | None = None) -> pd.Series:
    """Published MAPE of a family by run, on its own data or on another set; empty where none was published."""
    table = published_errors()
    tested_on = tested_on or FAMILY_INITIAL.get(family, ("", ""))[1]
    rows = table[(table["family"] == family) & (table["tested_on"] == tested_on)]
    return rows.set_index("run")["mape"]
