"""POSCAR and CONTCAR files of VASP 5 and 6.

Format: https://www.vasp.at/wiki/index.php/POSCAR. Those of VASP 4 need a symbol at the end of each row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import numpy as np

from paraisite.structures.checks import atomic_number, check_crystal, numbers_of, unreadable
from paraisite.structures.convert import from_cartesian
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record

_MAX_DIGITS = 12
_SUFFIX = re.compile(r"[_/.].*$")


def poscar_records(text: str) -> Iterator[Record]:
    """The one structure of a POSCAR file."""
    yield partial(_parse, text.splitlines())


def looks_like_poscar(lines: list[str]) -> bool:
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
    vectors = np.array([[float(word) for word in line.split()[:3]] for line in lines[2:5]])
    cell, factor = _scaled(vectors, [float(word) for word in _leading_numbers(lines[1])])
    symbols, counts, next_line = _header(lines, name)
    rows_at, cartesian = _mode(lines, next_line, name)
    n_atoms = sum(counts)
    rows = [line.split() for line in lines[rows_at : rows_at + n_atoms]]
    rows = rows[: next((index for index, row in enumerate(rows) if not row), len(rows))]
    if len(rows) < n_atoms:
        raise unreadable(name, f"the file has {len(rows)} rows of coordinates where its counts say {n_atoms}")
    coordinates = _coordinates(rows, name)
    names = _names(symbols, counts, rows, name)
    numbers = numbers_of(names, name=name)
    if cartesian:
        return from_cartesian(numbers, cell, coordinates * factor, pbc=True, origin=origin, properties={})
    return check_crystal(Crystal(numbers, cell, coordinates, origin.material_id, name), name=name)


def _scaled(vectors: np.ndarray, scale: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """The cell, [3, 3] in Å, and the factor for Cartesian coordinates, [3]; a negative scale is a volume in Å³."""
    factor = np.array(scale if len(scale) == 3 else scale[:1] * 3)
    if len(scale) == 1 and scale[0] < 0:
        volume = abs(float(np.linalg.det(vectors)))
        factor = np.full(3, (-scale[0] / volume) ** (1 / 3) if volume > 0 else 0.0)
    return vectors * factor, factor


def _header(lines: list[str], name: str) -> tuple[list[str], list[int], int]:
    """Symbols (empty for VASP 4), counts, and the index of the line after them."""
    first, second = lines[5].split(), lines[6].split()
    if first and all(map(_is_count, first)):
        return [], [int(word) for word in first], 6
    # Pseudopotential names such as Fe_pv and hashes after a slash follow the symbol.
    symbols = [_SUFFIX.sub("", word) for word in first]
    if len(second) < len(symbols) or not symbols or not all(map(_is_count, second[: len(symbols)])):
        raise unreadable(name, "lines 6 and 7 are not element symbols and as many counts")
    return symbols, [int(word) for word in second[: len(symbols)]], 7


def _mode(lines: list[str], index: int, name: str) -> tuple[int, bool]:
    """Index of the first coordinate row, and whether coordinates are Cartesian."""
    if index < len(lines) and lines[index].strip()[:1] in ("S", "s"):
        index += 1
    mode = lines[index].strip()[:1].lower() if index < len(lines) else ""
    if mode not in ("d", "c", "k"):
        raise unreadable(name, f"line {index + 1} is neither Direct nor Cartesian")
    return index + 1, mode != "d"


def _coordinates(rows: list[list[str]], name: str) -> np.ndarray:
    """The first three numbers of each row, [n_atoms, 3]."""
    try:
        return np.array([[float(row[0]), float(row[1]), float(row[2])] for row in rows]).reshape(-1, 3)
    except (ValueError, IndexError) as error:
        raise unreadable(name, f"a coordinate row is not three numbers, {error}") from error


def _names(symbols: list[str], counts: list[int], rows: list[list[str]], name: str) -> list[str]:
    """The symbol of every atom."""
    if symbols:
        return [symbol for symbol, count in zip(symbols, counts, strict=True) for _ in range(count)]
    last = [row[-1] for row in rows]
    if any(len(row) < 4 or atomic_number(word) is None for row, word in zip(rows, last, strict=True)):
        raise unreadable(
            name, "the file names no elements (VASP 4 style)", "add a line of element symbols above the counts"
        )
    return last


def _is_count(word: str) -> bool:
    """Whether a word is a number of atoms."""
    return word.isdecimal() and len(word) < _MAX_DIGITS


def _leading_numbers(line: str) -> list[str]:
    """The words of a line up to the first that is no number."""
    words = []
    for word in line.split():
        try:
            float(word)
        except ValueError:
            break
        words.append(word)
    return words


def _width(line: str) -> int:
    """How many numbers a line begins with."""
    return len(_leading_numbers(line))
