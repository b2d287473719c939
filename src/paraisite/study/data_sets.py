"""What the data sets hold: composition, space group and prototype of every crystal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.datasets.catalogue import load_data_set
from paraisite.elements import SYMBOLS
from paraisite.structures.space_group import find_symmetry

COVERED_DATA_SETS = ("togo15", "hh143", "aflow_agl")


def coverage_table(name: str, data_folder: Path | None = None) -> pd.DataFrame:
    """Describe a data set's crystals.

    Returns:
        Columns `material_id`, `formula`, `kappa` (W/(m K)), `prototype` (empty where it is not listed), `spacegroup`
        (number), `n_atoms`, `elements` (separated by spaces).

    Raises:
        DataError: The data set is not there.
    """
    data = load_data_set(name, data_folder)
    rows = [
        {
            "material_id": crystal.material_id,
            "formula": crystal.formula,
            "kappa": float(kappa),
            "prototype": crystal.properties.get("prototype", ""),
            "spacegroup": find_symmetry(crystal).space_group,
            "n_atoms": crystal.n_atoms,
            "elements": " ".join(sorted({SYMBOLS[number] for number in crystal.numbers})),
        }
        for crystal, kappa in zip(data.crystals, data.kappa, strict=True)
    ]
    return pd.DataFrame(rows)


def write_coverage(folder: Path, data_folder: Path | None = None) -> None:
    """Write a table per data set, those that are there left as they are."""
    for name in COVERED_DATA_SETS:
        path = folder / f"{name}.csv"
        if not path.exists():
            write_text_atomic(path, coverage_table(name, data_folder).to_csv(index=False))
