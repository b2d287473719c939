"""Extended XYZ: frames cut out one by one, so that a broken one costs no other, and a fast path for usual headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from io import StringIO
from itertools import islice
from typing import Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.lines import Lines
from paraisite.readers.stated_columns import check_columns
from paraisite.structures.checks import numbers_of, unreadable
from paraisite.structures.convert import from_ase, from_cartesian
from paraisite.structures.crystal import Crystal
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits, too_large
from paraisite.structures.origin import ID_KEYS, Origin, Record, broken_record, scalar_columns, take_id
from paraisite.structures.statements import contradiction

_DEFAULT_COLUMNS = "species:S:1:pos:R:3"
_PAIR = re.compile(r'\s*([A-Za-z_][\w.-]*)=(?:"([^"]*)"|([^\s"]+))(?=\s|$)')
# Escapes, other brackets and JSON follow rules that only ASE's own splitter knows.
_UNUSUAL = re.compile(r"[\\'{}\[\]]|_JSON")
# ASE makes a list as long as a column is wide before it looks at the rows.
_WIDE_COLUMN = re.compile(r":\s*\d{5,}")
_PROPERTIES = re.compile(r"""\bProperties=["']?([^\s"']+)""")
_FLAGS = {
    "T": True,
    "F": False,
    "true": True,
    "false": False,
    "True": True,
    "False": False,
    "TRUE": True,
    "FALSE": False,
}
# Formulas such as NaN, InF and F would turn into numbers and flags.
_TEXT_KEYS = frozenset({"formula", *ID_KEYS})
_LARGEST_INTEGER = 2**63 - 1
_MAX_DIGITS = 12
_LONG_ROW = 32
"""Characters of a line that need not be looked at for a number of atoms alone."""
_MAX_VECTORS = 3


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a row holds what.

    Attributes:
        species: Column of the symbol or the atomic number.
        is_number: Whether it is the atomic number.
        position: First column of the position.
        width: Number of columns.
        number: Column of the atomic number beside a symbol; None without one.
    """

    species: int
    is_number: bool
    position: int
    width: int
    number: int | None


def extxyz_records(stream: Iterable[str], limits: ReadingLimits = DEFAULT_READING) -> Iterator[Record]:
    """The frames of an extended XYZ file, one record each.

    Args:
        stream: Lines of the file.
        limits: What is read at most; a frame that is over them is passed over, and its record fails.

    Yields:
        One record per frame, and one that fails for each stretch of lines that is no frame. Reading goes on at the next
        line that holds a number of atoms.
    """
    lines = Lines(stream)
    while (head := lines.peek()) is not None:
        next(lines)
        word = head.strip()
        if word.isdecimal() and len(word) < _MAX_DIGITS:
            yield _frame_record(lines, int(word), limits)
        else:
            _skip_to_frame(lines)
            yield broken_record(f"expected the number of atoms of a frame but found '{word[:40]}'")


def _frame_record(lines: Lines, n_atoms: int, limits: ReadingLimits) -> Record:
    """The record of the frame whose number of atoms has just been read."""
    if n_atoms > limits.atoms:
        _skip_to_frame(lines)
        return partial(_refuse, "the frame has more than {} atoms", "atoms", limits)
    comment = next(lines, "").rstrip("\r\n")
    n_left = limits.record_bytes - len(comment)
    rows, n_characters = _rows(lines, n_atoms, n_left) if n_left >= 0 else ([], 0)
    if n_characters > n_left:
        _skip_to_frame(lines)
        return partial(_refuse, "the frame has more than {} characters", "record_bytes", limits)
    text = "".join(rows)
    if len(rows) < n_atoms or "Lattice=" in text or "Properties=" in text or (rows and _is_count(rows[-1])):
        start = next((index for index, row in enumerate(rows) if _is_count(row)), len(rows))
        lines.put_back(rows[start:])
        return broken_record(f"the frame has {start} rows of atoms where its first line says {n_atoms}")
    following = lines.peek_whole()
    if following is not None and following.lstrip().startswith("VEC"):
        return partial(_parse_by_ase, f"{n_atoms}\n{comment}\n{text}" + "".join(_take_vectors(lines)))
    if following is not None and _is_row_like(following, rows):
        _skip_to_frame(lines)
        return broken_record(f"the frame's {n_atoms} rows of atoms are followed by '{following.strip()[:40]}'")
    return partial(_parse, comment, rows)


def _rows(lines: Lines, n_atoms: int, limit: int) -> tuple[list[str], int]:
    """Up to `n_atoms` lines and their characters, no further than a line that begins another frame or is over the limit."""
    rows: list[str] = []
    n_characters = 0
    for row in islice(lines, n_atoms):
        rows.append(row)
        n_characters += len(row)
        if n_characters > limit or (len(row) < _LONG_ROW and _is_count(row)):
            break
    return rows, n_characters


def _refuse(what: str, limit: str, limits: ReadingLimits, origin: Origin) -> Crystal:
    raise too_large(origin.source, what, limit, limits)


def _parse(comment: str, rows: list[str], origin: Origin) -> Crystal:
    """Crystal of a frame."""
    info = None if _UNUSUAL.search(comment) else _split_header(comment)
    if info is None:
        return _parse_by_ase(f"{len(rows)}\n{comment}\n{''.join(rows)}", origin)
    key = take_id(origin, info)
    lattice = info.pop("Lattice", None)
    if lattice is None:
        raise StructureError(f"{origin.source}: the frame has no Lattice in its second line; add it.", code="no_cell")
    cell = _numbers(lattice.split(), 9, "Lattice", origin).reshape(3, 3)
    pbc = [word == "1" or _FLAGS.get(word, False) for word in info.pop("pbc", "T").split()]
    numbers, positions = _atoms(info.pop("Properties", _DEFAULT_COLUMNS), rows, origin)
    properties = scalar_columns(
        {name: word if name in _TEXT_KEYS else _value(word) for name, word in info.items() if name != key}
    )
    crystal = from_cartesian(numbers, cell, positions, pbc=pbc, origin=origin, properties=properties)
    return check_columns(crystal, info)


def _parse_by_ase(text: str, origin: Origin) -> Crystal:
    """Crystal of a frame with an unusual header."""
    if _WIDE_COLUMN.search(text.partition("\n")[2].partition("\n")[0]):
        raise unreadable(origin.source, "a column of Properties is wider than any row")
    from ase.io import read  # noqa: PLC0415 - slow to import and seldom needed

    try:
        atoms: Any = read(StringIO(text), index=0, format="extxyz")
    except Exception as error:  # whatever ASE stumbles over belongs to this frame
        raise unreadable(origin.source, str(error) or type(error).__name__) from error
    stated = _PROPERTIES.search(text)
    if stated and _columns(stated[1]) is not None:  # ASE does not compare the columns with each other
        _atoms(stated[1], text.splitlines()[2 : 2 + len(atoms)], origin)
    properties = scalar_columns(atoms.info, skip=take_id(origin, atoms.info))
    return check_columns(from_ase(atoms, origin.material_id, origin.source, properties), atoms.info)


def _split_header(comment: str) -> dict[str, str] | None:
    """Keys and raw values of a header made of `key=value` and `key="value"` only, else None."""
    info: dict[str, str] = {}
    end = 0
    while match := _PAIR.match(comment, end):
        info[match[1]] = match[2] if match[2] is not None else match[3]
        end = match.end()
    return info if not comment[end:].strip() else None


def _value(word: str) -> Any:
    """A header value as ASE types it: integer, float, flag or text; None for a vector."""
    parts = word.replace(",", " ").split()
    if len(parts) != 1:
        numeric = all(_number(part) is not None for part in parts) or all(part in _FLAGS for part in parts)
        return None if numeric else word
    number = _number(parts[0])
    if number is not None:
        return number
    return _FLAGS.get(parts[0], word)


def _number(word: str) -> int | float | None:
    """An integer or else a float."""
    try:
        integer = int(word)
    except ValueError:
        pass
    else:
        if abs(integer) <= _LARGEST_INTEGER:
            return integer
    try:
        return float(word)
    except ValueError:
        return None


def _numbers(words: list[str], count: int, what: str, origin: Origin) -> np.ndarray:
    """Floats of a header value or of the rows' positions, [count]."""
    try:
        values = np.array([float(word) for word in words])
    except ValueError as error:
        raise unreadable(origin.source, f"{what}: {error}") from error
    if len(values) != count:
        raise unreadable(origin.source, f"{what} has {len(values)} numbers where {count} belong")
    return values


def _atoms(properties: str, rows: list[str], origin: Origin) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers [n_atoms] and Cartesian positions in Å [n_atoms, 3]."""
    columns = _columns(properties)
    if columns is None:
        raise unreadable(origin.source, f"Properties={properties} has no species and position columns")
    table = [row.split() for row in rows]
    for index, words in enumerate(table):
        if len(words) != columns.width:
            reason = f"atom {index + 1} has {len(words)} columns where Properties={properties} names {columns.width}"
            raise unreadable(origin.source, reason, "correct Properties")
    first, last = columns.position, columns.position + 3
    words = [word for row in table for word in row[first:last]]
    positions = _numbers(words, 3 * len(rows), "a position", origin).reshape(-1, 3)
    species = [row[columns.species] for row in table]
    if columns.is_number:
        return _numbers(species, len(rows), "an atomic number", origin).astype(np.int64), positions
    numbers = numbers_of(species, name=origin.source)
    if columns.number is not None:
        stated = _numbers([row[columns.number] for row in table], len(rows), "an atomic number", origin)
        if (unlike := np.flatnonzero(stated != numbers)).size:
            at = int(unlike[0])
            raise contradiction(
                origin.source, f"atom {at + 1} as {species[at]}", f"its atomic number (Z) is {stated[at]:g}"
            )
    return numbers, positions


@lru_cache(maxsize=256)
def _columns(properties: str) -> Columns | None:
    """Where the rows hold species and position, from `name:type:columns` triplets; None if they do not."""
    fields = properties.split(":")
    if len(fields) % 3 or not all(count.isdecimal() and len(count) < _MAX_DIGITS for count in fields[2::3]):
        return None
    starts: dict[str, tuple[int, int]] = {}
    width = 0
    for name, count in zip(fields[::3], fields[2::3], strict=True):
        starts[name] = (width, int(count))
        width += int(count)
    is_number = "species" not in starts
    species = starts.get("Z" if is_number else "species")
    position = starts.get("pos")
    if species is None or position is None or species[1] != 1 or position[1] != 3:
        return None
    number = starts.get("Z") if not is_number else None
    return Columns(species[0], is_number, position[0], width, None if number is None else number[0])


def _is_count(line: str) -> bool:
    """Whether a line holds one whole number, as the first of a frame does and no row of atoms can."""
    return line.strip().isdecimal()


def _is_row_like(line: str, rows: list[str]) -> bool:
    """Whether a line looks like one more row of atoms, rather than like a broken start of the next frame."""
    n_words = len(line.split())
    return n_words == len(rows[-1].split()) if rows else n_words >= 4


def _skip_to_frame(lines: Lines) -> None:
    """Move on to the next line that may start a frame."""
    for line in lines:
        if _is_count(line):
            lines.put_back([line])
            return


def _take_vectors(lines: Lines) -> list[str]:
    """The cell vectors that some programs append to the rows of atoms."""
    taken: list[str] = []
    while len(taken) < _MAX_VECTORS and (line := lines.peek_whole()) is not None and line.lstrip().startswith("VEC"):
        taken.append(next(lines))
    return taken
