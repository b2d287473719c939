"""Outputs of VASP and phonopy, as short as the readers take them: what a program writes is too long to be damaged often."""

from __future__ import annotations

from typing import Any

from ase.data import chemical_symbols

from paraisite.structures.crystal import Crystal


def vasprun(crystal: Crystal) -> str:
    """A `vasprun.xml` with one step."""
    structure = [
        "  <crystal>",
        '   <varray name="basis" >',
        *(f"    <v> {row} </v>" for row in rows(crystal.cell)),
        "   </varray>",
        f'   <i name="volume">     {crystal.volume:.8f} </i>',
        "  </crystal>",
        '  <varray name="positions" >',
        *(f"   <v> {row} </v>" for row in rows(crystal.fractional)),
        "  </varray>",
    ]
    energy = [f'   <i name="{name}">     -10.0 </i>' for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy")]
    zeros = ["   <v> 0.0 0.0 0.0 </v>"]
    return "\n".join(
        ['<?xml version="1.0" encoding="ISO-8859-1"?>', "<modeling>", " <generator>"]
        + ['  <i name="program" type="string">vasp </i>', " </generator>", " <kpoints>"]
        + ['  <varray name="kpointlist" >', "   <v> 0.0 0.0 0.0 </v>", "  </varray>"]
        + ['  <varray name="weights" >', "   <v> 1.0 </v>", "  </varray>", " </kpoints>", " <atominfo>"]
        + [f"  <atoms>       {crystal.n_atoms} </atoms>", '  <array name="atoms" >', "   <set>"]
        + [f"    <rc><c>{symbol} </c><c>   1</c></rc>" for symbol in symbols(crystal)]
        + ["   </set>", "  </array>", " </atominfo>", ' <structure name="initialpos" >', *structure, " </structure>"]
        + [" <calculation>", "  <scstep>", "   <energy>", *energy, "   </energy>", "  </scstep>"]
        + [" <structure>", *structure, " </structure>", '  <varray name="forces" >', *zeros * crystal.n_atoms]
        + ["  </varray>", '  <varray name="stress" >', *zeros * 3, "  </varray>"]
        + ["  <energy>", *energy, "  </energy>", " </calculation>", "</modeling>", ""]
    )


def outcar(crystal: Crystal) -> str:
    """An OUTCAR with one step."""
    groups: list[tuple[str, int]] = []
    for symbol in symbols(crystal):
        if groups and groups[-1][0] == symbol:
            groups[-1] = symbol, groups[-1][1] + 1
        else:
            groups.append((symbol, 1))
    potentials = [f" POTCAR:    PAW_PBE {symbol} 02Aug2007" for symbol, _ in groups]
    counts = " ".join(f"{count:3d}" for _, count in groups)
    line = " " + "-" * 100
    return "\n".join(
        [" vasp.6.3.0 20Jan22 (build Feb 16 2022) complex", " executed on             LinuxIFC date 2026.01.14"]
        + [
            *potentials,
            *potentials,
            f"   number of dos      NEDOS =    301   number of ions     NIONS = {crystal.n_atoms:6d}",
        ]
        + ["   ISPIN  =      1    spin polarized calculation?", f"   ions per type =             {counts}"]
        + [line, "----------------------------------------- Iteration    1(   1)  ----------------------------"]
        + [f"  volume of cell :     {crystal.volume:.4f}"]
        + ["      direct lattice vectors                 reciprocal lattice vectors"]
        + [f"    {row}  {row}" for row in rows(crystal.cell)]
        + ["", " POSITION                                       TOTAL-FORCE (eV/Angst)", line]
        + [f"     {row}         0.000000      0.000000      0.000000" for row in rows(crystal.positions)]
        + [line]
        + ["  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)", "  ---------------------------------------------------"]
        + ["  free  energy   TOTEN  =       -10.00000000 eV", ""]
        + ["  energy  without entropy=      -10.00000000  energy(sigma->0) =      -10.00000000"]
        + ["", " General timing and accounting informations for this job:", ""]
    )


def phonopy(crystal: Crystal) -> str:
    """A `phonopy.yaml` with primitive cell, unit cell and the supercell of it."""
    return "\n".join(
        ["phonopy:", '  version: "4.1.0"', "physical_unit:", '  length: "angstrom"', "supercell_matrix:"]
        + ["- [ 1, 0, 0 ]", "- [ 0, 1, 0 ]", "- [ 0, 0, 1 ]"]
        + [line for name in ("primitive_cell", "unit_cell", "supercell") for line in _phonopy_cell(name, crystal)]
        + [""]
    )


def _phonopy_cell(name: str, crystal: Crystal) -> list[str]:
    points = zip(symbols(crystal), rows(crystal.fractional), strict=True)
    return [
        f"{name}:",
        "  lattice:",
        *(f"  - [ {row.replace(' ', ', ')} ]" for row in rows(crystal.cell)),
        "  points:",
        *(
            f"  - symbol: {symbol} # {number}\n    coordinates: [ {row.replace(' ', ', ')} ]"
            for number, (symbol, row) in enumerate(points, 1)
        ),
    ]


def symbols(crystal: Crystal) -> list[str]:
    """Symbols of the atoms."""
    return [chemical_symbols[number] for number in crystal.numbers]


def rows(values: Any) -> list[str]:
    """Rows of numbers as text."""
    return [" ".join(f"{value:.9f}" for value in row) for row in values]
