"""Checks that every crystal passes before it leaves this package."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from paraisite.elements import ATOMIC_NUMBERS, EMBEDDING_INDEX, SYMBOLS
from paraisite.errors import StructureError
from paraisite.structures.crystal import Crystal

OCCUPANCY_TOLERANCE = 1e-3
"""An occupancy this close to 1 counts as full."""

MIN_VOLUME = 0.1
"""Smallest cell volume in Å³ that can hold an atom; anything below is a mistake in the file."""

MIN_VOLUME_RATIO = 1e-3
"""Smallest volume over a·b·c; below it the lattice vectors lie in one plane."""

MAX_LENGTH_ANGSTROM = 1e5
"""Longest lattice vector that is no mistake in the file."""

MAX_FRACTIONAL = 1e6
"""Largest fractional coordinate that is no mistake in the file; far larger ones have no digits left inside the cell."""

_SYMBOL_NUMBERS = ATOMIC_NUMBERS | {"D": 1, "T": 1}
_KNOWN = EMBEDDING_INDEX >= 0


def atomic_number(symbol: str) -> int | None:
    """Atomic number of an element symbol in any case, deuterium being hydrogen; None if it is no element."""
    return _SYMBOL_NUMBERS.get(symbol) or _SYMBOL_NUMBERS.get(symbol.capitalize())


def numbers_of(symbols: Iterable[str], *, name: str) -> np.ndarray:
    """Atomic numbers of element symbols, [n_atoms] int64.

    Args:
        symbols: Element symbols without charges.
        name: File or identifier for the error message.

    Raises:
        StructureError: `unsupported_element` for a symbol that is no element.
    """
    numbers = []
    for symbol in symbols:
        number = _SYMBOL_NUMBERS.get(symbol) or atomic_number(symbol)
        if number is None:
            raise StructureError(
                f"{name}: '{symbol}' is not a chemical element; correct the symbol.", code="unsupported_element"
            )
        numbers.append(number)
    return np.array(numbers, dtype=np.int64)


def check_occupancy(occupancy: float, *, name: str, site: str) -> None:
    """Refuse a site that is not filled by exactly one atom.

    Raises:
        StructureError: `partial_occupancy`.
    """
    if not abs(occupancy - 1.0) <= OCCUPANCY_TOLERANCE:
        raise StructureError(
            f"{name}: site {site} has occupancy {occupancy:g}; only ordered crystals can be used, "
            "so replace it by an ordered cell.",
            code="partial_occupancy",
        )


def check_periodic(pbc: object, *, name: str) -> None:
    """Refuse periodic boundary conditions that do not hold in all three directions.

    Args:
        pbc: One flag, or three.
        name: File or identifier for the error message.

    Raises:
        StructureError: `no_cell`.
    """
    if not np.all(np.asarray(pbc, dtype=bool)):
        raise StructureError(
            f"{name}: the structure is not periodic in all three directions; give a bulk crystal.", code="no_cell"
        )


def check_cell(cell: np.ndarray, *, name: str) -> None:
    """Refuse a lattice, [3, 3] in Å, that is missing, not finite or flat.

    Raises:
        StructureError: `no_cell` or `invalid_cell`.
    """
    if not np.abs(cell).max() <= MAX_LENGTH_ANGSTROM:  # false for NaN too
        reason = (
            f"a lattice vector is longer than {MAX_LENGTH_ANGSTROM:.0f} Å; check the cell and its unit (Å)"
            if np.isfinite(cell).all()
            else "the cell holds numbers that are not finite; correct it"
        )
        raise StructureError(f"{name}: {reason}.", code="invalid_cell")
    squares = (cell * cell).sum(axis=1)
    if not squares.all():
        raise StructureError(f"{name}: the structure has no three-dimensional cell; add its lattice.", code="no_cell")
    volume = abs(float(np.linalg.det(cell)))
    if volume < MIN_VOLUME or volume * volume < MIN_VOLUME_RATIO**2 * float(squares.prod()):
        raise StructureError(
            f"{name}: the cell volume of {volume:.3g} Å³ is zero or nearly so; correct the lattice.",
            code="invalid_cell",
        )


def check_crystal(crystal: Crystal, *, name: str = "") -> Crystal:
    """Return the crystal unchanged if a model can take it.

    Overlapping atoms and atoms without bonds are found later, where the neighbours are known.

    Args:
        crystal: Any crystal.
        name: File or identifier for the error message; without it the crystal's own source or id.

    Raises:
        StructureError: `no_atoms`, `no_cell`, `invalid_cell` or `unsupported_element`.
    """
    name = name or crystal.source or crystal.material_id or "structure"
    if crystal.n_atoms == 0:
        raise StructureError(f"{name}: the structure holds no atoms; add its sites.", code="no_atoms")
    if len(crystal.fractional) != crystal.n_atoms:
        raise unreadable(name, f"it names {crystal.n_atoms} atoms but has {len(crystal.fractional)} positions")
    check_cell(crystal.cell, name=name)
    # The comparison is false for NaN too.
    near = np.abs(crystal.fractional) <= MAX_FRACTIONAL
    if not near.all():
        site = int(np.nonzero(~near.all(axis=1))[0][0])
        reason = "far outside the cell" if np.isfinite(crystal.fractional[site]).all() else "not finite numbers"
        raise StructureError(
            f"{name}: the coordinates of site {site + 1} are {reason}; correct them.", code="invalid_cell"
        )
    _check_elements(crystal.numbers, name)
    return crystal


def _check_elements(numbers: np.ndarray, name: str) -> None:
    """Refuse an element that no model has seen."""
    inside = (numbers > 0) & (numbers < len(_KNOWN))
    if inside.all() and _KNOWN[numbers].all():
        return
    number = next(int(value) for value in numbers if not (0 < value < len(_KNOWN) and _KNOWN[value]))
    if 0 < number < len(SYMBOLS):
        reason = f"element {SYMBOLS[number]} is outside the 89 that the models know"
    else:
        reason = f"atomic number {number} is no element"
    raise StructureError(f"{name}: {reason}; leave this crystal out.", code="unsupported_element")


def printable(text: str) -> str:
    """Text that any terminal and any table takes: other characters become �, those of white space a blank."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def one_line(message: object, limit: int = 160) -> str:
    """A message of another package, cut to one short line without a full stop."""
    text = printable(re.sub(r"\s+", " ", str(message)).strip()).rstrip(".") or type(message).__name__
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def unreadable(name: str | Path, reason: object, remedy: str = "check the file") -> StructureError:
    """The error for content that cannot be understood."""
    return StructureError(f"{name}: {one_line(reason)}; {remedy}.", code="unreadable")
