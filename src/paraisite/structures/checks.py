"""Checks that every crystal passes before it leaves this package."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from paraisite.elements import EMBEDDING_INDEX
from paraisite.errors import StructureError
from paraisite.structures.crystal import Crystal

OCCUPANCY_TOLERANCE = 1e-3
"""An occupancy this close to 1 counts as full."""

MIN_VOLUME = 0.1
"""Smallest cell volume in Å³ that can hold an atom; anything below is a mistake in the file."""

MIN_VOLUME_RATIO = 1e-3
"""Smallest volume over a·b·c; below it the lattice vectors lie in one plane."""

_SYMBOL_NUMBERS = {symbol: number for symbol, number in atomic_numbers.items() if number > 0} | {"D": 1, "T": 1}
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
    if not np.isfinite(cell).all():
        raise StructureError(f"{name}: the cell holds numbers that are not finite; correct it.", code="invalid_cell")
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
    check_cell(crystal.cell, name=name)
    if not np.isfinite(crystal.fractional).all():
        site = int(np.nonzero(~np.isfinite(crystal.fractional).all(axis=1))[0][0]) + 1
        raise StructureError(
            f"{name}: the coordinates of site {site} are not finite numbers; correct them.", code="invalid_cell"
        )
    _check_elements(crystal.numbers, name)
    return crystal


def _check_elements(numbers: np.ndarray, name: str) -> None:
    """Refuse an element that no model has seen."""
    inside = (numbers > 0) & (numbers < len(_KNOWN))
    if inside.all() and _KNOWN[numbers].all():
        return
    number = next(int(value) for value in numbers if not (0 < value < len(_KNOWN) and _KNOWN[value]))
    if 0 < number < len(chemical_symbols):
        reason = f"element {chemical_symbols[number]} is outside the 89 that the models know"
    else:
        reason = f"atomic number {number} is no element"
    raise StructureError(f"{name}: {reason}; leave this crystal out.", code="unsupported_element")


def one_line(message: object, limit: int = 160) -> str:
    """A message of another package, cut to one short line without a full stop."""
    text = re.sub(r"\s+", " ", str(message)).strip().rstrip(".") or type(message).__name__
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def unreadable(name: str | Path, reason: object, remedy: str = "check the file") -> StructureError:
    """The error for content that cannot be understood."""
    return StructureError(f"{name}: {one_line(reason)}; {remedy}.", code="unreadable")
