"""What the columns beside a structure state of it, such as the formula in a table or a record."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from paraisite.structures.checks import atomic_number
from paraisite.structures.crystal import Crystal
from paraisite.structures.statements import Statements, check_statements

FORMULA_COLUMNS = ("formula", "formula_pretty", "pretty_formula", "full_formula", "chemical_formula_reduced")
"""Columns that hold a formula, also a reduced one, by the names of pymatgen, the Materials Project, OPTIMADE and JARVIS."""
SITES_COLUMN = "nsites"
"""Column of the number of atoms in the cell, by the name of the Materials Project and OPTIMADE."""


def check_columns(crystal: Crystal, columns: Mapping[str, Any]) -> Crystal:
    """Return the crystal if it agrees with the formulas and the number of sites beside it; as `check_statements`.

    Args:
        crystal: The crystal as it was read.
        columns: Columns of its source; a formula that is none of elements and counts says nothing.

    Raises:
        StructureError: `contradicts_file`.
    """
    n_sites = columns.get(SITES_COLUMN)
    if isinstance(n_sites, int | str) and str(n_sites).isdecimal():
        crystal = check_statements(crystal, Statements(n_atoms=int(n_sites)))
    for key in FORMULA_COLUMNS:
        if key in columns and (formula := parse_formula(columns[key])):
            crystal = check_statements(crystal, Statements(formula=formula))
    return crystal


def parse_formula(text: object) -> Mapping[str, Decimal] | None:
    """Counts of elements in a formula such as `Ca(OH)2` or `Al2 O3`; None for anything else."""
    return _parse(text.replace(" ", "")) if isinstance(text, str) and 0 < len(text) <= 200 else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Mapping[str, Decimal] | None:
    from ase.formula import Formula  # noqa: PLC0415 - seldom needed

    try:
        counts = Formula(text, strict=True).count()
    except (ValueError, KeyError, RecursionError):
        return None
    if not counts or any(atomic_number(symbol) is None for symbol in counts):
        return None
    return {symbol: Decimal(count) for symbol, count in counts.items()}
