"""YAML files of phonopy and phono3py; the unit cell is read, not the supercell.

Format: https://phonopy.github.io/phonopy/phonopy-yaml.html. Only the sections of the structure are parsed: force constants
in the same file take hundreds of megabytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from paraisite.readers.external import call_reader, elements_of_labels
from paraisite.structures.checks import check_crystal, numbers_of, unreadable
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record
from paraisite.structures.statements import contradiction

_ANGSTROM = {"angstrom": 1.0, "au": 0.529177210903, "bohr": 0.529177210903}
_CELLS = ("unit_cell", "primitive_cell", "supercell")
_SECTION = re.compile(r"^([a-z_0-9]+):", re.MULTILINE)


def phonopy_records(text: str) -> Iterator[Record]:
    """The unit cell of a YAML file of phonopy or phono3py; without one its primitive cell, without that its supercell."""
    yield partial(_parse, text)


def looks_like_phonopy(text: str) -> bool:
    """Whether the first characters are those of a YAML file of phonopy or phono3py."""
    return re.search(r"^(phonopy|phono3py):\s*$", text, re.MULTILINE) is not None


def _parse(text: str, origin: Origin) -> Crystal:
    return call_reader(lambda: _crystal(_sections(text), origin), origin.source, "the YAML reader")


def _sections(text: str) -> dict[str, Any]:
    """The sections that say what the structure is."""
    import yaml  # noqa: PLC0415 - seldom needed

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    wanted = {*_CELLS, "physical_unit", "supercell_matrix"}
    starts = [(match.start(), match[1]) for match in _SECTION.finditer(text)]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    found: dict[str, Any] = {}
    for (start, key), end in zip(starts, ends, strict=True):
        if key in wanted and key not in found:
            found.update(yaml.load(text[start:end], Loader=loader))  # noqa: S506 - a safe loader
    return found


def _crystal(sections: Mapping[str, Any], origin: Origin) -> Crystal:
    name = origin.source
    key = next((key for key in _CELLS if sections.get(key)), None)
    if key is None:
        raise unreadable(name, f"the file has no {', '.join(_CELLS)}")
    unit = str((sections.get("physical_unit") or {}).get("length") or "angstrom").lower()
    if unit not in _ANGSTROM:
        raise unreadable(name, f"the unit of length '{unit}' is not known")
    points = sections[key]["points"]
    numbers = numbers_of(elements_of_labels([str(point["symbol"]) for point in points], name), name=name)
    cell = np.array(sections[key]["lattice"], dtype=np.float64).reshape(3, 3) * _ANGSTROM[unit]
    fractional = np.array([point["coordinates"] for point in points], dtype=np.float64).reshape(-1, 3)
    if key == "unit_cell" and sections.get("supercell") and sections.get("supercell_matrix"):
        copies = abs(round(float(np.linalg.det(np.array(sections["supercell_matrix"], dtype=np.float64)))))
        stated = len(sections["supercell"]["points"])
        if stated != copies * len(points):
            raise contradiction(
                name, f"a supercell of {copies} unit cells of {len(points)} atoms", f"it lists {stated} atoms in it"
            )
    return check_crystal(Crystal(numbers, cell, fractional, origin.material_id, name), name=name)
