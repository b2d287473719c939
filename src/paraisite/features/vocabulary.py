"""Descriptors in words: a label, a unit and a value that a reader can check, and the group that each belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from paraisite.features.descriptors import DESCRIPTORS, STATISTICS

MASSES = "masses"
SIZES = "volume and bond lengths"
COORDINATION = "coordination"
BONDING = "bonding and ionicity"
CHEMISTRY = "element chemistry"
CELL = "cell size"
GROUPS = (MASSES, SIZES, COORDINATION, BONDING, CHEMISTRY, CELL)

_STRUCTURE = {
    "ln mean mass": (MASSES, "u"),
    "relative variance of the mass": (MASSES, ""),
    "number of elements": (CHEMISTRY, ""),
    "ln volume per atom": (SIZES, "Å³"),
    "ln covalent volume over volume": (SIZES, ""),
    "ln nearest-neighbour distance": (SIZES, "Å"),
    "ln soft-smallest nearest-neighbour distance": (SIZES, "Å"),
    "ln mean coordination number": (COORDINATION, ""),
    "ln soft-smallest coordination number": (COORDINATION, ""),
    "ln soft-largest coordination number": (COORDINATION, ""),
    "bonds: ln length over covalent radii": (SIZES, ""),
    "bonds: soft-smallest ln length over covalent radii": (SIZES, ""),
    "bonds: spread of ln length over covalent radii": (SIZES, ""),
    "bonds: electronegativity difference": (BONDING, ""),
    "bonds: soft-largest electronegativity difference": (BONDING, ""),
    "bonds: ionicity": (BONDING, ""),
    "bonds: ln reduced mass": (MASSES, "u"),
    "bonds: mass contrast": (MASSES, ""),
    "bonds: ln sum of covalent radii": (SIZES, "Å"),
    "bonds: radius contrast": (SIZES, ""),
    "ln distinct surroundings": (CELL, ""),
}
_ELEMENTS = {
    "electronegativity": (BONDING, ""),
    "valence electrons": (CHEMISTRY, ""),
    "Mendeleev number": (CHEMISTRY, ""),
    "ln melting point": (CHEMISTRY, "K"),
    "p electrons": (CHEMISTRY, ""),
    "d electrons": (CHEMISTRY, ""),
    "first ionization energy": (CHEMISTRY, "eV"),
    "electron affinity": (CHEMISTRY, "eV"),
    "ln molar volume": (SIZES, "cm³/mol"),
    "ln mass": (MASSES, "u"),
    "covalent radius": (SIZES, "Å"),
}


@dataclass(frozen=True, slots=True)
class Word:
    """How a descriptor is shown.

    Attributes:
        label: Its name without the logarithm.
        group: One of `GROUPS`.
        unit: Unit of what `value` gives; empty for a pure number.
        logarithmic: Whether the descriptor is the logarithm of what is reported.
    """

    label: str
    group: str
    unit: str
    logarithmic: bool

    def value(self, descriptor: float) -> float:
        """Turn the descriptor's value into the one that is reported."""
        return exp(descriptor) if self.logarithmic else descriptor


def _word(name: str) -> Word:
    if name in _STRUCTURE:
        group, unit = _STRUCTURE[name]
        logarithmic = "ln " in name and "spread" not in name
        return Word(name.replace("ln ", "") if logarithmic else name, group, unit, logarithmic)
    statistic = next(word for word in STATISTICS if name.startswith(f"{word} "))
    element_property = name.removeprefix(f"{statistic} ")
    group, unit = _ELEMENTS[element_property]
    if statistic == "standard deviation":  # that of a logarithm is a relative spread, without a unit
        return Word(f"{statistic} of {element_property}", group, "" if "ln " in name else unit, logarithmic=False)
    logarithmic = element_property.startswith("ln ")
    word = "geometric mean" if logarithmic and statistic == "mean" else statistic
    return Word(f"{word} {element_property.removeprefix('ln ')}", group, unit, logarithmic)


WORDS: tuple[Word, ...] = tuple(map(_word, DESCRIPTORS))
"""One of each descriptor, [65], in the order of `DESCRIPTORS`."""
