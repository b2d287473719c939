"""Input files of VASP and Quantum ESPRESSO for the forces of one cell. No POTCAR is ever written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from paraisite.atomic import write_text_atomic
from paraisite.phonons.settings import ComputeError

if TYPE_CHECKING:
    from ase import Atoms

TOGO_SOURCE = "https://github.com/atztogo/phonondb/blob/07e9ac8be68f8775cc4c3601f057492857affde7/README.md"
_ORIGIN = f"""\
As in Togo, Chaput and Tanaka, Phys. Rev. B 91, 094306 (2015), doi 10.1103/PhysRevB.91.094306, for which
{TOGO_SOURCE}
names PBE (and PBEsol for the same compounds in Togo, J. Phys. Soc. Jpn. 92, 012001 (2023)): VASP and the functional PBE.
Ours, to be checked for your crystal: supercells, displacements, cutoff, k-points, convergence of the electrons, smearing, and
no magnetism."""
_VASP_TAGS = {"pbe": "PE", "pbesol": "PS"}
_ESPRESSO_NAMES = {"pbe": "PBE", "pbesol": "PBESOL"}


class DftSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the density-functional calculations that a user runs.

    Attributes:
        functional: `pbe`, that of Togo, Chaput and Tanaka 2015, or `pbesol`, that of PhononDB.
        vasp_cutoff_ev: Plane-wave cutoff of VASP.
        espresso_cutoff_ry: Plane-wave cutoff of Quantum ESPRESSO; that of the density is eight times as high.
        kpoint_length_angstrom: Number of k-points along a reciprocal vector b (without 2π) is this length times |b|.
        pseudopotentials: File of each element for Quantum ESPRESSO; an element without one gets a name that no file has, so
            that `pw.x` stops until it is replaced.
    """

    functional: Literal["pbe", "pbesol"] = "pbe"
    vasp_cutoff_ev: float = 520.0
    espresso_cutoff_ry: float = 90.0
    kpoint_length_angstrom: float = 25.0
    pseudopotentials: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse values that no calculation can use.

        Raises:
            ComputeError: With the name of the value.
        """
        for name in ("vasp_cutoff_ev", "espresso_cutoff_ry", "kpoint_length_angstrom"):
            if not 0 < getattr(self, name) < 1e5:
                raise ComputeError(
                    f"{name} is {getattr(self, name):g}; give a positive number.", code="invalid_settings"
                )


def kpoint_numbers(atoms: Atoms, dft: DftSettings) -> tuple[int, int, int]:
    """Numbers of k-points along the reciprocal vectors, rounded up."""
    a, b, c = np.maximum(
        1, np.ceil(dft.kpoint_length_angstrom * np.linalg.norm(atoms.cell.reciprocal(), axis=1) - 1e-6)
    )
    return int(a), int(b), int(c)


def write_vasp_inputs(folder: Path, atoms: Atoms, dft: DftSettings, *, born: bool = False) -> None:
    """POSCAR, INCAR and KPOINTS of one cell.

    Args:
        folder: Where to write.
        atoms: The cell, equal elements side by side.
        dft: Functional, cutoff, k-points.
        born: Ask for Born effective charges and the dielectric tensor rather than for forces.
    """
    from phonopy.interface.vasp import get_vasp_structure_lines  # noqa: PLC0415

    from paraisite.phonons.cells import to_phonopy  # noqa: PLC0415 - used by cells that are written alone

    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomic(folder / "POSCAR", "\n".join(get_vasp_structure_lines(to_phonopy(atoms))) + "\n")
    write_text_atomic(folder / "INCAR", _incar(dft, born=born))
    a, b, c = kpoint_numbers(atoms, dft)
    if born:
        a, b, c = 2 * a, 2 * b, 2 * c
    write_text_atomic(folder / "KPOINTS", f"mesh of ours, see INCAR\n0\nGamma\n{a} {b} {c}\n0 0 0\n")


def _incar(dft: DftSettings, *, born: bool) -> str:
    comment = "".join(f"# {line}\n" for line in _ORIGIN.splitlines())
    tags = {
        "GGA": _VASP_TAGS[dft.functional],
        "PREC": "Accurate",
        "ENCUT": f"{dft.vasp_cutoff_ev:g}",
        "EDIFF": "1E-8",
        "NELM": "120",
        "ISMEAR": "0",
        "SIGMA": "0.01",
        "LREAL": ".FALSE.",
        "IBRION": "-1",
        "NSW": "0",
        "ISPIN": "1",
        "LWAVE": ".FALSE.",
        "LCHARG": ".FALSE.",
    }
    if born:
        tags["LEPSILON"] = ".TRUE."
    return comment + "".join(f"{name} = {value}\n" for name, value in tags.items())


def write_espresso_input(folder: Path, atoms: Atoms, dft: DftSettings) -> None:
    """`pw.in` of one cell.

    Args:
        folder: Where to write.
        atoms: The cell.
        dft: Functional, cutoff, k-points, pseudopotentials.
    """
    from io import StringIO  # noqa: PLC0415

    from ase.io.espresso import write_espresso_in  # noqa: PLC0415

    data: dict[str, dict[str, Any]] = {
        "control": {"calculation": "scf", "tprnfor": True, "outdir": "./scratch", "pseudo_dir": "./", "prefix": "pw"},
        "system": {
            "ecutwfc": dft.espresso_cutoff_ry, "ecutrho": 8 * dft.espresso_cutoff_ry,
            "occupations": "smearing", "smearing": "gaussian", "degauss": 0.001,
            "input_dft": _ESPRESSO_NAMES[dft.functional],
        },
        "electrons": {"conv_thr": 1e-12 * len(atoms), "electron_maxstep": 120},
    }  # fmt: skip
    names = {symbol: dft.pseudopotentials.get(symbol, f"NAME_A_FILE_FOR_{symbol}.upf") for symbol in set(atoms.symbols)}
    text = StringIO()
    write_espresso_in(text, atoms, input_data=data, pseudopotentials=names, kpts=kpoint_numbers(atoms, dft))
    folder.mkdir(parents=True, exist_ok=True)
    comment = "".join(f"! {line}\n" for line in _ORIGIN.splitlines())
    write_text_atomic(folder / "pw.in", comment + text.getvalue())
