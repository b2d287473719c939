"""What a CIF block says of its crystal besides cell, sites and symmetry."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from math import isfinite

import gemmi

from paraisite.structures.checks import atomic_number
from paraisite.structures.statements import Statements

_FORMULA_TAGS = ("_chemical_formula_sum", "_chemical_formula_moiety", "_chemical_formula_structural")
_MAX_FORMULA = 1000
"""Characters of a formula that is looked at."""
_NUMBER = r"\d+\.?\d*|\.\d+"
_PART = re.compile(
    rf"(?P<symbol>[A-Z][a-z]?)(?P<count>{_NUMBER})?|(?P<open>[(\[])|[)\]](?P<times>{_NUMBER})?|(?P<charge>\d*[+-]\d*)|\s+"
)
_MULTIPLIER = re.compile(rf"\s*({_NUMBER})\s*(?=[A-Z(\[])")
_SEPARATOR = re.compile(r"[,;*·]|\s\.\s")


def block_value(block: gemmi.cif.Block, *tags: str) -> str:
    """Unquoted value of the first tag that has one, else the empty string."""
    for tag in tags:
        raw = block.find_value(tag)
        if raw and raw not in ("?", "."):
            value = gemmi.cif.as_string(raw).strip()
            if value not in ("", "?", "."):
                return value
    return ""


def statements_of(block: gemmi.cif.Block) -> Statements:
    """Formula, number of formula units, density, weight and volume, as far as the block states them.

    Of the formulas the first counts that can be read: that of all atoms, else of the moieties, else the structural one. A
    measured density is left aside, since a porous or impure sample has another.
    """
    formulas = [formula for tag in _FORMULA_TAGS if (formula := parse_cif_formula(block_value(block, tag)))]
    structural = parse_cif_formula(block_value(block, _FORMULA_TAGS[-1]))
    formula, n_atoms = _formula_unit(formulas[0] if formulas else None, structural)
    units = block_value(block, "_cell_formula_units_Z")
    return Statements(
        formula=formula,
        n_atoms=n_atoms,
        formula_units=int(units) if units.isdecimal() and 0 < len(units) < 6 and int(units) > 0 else None,
        density_g_per_cm3=_positive(block, "_exptl_crystal_density_diffrn"),
        formula_weight_dalton=_positive(block, "_chemical_formula_weight"),
        volume_angstrom3=_positive(block, "_cell_volume"),
    )


def _formula_unit(
    first: dict[str, Decimal] | None, structural: dict[str, Decimal] | None
) -> tuple[dict[str, Decimal] | None, int | None]:
    """The formula of the unit, and the atoms of the cell where the first formula is that of the whole cell.

    Some programs write the cell's atoms as the sum formula; the smaller structural formula beside it gives that away.
    """
    if first is None or structural is None or first.keys() != structural.keys() or not all(structural.values()):
        return first, None
    ratios = {first[symbol] / amount for symbol, amount in structural.items()}
    if len(ratios) == 1 and ratios.pop() > 1:
        return structural, int(sum(first.values()))
    return first, None


@lru_cache(maxsize=4096)
def parse_cif_formula(text: str) -> dict[str, Decimal] | None:
    """Counts of a formula such as `H2 Mg O2`, `Ca (C O3)`, `C6 H5 O 1-, Na 1+, 2(H2 O)`; None where a part is unclear."""
    if not text or len(text) > _MAX_FORMULA:
        return None
    total: dict[str, Decimal] = {}
    for part in _SEPARATOR.split(text):
        found = _moiety(part)
        if found is None:
            return None
        for symbol, amount in found.items():
            total[symbol] = total.get(symbol, Decimal(0)) + amount
    return total or None


def _moiety(text: str) -> dict[str, Decimal] | None:
    """Counts of a part of a formula, with a number before it or not."""
    multiplier = _MULTIPLIER.match(text)
    place = multiplier.end() if multiplier else 0
    stack: list[dict[str, Decimal]] = [{}]
    while place < len(text):
        match = _PART.match(text, place)
        if match is None:
            return None
        place = match.end()
        if symbol := match["symbol"]:
            if atomic_number(symbol) is None:
                return None
            _add(stack[-1], {symbol: Decimal(1)}, Decimal(match["count"] or 1))
        elif match["open"]:
            stack.append({})
        elif match[0][0] in ")]":
            if len(stack) == 1:
                return None
            group = stack.pop()
            _add(stack[-1], group, Decimal(match["times"] or 1))
    if len(stack) > 1:
        return None
    total: dict[str, Decimal] = {}
    _add(total, stack[0], Decimal(multiplier[1]) if multiplier else Decimal(1))
    return total


def _add(total: dict[str, Decimal], group: dict[str, Decimal], times: Decimal) -> None:
    for symbol, amount in group.items():
        total[symbol] = total.get(symbol, Decimal(0)) + amount * times


def _positive(block: gemmi.cif.Block, tag: str) -> float | None:
    """A number above 0, with or without an uncertainty; None where there is none."""
    value = gemmi.cif.as_number(block_value(block, tag))
    return value if isfinite(value) and value > 0.0 else None
