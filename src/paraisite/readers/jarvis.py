"""Structures of JARVIS-DFT, such as those of `dft_3d` (doi 10.1038/s41524-020-00440-1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from paraisite.structures.checks import check_crystal, numbers_of
from paraisite.structures.convert import from_cartesian
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin
from paraisite.structures.statements import Statements, check_statements

_KEYS = ("lattice_mat", "coords", "elements")


def jarvis_structure(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The `atoms` of a record, also where they stand without the record around them; else None."""
    atoms = entry.get("atoms", entry)
    return atoms if isinstance(atoms, dict) and all(key in atoms for key in _KEYS) else None


def parse_jarvis(atoms: Mapping[str, Any], properties: dict[str, Any], origin: Origin) -> Crystal:
    """Crystal of a record's `atoms`.

    Args:
        atoms: The structure.
        properties: Columns that go with the crystal.
        origin: Source and identifier.

    Raises:
        StructureError: As `check_crystal` finds, and `contradicts_file` for lengths and angles that the vectors do not have.
    """
    numbers = numbers_of([str(symbol).strip() for symbol in atoms["elements"]], name=origin.source)
    cell = np.array(atoms["lattice_mat"], dtype=np.float64).reshape(3, 3)
    coordinates = np.array(atoms["coords"], dtype=np.float64).reshape(-1, 3)
    if atoms.get("cartesian"):
        crystal = from_cartesian(numbers, cell, coordinates, pbc=True, origin=origin, properties=properties)
    else:
        crystal = Crystal(numbers, cell, coordinates, origin.material_id, origin.source, properties)
        crystal = check_crystal(crystal, name=origin.source)
    lengths, angles = atoms.get("abc"), atoms.get("angles")
    stated = Statements(
        lengths_angstrom=None if lengths is None else [float(value) for value in lengths],
        angles_degree=None if angles is None else [float(value) for value in angles],
    )
    return check_statements(crystal, stated, name=origin.source)
