"""POSCAR and CONTCAR files of VASP 5 and 6.

Format: https://www.vasp.at/wiki/index.php/POSCAR. ASE's reader is not used: it guesses the elements of a VASP 4 file from
its comment or from files beside it, and does not read lines of symbols and counts that VASP has wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import numpy as np

from paraisite.errors import StructureError
from paraisite.structures.checks import atomic_number, check_crystal, numbers_of, unreadable
from paraisite.structures.convert import from_cartesian
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record
from paraisite.structures.statements import Statements, check_statements, contradiction

_MAX_DIGITS = 12
_LONGEST_FORMULA = 500
_COMMENT = re.compile(r"[!#].*$")
# Pseudopotential names such as Fe_pv and hashes after a slash follow the symbol; H.5 and H1.25 are no elements.
_POTENTIAL = re.compile(r"([A-Za-z]{1,2})(?:[_/].*)?")
_ROW_SYMBOL = re.compile(r"([A-Z][a-z]?)(?:\d*[+-]?|\d*[+-]\d*)")
# The formula with a count for each element, as pymatgen writes it; anything else in the comment is free text.
_COMMENT_FORMULA = re.compile(r"\s*(?:[A-Z][a-z]?\d+\s+)+[A-Z][a-z]?\d+\s*")
_FLAGS = frozenset({"T", "F", ".TRUE.", ".FALSE.", ".T.", ".F."})
_N_FLAGS = 3


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands between the lattice and the positions.

    Attributes:
        symbols: Element symbol of each group; empty in a VASP 4 file.
        counts: Atoms of each group.
        rows_at: Index of the first row of positions.
        selective: Whether flags follow the positions.
        cartesian: Whether the positions are Cartesian.
    """

    symbols: list[str]
    counts: list[int]
    rows_at: int
    selective: bool
    cartesian: bool


def poscar_records(text: str) -> Iterator[Record]:
    """The one structure of a POSCAR file."""
    yield partial(_parse, text.splitlines())


def looks_like_poscar(lines: Sequence[str]) -> bool:
    """Whether the first lines are a comment, one or three scales, and three vectors."""
    if len(lines) < 7:
        return False
    widths = [_width(line) for line in lines[1:5]]
    return widths[0] in (1, 3) and widths[1:] == [3, 3, 3]


def _parse(lines: list[str], origin: Origin) -> Crystal:
    """Crystal of a POSCAR."""
    name = origin.source
    if not looks_like_poscar(lines):
        raise unreadable(name, "the file does not begin with a comment, a scale and three lattice vectors")
    header = _header(lines, name)
    rows = _rows(lines, header, name)
    symbols = _symbols(header, rows, name)
    vectors = np.array([[float(word) for word in line.split()[:3]] for line in lines[2:5]])
    scale = [float(word) for word in lines[1].split()[: _width(lines[1])]]
    cell, factor = _scaled(vectors, scale, name)
    numbers = np.repeat(numbers_of(symbols, name=name), header.counts)
    coordinates = np.array([[float(word) for word in row[:3]] for row in rows])
    if header.cartesian:
        crystal = from_cartesian(numbers, cell, coordinates * factor, pbc=True, origin=origin, properties={})
    else:
        crystal = check_crystal(Crystal(numbers, cell, coordinates, origin.material_id, name), name=name)
    return check_statements(crystal, Statements(formula=_stated_formula(lines[0])), name=name)


def _stated_formula(comment: str) -> dict[str, Decimal] | None:
    """The formula that the comment is, if it is nothing else."""
    if len(comment) > _LONGEST_FORMULA or not _COMMENT_FORMULA.fullmatch(comment):
        return None
    words = re.findall(r"([A-Z][a-z]?)(\d+)", comment)
    if any(atomic_number(symbol) is None for symbol, _ in words):
        return None
    return {symbol: Decimal(count) for symbol, count in words}


def _scaled(vectors: np.ndarray, scale: list[float], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The cell, [3, 3] in Å, and the factor for Cartesian coordinates, [3]; a negative scale is a volume in Å³."""
    factor = np.array(scale if len(scale) == 3 else scale * 3)
    if len(scale) == 3 and min(scale) <= 0:
        raise unreadable(name, "one of the three scales is not above 0", "correct line 2")
    if scale[0] < 0:
        volume = abs(float(np.linalg.det(vectors)))
        factor = np.full(3, (-scale[0] / volume) ** (1 / 3) if volume > 0 else 0.0)
    return vectors * factor, factor


def _header(lines: list[str], name: str) -> _Header:
    """Symbols, counts and kind of the positions; VASP writes 20 symbols and 20 counts a line."""
    symbols: list[str] = []
    index = 5
    while index < len(lines) and (words := _words(lines[index])) and not all(map(_is_count, words)):
        if symbols and not all(map(_POTENTIAL.fullmatch, words)):
            break
        symbols += words
        index += 1
    counts: list[int] = []
    while index < len(lines) and (words := _words(lines[index])) and all(map(_is_count, words)):
        counts += map(int, words)
        index += 1
    if not counts or (symbols and len(symbols) != len(counts)):
        raise unreadable(
            name,
            f"the lines after the lattice hold {len(symbols)} element symbols and {len(counts)} counts",
            "write one count for each symbol",
        )
    selective = index < len(lines) and lines[index].strip()[:1].lower() == "s"
    index += selective
    return _Header(
        [_element(word, name) for word in symbols], counts, index + 1, selective, _is_cartesian(lines, index, name)
    )


def _element(word: str, name: str) -> str:
    """The element of a symbol line's word."""
    match = _POTENTIAL.fullmatch(word)
    if match is None or atomic_number(match[1]) is None:
        raise StructureError(
            f"{name}: '{word[:40]}' is not a chemical element; correct the line of symbols.", code="unsupported_element"
        )
    return {"D": "H", "T": "H"}.get(match[1].capitalize(), match[1].capitalize())


def _is_cartesian(lines: list[str], index: int, name: str) -> bool:
    """Whether positions are Cartesian, from the line that says which."""
    text = lines[index].strip() if index < len(lines) else ""
    if "configuration=" in text:
        raise unreadable(name, "the file is a trajectory (XDATCAR)", "write one structure as POSCAR")
    if text[:1].lower() not in ("d", "c", "k"):
        raise unreadable(name, f"line {index + 1} is neither Direct nor Cartesian")
    return text[:1].lower() != "d"


def _rows(lines: list[str], header: _Header, name: str) -> list[list[str]]:
    """Words of the rows of positions; velocities and what else follows them are left out."""
    n_atoms = sum(header.counts)
    if n_atoms == 0:
        raise StructureError(f"{name}: the counts say that there are no atoms; correct them.", code="no_atoms")
    rows = [line.split() for line in lines[header.rows_at : header.rows_at + n_atoms]]
    rows = rows[: next((index for index, row in enumerate(rows) if not row), len(rows))]
    if len(rows) < n_atoms:
        raise unreadable(name, f"the file has {len(rows)} rows of coordinates where its counts say {n_atoms}")
    for number, row in enumerate(rows, 1):
        if _numbers_in(row[:3]) < 3:
            raise unreadable(name, f"coordinate row {number} does not begin with three numbers, '{' '.join(row)[:60]}'")
    following = lines[header.rows_at + n_atoms :]
    if following and len(words := following[0].split()) >= 3 and _numbers_in(words[:3]) == 3:
        # Velocities come after a blank line or a line of their mode.
        raise unreadable(name, f"a row more than the {n_atoms} that its counts say follows, '{' '.join(words)[:60]}'")
    return rows


def _symbols(header: _Header, rows: list[list[str]], name: str) -> list[str]:
    """The symbol of each group, checked against those at the ends of the rows, or taken from there."""
    stated = iter([_row_symbol(row, header.selective) for row in rows])
    groups = [{next(stated) for _ in range(count)} for count in header.counts]
    if header.symbols:
        for number, (symbol, found) in enumerate(zip(header.symbols, groups, strict=True), 1):
            if others := found - {symbol, None}:
                rows_say = min(map(str, others))
                raise contradiction(name, f"group {number} as {symbol}", f"its rows are of {rows_say}")
        return header.symbols
    named = [next(iter(found)) if len(found) == 1 else None for found in groups]
    if not all(named):
        raise unreadable(
            name, "the file names no elements (VASP 4 style)", "add a line of element symbols above the counts"
        )
    return [str(symbol) for symbol in named]


def _row_symbol(row: list[str], selective: bool) -> str | None:
    """The element symbol at the end of a row, as pymatgen writes it; flags of selective dynamics are none."""
    rest = row[3:]
    if len(rest) >= _N_FLAGS and all(word.upper() in _FLAGS for word in rest[:_N_FLAGS]):
        rest = rest[_N_FLAGS:]
    elif selective:
        return None
    if not rest or (len(rest) == 1 and rest[0] in ("T", "D")):
        return None
    match = _ROW_SYMBOL.fullmatch(rest[0])
    return match[1] if match and atomic_number(match[1]) and match[1] not in ("T", "D") else None


def _words(line: str) -> list[str]:
    """Words of a line without its comment."""
    return _COMMENT.sub("", line).split()


def _is_count(word: str) -> bool:
    """Whether a word is a number of atoms."""
    return word.isdecimal() and len(word) < _MAX_DIGITS


def _width(line: str) -> int:
    """How many numbers a line begins with."""
    return _numbers_in(line.split())


def _numbers_in(words: Sequence[str]) -> int:
    """How many numbers a list of words begins with."""
    for index, word in enumerate(words):
        try:
            float(word)
        except ValueError:
            return index
    return len(words)
