"""Formulas of crystals: as chemists write them, and as a key that compares compositions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import gcd

import numpy as np

from paraisite.elements import PAULING_ELECTRONEGATIVITY, SYMBOLS

_SEQUENCE = """
He Ne Ar Kr Xe Rn Fr Cs Rb K Na Li Ra Ba Sr Ca Mg Be Lr No Md Fm Es Cf Bk Cm Am Pu Np U Pa Th Ac Lu Yb Tm Er Ho
Dy Tb Gd Eu Sm Pm Nd Pr Ce La Y Sc Hf Zr Ti Ta Nb V W Mo Cr Re Tc Mn Os Ru Fe Ir Rh Co Pt Pd Ni Au Ag Cu Hg Cd
Zn Tl In Al Ga B Pb Sn Si Ge C Bi Sb As P N H Po Te Se S O At I Br Cl F
"""
"""IUPAC's sequence of the elements, from the most electropositive (Red Book 2005, table VI), with Al before Ga and Si before
Ge, as alloys are named (AlGaAs, SiGe). It differs from Pauling's electronegativities where those go against usage: PbTe, not
TePb; NiAl, not AlNi."""
_ORDER = _SEQUENCE.split()
_LATE_METALS = ["Ag", "Cu", "Hg", "Cd", "Zn", "Ni", "Co", "Mn", "Fe", "Cr"]
"""With a chalcogen or halogen these come before the other d metals: ZnFe2O4, CuFeS2, FeTiO3."""
_CHALCOGENS_HALOGENS = frozenset(["O", "S", "Se", "Te", "F", "Cl", "Br", "I"])
_OXO_CENTRES = frozenset(["B", "C", "N", "Si", "P", "S", "Se", "As", "Te"])
"""Elements whose oxo anions hold the oxygen, so that a halogen beside them stands at the end."""
_D_BLOCK = frozenset(_ORDER[_ORDER.index("Sc") : _ORDER.index("Zn") + 1])
_MAIN_GROUP = {"B", "Al", "Ga", "In", "Tl", "Si", "Ge", "Sn", "Pb", "P", "As", "Sb", "Bi"}
_SYMBOL_AND_COUNT = re.compile(r"([A-Z][a-z]?)(\d*)")


def composition_key(numbers: Iterable[int]) -> str:
    """Reduced formula by rising Pauling electronegativity: the same text for the same composition.

    Args:
        numbers: Atomic numbers of the cell's atoms.
    """
    return _joined(_reduced(numbers), lambda symbol: PAULING_ELECTRONEGATIVITY.get(symbol, 9.0))


def reduced_formula(numbers: Iterable[int]) -> str:
    """Reduced formula as chemists write it, such as `PbTe`, `PbTiO3`, `ZrNiSn`, `Co2MnSi`, `KH2PO4`.

    Args:
        numbers: Atomic numbers of the cell's atoms.
    """
    return written_formula(composition_key(numbers))


@lru_cache(maxsize=65536)
def written_formula(formula: str) -> str:
    """A formula without brackets in the order in which chemists write it.

    The order is IUPAC's sequence, with the usual exceptions: Tl, Pb and Bi among the large cations of oxides, late metals
    before other d metals in oxides, chalcogenides and halides, hydrogen before the oxo centre, the anion of an
    oxychalcogenide or oxyhalide last, and X2YZ for full Heusler phases.

    Args:
        formula: Symbols with whole counts, such as `TePb` or `O3TiPb`.
    """
    content = {symbol: int(count or 1) for symbol, count in _SYMBOL_AND_COUNT.findall(formula)}
    places = {symbol: float(place) for place, symbol in enumerate(_ordered(content))}
    heusler = _full_heusler(content)
    if heusler is not None:
        places[heusler] = -1.0
    return _joined(content, lambda symbol: places.get(symbol, len(places)))


def _ordered(content: Mapping[str, int]) -> list[str]:
    """The sequence of the elements for a composition."""
    order = list(_ORDER)
    if len(content) > 2 and _CHALCOGENS_HALOGENS & set(content):
        _move(order, _LATE_METALS, before="Sc")
    if "O" in content:
        _move(order, ["Tl"], before="Ra")
        _move(order, ["Pb"], before="Be")
        _move(order, ["Bi"], before="Lr")
        if len(content) > 2:
            _order_oxygen(order, content)
    return order


def _order_oxygen(order: list[str], content: Mapping[str, int]) -> None:
    """Place hydrogen and the other anions of an oxide with three elements or more."""
    if "H" in content:
        _move(order, ["H"], before="B")
        _move(order, ["Si", "C", "N", "P"], before="Te")
    for symbol in ("Te", "Se", "S"):
        if content.get(symbol, 0) * 3 > content["O"]:  # an oxychalcogenide, not a sulphate
            _move(order, [symbol], before="At")
    for symbol in ("I", "Br", "Cl"):
        if symbol in content and content[symbol] * 3 <= content["O"] and not _OXO_CENTRES & set(content):
            _move(order, [symbol], before="O")  # a chlorate, not an oxychloride


def _full_heusler(content: Mapping[str, int]) -> str | None:
    """The doubled metal of X2YZ, for X and Y of the d block and Z of groups 13 to 15."""
    doubled = [symbol for symbol, count in content.items() if count == 2 and symbol in _D_BLOCK]
    others = sorted(symbol for symbol, count in content.items() if count == 1)
    metals = [symbol for symbol in others if symbol in _D_BLOCK]
    main = set(others) & _MAIN_GROUP
    is_heusler = len(content) == 3 and len(doubled) == 1 and len(metals) == 1 and len(main) == 1
    return doubled[0] if is_heusler else None


def _move(order: list[str], symbols: Iterable[str], *, before: str) -> None:
    for symbol in symbols:
        order.remove(symbol)
        order.insert(order.index(before), symbol)


def _reduced(numbers: Iterable[int]) -> dict[str, int]:
    values, counts = np.unique(np.asarray(numbers), return_counts=True)
    divisor = gcd(*(int(count) for count in counts))
    return {SYMBOLS[value]: int(count) // divisor for value, count in zip(values, counts, strict=True)}


def _joined(content: Mapping[str, int], place: Callable[[str], float]) -> str:
    order = sorted(content, key=lambda symbol: (place(symbol), symbol))
    return "".join(symbol + (str(content[symbol]) if content[symbol] > 1 else "") for symbol in order)
