"""Crystals from and to the structures of pymatgen and ASE, without importing either before it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.structures.checks import check_crystal, check_occupancy, check_periodic, numbers_of
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, scalar_columns, take_id

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure


def from_pymatgen(
    structure: Structure, material_id: str = "", source: str = "", properties: Mapping[str, Any] | None = None
) -> Crystal:
    """Crystal from a pymatgen Structure; oxidation states are dropped.

    Args:
        structure: An ordered structure.
        material_id: Identifier of the crystal.
        source: Where the structure was read.
        properties: Further columns; without them the scalar entries of `structure.properties`.

    Raises:
        StructureError: As for `check_crystal`, and `partial_occupancy` for a disordered structure.
    """
    name = source or material_id or "structure"
    check_periodic(structure.lattice.pbc, name=name)
    symbols = [site_symbol(site.species.get_el_amt_dict(), name) for site in structure]
    if properties is None:
        properties = scalar_columns(structure.properties or {})
    crystal = Crystal(
        numbers=numbers_of(symbols, name=name),
        cell=np.array(structure.lattice.matrix, dtype=np.float64),
        fractional=np.array(structure.frac_coords, dtype=np.float64).reshape(-1, 3),
        material_id=material_id,
        source=source,
        properties=properties,
    )
    return check_crystal(crystal, name=name)


def from_ase(
    atoms: Atoms, material_id: str = "", source: str = "", properties: Mapping[str, Any] | None = None
) -> Crystal:
    """Crystal from ASE Atoms.

    Args:
        atoms: Atoms that are periodic in three directions.
        material_id: Identifier of the crystal; without it the one in `atoms.info`.
        source: Where the atoms were read.
        properties: Further columns; without them the scalar entries of `atoms.info`.

    Raises:
        StructureError: As for `check_crystal`, and `partial_occupancy` where `atoms.info` lists occupancies.
    """
    info = atoms.info
    origin = Origin(source=source, material_id=material_id)
    key = None if material_id else take_id(origin, info)
    name = source or origin.material_id or "structure"
    _check_ase_occupancy(info.get("occupancy"), name)
    if properties is None:
        properties = scalar_columns(info, skip=key)
    return from_cartesian(
        np.array(atoms.numbers, dtype=np.int64),
        np.array(atoms.cell[:], dtype=np.float64),
        np.array(atoms.positions, dtype=np.float64),
        pbc=atoms.pbc,
        origin=Origin(source=source, material_id=origin.material_id),
        properties=properties,
    )


def from_cartesian(
    numbers: np.ndarray,
    cell: np.ndarray,
    positions: np.ndarray,
    *,
    pbc: object,
    origin: Origin,
    properties: Mapping[str, Any],
) -> Crystal:
    """Crystal from Cartesian positions.

    Args:
        numbers: Atomic numbers, [n_atoms].
        cell: Lattice vectors as rows in Å, [3, 3].
        positions: Cartesian positions in Å, [n_atoms, 3].
        pbc: Periodic flags, one or three.
        origin: Source and identifier.
        properties: Further columns.

    Raises:
        StructureError: As for `check_crystal`.
    """
    name = origin.source or origin.material_id or "structure"
    check_periodic(pbc, name=name)
    # A singular cell has no fractional coordinates; the check below names the reason.
    determinant = abs(float(np.linalg.det(cell))) if np.isfinite(cell).all() else 0.0
    fractional = np.linalg.solve(cell.T, positions.T).T if determinant > 0.0 else np.zeros_like(positions)
    crystal = Crystal(numbers, cell, fractional, origin.material_id, origin.source, properties)
    return check_crystal(crystal, name=name)


def to_pymatgen(crystal: Crystal) -> Structure:
    """Pymatgen Structure with the same sites in the same order."""
    from pymatgen.core.lattice import Lattice  # noqa: PLC0415 - slow to import and seldom needed
    from pymatgen.core.structure import Structure  # noqa: PLC0415 - slow to import and seldom needed

    return Structure(Lattice(crystal.cell), crystal.numbers.tolist(), crystal.fractional)


def to_ase(crystal: Crystal) -> Atoms:
    """ASE Atoms with the same sites in the same order; identifier and properties go to `info`."""
    from ase import Atoms  # noqa: PLC0415 - slow to import and seldom needed

    atoms = Atoms(numbers=crystal.numbers, cell=crystal.cell, scaled_positions=crystal.fractional, pbc=True)
    # ASE wraps scaled positions; the crystal's own positions are kept as they are.
    atoms.positions = crystal.positions
    atoms.info.update(crystal.properties)
    if crystal.material_id:
        atoms.info["material_id"] = crystal.material_id
    return atoms


def is_structure(obj: Any) -> bool:
    """Whether an object is one structure, though it may be iterable over its sites."""
    return isinstance(obj, Crystal) or hasattr(obj, "sites") or (hasattr(obj, "numbers") and hasattr(obj, "positions"))


def as_crystal(obj: Any) -> Crystal:
    """Crystal from whatever describes one: a Crystal, a pymatgen Structure or ASE Atoms.

    Args:
        obj: Told by its attributes, so that neither package need be imported.

    Raises:
        StructureError: As for `check_crystal`, and `unsupported_format` for any other object.
    """
    if isinstance(obj, Crystal):
        return check_crystal(obj)
    if hasattr(obj, "lattice") and hasattr(obj, "frac_coords"):
        return from_pymatgen(obj)
    if hasattr(obj, "numbers") and hasattr(obj, "positions") and hasattr(obj, "pbc"):
        return from_ase(obj)
    raise StructureError(
        f"{type(obj).__name__} is no structure; give a Crystal, a pymatgen Structure or ASE Atoms.",
        code="unsupported_format",
    )


def site_symbol(amounts: Mapping[str, float], name: str) -> str:
    """The element symbol of a site that one element fills; two charge states of it count together."""
    if len(amounts) != 1:
        content = ", ".join(f"{key} {value:g}" for key, value in amounts.items()) or "nothing"
        raise StructureError(
            f"{name}: a site holds {content}; only ordered crystals can be used, so replace it by an ordered cell.",
            code="partial_occupancy",
        )
    symbol, occupancy = next(iter(amounts.items()))
    check_occupancy(float(occupancy), name=name, site=symbol)
    return symbol


def _check_ase_occupancy(occupancy: object, name: str) -> None:
    """Refuse the mixed and partly filled sites that ASE's CIF reader keeps in `info["occupancy"]`."""
    if not isinstance(occupancy, Mapping):
        return
    for content in occupancy.values():
        if isinstance(content, Mapping) and content:
            site_symbol({str(symbol): float(value) for symbol, value in content.items()}, name)
