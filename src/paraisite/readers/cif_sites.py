"""The sites of a CIF block: which element each holds, and whether it holds one atom at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import isfinite, isnan

import gemmi
import numpy as np

from paraisite.errors import StructureError
from paraisite.structures.checks import OCCUPANCY_TOLERANCE, atomic_number, check_occupancy, unreadable
from paraisite.structures.statements import HYDROGEN, Statements

_COLUMNS = (
    "fract_x", "fract_y", "fract_z", "?type_symbol", "?label", "?occupancy", "?attached_hydrogens", "?calc_flag",
    "?disorder_group",
)  # fmt: skip
_ABSENT = frozenset({"?", ".", "", "''", '""'})
_TYPE = re.compile(r"([A-Za-z]{1,2})(?:\d*\.?\d*[+-]|[+-]\d*\.?\d*|\d)?")
_LABEL = re.compile(r"([A-Z][a-z]?)(?![a-z])")
_MIXED = re.compile(r"^\d*\.\d+[A-Z]|[A-Z][a-z]?[\d.+-]*\s*[/,+:]\s*[\d.]*[A-Z]")
_VACANCY = re.compile(r"(?i)(va|vac|vacancy|void|hole)[^a-z]*$")
_HYDROXYL = re.compile(r"O-?[Hh]|H2[Oo]|O[Ww]|[Ww]at|WAT")
SAME_PLACE = 1e-4
"""Listed sites this close in every fractional coordinate share a place."""
OXYGEN = 8


@dataclass(frozen=True, slots=True)
class CifSites:
    """The listed sites that hold an atom each.

    Attributes:
        numbers: Atomic numbers, [n_sites].
        fractional: Coordinates as they are written, [n_sites, 3].
        labels: Their names for messages.
        unclear: Words for an element that only the stated formula makes clear; empty if there are none.
    """

    numbers: np.ndarray
    fractional: np.ndarray
    labels: list[str]
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Word:
    """What a symbol or label may mean: elements by atomic number, whether it is plain, whether it implies hydrogens."""

    candidates: tuple[int, ...]
    plain: bool
    hydrogens: bool = False


def sites_of(block: gemmi.cif.Block, statements: Statements, name: str) -> CifSites:
    """Read the sites that hold an atom.

    Dummy sites and empty ones are left out. A word that is no plain element is taken only as what the formula allows.

    Args:
        block: A data block.
        statements: What it says besides.
        name: File for the error message.

    Raises:
        StructureError: `partial_occupancy`, `unreadable`, `unsupported_element`, `contradicts_file` or `invalid_cell`.
    """
    table = block.find("_atom_site_", list(_COLUMNS))
    if not table:
        raise unreadable(name, "sites without all three fractional coordinates", "complete them")
    columns = [list(table.column(i)) if table.has_column(i) else None for i in range(len(_COLUMNS))]
    x, y, z, types, labels, occupancy, attached, flags, groups = columns
    names = labels or types
    if names is None or x is None or y is None or z is None:
        raise unreadable(name, "the sites have neither labels nor type symbols", "add them")
    amounts = _occupancies(occupancy, name) if occupancy else None
    kept = _filled(len(names), flags, amounts)
    if not kept:
        raise StructureError(f"{name}: no listed site holds an atom; add the sites.", code="no_atoms")
    if len(kept) < len(names):
        x, y, z, names = ([column[index] for index in kept] for column in (x, y, z, names))
        types, attached, groups = (column and [column[index] for index in kept] for column in (types, attached, groups))
    if groups:
        _check_disorder(groups, names, name)
    implied = bool(attached) and any(value not in ("0", *_ABSENT) for value in attached or ())
    parts = [] if amounts is None else np.nonzero(np.abs(amounts[kept] - 1.0) > OCCUPANCY_TOLERANCE)[0].tolist()
    try:
        numbers, unclear = _elements(types, names, statements.formula, implied, name)
    except StructureError:
        if parts and amounts is not None:  # then the symbols matter no more
            check_occupancy(float(amounts[kept][parts[0]]), name=name, site=names[parts[0]])
        raise
    fractional = np.array([_coordinates(column, names, name) for column in (x, y, z)]).T
    sites = CifSites(numbers, fractional, names, unclear)
    return _full(sites, amounts[kept], name) if parts and amounts is not None else sites


def _filled(n_sites: int, flags: list[str] | None, amounts: np.ndarray | None) -> list[int]:
    """Sites that are neither dummies nor empty."""
    kept = list(range(n_sites))
    if flags:
        kept = [index for index in kept if flags[index].lower().strip("'\"") not in ("dum", "dummy")]
    if amounts is not None and not amounts.all():
        kept = [index for index in kept if amounts[index] != 0.0]
    return kept


def floats(words: list[str], name: str) -> list[float]:
    """Numbers, with or without an uncertainty in brackets.

    Raises:
        StructureError: `unreadable` for a word that is no number.
    """
    try:
        return [float(word) for word in words]
    except ValueError:
        values = [gemmi.cif.as_number(word) for word in words]
    for word, value in zip(words, values, strict=True):
        if isnan(value):
            raise unreadable(name, f"'{word}' is not a number", "correct it")
    return values


def _occupancies(words: list[str], name: str) -> np.ndarray:
    # The dictionary's value for an occupancy that is not given is 1.
    return np.array(floats(["1" if word in _ABSENT else word for word in words], name))


def _check_disorder(groups: list[str], labels: list[str], name: str) -> None:
    """Refuse sites of alternatives that exclude each other."""
    used = {group for group in groups if group not in _ABSENT and group != "0"}
    if len(used) > 1 or any(group.startswith("-") for group in used):
        site = next(label for label, group in zip(labels, groups, strict=True) if group in used)
        raise StructureError(
            f"{name}: site {site} belongs to one of several disorder groups; only ordered crystals can be used, so keep the "
            "sites of one of them.",
            code="partial_occupancy",
        )


def _elements(
    types: list[str] | None,
    labels: list[str],
    formula: Mapping[str, Decimal] | None,
    implied: bool,
    name: str,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Atomic numbers, [n_sites], and the words that are not plain."""
    stated = frozenset(number for symbol in formula or () if (number := atomic_number(symbol)) is not None)
    known: dict[tuple[str, str], int] = {}
    unclear: list[str] = []
    pairs = list(zip(types or ("?",) * len(labels), labels, strict=True))
    for kind, label in dict.fromkeys(pairs):
        word, meaning, surely = _meaning(kind, label, typed=types is not None)
        if _MIXED.search(word):
            raise StructureError(
                f"{name}: site {label} holds several elements, {word}; only ordered crystals can be used, so replace "
                "it by an ordered cell.",
                code="partial_occupancy",
            )
        known[kind, label] = _settled(word, meaning, surely, stated, name)
        implied = implied or meaning.hydrogens
        if not surely:
            unclear.append(word)
    if implied:
        _check_hydrogens(set(known.values()), stated, unclear, name)
    return np.array([known[pair] for pair in pairs], dtype=np.int64), tuple(unclear)


def _meaning(kind: str, label: str, *, typed: bool) -> tuple[str, _Word, bool]:
    """The word that names the element of a site, what it may mean, and whether it is plain."""
    if kind not in _ABSENT:
        word = gemmi.cif.as_string(kind)
        meaning = type_meaning(word)
        return word, meaning, meaning.plain
    word = gemmi.cif.as_string(label)
    meaning = label_meaning(word)
    # A type symbol that is given for other sites and not for this one says that the author was not sure either.
    return word, meaning, meaning.plain and not typed


def _settled(word: str, meaning: _Word, surely: bool, stated: frozenset[int], name: str) -> int:
    """The element of a word."""
    if surely:
        return meaning.candidates[0]
    fitting = [number for number in meaning.candidates if number in stated]
    if len(fitting) == 1:
        return fitting[0]
    if re.fullmatch(r"[A-Z][a-z]?\d*[+-]?\d*", word) and not meaning.candidates:
        raise StructureError(
            f"{name}: '{word}' is not a chemical element; correct the symbol.", code="unsupported_element"
        )
    reason = "no formula that is stated says which" if len(stated) == 0 else "the stated formula does not settle it"
    raise unreadable(name, f"the site symbol '{word}' names no element plainly, and {reason}", "give type symbols")


def _check_hydrogens(found: set[int], stated: frozenset[int], words: list[str], name: str) -> None:
    """Refuse hydrogens that are only implied, by a label or a count, where no formula can tell how many there are."""
    if HYDROGEN in stated:
        return  # the gate compares them with the sites
    what = f"the site symbol '{words[0]}' implies hydrogen atoms" if words else "hydrogen atoms are counted at sites"
    if stated:
        raise StructureError(
            f"{name}: {what}, which the stated formula lacks; correct whichever is wrong.", code="contradicts_file"
        )
    have = "the sites hold some" if HYDROGEN in found else "they have no coordinates"
    raise unreadable(name, f"{what}, {have} and no formula is stated", "add their sites and the formula")


@lru_cache(maxsize=4096)
def type_meaning(word: str) -> _Word:
    """What a type symbol may mean: an element with or without a charge, in any case."""
    match = _TYPE.fullmatch(word)
    if match is None:
        return label_meaning(word, typed=True)
    letters = match[1]
    number = atomic_number(letters)
    if number is not None and (len(letters) == 1 or letters[1].islower()):
        return _Word((number,), plain=True)
    if number is not None:  # in capitals: cobalt, or carbon and oxygen
        split = atomic_number(letters[0]), atomic_number(letters[1])
        return _Word((number,), plain=None in split)
    return label_meaning(word, typed=True)


@lru_cache(maxsize=16384)
def label_meaning(word: str, *, typed: bool = False) -> _Word:
    """What a label may mean: its element first, then what it is called among its like; `typed` for an odd type symbol."""
    if _VACANCY.match(word):
        return _Word((), plain=False)
    if _HYDROXYL.match(word):
        return _Word((OXYGEN,), plain=False, hydrogens=True)
    one = atomic_number(word[:1].upper()) if word[:1].isalpha() else None
    two = atomic_number(word[:2].capitalize()) if word[:2].isalpha() and len(word) > 1 else None
    candidates = tuple(dict.fromkeys(number for number in (two, one) if number is not None))
    match = _LABEL.match(word)
    number = atomic_number(match[1]) if match else None
    if number is None or typed:
        return _Word(candidates, plain=False)
    if number == one and two is not None:
        return _Word(candidates, plain=False)  # CA may be carbon or calcium
    return _Word((number,), plain=True)


def _coordinates(column: list[str], labels: list[str], name: str) -> list[float]:
    """Numbers of a coordinate column."""
    for label, word in zip(labels, column, strict=True):
        if word in _ABSENT:
            raise unreadable(name, f"site {label} has no coordinates", "add them or remove the site")
    values = floats(column, name)
    if all(map(isfinite, values)):
        return values
    for label, value in zip(labels, values, strict=True):
        if not isfinite(value):
            raise StructureError(
                f"{name}: the coordinates of site {label} are not finite numbers; correct them.", code="invalid_cell"
            )
    return values


def _full(sites: CifSites, amounts: np.ndarray, name: str) -> CifSites:
    """Sites that hold one atom each; those of one element that share a place, in two charge states, are joined."""
    kept = np.ones(len(amounts), dtype=bool)
    for index in np.nonzero(np.abs(amounts - 1.0) > OCCUPANCY_TOLERANCE)[0].tolist():
        if not kept[index]:
            continue
        shift = sites.fractional - sites.fractional[index]
        here = np.nonzero((np.abs(shift - np.round(shift)) < SAME_PLACE).all(axis=1))[0]
        mixed = (sites.numbers[here] != sites.numbers[index]).any()
        check_occupancy(float(amounts[index] if mixed else amounts[here].sum()), name=name, site=sites.labels[index])
        if mixed:
            raise StructureError(
                f"{name}: site {sites.labels[index]} shares its place; only ordered crystals can be used, so replace it by "
                "an ordered cell.",
                code="partial_occupancy",
            )
        kept[here] = False
        kept[index] = True
    labels = [label for label, keep in zip(sites.labels, kept.tolist(), strict=True) if keep]
    return CifSites(sites.numbers[kept], sites.fractional[kept], labels, sites.unclear)
