"""Structures written for other programs: FHI-aims, CASTEP, SHELX files of AIRSS, XCrySDen; by ASE and pymatgen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from io import StringIO
from typing import Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.cif import lattice_vectors
from paraisite.readers.external import call_reader, check_lines, elements_of_labels, float_or_none
from paraisite.structures.checks import check_crystal, check_occupancy, numbers_of, unreadable
from paraisite.structures.convert import from_ase, from_cartesian, from_pymatgen
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record
from paraisite.structures.statements import Statements, check_statements, contradiction

_CASTEP_ANGSTROM = {"ang": 1.0, "bohr": 0.529177210903, "a0": 0.529177210903, "nm": 10.0, "pm": 0.01}
_CASTEP_LATTICE = ("lattice_cart", "lattice_abc")
_CASTEP_POSITIONS = ("positions_frac", "positions_abs")
_FIXED_OCCUPANCY = 10.0
"""SHELX adds this to a value that a refinement leaves alone, so that 11 is a full site."""


def aims_records(text: str) -> Iterator[Record]:
    """The structure of a `geometry.in` of FHI-aims."""
    yield partial(_parse_aims, text)


def castep_records(text: str) -> Iterator[Record]:
    """The structure of a `.cell` file of CASTEP."""
    yield partial(_parse_castep, text)


def res_records(text: str) -> Iterator[Record]:
    """The structure of a `.res` file as AIRSS writes it."""
    yield partial(_parse_res, text)


def xsf_records(text: str) -> Iterator[Record]:
    """The structure of an XSF file, of an animation the last one."""
    yield partial(_parse_xsf, text)


def looks_like_aims(text: str) -> bool:
    """Whether the first characters are those of a `geometry.in`."""
    return re.search(r"^[ \t]*lattice_vector\s", text, re.MULTILINE) is not None


def looks_like_castep(text: str) -> bool:
    """Whether the first characters are those of a `.cell` file."""
    return re.search(r"^[ \t]*%block\s+(lattice|positions)_", text, re.MULTILINE | re.IGNORECASE) is not None


def looks_like_res(text: str) -> bool:
    """Whether the first characters are those of a `.res` file."""
    return re.match(r"\s*TITL\b", text) is not None and re.search(r"^CELL\s", text, re.MULTILINE) is not None


def looks_like_xsf(text: str) -> bool:
    """Whether the first characters are those of an XSF file."""
    return re.search(r"^[ \t]*PRIMVEC\b", text, re.MULTILINE) is not None


def _parse_aims(text: str, origin: Origin) -> Crystal:
    from ase.io.aims import parse_geometry_lines  # noqa: PLC0415 - slow to import and seldom needed

    untyped: Any = parse_geometry_lines
    lines = [re.sub(r"#.*", "", line) for line in text.splitlines()]
    if sum(line.split()[:1] == ["lattice_vector"] for line in lines) < 3:
        raise StructureError(f"{origin.source}: the file has no three lattice vectors; add them.", code="no_cell")
    atoms = call_reader(lambda: untyped(lines, apply_constraints=False), origin.source, "ASE")
    return from_ase(atoms, origin.material_id, origin.source, properties={})


def _parse_castep(text: str, origin: Origin) -> Crystal:
    from ase.io.castep import read_freeform  # noqa: PLC0415 - slow to import and seldom needed

    name = origin.source
    opened = re.findall(r"^[ \t]*%block\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)
    for wanted in (_CASTEP_LATTICE, _CASTEP_POSITIONS):
        found = [block for block in map(str.lower, opened) if block in wanted]
        if len(found) != 1:
            raise unreadable(name, f"the file has {len(found)} blocks of {' or '.join(wanted)}", "give it one")
    untyped: Any = read_freeform
    # ASE's expressions take time by the square of the white space in a line, and of its length.
    lines = [" ".join(line.split()) for line in text.splitlines()]
    check_lines(lines, name)
    blocks = call_reader(lambda: untyped(StringIO("\n".join(lines))), name, "ASE")
    return call_reader(lambda: _castep_crystal(blocks, origin), name, "the reader")


def _castep_crystal(blocks: Mapping[str, tuple[str, str]], origin: Origin) -> Crystal:
    name = origin.source
    rows, unit = _castep_rows(blocks, _CASTEP_LATTICE, name)
    values = np.array([[float(word) for word in row] for row in rows])
    if "lattice_cart" in blocks:
        cell = values.reshape(3, 3) * unit
    else:
        cell = lattice_vectors([*(values.reshape(2, 3)[0] * unit).tolist(), *values[1].tolist()], name)
    rows, unit = _castep_rows(blocks, _CASTEP_POSITIONS, name)
    for row in rows:
        if any("mixture" in word.lower() for word in row[4:]):
            raise StructureError(
                f"{name}: a site is a mixture; only ordered crystals can be used.", code="partial_occupancy"
            )
    labels = [row[0].split(":")[0] for row in rows]
    numbers = numbers_of(elements_of_labels(labels, name), name=name)
    positions = np.array([[float(word) for word in row[1:4]] for row in rows]).reshape(-1, 3)
    if "positions_abs" in blocks:
        return from_cartesian(numbers, cell, positions * unit, pbc=True, origin=origin, properties={})
    return check_crystal(Crystal(numbers, cell, positions, origin.material_id, name), name=name)


def _castep_rows(
    blocks: Mapping[str, tuple[str, str]], names: tuple[str, ...], name: str
) -> tuple[list[list[str]], float]:
    """Rows of a block and its unit of length in Å."""
    content = next(blocks[block][0] for block in names if block in blocks)
    rows = [line.split() for line in content.split("\n") if line.strip()]
    if not rows or len(rows[0]) > 1:
        return rows, 1.0
    if rows[0][0].lower() not in _CASTEP_ANGSTROM:
        raise unreadable(name, f"the unit '{rows[0][0]}' of a block is not known", f"use {', '.join(_CASTEP_ANGSTROM)}")
    return rows[1:], _CASTEP_ANGSTROM[rows[0][0].lower()]


def _parse_res(text: str, origin: Origin) -> Crystal:
    from pymatgen.io.res import ResIO  # noqa: PLC0415 - slow to import and seldom needed

    name = origin.source
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    words = [line.split() for line in lines]
    lattice = [row[1] for row in words if row[0] == "LATT" and len(row) > 1]
    if any(row[0] == "SYMM" for row in words) or any(float_or_none(value) != -1 for value in lattice):
        raise unreadable(name, "the sites stand under the symmetry of SHELX (LATT, SYMM)", "convert it to CIF")
    keys = {row[0] for row in words}
    if not {"CELL", "SFAC", "END"} <= keys:
        raise unreadable(name, "the file has no CELL, SFAC and END")
    start, end = (next(index for index, row in enumerate(words) if row[0] == key) for key in ("SFAC", "END"))
    sites = words[start + 1 : end]
    for row in sites:
        _check_res_site(row, words[start][1:], name)
    kept = [line for line, row in zip(lines, words, strict=True) if row[0] in ("CELL", "LATT")]
    structure = call_reader(
        lambda: ResIO.structure_from_str("\n".join([*kept, *lines[start : end + 1]])), name, "pymatgen"
    )
    return check_statements(from_pymatgen(structure, origin.material_id, name, properties={}), _res_title(words))


def _check_res_site(row: list[str], elements: list[str], name: str) -> None:
    """Refuse a site that is not one whole atom of the element that its number in SFAC says."""
    occupancy = float_or_none(row[5]) if len(row) > 5 else None
    if occupancy is None or not row[1].isdecimal():
        raise unreadable(name, f"'{' '.join(row)[:60]}' is no site with an occupancy", "convert it to CIF")
    if occupancy >= _FIXED_OCCUPANCY:
        occupancy -= _FIXED_OCCUPANCY
    check_occupancy(occupancy, name=name, site=row[0])
    number = int(row[1])
    stated = elements[number - 1] if 0 < number <= len(elements) else "nothing"
    if stated != row[0]:
        raise contradiction(name, f"a site {row[0]}", f"by its number in SFAC it is {stated}")


def _res_title(words: list[list[str]]) -> Statements:
    """The volume and the number of atoms in the title that AIRSS writes: name, pressure, volume, energy, two spins, atoms."""
    title = next((row[1:] for row in words if row[0] == "TITL"), [])
    numbers = [float_or_none(word) for word in title[1:6]]
    if len(numbers) < 5 or None in numbers or not numbers[1]:
        return Statements()
    n_atoms = int(title[6]) if len(title) > 6 and title[6].isdecimal() else None
    return Statements(volume_angstrom3=numbers[1], n_atoms=n_atoms)


def _parse_xsf(text: str, origin: Origin) -> Crystal:
    from ase.io.xsf import iread_xsf  # noqa: PLC0415 - slow to import and seldom needed

    name = origin.source
    untyped: Any = iread_xsf
    frames = call_reader(lambda: list(untyped(StringIO(text))), name, "ASE")
    if not frames:
        raise unreadable(name, "the file holds no structure")
    lists = re.split(r"^[ \t]*PRIMCOORD.*$", re.sub(r"#.*", "", text), flags=re.MULTILINE)[1:]
    if lists and len(lists) != len(frames):
        raise contradiction(name, f"{len(frames)} structures", f"it holds {len(lists)} lists of atoms")
    if lists and (n_rows := _count_rows(lists[-1])) != len(frames[-1]):
        raise contradiction(name, f"{len(frames[-1])} atoms", f"it lists {n_rows}")
    return from_ase(frames[-1], origin.material_id, name, properties={})


def _count_rows(text: str) -> int:
    """Rows of atoms after the line of their number, up to the next keyword."""
    rows = [line.split() for line in text.splitlines() if line.strip()][1:]
    ends = (
        index for index, row in enumerate(rows) if len(row) < 4 or any(float_or_none(word) is None for word in row[1:4])
    )
    return next(ends, len(rows))
