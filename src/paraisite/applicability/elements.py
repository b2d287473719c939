"""What the rules need to know of the elements, by embedding row."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from paraisite.elements import ELEMENTS, PAULING_ELECTRONEGATIVITY

VAN_DER_WAALS_EXCESS_ANGSTROM = 0.8
"""Van der Waals radius minus covalent radius in Å, nearly the same for all elements (Pauling, The Nature of the Chemical
Bond, 3rd ed., 1960, section 7-12)."""
MOLECULE_FORMERS = frozenset((
    "H", "He", "B", "C", "N", "O", "F", "Ne", "Si", "P", "S", "Cl", "Ar", "As", "Se", "Br", "Kr", "I", "Xe",
))  # fmt: skip
"""Elements of which most atoms of a molecular crystal are."""
NOBLE_GASES = frozenset(("He", "Ne", "Ar", "Kr", "Xe"))


@dataclass(frozen=True, slots=True)
class ElementTable:
    """Tables by embedding row, each [n_elements].

    Attributes:
        radius: Covalent radius in Å (Cordero et al., doi 10.1039/b801115j).
        electronegativity: Pauling; 2.5 where none is defined.
        molecule_former: Whether the element is in `MOLECULE_FORMERS`.
    """

    radius: np.ndarray
    electronegativity: np.ndarray
    molecule_former: np.ndarray


@lru_cache(maxsize=1)
def element_table() -> ElementTable:
    """Read the table that the package ships."""
    text = (files("paraisite") / "data" / "covalent_radii.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    radius = {row["symbol"]: float(row["covalent_radius"]) for row in rows}
    pauling = (PAULING_ELECTRONEGATIVITY[symbol] for symbol in ELEMENTS)
    return ElementTable(
        np.array([radius[symbol] for symbol in ELEMENTS]),
        np.array([value if value < 9.0 else 2.5 for value in pauling]),
        np.array([symbol in MOLECULE_FORMERS for symbol in ELEMENTS]),
    )
