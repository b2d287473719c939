"""Which symmetry a CIF block states, and whether it may be trusted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from math import gcd
from typing import TypeVar

import gemmi
import numpy as np

from paraisite.structures.checks import atomic_number, unreadable
from paraisite.structures.symmetry import (
    IDENTITY,
    Operations,
    find_group,
    operations_from_hall,
    operations_from_triplets,
    operations_of_group,
    other_origin,
)

_OPERATION_TAGS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_HALL_TAGS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_HM_TAGS = ("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt", "_space_group_name_H-M_full")
_NUMBER_TAGS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
Choice = TypeVar("Choice")
_FORMULA_PART = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)")


class Doubt(Exception):  # noqa: N818 - a signal to the caller, not an error
    """Content that the fast path must leave to the general parser."""


@dataclass(frozen=True, slots=True)
class Symmetry:
    """Operations of a block.

    Attributes:
        choices: Space-group operations, of both origin choices where the block leaves the origin open.
        doubtful: Why the composition must confirm them; empty if nothing speaks against them.
    """

    choices: tuple[Operations, ...]
    doubtful: str = ""


def block_value(block: gemmi.cif.Block, *tags: str) -> str:
    """Unquoted value of the first tag that has one, else the empty string."""
    for tag in tags:
        raw = block.find_value(tag)
        if raw and raw not in ("?", "."):
            value = gemmi.cif.as_string(raw).strip()
            if value not in ("", "?", "."):
                return value
    return ""


def symmetry_of(block: gemmi.cif.Block, lengths_angles: list[float], name: str) -> Symmetry:
    """Operations from the list, else the Hall symbol, else the Hermann-Mauguin symbol, else the number.

    Args:
        block: A data block.
        lengths_angles: Cell lengths in Å and angles in degrees.
        name: File for the error message.

    Raises:
        Doubt: Symmetry that gemmi cannot read.
        StructureError: `unreadable` where the origin or the setting stays open.
    """
    symbol = block_value(block, *_HM_TAGS)
    number = block_value(block, *_NUMBER_TAGS)
    if triplets := _triplets(block):
        return _listed(triplets, symbol, number, lengths_angles)
    if hall := block_value(block, *_HALL_TAGS):
        try:
            return Symmetry((operations_from_hall(hall),))
        except ValueError as error:
            raise Doubt(f"the Hall symbol '{hall}'") from error
    if not symbol and not number:
        return Symmetry((IDENTITY,), "without any space group")
    group = find_group(symbol, number, lengths_angles[3], lengths_angles[5])
    if group is None:
        raise Doubt(f"the space group '{symbol or number}'")
    if not gemmi.UnitCell(*lengths_angles).is_compatible_with_spacegroup(group, 0.02):
        raise unreadable(
            name, f"the cell contradicts space group {group.xhm()}", "list the symmetry operations in the file"
        )
    operations = operations_of_group(group.xhm())
    if (other := other_origin(group, symbol)) is not None:
        return Symmetry((operations, operations_of_group(other)), f"in either origin choice of {group.hm}")
    return Symmetry((operations,))


def agreeing_choices(
    block: gemmi.cif.Block, choices: list[tuple[np.ndarray, Choice]], symmetry: Symmetry, name: str
) -> list[Choice]:
    """The one choice of operations that gives the composition that the file states.

    Args:
        block: A data block.
        choices: Atomic numbers of all atoms in the cell, [n_atoms], and the atoms, for each choice.
        symmetry: The doubtful symmetry.
        name: File for the error message.

    Raises:
        StructureError: `unreadable` if no choice agrees, or two do.
    """
    stated = _stated_counts(block)
    found = [Counter(int(number) for number in numbers) for numbers, _ in choices]
    if len(choices) == 1:
        # Only the ratio is checked: a cell written out in full often keeps its old number of formula units.
        agree = [not stated or _reduced(found[0]) == _reduced(stated)]
    else:
        units = block_value(block, "_cell_formula_units_Z")
        cell = (
            Counter({key: count * int(units) for key, count in stated.items()})
            if units.isdigit() and len(units) < 6
            else stated
        )
        agree = [counts == cell for counts in found]
    if sum(agree) == 1:
        return [choices[agree.index(True)][1]]
    if len(choices) == 1:
        reason = f"read {symmetry.doubtful}, the sites contradict the stated formula"
    else:
        reason = "the file leaves open which origin choice of its space group it uses"
    raise unreadable(name, reason, "list the full symmetry operations")


def _triplets(block: gemmi.cif.Block) -> tuple[str, ...]:
    """Symmetry operations as texts; empty if none are listed."""
    for tag in _OPERATION_TAGS:
        column = block.find_values(tag)
        if column:
            values = tuple(column)
            if values not in (("?",), (".",), ("''",)):
                return values
    return ()


def _listed(triplets: tuple[str, ...], symbol: str, number: str, lengths_angles: list[float]) -> Symmetry:
    """Operations from a list, in doubt where the named group has another order."""
    try:
        operations = operations_from_triplets(triplets)
    except ValueError as error:
        raise Doubt(f"the symmetry operations, {error}") from error
    group = find_group(symbol, number, lengths_angles[3], lengths_angles[5])
    n_ops = len(operations[0])
    if group is not None and len(operations_of_group(group.xhm())[0]) != n_ops:
        return Symmetry((operations,), f"with {n_ops} of the symmetry operations of {group.xhm()}")
    return Symmetry((operations,))


def _stated_counts(block: gemmi.cif.Block) -> Counter[int]:
    """Atoms per formula unit by atomic number; empty if the formula is missing or broken."""
    counts: Counter[int] = Counter()
    for word in block_value(block, "_chemical_formula_sum").replace(",", " ").split():
        match = _FORMULA_PART.fullmatch(word)
        amount = float(match[2] or 1) if match else 0.0
        number = atomic_number(match[1]) if match else None
        if number is None or not amount.is_integer():
            return Counter()
        counts[number] += int(amount)
    return counts


def _reduced(counts: Counter[int]) -> dict[int, int]:
    """Counts without their common divisor."""
    divisor = gcd(*counts.values()) or 1
    return {number: count // divisor for number, count in counts.items()}
