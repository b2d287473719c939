"""Intact inputs that the fuzzer damages: crystals of structure types in every text format that is read."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase.io.aims import write_aims
from pymatgen.io.cif import CifWriter
from pymatgen.io.res import ResIO
from seed_outputs import outcar, phonopy, rows, symbols, vasprun

from paraisite.datasets.prototypes import build
from paraisite.structures import to_ase, to_pymatgen
from paraisite.structures.crystal import Crystal

SUFFIXES = {
    "cif": ".cif",
    "poscar": ".vasp",
    "extxyz": ".extxyz",
    "pymatgen": ".json",
    "optimade": ".json",
    "jsonl": ".jsonl",
    "xsf": ".xsf",
    "castep": ".cell",
    "res": ".res",
    "espresso-in": ".pwi",
    "espresso-out": ".pwo",
    "jarvis": ".json",
    "vasprun": ".xml",
    "outcar": ".outcar",
    "phonopy": ".yaml",
    "aims": ".in",
}
"""Formats that a suffix tells, with it."""
FILE_NAMES = {
    **{kind: f"input{suffix}" for kind, suffix in SUFFIXES.items()},
    "aims": "geometry.in",
    "phonopy": "phonopy.yaml",
    "vasprun": "vasprun.xml",
    "outcar": "OUTCAR",
}
"""Text formats, with the name of an input."""
_ASE_OUTPUTS = {"vasprun": "vasprun_pstress.xml", "outcar": "OUTCAR_example_1"}


@cache
def seeds() -> dict[str, tuple[bytes, ...]]:
    """Intact inputs by format."""
    crystals = seed_crystals()
    records = [_optimade_record(crystal) for crystal in crystals]
    structures = [_pymatgen_entry(crystal) for crystal in crystals]
    jarvis = [_jarvis_record(crystal) for crystal in crystals]
    texts = {
        "cif": [_cif(crystal, symmetry) for crystal in crystals for symmetry in (False, True)] + [_CIF_BY_HAND],
        "poscar": [to_pymatgen(crystal).to(fmt="poscar") for crystal in crystals] + [_POSCAR_BY_HAND],
        "extxyz": [_extxyz([crystal]) for crystal in crystals] + [_extxyz(crystals)],
        "pymatgen": [json.dumps(content) for content in _pymatgen_arrangements(structures)],
        "optimade": [json.dumps(content) for content in (*records, records, {"data": records})],
        "jsonl": ["\n".join(map(json.dumps, lines)) + "\n" for lines in (records, structures, jarvis)],
        "xsf": [_by_ase(crystal, "xsf") for crystal in crystals],
        "castep": [_castep(crystal) for crystal in crystals],
        "res": [str(ResIO.structure_to_str(to_pymatgen(crystal))) for crystal in crystals],
        "espresso-in": [_espresso_input(crystal) for crystal in crystals],
        "espresso-out": [_espresso_output(crystal) for crystal in crystals],
        "jarvis": [json.dumps(content) for content in (*jarvis, jarvis)],
        "vasprun": [vasprun(crystal) for crystal in crystals] + [_ase_output("vasprun")],
        "outcar": [outcar(crystal) for crystal in crystals] + [_ase_output("outcar")],
        "phonopy": [phonopy(crystal) for crystal in crystals],
        "aims": [_aims(crystal) for crystal in crystals],
    }
    return {kind: tuple(text.encode() for text in found) for kind, found in texts.items()}


def seed_crystals() -> list[Crystal]:
    """Crystals of the inputs."""
    return [
        build("rocksalt", ["Na", "Cl"], {"a": 5.64}, material_id="salt"),
        build("wurtzite", ["Zn", "O"], {"a": 3.25, "c": 5.21, "u": 0.382}, material_id="zincite"),
        build("perovskite", ["Sr", "Ti", "O"], {"a": 3.905}, material_id="tausonite"),
        build("corundum", ["Al", "O"], {"a": 4.76, "c": 12.99, "x": 0.306, "z": 0.352}, material_id="corundum"),
        build("rosiaite", ["Ba", "Sb", "O"], {"a": 5.3, "c": 5.9, "x": 0.37, "z": 0.31}, material_id="rosiaite"),
    ]


def _cif(crystal: Crystal, symmetry: bool) -> str:
    structure = to_pymatgen(crystal)
    return str(CifWriter(structure, symprec=0.01)) if symmetry else str(structure.to(fmt="cif"))


def _extxyz(crystals: Sequence[Crystal]) -> str:
    text = io.StringIO()
    ase.io.write(text, [to_ase(crystal) for crystal in crystals], format="extxyz")
    return text.getvalue()


def _by_ase(crystal: Crystal, kind: str, **options: Any) -> str:
    text = io.StringIO()
    ase.io.write(text, to_ase(crystal), format=kind, **options)
    return text.getvalue()


def _aims(crystal: Crystal) -> str:
    text = io.StringIO()
    write_aims(text, to_ase(crystal))
    return text.getvalue()


def _castep(crystal: Crystal) -> str:
    return "\n".join(
        ["%BLOCK LATTICE_CART", "ang", *rows(crystal.cell), "%ENDBLOCK LATTICE_CART", "%BLOCK POSITIONS_FRAC"]
        + [f"{symbol} {row}" for symbol, row in zip(symbols(crystal), rows(crystal.fractional), strict=True)]
        + ["%ENDBLOCK POSITIONS_FRAC", "SYMMETRY_GENERATE", ""]
    )


def _ase_output(kind: str) -> str:
    """A real output of VASP, which ASE carries for its own tests."""
    spec = importlib.util.find_spec("ase.test")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("this ASE was installed without its test data")
    return (Path(spec.origin).parent / "testdata" / "vasp" / _ASE_OUTPUTS[kind]).read_text()


def _espresso_input(crystal: Crystal) -> str:
    potentials = {symbol: f"{symbol}.upf" for symbol in symbols(crystal)}
    return _by_ase(crystal, "espresso-in", pseudopotentials=potentials)


def _espresso_output(crystal: Crystal) -> str:
    """An output of `pw.x` with one step of a relaxation, as short as it can be."""
    bohr = 0.529177210903
    sites = zip(symbols(crystal), rows(crystal.positions / bohr), rows(crystal.positions), strict=True)
    listed = [(f"{symbol}  tau(   1) = ( {first} )", f"{symbol} {second}") for symbol, first, second in sites]
    return "\n".join(
        ["     Program PWSCF v.7.2 starts on  1Jan2026", "     celldm(1)=   1.000000  celldm(2)=   0.000000"]
        + [f"     number of atoms/cell      = {crystal.n_atoms}", "     crystal axes: (cart. coord. in units of alat)"]
        + [f"      a({number}) = ( {row} )" for number, row in enumerate(rows(crystal.cell / bohr), 1)]
        + ["     site n.     atom                  positions (alat units)"]
        + [f"         {number}    {first}" for number, (first, _) in enumerate(listed, 1)]
        + ["", "CELL_PARAMETERS (angstrom)", *rows(crystal.cell), "", "ATOMIC_POSITIONS (angstrom)"]
        + [second for _, second in listed]
        + ["", f"     new unit-cell volume = {crystal.volume / bohr**3:.5f} a.u.^3", "   JOB DONE.", ""]
    )


def _jarvis_record(crystal: Crystal) -> dict[str, Any]:
    coordinates = crystal.fractional.tolist()
    atoms = {
        "lattice_mat": crystal.cell.tolist(),
        "coords": coordinates,
        "elements": symbols(crystal),
        "abc": np.linalg.norm(crystal.cell, axis=1).tolist(),
        "cartesian": False,
    }
    return {"jid": crystal.material_id, "formula": crystal.formula, "atoms": atoms}


def _optimade_record(crystal: Crystal) -> dict[str, Any]:
    labels = symbols(crystal)
    contents = [{"name": name, "chemical_symbols": [name], "concentration": [1.0]} for name in sorted(set(labels))]
    attributes = {
        "lattice_vectors": crystal.cell.tolist(),
        "cartesian_site_positions": crystal.positions.tolist(),
        "species_at_sites": labels,
        "species": contents,
        "dimension_types": [1, 1, 1],
    }
    return {"id": crystal.material_id, "type": "structures", "attributes": attributes}


def _pymatgen_entry(crystal: Crystal) -> dict[str, Any]:
    structure = json.loads(to_pymatgen(crystal).to_json())
    return {"material_id": crystal.material_id, "kappa": 1.5, "structure": structure}


def _pymatgen_arrangements(entries: list[dict[str, Any]]) -> list[Any]:
    """One structure, a list, a map, and the pandas tables that hold structures."""
    names = list(entries[0])
    rows = [[entry[name] for name in names] for entry in entries]
    by_column = {name: {str(number): entry[name] for number, entry in enumerate(entries)} for name in names}
    by_id = {entry["material_id"]: entry["structure"] for entry in entries}
    single = [entry["structure"] for entry in entries]
    return [*single, entries, by_id, by_column, {"columns": names, "index": list(range(len(rows))), "data": rows}]


_CIF_BY_HAND = """data_fluorite
_chemical_formula_sum 'Ca F2'
_cell_length_a 5.463(1)
_cell_length_b 5.463(1)
_cell_length_c 5.463(1)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Ca1 Ca2+ 0 0 0 1
F1 F1- 0.25 0.25 0.25 1.
"""
_POSCAR_BY_HAND = """salt, VASP 4 with symbols, selective dynamics, Cartesian, by volume
-44.85
0 .5 .5
.5 0 .5
.5 .5 0
1 1
Selective dynamics
Cartesian
0 0 0 T T T Na
.5 .5 .5 F F F Cl
"""
