"""The 89 elements that the formation-energy MEGNet knows, in the order of its embedding rows.

Order of MatGL's `DEFAULT_ELEMENTS` (https://github.com/materialsvirtuallab/matgl, BSD-3-Clause): H to Bi by atomic number
without Po, At, Rn, Fr and Ra, then Ac, Th, Pa, U, Np, Pu.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

import numpy as np

_PERIODIC_TABLE = """
X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr
Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt
Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv
Ts Og
"""

SYMBOLS: tuple[str, ...] = tuple(_PERIODIC_TABLE.split())
"""Element symbols by atomic number, [119]; number 0 is no element."""

ATOMIC_NUMBERS: dict[str, int] = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}
"""Atomic numbers by symbol, H to Og."""

ELEMENTS: tuple[str, ...] = (*SYMBOLS[1:84], *SYMBOLS[89:95])
"""Element symbols, [89], in embedding order."""

EMBEDDING_INDEX: np.ndarray = np.full(len(SYMBOLS), -1, dtype=np.int64)
"""Embedding row by atomic number, [119]; -1 for an element that the model does not know."""
EMBEDDING_INDEX[1:84] = np.arange(83)
EMBEDDING_INDEX[89:95] = np.arange(83, 89)
EMBEDDING_INDEX.setflags(write=False)

_PAULING = (
    2.20, 9.0, 0.98, 1.57, 2.04, 2.55, 3.04, 3.44, 3.98, 9.0, 0.93, 1.31, 1.61, 1.90, 2.19, 2.58, 3.16, 9.0, 0.82, 1.00,
    1.36, 1.54, 1.63, 1.66, 1.55, 1.83, 1.88, 1.91, 1.90, 1.65, 1.81, 2.01, 2.18, 2.55, 2.96, 3.00, 0.82, 0.95, 1.22, 1.33,
    1.6, 2.16, 1.9, 2.2, 2.28, 2.20, 1.93, 1.69, 1.78, 1.96, 2.05, 2.1, 2.66, 2.6, 0.79, 0.89, 1.10, 1.12, 1.13, 1.14,
    1.13, 1.17, 1.2, 1.2, 1.1, 1.22, 1.23, 1.24, 1.25, 1.1, 1.27, 1.3, 1.5, 2.36, 1.9, 2.2, 2.20, 2.28, 2.54, 2.00,
    1.62, 2.33, 2.02, 2.0, 2.2, 2.2, 0.7, 0.9, 1.1, 1.3, 1.5, 1.38, 1.36, 1.28,
)  # fmt: skip

PAULING_ELECTRONEGATIVITY: dict[str, float] = dict(zip(SYMBOLS[1:], _PAULING, strict=False))
"""Pauling electronegativity by symbol, H to Pu; 9 where none is defined."""


@lru_cache(maxsize=1)
def element_properties() -> dict[str, np.ndarray]:
    """The columns of `data/elements.csv`, each [89] float64 in the order of `ELEMENTS`; NaN where a value is missing."""
    text = (files("paraisite") / "data" / "elements.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    names = [name for name in rows[0] if name != "symbol"]
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}


def atomic_masses(numbers: np.ndarray) -> np.ndarray:
    """Standard atomic weights in u of elements in `ELEMENTS`, by atomic number."""
    return np.asarray(element_properties()["atomic_mass"][EMBEDDING_INDEX[numbers]])


def covalent_radii(numbers: np.ndarray) -> np.ndarray:
    """Covalent radii in Å (Cordero et al., doi 10.1039/b801115j) of elements in `ELEMENTS`, by atomic number."""
    return np.asarray(element_properties()["covalent_radius"][EMBEDDING_INDEX[numbers]])
