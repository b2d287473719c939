"""Metals by composition: no balance of charges, and none of the electron counts that open a gap without one.

Charges: each element has the oxidation states that semiconductors and insulators show of it. A partly filled d shell counts
as insulating beside oxygen and halogens in the first row (Mott insulators), and otherwise only in the counts that a ligand
field fills (d6, square planar d8, d2 in trigonal prisms, d3 chains). Anions may bond to each other (8 − N and Zintl rules).
Electron counts: 8 or 18 of half-Heusler crystals, 24 of Heusler crystals, 14 a transition metal with group 13 and 14 (Nowotny
chimney-ladder phases, RuAl2), 17 of FeGa3; an average of 4 an atom of main-group elements.
"""

from __future__ import annotations

import re
from functools import lru_cache

from paraisite.applicability.concern import Concern

State = tuple[float, float]
NONMETALS = frozenset((
    "H", "He", "B", "C", "N", "O", "F", "Ne", "Si", "P", "S", "Cl", "Ar", "Ge", "As", "Se", "Br", "Kr", "Sb", "Te", "I", "Xe",
))  # fmt: skip
INSULATING_ELEMENTS = NONMETALS - {"As", "Sb"}
HALOGENS = ("F", "Cl", "Br", "I")
RARE_EARTHS = ("Sc", "Y", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu")
ELEMENT_GROUPS = {
    1: "H Li Na K Rb Cs", 2: "Be Mg Ca Sr Ba", 3: " ".join((*RARE_EARTHS, "Ac", "Th", "Pa", "U", "Np", "Pu")), 4: "Ti Zr Hf",
    5: "V Nb Ta", 6: "Cr Mo W", 7: "Mn Tc Re", 8: "Fe Ru Os", 9: "Co Rh Ir", 10: "Ni Pd Pt", 11: "Cu Ag Au", 12: "Zn Cd Hg",
    13: "B Al Ga In Tl", 14: "C Si Ge Sn Pb", 15: "N P As Sb Bi", 16: "O S Se Te", 17: "F Cl Br I", 18: "He Ne Ar Kr Xe",
}  # fmt: skip
GROUP_OF_ELEMENT = {symbol: group for group, symbols in ELEMENT_GROUPS.items() for symbol in symbols.split()}
OPEN_D_GROUPS = range(4, 11)


def _states(text: str) -> dict[str, tuple[State, ...]]:
    """`Fe 2:3` is any average from 2 to 3, `Tl 1 3` either of the two."""
    found = {}
    for part in text.split(","):
        symbol, *values = part.split()
        ends = [[float(end) for end in value.split(":")] for value in values]
        found[symbol] = tuple((pair[0], pair[-1]) for pair in ends)
    return found


MAIN_GROUP = _states(
    "Li 1,Na 1,K 1,Rb 1,Cs 1,Be 2,Mg 2,Ca 2,Sr 2,Ba 2,B 3,Al 3,Ga 3 2 1:3,In 1:3,Tl 1:3,C 4 3 2,Si 4,Ge 2:4,Sn 2:4,Pb 2:4,"
    "N 5 3,P 5 4 3,As 5 3 2,Sb 3:5,Bi 3 5,S 6 4 5 3,Se 4 6,Te 4 6,Cl 5 7 1,Br 5 7 1,I 5 7 1,Xe 2:8,Kr 2,"
    "Sc 3,Y 3,La 3,Ce 3 4,Pr 3,Nd 3,Pm 3,Sm 3 2,Eu 2:3,Gd 3,Tb 3 4,Dy 3,Ho 3,Er 3,Tm 3,Yb 2:3,Lu 3,"
    "Ac 3,Th 4,Pa 5 4,U 4 5 6,Np 4 5 6,Pu 3 4,Zn 2,Cd 2,Hg 1 2,H 1"
)
BESIDE_OXYGEN_AND_HALOGENS = MAIN_GROUP | _states(
    "Ti 4,Zr 4,Hf 4,V 5 4 3,Nb 5,Ta 5,Cr 2 3 6,Mo 6,W 6,Mn 2:4 7 6,Tc 7,Re 7,Fe 2:3 6,Ru 3 8 5,Os 8 5,Co 2:3,Rh 3,Ir 3 5,"
    "Ni 2,Pd 2 4,Pt 2:4,Cu 1:2,Ag 1,Au 1:3"
)
BESIDE_HALOGENS_ALONE = BESIDE_OXYGEN_AND_HALOGENS | _states(
    "Ti 2 3 4,Zr 3 4,Hf 4 3,V 2 3 4 5,Nb 2:5,Ta 2:5,Mo 2:6,W 2:6,Re 3:7,Tc 4:6,Ru 3:5,Os 4:6,Ir 3:6,Rh 3:6,Ag 1:3"
)
BESIDE_OTHERS = MAIN_GROUP | _states(
    "Ti 4,Zr 4,Hf 4,V 5,Nb 5,Ta 5,Cr 3,Mo 4 6,W 4 6,Mn 2,Tc 4,Re 4 7,Fe 2 3,Ru 2,Os 2,Co 3,Rh 3,Ir 3,Ni 2,Pd 2,Pt 2 4,Cu 1,"
    "Ag 1,Au 1 3"
)
ANIONS = _states(
    "F -1,Cl -1,Br -1,I -1:-0.33,O -2,S -2:-0.4,Se -2:-0.4,Te -2:-0.6,N -3 -1:-0.33,P -3:-0.33,As -3:-0.67,Sb -3:-1,Bi -3,"
    "C -4 -1,Si -4:-1,Ge -4:-1,Sn -4,Pb -4,B -0.4:-0.1,H -1"
)
"""Charges of anions; above the full shell, as far as their bonds to each other go in known semiconductors."""
SUPEROXIDE: State = (-1.0, -0.5)


def metal_concern(formula: str) -> Concern | None:
    """Say that a crystal of this reduced formula looks like a metal."""
    reason = metal_reason(formula)
    if not reason:
        return None
    sure = reason.startswith("all")
    return Concern(
        "metal",
        f"{'a metal' if sure else 'probably a metal'} ({reason}), so the heat that electrons carry is missing from κ",
        "outside" if sure else "edge",
    )


@lru_cache(maxsize=65536)
def metal_reason(formula: str) -> str:
    """Why a composition counts as a metal, in words; empty where it does not.

    Args:
        formula: Formula without brackets, such as `BaSb2O6`; counts may be fractions.
    """
    counts = {symbol: float(count or 1) for symbol, count in re.findall(r"([A-Z][a-z]?)([\d.]*)", formula)}
    if len(counts) == 1:
        return "" if set(counts) <= INSULATING_ELEMENTS else "all its atoms are of one metal"
    if _has_gap_count(counts):
        return ""
    anions = NONMETALS.intersection(counts)
    if not anions:
        return "" if _is_zintl(counts) else "all its elements are metals"
    if _is_interstitial(counts):
        return "a metal with carbon, nitrogen, boron or silicon between its atoms"
    return "" if _is_balanced(counts) else "no usual oxidation states balance"


def _valence(symbol: str) -> int:
    group = 4 if symbol in {"Th", "U"} else GROUP_OF_ELEMENT[symbol]
    return group if group < 13 else group - 10


def _has_gap_count(counts: dict[str, float]) -> bool:
    """Whether the valence electrons are of a number that opens a gap without a balance of charges."""
    atoms, electrons = sum(counts.values()), sum(n * _valence(symbol) for symbol, n in counts.items())
    if not any(GROUP_OF_ELEMENT[symbol] in {13, 14, 15, 16} for symbol in counts):
        return False
    shape = sorted(counts.values())
    if shape == [1, 1, 1]:  # half-Heusler crystals
        return electrons in {8, 18}
    metals = [symbol for symbol in counts if GROUP_OF_ELEMENT[symbol] in OPEN_D_GROUPS]
    if shape == [1, 1, 2]:
        return electrons == 24 and len(metals) > 0
    if len(metals) != 1 or len(counts) != 2:
        return False
    each = electrons / counts[metals[0]]
    if each == 16:
        return metals == ["Fe"]  # β-FeSi2
    return (abs(each - 14) < 0.1 and GROUP_OF_ELEMENT[metals[0]] in {6, 7, 8}) or (each == 17 and atoms == 4)


def _is_zintl(counts: dict[str, float]) -> bool:
    """Whether s and rare-earth metals fill the shells of Sn, Pb, Bi or Au, or the atoms have four electrons each."""
    if _average_is_four(counts):
        return True
    electropositive = {s for s in counts if GROUP_OF_ELEMENT[s] in {1, 2} or s in {"Eu", "Yb"}}
    filled = {"Sn": 4, "Pb": 4, "Bi": 3}
    others = {s: n for s, n in counts.items() if s not in electropositive}
    if not electropositive or not others:
        return False
    if set(others) == {"Au"}:
        return len(counts) == 2 and counts["Au"] == 1 and counts.keys() & {"Cs", "Rb"} != set()
    given = sum(n * (1 if GROUP_OF_ELEMENT[s] == 1 else 2) for s, n in counts.items() if s in electropositive)
    given += sum(
        n * _valence(s) for s, n in others.items() if GROUP_OF_ELEMENT[s] in {12, 13} and s not in {"Zn", "Cd", "Hg"}
    )
    given += sum(2 * n for s, n in others.items() if GROUP_OF_ELEMENT[s] == 12) + sum(
        n for s, n in others.items() if s in {"Cu", "Ag"}
    )
    taken = sum(n * filled.get(s, 0) for s, n in others.items())
    known = all(s in filled or GROUP_OF_ELEMENT[s] in {12, 13} or s in {"Cu", "Ag"} for s in others)
    return known and taken > 0 and given == taken


def _average_is_four(counts: dict[str, float]) -> bool:
    if any(GROUP_OF_ELEMENT[symbol] < 11 and GROUP_OF_ELEMENT[symbol] > 2 for symbol in counts):
        return False
    electrons = sum(n * (GROUP_OF_ELEMENT[s] % 10 if GROUP_OF_ELEMENT[s] != 10 else 10) for s, n in counts.items())
    return electrons == 4 * sum(counts.values()) and any(GROUP_OF_ELEMENT[s] >= 15 for s in counts)


def _is_interstitial(counts: dict[str, float]) -> bool:
    """Whether d or rare-earth metals hold B, C, N, Si or Ge, and nothing that would take their electrons."""
    nonmetals = NONMETALS.intersection(counts)
    open_d = any(GROUP_OF_ELEMENT[s] in OPEN_D_GROUPS for s in counts)
    rare_earth = any(GROUP_OF_ELEMENT[s] == 3 and s not in {"Eu", "Yb"} for s in counts)
    if nonmetals <= {"B", "C", "Si", "Ge", "H"} and nonmetals != {"H"}:
        return open_d or rare_earth
    return False


def _is_balanced(counts: dict[str, float]) -> bool:
    cations = BESIDE_OTHERS
    if "O" in counts or any(halogen in counts for halogen in HALOGENS):
        soft = any(symbol in counts for symbol in ("S", "Se", "Te", "As", "P"))
        cations = BESIDE_OXYGEN_AND_HALOGENS if "O" in counts else BESIDE_HALOGENS_ALONE
        if soft and "O" in counts and counts["O"] < 2 * sum(counts.get(s, 0) for s in ("S", "Se", "Te", "As", "P")):
            cations = BESIDE_OXYGEN_AND_HALOGENS | {s: cations[s] + BESIDE_OTHERS.get(s, ()) for s in cations}
    sums: set[tuple[float, float]] = {(0.0, 0.0)}
    for symbol, n in counts.items():
        states = cations.get(symbol, ()) + ANIONS.get(symbol, ())
        if symbol == "O" and all(GROUP_OF_ELEMENT[other] in {1, 2, 16} for other in counts):
            states = (*states, SUPEROXIDE)
        sums = {(low + n * state[0], high + n * state[1]) for low, high in sums for state in states}
    return any(low <= 1e-6 and high >= -1e-6 for low, high in sums)
