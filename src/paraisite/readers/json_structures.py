"""JSON: structures of pymatgen, OPTIMADE and JARVIS in the arrangements that are found in the wild, and ASE's database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.ase_database import ase_json_records
from paraisite.readers.cif import lattice_vectors
from paraisite.readers.jarvis import jarvis_structure, parse_jarvis
from paraisite.readers.json_text import JSON_ERRORS, load_json
from paraisite.readers.optimade import optimade_columns, optimade_structure, parse_optimade
from paraisite.readers.stated_columns import check_columns
from paraisite.structures.checks import check_crystal, check_periodic, numbers_of, unreadable
from paraisite.structures.convert import from_cartesian, site_symbol
from paraisite.structures.crystal import Crystal
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits, too_large
from paraisite.structures.origin import Origin, Record, scalar_columns, take_id
from paraisite.structures.statements import Statements, check_statements, contradiction

_STRUCTURES = {"structure", "attributes", "atoms"}
_POSITION_TOLERANCE_ANGSTROM = 0.02
"""Distance of a site's fractional and Cartesian coordinates that rounding explains."""
_LATTICE_KEYS = ("a", "b", "c", "alpha", "beta", "gamma")


def json_records(text: str, name: str, limits: ReadingLimits = DEFAULT_READING) -> Iterator[Record]:
    """The structures of a JSON file, one record each.

    A file may hold one structure, a list of them, a map from identifiers, entries with a "structure" (JARVIS: "atoms") and
    other columns, a pandas table with a "structure" column, or an OPTIMADE provider's answer; ASE databases in JSON are told
    by their list of ids.

    Args:
        text: The file's text.
        name: File for the error message.
        limits: What is read at most.

    Raises:
        StructureError: `unreadable` for broken JSON, `unsupported_format` for JSON without structures, `too_large`.
    """
    try:
        data = load_json(text, name, limits)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise unreadable(name, f"broken JSON, {error}") from error
        yield from jsonl_records(text.split("\n"), limits)
        return
    except JSON_ERRORS as error:
        raise unreadable(name, f"JSON with too long a number, {error}") from error
    if isinstance(data, dict) and isinstance(data.get("ids"), list) and "nextid" in data:
        yield from ase_json_records(text, name)
        return
    entries = list(_entries(data))
    if not any(_structure_in(entry) is not None for _, entry in entries):
        raise StructureError(
            f"{name}: the JSON holds no structures; give pymatgen structures or an ASE database.",
            code="unsupported_format",
        )
    for key, entry in entries:
        yield partial(parse_entry, key, entry)


def jsonl_records(lines: Iterable[str], limits: ReadingLimits = DEFAULT_READING) -> Iterator[Record]:
    """One record for each line that is not blank; its JSON is parsed with it."""
    for line in lines:
        if len(line) > limits.record_bytes:
            yield partial(_refuse_line, limits)
        elif line.strip():
            yield partial(_parse_line, line, limits)


def _refuse_line(limits: ReadingLimits, origin: Origin) -> Crystal:
    raise too_large(origin.source, "the line has more than {} characters", "record_bytes", limits)


def _parse_line(line: str, limits: ReadingLimits, origin: Origin) -> Crystal:
    """Crystal of a line."""
    try:
        entry = load_json(line, origin.source, limits)
    except JSON_ERRORS as error:
        raise unreadable(origin.source, f"broken JSON, {error}") from error
    return parse_entry(None, entry, origin)


def _entries(data: Any) -> Iterator[tuple[str | None, Any]]:
    """Identifier, where a map gives one, and entry for every structure of a file."""
    if isinstance(data, list):
        yield from ((None, entry) for entry in data)
    elif not isinstance(data, dict):
        return
    elif _structure_in(data) is not None:
        yield None, data
    elif isinstance(data.get("data"), list) and any(_structure_in(entry) is not None for entry in data["data"]):
        yield from ((None, entry) for entry in data["data"])  # the answer of an OPTIMADE provider
    elif isinstance(data.get("columns"), list) and isinstance(data.get("data"), list):
        index = data["index"] if isinstance(data.get("index"), list) else range(1, len(data["data"]) + 1)
        names = [str(column) for column in data["columns"]]
        for key, row in zip(index, data["data"], strict=False):
            entry = dict(zip(names, row, strict=False)) if isinstance(row, list) else row
            yield str(key), entry
    elif isinstance(data.get("structure"), dict):
        columns = {name: column for name, column in data.items() if isinstance(column, dict)}
        for key in data["structure"]:
            yield str(key), {name: column.get(key) for name, column in columns.items()}
    else:
        yield from data.items()


def _structure_in(entry: Any) -> Mapping[str, Any] | None:
    """The structure's own map in an entry, else None."""
    if not isinstance(entry, dict):
        return None
    if isinstance(entry.get("sites"), list):
        return entry
    inner = entry.get("structure")
    if isinstance(inner, dict):
        return inner if isinstance(inner.get("sites"), list) else optimade_structure(inner)
    return jarvis_structure(entry) or optimade_structure(entry)


def parse_entry(key: str | None, entry: Any, origin: Origin) -> Crystal:
    """Crystal of an entry, with its other columns as properties.

    Args:
        key: Identifier where the file gives one beside the entry.
        entry: A pymatgen or OPTIMADE structure, or a map that holds one as `structure`.
        origin: Source and identifier.

    Raises:
        StructureError: The entry holds no usable structure.
    """
    if key is not None:
        origin.material_id = key
    structure = _structure_in(entry)
    if structure is None:
        raise unreadable(origin.source, "the entry holds no structure with sites")
    parse = _parse_structure if "sites" in structure else parse_jarvis if "lattice_mat" in structure else parse_optimade
    columns = {} if structure is entry else {name: value for name, value in entry.items() if name not in _STRUCTURES}
    own = optimade_columns(structure) if parse is parse_optimade else structure.get("properties")
    columns = {**(own if isinstance(own, dict) else {}), **columns}
    used = take_id(origin, columns)
    try:
        crystal = parse(structure, scalar_columns(columns, skip=used), origin)
        return check_columns(crystal, columns)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise unreadable(origin.source, f"the structure is broken, {type(error).__name__} {error}") from error


def _parse_structure(structure: Mapping[str, Any], properties: dict[str, Any], origin: Origin) -> Crystal:
    """Crystal of a pymatgen Structure's map."""
    name = origin.source
    lattice = structure.get("lattice")
    if not isinstance(lattice, dict):
        raise StructureError(f"{name}: the structure has no lattice; give a periodic crystal.", code="no_cell")
    periodic = lattice.get("pbc")
    check_periodic(True if periodic is None else periodic, name=name)
    sites = structure["sites"]
    numbers = numbers_of([_symbol(site, name) for site in sites], name=name)
    cell = _cell(lattice, name)
    if all("abc" in site for site in sites):
        fractional = np.array([site["abc"] for site in sites], dtype=np.float64).reshape(-1, 3)
        crystal = check_crystal(Crystal(numbers, cell, fractional, origin.material_id, name, properties), name=name)
    else:
        positions = np.array([site["xyz"] for site in sites], dtype=np.float64).reshape(-1, 3)
        crystal = from_cartesian(numbers, cell, positions, pbc=True, origin=origin, properties=properties)
    _check_positions(crystal, sites, name)
    return check_statements(crystal, _lattice_statements(lattice), name=name)


def _check_positions(crystal: Crystal, sites: list[Mapping[str, Any]], name: str) -> None:
    """Refuse sites whose fractional and Cartesian coordinates are different places of the cell."""
    if not all("abc" in site and "xyz" in site for site in sites):
        return
    positions = np.array([site["xyz"] for site in sites], dtype=np.float64).reshape(-1, 3)
    shift = np.linalg.solve(crystal.cell.T, positions.T).T - crystal.fractional
    distance = np.linalg.norm((shift - np.round(shift)) @ crystal.cell, axis=1)
    worst = int(distance.argmax())
    if not distance[worst] <= _POSITION_TOLERANCE_ANGSTROM:
        raise contradiction(
            name,
            f"fractional coordinates (abc) of site {worst + 1}",
            f"its Cartesian ones (xyz) are {distance[worst]:.3g} Å away",
        )


def _lattice_statements(lattice: Mapping[str, Any]) -> Statements:
    """Lengths, angles and volume that stand beside the lattice vectors."""
    values = [lattice.get(key) for key in _LATTICE_KEYS]
    both = "matrix" in lattice and None not in values
    volume = lattice.get("volume")
    return Statements(
        lengths_angstrom=[float(str(value)) for value in values[:3]] if both else None,
        angles_degree=[float(str(value)) for value in values[3:]] if both else None,
        volume_angstrom3=None if volume is None else float(volume),
    )


def _cell(lattice: Mapping[str, Any], name: str) -> np.ndarray:
    """Lattice vectors as rows in Å, [3, 3], from the matrix or from lengths and angles."""
    if "matrix" in lattice:
        return np.array(lattice["matrix"], dtype=np.float64).reshape(3, 3)
    return lattice_vectors([float(lattice[key]) for key in _LATTICE_KEYS], name)


def _symbol(site: Mapping[str, Any], name: str) -> str:
    """The element symbol of a site."""
    amounts: dict[str, float] = {}
    for species in site["species"]:
        symbol = str(species["element"])
        amounts[symbol] = amounts.get(symbol, 0.0) + float(species.get("occu", 1.0))
    return site_symbol(amounts, name)
