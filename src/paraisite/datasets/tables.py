"""The small sets of thermal conductivities that ship with the package, rebuilt from tables.

Togo15: 95 binary crystals, DFT with phono3py at 300 K (Togo, Chaput and Tanaka 2015, doi 10.1103/PhysRevB.91.094306).
HH143: 143 half-Heusler compounds at 300 K (Carrete et al. 2014, doi 10.1103/PhysRevX.4.011019).
Literature: 107 crystals of 41 structure types outside both, computed or measured near 300 K; the table names the source of
every κ and says how the values were collected.
The tables hold identifiers, structure types, lattice parameters and κ; `paraisite.datasets.prototypes` builds the
cells.

Three crystals of Togo15 stand among the zinc blende and wurtzite ones but have cells of lower symmetry, and are kept:
CuBr (mp-22913), zinc blende compressed by 2.6 % along one cube axis, I-4m2; CuCl (mp-22914), zinc blende compressed by
1.8 % along [111], R3m; InSb (mp-1007661), wurtzite distorted to Cmc2_1. A fourth, GaSb (mp-1018059), is listed as
wurtzite and lies within 0.01 Å of it. These four are written out in full and carry a `note`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from paraisite.datasets.prototypes import (
    EXPLICIT,
    EXPLICIT_PARAMETERS,
    PROTOTYPES,
    Vector,
    build,
    build_explicit,
    build_from_space_group,
)
from paraisite.errors import DataError
from paraisite.structures.crystal import Crystal

_ELEMENT = re.compile(r"[A-Z][a-z]?")


def load_togo15() -> list[Crystal]:
    """Togo15 in the order that its published splits number, [95].

    Returns:
        Primitive cells with the properties `kappa` (W/(m K), 300 K; rounded to 6 significant figures, a relative change
        below 1e-5), `formula`, `prototype` and `spacegroup` as listed; `note` where the cell is written out in full.
    """
    return [_togo15_crystal(source, row) for source, row in read_table("togo15.csv")]


def load_hh143() -> list[Crystal]:
    """HH143 in the order that its published splits number, [143].

    Returns:
        Primitive cells with the properties `kappa` (W/(m K), 300 K), `formula`, `prototype` and `spacegroup`; the atoms
        are those of the sites 4a, 4b and 4c in turn.
    """
    return [_hh143_crystal(source, row) for source, row in read_table("hh143.csv")]


def load_literature() -> list[Crystal]:
    """Crystals outside Togo15 and HH143 with published κ near 300 K, [107].

    Returns:
        Primitive cells with the properties `kappa` (W/(m K)), `formula`, `prototype`, `spacegroup`, `method` (`boltzmann`
        or `experiment`), `kappa_source`, and `traced` (`primary`, or `compilation` for a value read in a list that does
        not name its paper); `temperature` (K) and `note` where the table has one.
    """
    return [_literature_crystal(source, row) for source, row in read_table("literature.csv")]


def read_table(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table of the package, lines that begin with `#` left out.

    Args:
        name: File name in `paraisite/data`.

    Yields:
        The row's source, the file's name with `#k` appended for row k (from 1), and its cells by column.

    Raises:
        DataError: If the package has no such table.
    """
    path = files("paraisite") / "data" / name
    if not path.is_file():
        raise DataError(f"The package has no table {name}; install it again.")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    for index, row in enumerate(csv.DictReader(lines), start=1):
        yield f"{name}#{index}", row


def parse_parameters(text: str) -> dict[str, float]:
    """Parameters written as `a=3.19 c=5.19 u=0.377`.

    Args:
        text: Names and values; lengths in Å, angles in degrees, coordinates fractional.

    Raises:
        DataError: If a part is not of the form name=number.
    """
    parameters: dict[str, float] = {}
    for part in text.split():
        name, _, value = part.partition("=")
        try:
            parameters[name] = float(value)
        except ValueError:
            raise DataError(f"Cannot read {part!r} as a parameter; write it as a=3.19.") from None
    return parameters


def parse_sites(text: str) -> list[tuple[str, Vector]]:
    """Sites written as `Cu 0.75 0.5 0.25; Br 0 0 0`, coordinates fractional.

    Raises:
        DataError: If a site is not an element and three numbers.
    """
    return [_parse_site(part) for part in text.split(";")]


def formula_elements(formula: str) -> tuple[str, ...]:
    """Elements of a formula in the order in which they first occur: `BaSb2O6` gives Ba, Sb, O."""
    return tuple(dict.fromkeys(_ELEMENT.findall(formula)))


def _parse_site(text: str) -> tuple[str, Vector]:
    """One element symbol and three fractional coordinates."""
    try:
        symbol, x, y, z = text.split()
        return symbol, (float(x), float(y), float(z))
    except ValueError:
        raise DataError(f"Cannot read {text.strip()!r} as a site; write it as Cu 0.75 0.5 0.25.") from None


def _togo15_crystal(source: str, row: dict[str, str]) -> Crystal:
    """The crystal of one row of Togo15."""
    properties = _properties(row, int(row["spacegroup"]))
    if row["note"]:
        properties["note"] = row["note"]
    parameters = parse_parameters(row["parameters"])
    material_id, name = row["material_id"], row["prototype"]
    if name == EXPLICIT:
        sites = parse_sites(row["sites"])
        return build_explicit(parameters, sites, material_id=material_id, source=source, properties=properties)
    elements = formula_elements(row["formula"])
    return build(name, elements, parameters, material_id=material_id, source=source, properties=properties)


def _hh143_crystal(source: str, row: dict[str, str]) -> Crystal:
    """The crystal of one row of HH143."""
    name = row["prototype"]
    return build(
        name,
        (row["element_4a"], row["element_4b"], row["element_4c"]),
        {"a": float(row["a"])},
        material_id=row["material_id"],
        source=source,
        properties=_properties(row, PROTOTYPES[name].spacegroup),
    )


def _literature_crystal(source: str, row: dict[str, str]) -> Crystal:
    """The crystal of one row of the literature table."""
    spacegroup = int(row["spacegroup"])
    properties = _properties(row, spacegroup)
    properties |= {"method": row["method"], "kappa_source": row["source"], "traced": row["traced"]}
    if row["temperature"]:
        properties["temperature"] = float(row["temperature"])
    if row["note"]:
        properties["note"] = row["note"]
    parameters = {name: float(row[name]) for name in EXPLICIT_PARAMETERS}
    return build_from_space_group(
        spacegroup,
        parameters,
        parse_sites(row["sites"]),
        material_id=row["material_id"],
        source=source,
        properties=properties,
    )


def _properties(row: dict[str, str], spacegroup: int) -> dict[str, Any]:
    """Properties that the crystals of every set carry."""
    return {
        "kappa": float(row["kappa"]),
        "formula": row["formula"],
        "prototype": row["prototype"],
        "spacegroup": spacegroup,
    }
