"""Small databases of crystals in every form that a scan reads."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import ase.io
import pyarrow as pa
import pyarrow.parquet as pq
from ase import Atoms
from ase.data import chemical_symbols

from paraisite.datasets.tables import load_togo15
from paraisite.screening.state import usable_parts
from paraisite.structures import to_ase
from paraisite.structures.crystal import Crystal

N_CRYSTALS = 12


def crystals(n_crystals: int = N_CRYSTALS) -> list[Crystal]:
    return load_togo15()[:n_crystals]


def atoms_of(crystal: Crystal) -> Atoms:
    atoms = to_ase(crystal)
    atoms.info = {"material_id": crystal.material_id}
    return atoms


def optimade_attributes(crystal: Crystal) -> dict[str, object]:
    symbols = [chemical_symbols[number] for number in crystal.numbers]
    return {
        "lattice_vectors": crystal.cell.tolist(),
        "cartesian_site_positions": crystal.positions.tolist(),
        "species_at_sites": symbols,
        "species": [
            {"name": name, "chemical_symbols": [name], "concentration": [1.0]} for name in sorted(set(symbols))
        ],
        "dimension_types": [1, 1, 1],
        "chemical_formula_reduced": crystal.formula,
        "elements": sorted(set(symbols)),
        "nelements": len(set(symbols)),
    }


def write_extxyz(path: Path, n_crystals: int = N_CRYSTALS) -> Path:
    ase.io.write(path, [atoms_of(crystal) for crystal in crystals(n_crystals)], format="extxyz")
    return path


def write_cifs(folder: Path, n_crystals: int = N_CRYSTALS) -> Path:
    folder.mkdir(parents=True)
    for crystal in crystals(n_crystals):
        ase.io.write(folder / f"{crystal.material_id}.cif", atoms_of(crystal), format="cif")
    return folder


def write_jsonl(path: Path, n_crystals: int = N_CRYSTALS) -> Path:
    """OPTIMADE records, as a provider sends them."""
    lines = [
        json.dumps({"id": crystal.material_id, "type": "structures", "attributes": optimade_attributes(crystal)})
        for crystal in crystals(n_crystals)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_parquet(path: Path, *, nested: bool) -> Path:
    """OPTIMADE columns, or pymatgen dictionaries as JSON text; three row groups."""
    rows: list[dict[str, object]] = []
    for crystal in crystals():
        if nested:
            rows.append({"material_id": crystal.material_id, **optimade_attributes(crystal)})
        else:
            structure = {
                "lattice": {"matrix": crystal.cell.tolist()},
                "sites": [
                    {"species": [{"element": chemical_symbols[number], "occu": 1}], "abc": list(map(float, place))}
                    for number, place in zip(crystal.numbers, crystal.fractional, strict=True)
                ],
            }
            rows.append({"material_id": crystal.material_id, "structure": json.dumps(structure)})
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=5)
    return path


def write_zip(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"inside/{file.name}")
        archive.writestr("inside/", "")
        archive.writestr("__MACOSX/._x.cif", "nothing")
    return path


def write_tar(path: Path, folder: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "inside")
    return path


def write_list(path: Path, folder: Path) -> Path:
    path.write_text("# names\n" + "\n".join(f"{folder.name}/{file.name}" for file in sorted(folder.iterdir())) + "\n")
    return path


def rows_of(out: Path) -> pa.Table:
    """All rows of a scan, in order."""
    return pa.concat_tables([pq.read_table(path) for path in usable_parts(out)])
