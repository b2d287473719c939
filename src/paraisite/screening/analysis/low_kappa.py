"""The crystals of the lowest κ, with their structures as they are read again from the source."""

from __future__ import annotations

from math import gcd
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import pandas as pd
from ase.geometry import cell_to_cellpar

from paraisite.elements import SYMBOLS
from paraisite.screening.export import read_sources
from paraisite.screening.selection import Selection, select_rows
from paraisite.structures.crystal import Crystal
from paraisite.structures.space_group import symmetry_dataset

LATTICE = ("a_angstrom", "b_angstrom", "c_angstrom", "alpha_degree", "beta_degree", "gamma_degree")
STRUCTURE_COLUMNS = ("spacegroup", "spacegroup_symbol", "structure_type", *LATTICE)
_FAMILIES = ((2, "a"), (15, "m"), (74, "o"), (142, "t"), (194, "h"), (230, "c"))
"""Last space group of each crystal family, and the letter of the family in a Pearson symbol."""


def low_kappa_candidates(out: str | Path, n_candidates: int, features: str | Path | None = None) -> pd.DataFrame:
    """List the crystals of the lowest κ, one of each structure, with space group, structure type and lattice.

    Args:
        out: The scan's folder.
        n_candidates: Rows, at most.
        features: A CSV table to join by `material_id`, for example with a column `prototype`.

    Returns:
        The rows of the scan with `rank` first, `relative_spread` (standard deviation over mean) where the scan keeps members,
        and `STRUCTURE_COLUMNS`: space group, structure type (anonymous formula, Pearson symbol, space group, as AFLOW labels
        begin) and conventional lattice; these are missing where the source is gone or changed.
        A column without any value is left out.
    """
    rows = select_rows(out, Selection(lowest=n_candidates, unique=True), features).drop(columns="spacegroup")
    rows = rows.dropna(axis="columns", how="all")
    described = pd.DataFrame(index=rows["source"].unique(), columns=list(STRUCTURE_COLUMNS), dtype=object)
    for item in read_sources(rows["source"], out):
        if isinstance(item, Crystal):
            described.loc[item.source] = pd.Series(describe_structure(item))
    rows.insert(0, "rank", np.arange(1, len(rows) + 1))
    if "kappa_std" in rows:
        rows["relative_spread"] = rows["kappa_std"] / rows["kappa_mean"]
    return rows.join(described.astype(dict.fromkeys(LATTICE, float)), on="source")


def describe_structure(crystal: Crystal) -> dict[str, object]:
    """Space group, structure type and conventional lattice of a crystal; nothing where spglib finds no symmetry.

    Returns:
        `STRUCTURE_COLUMNS`.
    """
    found = symmetry_dataset(crystal)
    if found is None:
        return dict.fromkeys(STRUCTURE_COLUMNS)
    pearson = pearson_symbol(found.number, found.international[0], len(found.std_types))
    return {
        "spacegroup": int(found.number),
        "spacegroup_symbol": str(found.international),
        "structure_type": f"{anonymous_formula(crystal.numbers)}_{pearson}_{found.number}",
        **dict(zip(LATTICE, map(float, cell_to_cellpar(found.std_lattice)), strict=True)),
    }


def pearson_symbol(space_group: int, centring: str, n_atoms: int) -> str:
    """Pearson symbol as in AFLOW's labels: family, centring, atoms.

    Args:
        space_group: Number of the space group.
        centring: First letter of its symbol.
        n_atoms: Atoms of the conventional cell; a rhombohedral one counts as its primitive cell.
    """
    family = next(letter for last, letter in _FAMILIES if space_group <= last)
    return f"{family}{'C' if centring == 'A' else centring}{n_atoms // 3 if centring == 'R' else n_atoms}"


def anonymous_formula(numbers: np.ndarray) -> str:
    """Reduced formula with letters for the elements, which are taken by the alphabet: ZnS is AB, BaSb2O6 is AB6C2."""
    values, counts = np.unique(numbers, return_counts=True)
    divisor = gcd(*(int(count) for count in counts))
    amounts = {SYMBOLS[value]: int(count) // divisor for value, count in zip(values, counts, strict=True)}
    letters = zip(ascii_uppercase, sorted(amounts), strict=False)
    return "".join(letter + (str(amounts[name]) if amounts[name] > 1 else "") for letter, name in letters)
