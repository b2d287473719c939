"""Which symmetry a CIF block states, whether its statements agree, and what of it the crystal must confirm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gemmi
import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.cif_operations import (
    Group,
    group_from_hall,
    group_from_triplets,
    group_of_setting,
    is_closed,
    preserves,
)
from paraisite.readers.cif_statements import block_value
from paraisite.structures.checks import unreadable
from paraisite.structures.crystal import Crystal
from paraisite.structures.statements import contradiction

_OPERATION_TAGS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
# The names of the magnetic dictionary and of its drafts, which files still have.
_MAGNETIC_OPERATIONS = tuple(
    f"_space_group_symop{tag}"
    for tag in ("_magn_operation.xyz", "_magn_operation_xyz", ".magn_operation_xyz", ".magn_operation.xyz")
)
_MAGNETIC_CENTRINGS = tuple(tag.replace("operation", "centering") for tag in _MAGNETIC_OPERATIONS)
_HALL_TAGS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_HM_TAGS = ("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt", "_space_group_name_H-M_full")
_NUMBER_TAGS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_TIME_REVERSAL = re.compile(r"\s*,\s*[+-]1\s*$")
_SUFFIX = re.compile(
    r"\s*:?\s*([SZHR])$|\s+O([12])$|\s*\(?(?:origin|setting)\s*(?:choice)?\s*([12])\)?$", re.IGNORECASE
)
_SYMMETRY_TAG = re.compile(r"symop|space_group|symmetry_equiv|symmetry_space", re.IGNORECASE)
_SYSTEM_TAG = re.compile(r"crystal_system|cell_setting|parent_space|symop.*_id$", re.IGNORECASE)
_SUFFIXES = {"S": "1", "Z": "2"}
CELL_TOLERANCE = 0.02
"""Relative; a cell may be measured or relaxed without its symmetry, but not be of another crystal system."""
MAX_CLOSURE_ATOMS = 500
CLOSURE_TOLERANCES_ANGSTROM = (0.01, 0.1)


@dataclass(frozen=True, slots=True)
class Named:
    """What one statement says of the space group.

    Attributes:
        text: The statement for messages, such as `space group F m -3 m`.
        settings: The settings that it may mean, one for each choice of the origin that it leaves open.
        number: Number in the International Tables.
    """

    text: str
    settings: tuple[Group, ...]
    number: int


@dataclass(frozen=True, slots=True)
class StatedSymmetry:
    """Operations of a block.

    Attributes:
        choices: Groups, several where the block leaves the origin open: the composition must tell which.
        closed_under: Statements of higher symmetry, under which the crystal must be closed.
        confirm: Why formula and number of formula units must confirm the crystal; empty if nothing speaks against it.
    """

    choices: tuple[Group, ...]
    closed_under: tuple[Named, ...] = ()
    confirm: str = ""


def symmetry_of(block: gemmi.cif.Block, cell: np.ndarray, angles: tuple[float, float], name: str) -> StatedSymmetry:
    """Operations from the list, else the Hall symbol, else the Hermann-Mauguin symbol, else the number; all must agree.

    Args:
        block: A data block.
        cell: Lattice vectors as rows in Å, [3, 3].
        angles: Angles alpha and gamma in degrees, which tell hexagonal from rhombohedral axes.
        name: File for the error message.

    Raises:
        StructureError: `contradicts_file` where two statements, or one and the cell, exclude each other; `unreadable` for
            operations that form no group, or where no statement can be understood.
    """
    named = _named(block, angles, name)
    triplets = _triplets(block)
    hall = _hall(block, name)
    given = _listed(triplets, name) if triplets else hall
    if triplets and hall is not None:
        named.append(Named(f"the Hall symbol of {hall.name}", (hall,), hall.number))
    if given is None:
        if not named:
            _check_silent(block, name)
        return _without_operations(named, cell, name)
    if not preserves(cell, given, CELL_TOLERANCE):
        raise contradiction(name, f"the symmetry operations of {given.name}", "the cell does not have this symmetry")
    closed_under, confirm = [], ""
    for statement in named:
        relation = _relation(given, statement, name)
        if relation == "higher":
            closed_under.append(statement)
        elif relation == "setting":
            confirm = f"with operations that are not those of {statement.text}"
    return StatedSymmetry((given,), tuple(closed_under), confirm)


def check_closed(crystal: Crystal, symmetry: StatedSymmetry, name: str) -> None:
    """Refuse a crystal with fewer operations than its named group, unless its sites are closed under the group anyway.

    Raises:
        StructureError: `contradicts_file`.
    """
    for statement in symmetry.closed_under:
        small = crystal.n_atoms <= MAX_CLOSURE_ATOMS
        if small and any(
            preserves(crystal.cell, group, CELL_TOLERANCE)
            and is_closed(crystal.fractional, crystal.numbers, crystal.cell, group)
            for group in statement.settings
        ):
            continue
        if statement.number not in _found_numbers(crystal):
            group = symmetry.choices[0]
            raise contradiction(
                name,
                statement.text,
                f"its symmetry operations are the {group.order} of {group.name} and the sites are not closed under it",
            )


def _found_numbers(crystal: Crystal) -> set[int]:
    """Space groups that spglib finds: the sites may be closed in another cell or at another origin."""
    import spglib  # noqa: PLC0415 - most files need none

    cell = (crystal.cell.tolist(), crystal.fractional.tolist(), crystal.numbers.tolist())
    numbers = set()
    for tolerance in CLOSURE_TOLERANCES_ANGSTROM:
        try:
            found = spglib.get_symmetry_dataset(cell, symprec=tolerance)
        except spglib.SpglibError:
            continue
        if found is not None:
            numbers.add(int(found.number))
    return numbers


def _relation(given: Group, statement: Named, name: str) -> str:
    """How the operations relate to a named group: `same`, another `setting` of it, or it is `higher`.

    Raises:
        StructureError: `contradicts_file` for anything else.
    """
    if any(given.elements == group.elements for group in statement.settings):
        return "same"
    if given.number == statement.number:
        return "setting"
    if all(given.order < group.order for group in statement.settings):
        return "higher"
    raise contradiction(name, statement.text, f"its symmetry operations are the {given.order} of {given.name}")


def _check_silent(block: gemmi.cif.Block, name: str) -> None:
    """Refuse a block of which no symmetry is understood, unless it says nothing of symmetry at all and so lists all sites."""
    for item in block:
        pair: Any = item.pair
        tags = list(item.loop.tags) if item.loop is not None else [] if pair is None else [pair[0]]
        empty = pair is not None and gemmi.cif.as_string(pair[1]).strip() in ("", "?", ".")
        if empty:
            continue
        for tag in tags:
            if _SYMMETRY_TAG.search(tag) and not _SYSTEM_TAG.search(tag):
                raise unreadable(name, f"the symmetry in {tag} is not understood", "list the symmetry operations")


def _without_operations(named: Sequence[Named], cell: np.ndarray, name: str) -> StatedSymmetry:
    """Operations of the named group."""
    if not named:
        return StatedSymmetry((group_of_setting("P 1"),), confirm="")
    fitting = tuple(group for group in named[0].settings if preserves(cell, group, CELL_TOLERANCE))
    if not fitting:
        raise contradiction(name, named[0].text, "the cell does not have this symmetry")
    return StatedSymmetry(fitting, confirm="" if len(fitting) == 1 else "in one of two origins")


def _named(block: gemmi.cif.Block, angles: tuple[float, float], name: str) -> list[Named]:
    """What the Hermann-Mauguin symbol, else the number, says; refuse two that disagree, or a symbol nobody knows."""
    symbol, number = block_value(block, *_HM_TAGS), block_value(block, *_NUMBER_TAGS)
    stated = int(number) if number.isdecimal() and len(number) < 4 and 1 <= int(number) <= 230 else 0
    settings = settings_of_symbol(symbol, *angles) if symbol else ()
    if settings:
        if stated and stated != settings[0].number:
            raise contradiction(
                name, f"space group number {stated}", f"its symbol '{symbol}' is that of number {settings[0].number}"
            )
        return [Named(f"space group {symbol}", settings, settings[0].number)]
    if stated:
        return [Named(f"space group number {stated}", settings_of_number(stated, *angles), stated)]
    if (symbol or number) and not _triplets(block) and not block_value(block, *_HALL_TAGS):
        raise unreadable(name, f"the space group '{symbol or number}' is not known", "list the symmetry operations")
    return []


@lru_cache(maxsize=2048)
def settings_of_symbol(symbol: str, alpha: float, gamma: float) -> tuple[Group, ...]:
    """Settings that a Hermann-Mauguin symbol may mean, first that of the tables' first origin; empty if it is unknown.

    Suffixes for axes and origin are those of the International Tables (`:H`, `:1`) and of ICSD (`H`, `S`, `Z`).
    """
    found = gemmi.find_spacegroup_by_name(symbol, alpha, gamma)
    suffix = ""
    if found is None and (match := _SUFFIX.search(symbol)):
        letter = next(group for group in match.groups() if group).upper()
        suffix = _SUFFIXES.get(letter, letter)
        base = gemmi.find_spacegroup_by_name(symbol[: match.start()], alpha, gamma)
        if base is not None:
            found = gemmi.find_spacegroup_by_name(f"{base.hm}:{suffix}") or base
    if found is None:
        return ()
    explicit = bool(suffix) or re.search(r":\s*[12]\s*$", symbol) is not None
    return _with_other_origin(found, explicit=explicit)


@lru_cache(maxsize=512)
def settings_of_number(number: int, alpha: float, gamma: float) -> tuple[Group, ...]:
    """Settings that a number may mean: the standard one, of hexagonal axes where the angles say so, in either origin."""
    standard = gemmi.find_spacegroup_by_number(number)
    group = gemmi.find_spacegroup_by_name(standard.hm, alpha, gamma) if standard.ext == "H" else standard
    return _with_other_origin(group or standard, explicit=False)


def _with_other_origin(group: gemmi.SpaceGroup, *, explicit: bool) -> tuple[Group, ...]:
    """The setting and, where the choice is left open, the one of the other origin."""
    if explicit or group.ext not in ("1", "2"):
        return (group_of_setting(group.xhm()),)
    return tuple(group_of_setting(f"{group.hm}:{origin}") for origin in (group.ext, "2" if group.ext == "1" else "1"))


def _triplets(block: gemmi.cif.Block) -> tuple[str, ...]:
    """Symmetry operations as texts, those of a magnetic group without time reversal; empty if none are listed."""
    values = _column(block, _OPERATION_TAGS)
    if values or not (magnetic := _column(block, _MAGNETIC_OPERATIONS)):
        return values
    operations = [_TIME_REVERSAL.sub("", gemmi.cif.as_string(text)) for text in magnetic]
    centrings = [_TIME_REVERSAL.sub("", gemmi.cif.as_string(text)) for text in _column(block, _MAGNETIC_CENTRINGS)]
    try:
        moved = [gemmi.Op(centring) * gemmi.Op(operation) for operation in operations for centring in centrings]
    except RuntimeError:
        return tuple(operations)  # the reader of triplets says what is wrong with them
    return tuple(op.triplet() for op in moved) or tuple(operations)


def _column(block: gemmi.cif.Block, tags: Sequence[str]) -> tuple[str, ...]:
    for tag in tags:
        values = tuple(block.find_values(tag))
        if values and values not in (("?",), (".",), ("''",)):
            return values
    return ()


def _listed(triplets: tuple[str, ...], name: str) -> Group:
    try:
        return group_from_triplets(triplets)
    except ValueError as error:
        raise unreadable(name, f"the list of symmetry operations is wrong: {error}", "list all operations") from error


def _hall(block: gemmi.cif.Block, name: str) -> Group | None:
    """Group of the Hall symbol; None where there is none, or one that gemmi does not know beside other statements."""
    hall = block_value(block, *_HALL_TAGS)
    if not hall:
        return None
    try:
        return group_from_hall(hall)
    except ValueError as error:
        if _triplets(block) or block_value(block, *_HM_TAGS, *_NUMBER_TAGS):
            return None
        raise unreadable(name, f"the Hall symbol '{hall}' is not known", "list the symmetry operations") from error


def one_choice(crystals: list[tuple[Crystal, StructureError | None]], name: str) -> Crystal:
    """The crystal of the origin choice that agrees with the file's statements.

    Args:
        crystals: That of each choice, with what speaks against it.
        name: File for the error message.

    Raises:
        StructureError: The contradiction if no choice agrees, `unreadable` if several do.
    """
    agreeing = [crystal for crystal, error in crystals if error is None]
    if len(agreeing) == 1:
        return agreeing[0]
    if not agreeing and crystals[0][1] is not None:
        raise crystals[0][1]
    raise unreadable(
        name, "the file leaves open which origin choice of its space group it uses", "list the full symmetry operations"
    )
