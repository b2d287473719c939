"""Outputs of VASP and Quantum ESPRESSO with given forces, as those programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.units import Bohr, Ry

VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator>
  <i name="program" type="string">vasp </i>
  <i name="version" type="string">{version}  </i>
  <i name="subversion" type="string">(build test) complex parallel</i>
  <i name="platform" type="string">LinuxIFC </i>
  <i name="date" type="string">2026 01 01 </i>
  <i name="time" type="string">00:00:00 </i>
 </generator>
 <incar>
  <i type="string" name="GGA"> {gga}</i>
  <i name="ENCUT">    520.00000000</i>
  <i name="EDIFF">      0.00000001</i>
 </incar>
 <kpoints>
  <generation param="Gamma">
   <v type="int" name="divisions">       2        2        2 </v>
   <v name="usershift">      0.00000000       0.00000000       0.00000000 </v>
   <v name="genvec1">      0.50000000       0.00000000       0.00000000 </v>
   <v name="genvec2">      0.00000000       0.50000000       0.00000000 </v>
   <v name="genvec3">      0.00000000       0.00000000       0.50000000 </v>
   <v name="shift">      0.00000000       0.00000000       0.00000000 </v>
  </generation>
  <varray name="kpointlist" >
   <v>       0.00000000       0.00000000       0.00000000 </v>
  </varray>
  <varray name="weights" >
   <v>       1.00000000 </v>
  </varray>
 </kpoints>
 <parameters>
  <separator name="electronic" >
   <i type="string" name="PREC">accura</i>
   <i name="ENMAX">    520.00000000</i>
   <i name="EDIFF">      0.00000001</i>
   <i type="int" name="NELM">{nelm}</i>
   <i type="int" name="NELMDL">    -5</i>
   <i type="int" name="NELMIN">     2</i>
   <i type="int" name="ISPIN">     1</i>
   <i type="string" name="GGA">    {gga}</i>
   <i type="int" name="ALGO">    38</i>
   <i type="logical" name="LDAU"> F  </i>
   <i type="logical" name="LHFCALC"> F  </i>
   <i name="AEXX">      0.00000000</i>
   <i name="HFSCREEN">      0.00000000</i>
   <i name="AGGAX">      1.00000000</i>
  </separator>
  <separator name="ionic" >
   <i type="int" name="NSW">     0</i>
   <i type="int" name="IBRION">    -1</i>
  </separator>
 </parameters>
 <atominfo>
  <atoms>{n_atoms:8d} </atoms>
  <types>       1 </types>
  <array name="atoms" >
   <dimension dim="1">ion</dimension>
   <field type="string">element</field>
   <field type="int">atomtype</field>
   <set>
{elements}
   </set>
  </array>
  <array name="atomtypes" >
   <dimension dim="1">type</dimension>
   <field type="int">atomspertype</field>
   <field type="string">element</field>
   <field>mass</field>
   <field>valence</field>
   <field type="string">pseudopotential</field>
   <set>
    <rc><c>{n_atoms:4d}</c><c>Ar</c><c>  39.95000000</c><c>  8.00000000</c><c>  PAW_PBE Ar 07Sep2000   </c></rc>
   </set>
  </array>
 </atominfo>
 <structure name="initialpos" >
{structure}
 </structure>
 <calculation>
  <scstep>
   <energy>
    <i name="e_fr_energy">     -0.10000000 </i>
    <i name="e_wo_entrp">     -0.10000000 </i>
    <i name="e_0_energy">     -0.10000000 </i>
   </energy>
  </scstep>
  <scstep>
   <energy>
    <i name="e_fr_energy">     -0.10000000 </i>
    <i name="e_wo_entrp">     -0.10000000 </i>
    <i name="e_0_energy">     -0.10000000 </i>
   </energy>
  </scstep>
  <structure>
{structure}
  </structure>
  <varray name="forces" >
{forces}
  </varray>
  <varray name="stress" >
   <v>       0.00000000       0.00000000       0.00000000 </v>
   <v>       0.00000000       0.00000000       0.00000000 </v>
   <v>       0.00000000       0.00000000       0.00000000 </v>
  </varray>
  <energy>
   <i name="e_fr_energy">     -0.10000000 </i>
   <i name="e_wo_entrp">     -0.10000000 </i>
   <i name="e_0_energy">     -0.10000000 </i>
  </energy>
 </calculation>
 <structure name="finalpos" >
{structure}
 </structure>
</modeling>
"""


def write_vasprun(
    path: Path, atoms: Atoms, forces: np.ndarray, *, gga: str = "PE", nelm: int = 120, version: str = "6.4.2"
) -> None:
    basis = f'<crystal>\n<varray name="basis" >\n{_rows(atoms.cell[:])}\n</varray>\n'
    volume = f'<i name="volume">{atoms.get_volume():.8f}</i>\n'
    reciprocal = f'<varray name="rec_basis" >\n{_rows(atoms.cell.reciprocal()[:])}\n</varray>\n</crystal>\n'
    positions = f'<varray name="positions" >\n{_rows(atoms.get_scaled_positions())}\n</varray>'
    text = VASPRUN.format(
        gga=gga, nelm=nelm, version=version, n_atoms=len(atoms), forces=_rows(forces),
        structure=basis + volume + reciprocal + positions,
        elements="\n".join(f"    <rc><c>{symbol:2}</c><c>   1</c></rc>" for symbol in atoms.symbols),
    )  # fmt: skip
    path.write_text(text, encoding="latin-1")


def _rows(values: np.ndarray) -> str:
    return "\n".join("<v> " + " ".join(f"{value:.17g}" for value in row) + " </v>" for row in values)


def write_pw_out(path: Path, atoms: Atoms, forces: np.ndarray, *, converged: bool = True) -> None:
    """The standard output of pw.x 7.2 for one cell, digits as it prints them."""
    alat = np.linalg.norm(atoms.cell[0])
    rows = "\n".join(
        f"     {number:5d}        {symbol:3} tau({number:4d}) = ({x:12.7f}{y:12.7f}{z:12.7f}  )"
        for number, (symbol, (x, y, z)) in enumerate(zip(atoms.symbols, atoms.positions / alat, strict=True), start=1)
    )
    axes = "\n".join(
        f"               a({n + 1}) = ({v[0]:11.6f}{v[1]:11.6f}{v[2]:11.6f} )  "
        for n, v in enumerate(atoms.cell / alat)
    )
    in_ry = "\n".join(
        f"     atom {n:4d} type  1   force = {f[0]:13.8f} {f[1]:13.8f} {f[2]:13.8f}"
        for n, f in enumerate(forces / (Ry / Bohr), start=1)
    )
    end = (
        "convergence has been achieved in   9 iterations"
        if converged
        else "convergence NOT achieved after 120 iterations: stopping"
    )
    path.write_text(
        f"""
     Program PWSCF v.7.2 starts on  1Jan2026 at  0: 0: 0

     bravais-lattice index     =            0
     lattice parameter (alat)  = {alat / Bohr:11.4f}  a.u.
     unit-cell volume          = {atoms.get_volume() / Bohr**3:11.4f} (a.u.)^3
     number of atoms/cell      = {len(atoms):12d}
     number of atomic types    =            1
     kinetic-energy cutoff     =      90.0000  Ry
     charge density cutoff     =     720.0000  Ry
     Exchange-correlation= PBE
                           (   1   4   3   4   0   0   0)

     celldm(1)= {alat / Bohr:10.6f}  celldm(2)=   0.000000  celldm(3)=   0.000000
     celldm(4)=   0.000000  celldm(5)=   0.000000  celldm(6)=   0.000000

     crystal axes: (cart. coord. in units of alat)
{axes}

     PseudoPot. # 1 for Ar read from file:
     ./Ar.upf

     atomic species   valence    mass     pseudopotential
     Ar               8.00    39.94800     Ar( 1.00)

   Cartesian axes

     site n.     atom                  positions (alat units)
{rows}

     number of k points=     1  Gaussian smearing, width (Ry)=  0.0010
                       cart. coord. in units 2pi/alat
        k(    1) = (   0.0000000   0.0000000   0.0000000), wk =   2.0000000

!    total energy              =    -42.00000000 Ry

     {end}

     Forces acting on atoms (cartesian axes, Ry/au):

{in_ry}

     Total force =     0.000001     Total SCF correction =     0.000000

     JOB DONE.
""",
        encoding="utf-8",
    )
