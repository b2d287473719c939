"""The gate behind every reader: what a file says of its crystal must agree with the crystal that was read from it.

A reader collects what its file says besides the sites as `Statements` and passes its crystal through `check_statements`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from math import gcd, inf, isfinite
from typing import Any

import numpy as np

from paraisite.elements import SYMBOLS, atomic_masses
from paraisite.errors import StructureError
from paraisite.structures.checks import atomic_number
from paraisite.structures.crystal import Crystal, ReadWarning

CONTRADICTS_FILE = "contradicts_file"
MISSING_HYDROGENS = "missing_hydrogens"

DALTON_PER_ANGSTROM3 = 1.66053906892
"""1 Da/Å³ in g/cm³ (CODATA 2022)."""
DEUTERIUM_DALTON = 2.014
HYDROGEN = 1
ROUND = 1 + 1e-9
"""Numbers within this factor are equal."""
DIATOMIC = {1, 7, 8, 9, 17, 35, 53}
"""Elements whose formula unit may be the molecule."""

DENSITY_TOLERANCE = 0.03
"""Relative; a stated density often belongs to the cell at another temperature or before the last refinement."""
WEIGHT_TOLERANCE = 0.005
"""Relative; tables of atomic masses of different years differ by less."""
VOLUME_TOLERANCE = 0.005
"""Relative; a stated volume is computed from the same cell, whose lengths and angles are then rounded."""
LENGTH_TOLERANCE = 0.005
"""Relative, for lengths of the cell beside its vectors; they are computed from them."""
ANGLE_TOLERANCE_DEGREE = 0.5
"""For angles of the cell beside its vectors."""
RATIO_TOLERANCE = 0.005
"""For the share of an element among the atoms, which is written with a few digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What a file says of its crystal besides its sites; None where it says nothing.

    Attributes:
        formula: Element symbol to count, of one or several formula units or the cell. Decimals keep the digits that are
            written, which say how far a count may be rounded.
        formula_units: Formula units in the cell (Z).
        n_atoms: Atoms in the cell.
        density_g_per_cm3: Density computed from the cell, not a measured one.
        formula_weight_dalton: Mass of a formula unit.
        volume_angstrom3: Cell volume.
        lengths_angstrom: Lengths of the three lattice vectors, where the file gives the vectors too.
        angles_degree: α, β and γ, likewise.
        elements: Symbols of the elements, in any order.
        n_elements: Number of elements.
        ratios: Share of each of `elements` among the atoms, in the same order.
    """

    formula: Mapping[str, Decimal] | None = None
    formula_units: int | None = None
    n_atoms: int | None = None
    density_g_per_cm3: float | None = None
    formula_weight_dalton: float | None = None
    volume_angstrom3: float | None = None
    lengths_angstrom: Sequence[float] | None = None
    angles_degree: Sequence[float] | None = None
    elements: Sequence[str] | None = None
    n_elements: int | None = None
    ratios: Sequence[float] | None = None


def check_statements(crystal: Crystal, statements: Statements, *, name: str = "") -> Crystal:
    """Return the crystal if it agrees with what its file says; with a warning if only hydrogens lack.

    Args:
        crystal: The crystal as it was read.
        statements: What the file says of it.
        name: File or identifier for the error message; without it the crystal's own source or id.

    Returns:
        The crystal itself, or a copy with the warning `missing_hydrogens` if the formula counts more hydrogens than the
        sites hold and agrees in everything else.

    Raises:
        StructureError: `contradicts_file`, with both sides in the message.
    """
    name = name or crystal.source or crystal.material_id or "structure"
    read = Counter(crystal.numbers.tolist())
    if statements.n_atoms is not None and statements.n_atoms != crystal.n_atoms:
        raise contradiction(name, f"{statements.n_atoms} atoms in the cell", f"{crystal.n_atoms} were read")
    _check_volume(crystal, statements, name)
    _check_lattice(crystal, statements, name)
    missing = 0
    if statements.formula:
        missing = _check_formula(read, statements.formula, statements.formula_units, name)
    _check_masses(crystal, read, missing, statements, name)
    if not missing:
        _check_elements(read, statements, name)
        return crystal
    sentence = (
        f"{name}: the stated formula {_formula_text(statements.formula or {})} has {missing} more hydrogen atoms in the cell "
        "than the listed sites"
    )
    return replace(crystal, warning=ReadWarning(MISSING_HYDROGENS, sentence))


def contradiction(name: str, stated: str, read: str) -> StructureError:
    """The error for a statement that the crystal contradicts.

    Args:
        name: File.
        stated: What the file says, as in "Z of 4".
        read: What was read, as a clause of its own.
    """
    return StructureError(
        f"{name}: the file states {stated}, but {read}; correct whichever is wrong.", code=CONTRADICTS_FILE
    )


def _check_volume(crystal: Crystal, statements: Statements, name: str) -> None:
    stated = statements.volume_angstrom3
    if stated is not None and not _near(stated, crystal.volume, VOLUME_TOLERANCE):
        raise contradiction(
            name, f"a cell volume of {stated:g} Å³", f"its lengths and angles give {crystal.volume:.4g} Å³"
        )


def _check_lattice(crystal: Crystal, statements: Statements, name: str) -> None:
    """Refuse lengths and angles that the lattice vectors do not have."""
    if statements.lengths_angstrom is None and statements.angles_degree is None:
        return
    lengths = np.linalg.norm(crystal.cell, axis=1)
    if statements.lengths_angstrom is not None:
        for letter, stated, read in zip("abc", statements.lengths_angstrom, lengths.tolist(), strict=True):
            if not _near(stated, read, LENGTH_TOLERANCE):
                raise contradiction(name, f"{letter} = {stated:g} Å", f"the lattice vector is {read:.4g} Å long")
    if statements.angles_degree is not None:
        unit = crystal.cell / lengths[:, None]
        cosines = (unit[[1, 2, 0]] * unit[[2, 0, 1]]).sum(axis=1)
        angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
        for letter, stated, read in zip("αβγ", statements.angles_degree, angles.tolist(), strict=True):
            if not abs(stated - read) <= ANGLE_TOLERANCE_DEGREE:
                raise contradiction(
                    name, f"{letter} = {stated:g}°", f"the lattice vectors make an angle of {read:.4g}°"
                )


def _check_elements(read: Mapping[int, int], statements: Statements, name: str) -> None:
    """Refuse lists of elements, their number and their shares that are not those of the atoms."""
    elements, ratios = statements.elements, statements.ratios
    counts = {SYMBOLS[number]: count for number, count in read.items()}
    has = f"it has {', '.join(sorted(counts))}"
    if elements is not None and sorted(elements) != sorted(counts):
        raise contradiction(name, f"the elements {', '.join(elements)}", has)
    if statements.n_elements is not None and statements.n_elements != len(read):
        raise contradiction(name, f"{statements.n_elements} elements", has)
    if elements is None or ratios is None:
        return
    total = sum(counts.values())
    if len(ratios) != len(elements) or any(
        not abs(ratio - counts[symbol] / total) <= RATIO_TOLERANCE
        for symbol, ratio in zip(elements, ratios, strict=True)
    ):
        text = ", ".join(f"{ratio:g}" for ratio in ratios)
        raise contradiction(name, f"the shares {text} of {', '.join(elements)}", f"the sites hold {_cell_text(read)}")


@dataclass(frozen=True, slots=True)
class Sides:
    """The formula of a file and the atoms of its cell, put into words only where they disagree."""

    formula: Mapping[str, Decimal]
    read: Mapping[int, int]
    name: str

    def contradiction(self, more: str = "") -> StructureError:
        """The error, with more said of the formula."""
        return contradiction(
            self.name, f"the formula {_formula_text(self.formula)}{more}", f"the sites hold {_cell_text(self.read)}"
        )


def _check_formula(read: Mapping[int, int], formula: Mapping[str, Decimal], units: int | None, name: str) -> int:
    """Refuse a formula, or a number of formula units, that the cell does not hold; the number of missing hydrogens."""
    stated: dict[int, tuple[float, float]] = {}
    for symbol, amount in formula.items():
        number = atomic_number(symbol)
        if number is None or not isfinite(amount):
            return 0  # no formula of elements, so it says nothing
        count, half_digit = stated.get(number, (0.0, 0.0))
        stated[number] = count + float(amount), half_digit + _half_digit(amount)
    stated = {number: amount for number, amount in stated.items() if amount[0] > 0.0}
    both = Sides(formula, read, name)
    if set(read) - set(stated) or set(stated) - set(read) - {HYDROGEN}:
        raise both.contradiction()
    multiples = _multiples(read, stated, skip=HYDROGEN) if len(stated) > 1 else _multiples(read, stated, skip=0)
    low, high = multiples
    if units is not None:
        allowed = [
            multiple
            for multiple in _stated_multiples(formula, set(stated), units)
            if low <= multiple * ROUND <= high * ROUND**2
        ]
        if not allowed:
            raise both.contradiction(f" with Z = {units}")
        low = high = allowed[0]
    elif low > high * ROUND:
        raise both.contradiction()
    return _missing_hydrogens(read, stated, (low, high), both)


def _stated_multiples(formula: Mapping[str, Decimal], numbers: set[int], units: int) -> list[float]:
    """How often the cell holds the formula: Z times, or once where some program wrote that of the cell beside Z."""
    divisor = _common_divisor(formula)
    whole_cell = units == divisor or (numbers <= DIATOMIC and 2 * units == divisor)
    return [float(units), 1.0] if whole_cell else [float(units)]


def _multiples(read: Mapping[int, int], stated: Mapping[int, tuple[float, float]], skip: int) -> tuple[float, float]:
    """Lowest and highest number of formulas in the cell for which every count agrees within its digits."""
    low, high = 0.0, inf
    for number, (count, half_digit) in stated.items():
        if number == skip:
            continue
        low = max(low, read.get(number, 0) / (count + half_digit))
        high = min(high, read.get(number, 0) / (count - half_digit) if count > half_digit else inf)
    return low, high


def _missing_hydrogens(
    read: Mapping[int, int],
    stated: Mapping[int, tuple[float, float]],
    multiples: tuple[float, float],
    both: Sides,
) -> int:
    """Hydrogens of the formula that the cell lacks; refuse too many."""
    if HYDROGEN not in stated:
        return 0
    count, half_digit = stated[HYDROGEN]
    found = read.get(HYDROGEN, 0)
    if found > multiples[1] * (count + half_digit) * ROUND:
        raise both.contradiction()
    if found >= multiples[0] * (count - half_digit) / ROUND:
        return 0
    if len(stated) == 1:
        raise both.contradiction()
    return round(multiples[0] * count) - found


def _check_masses(crystal: Crystal, read: Mapping[int, int], missing: int, statements: Statements, name: str) -> None:
    """Refuse a density or formula weight that the atoms of the cell do not have."""
    if statements.density_g_per_cm3 is None and statements.formula_weight_dalton is None:
        return
    hydrogen = float(atomic_masses(np.array([HYDROGEN]))[0])
    light = float(atomic_masses(crystal.numbers).sum()) + missing * hydrogen
    # Deuterium counts as hydrogen here, and a file may state the mass of either.
    heavy = light + (read.get(HYDROGEN, 0) + missing) * (DEUTERIUM_DALTON - hydrogen)
    density = statements.density_g_per_cm3
    if density is not None:
        low, high = (mass / crystal.volume * DALTON_PER_ANGSTROM3 for mass in (light, heavy))
        if not (low * (1 - DENSITY_TOLERANCE) <= density + 0.005 and density - 0.005 <= high * (1 + DENSITY_TOLERANCE)):
            raise contradiction(name, f"a density of {density:g} g/cm³", f"the atoms in the cell give {low:.3f} g/cm³")
    weight, units = statements.formula_weight_dalton, statements.formula_units
    if weight is not None and weight > 0.0:
        multiples = (
            range(max(1, round(light / weight)), max(1, round(heavy / weight)) + 1) if units is None else (units,)
        )
        if not any(_between(weight * multiple, light, heavy, WEIGHT_TOLERANCE) for multiple in multiples):
            units_text = "" if units is None else f" with Z = {units}"
            raise contradiction(
                name, f"a formula weight of {weight:g}{units_text}", f"the atoms in the cell weigh {light:.2f} Da"
            )


def _common_divisor(formula: Mapping[str, Decimal]) -> int:
    """Formula units in a formula of whole numbers: some programs write that of the cell beside Z."""
    amounts = [int(amount) for amount in formula.values() if amount == int(amount)]
    return reduce(gcd, amounts) or 1 if len(amounts) == len(formula) else 1


def _half_digit(amount: Decimal) -> float:
    """How far a count may be rounded: half of its last digit; nothing for a whole number."""
    exponent = amount.as_tuple().exponent
    if amount == amount.to_integral_value() or not isinstance(exponent, int):
        return 0.0
    return 0.5 * 10.0**exponent


def _near(stated: float, read: float, tolerance: float) -> bool:
    return abs(stated - read) <= tolerance * abs(read)


def _between(value: float, low: float, high: float, tolerance: float) -> bool:
    return low * (1 - tolerance) <= value <= high * (1 + tolerance)


def _formula_text(formula: Mapping[str, Any]) -> str:
    return " ".join(symbol + ("" if amount == 1 else f"{amount:g}") for symbol, amount in formula.items())


def _cell_text(read: Mapping[int, int]) -> str:
    return " ".join(f"{SYMBOLS[number]}{count}" for number, count in read.items())
