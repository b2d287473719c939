"""Forces from what VASP and Quantum ESPRESSO write, with what they were computed by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from paraisite.phonons.settings import ComputeError

if TYPE_CHECKING:
    from ase import Atoms

VASP_OUTPUTS = ("vasprun.xml", "vasprun.xml.gz", "vasprun.xml.bz2", "vasprun.xml.xz")
ESPRESSO_OUTPUTS = ("pw.out", "pw.pwo")
POSITION_TOLERANCE_ANGSTROM = 1e-4
"""Codes print positions with seven digits or more."""


class DftForces(msgspec.Struct, frozen=True, kw_only=True):
    """Forces of one cell, and what gave them.

    Attributes:
        program: `VASP` or `Quantum ESPRESSO`.
        version: Version of the program.
        functional: Name of the functional, as the output has it.
        details: Cutoff and potentials.
        forces: [n_atoms, 3] in eV/Å.
        energy_ev: Energy of the cell.
    """

    program: str
    version: str
    functional: str
    details: str
    forces: Any
    energy_ev: float

    @property
    def method(self) -> tuple[str, str, str, str]:
        """What must be the same for all cells."""
        return self.program, self.version, self.functional, self.details


def find_output(folder: Path) -> Path | None:
    """The output of a cell's folder; None where there is none.

    Raises:
        ComputeError: `invalid_forces`, where there are two.
    """
    found = [path for name in (*VASP_OUTPUTS, *ESPRESSO_OUTPUTS) if (path := folder / name).is_file()]
    if len(found) > 1:
        raise _invalid(folder, f"holds both {found[0].name} and {found[1].name}", "leave one of them")
    return found[0] if found else None


def read_output(path: Path, expected: Atoms) -> DftForces:
    """Forces of one cell.

    Args:
        path: `vasprun.xml`, also compressed, or the standard output of `pw.x`.
        expected: The cell that they must belong to.

    Raises:
        ComputeError: `invalid_forces`: not readable, not finished, not converged, of another cell, or not finite.
    """
    from paraisite.errors import ParaisiteError  # noqa: PLC0415

    try:
        atoms, found = _read_vasprun(path) if path.name in VASP_OUTPUTS else _read_espresso(path)
    except ParaisiteError:
        raise
    except Exception as error:  # parsers of other packages raise whatever the text makes them
        reason = " ".join(str(error).split())[:150] or "no reason given"
        raise _invalid(
            path, f"cannot be read ({type(error).__name__}, {reason})", "let the calculation finish"
        ) from error
    _check_cell(path, atoms, expected)
    if found.forces.shape != (len(expected), 3) or not np.isfinite(found.forces).all():
        raise _invalid(path, "holds forces that are missing or not finite", "run it again")
    return found


def _read_vasprun(path: Path) -> tuple[Atoms, DftForces]:
    from pymatgen.io.ase import AseAtomsAdaptor  # noqa: PLC0415
    from pymatgen.io.vasp.outputs import Vasprun  # noqa: PLC0415

    run = Vasprun(path, parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    if not run.converged_electronic:
        raise _invalid(path, "is of a calculation whose electrons did not converge", "run it again with a larger NELM")
    if len(run.ionic_steps) != 1:
        raise _invalid(path, f"holds {len(run.ionic_steps)} ionic steps", "run it without a relaxation (NSW = 0)")
    step = run.ionic_steps[0]
    return AseAtomsAdaptor.get_atoms(step["structure"]), DftForces(
        program="VASP",
        version=str(run.vasp_version),
        # "GGA": VASP was not told a functional, and takes that of the potentials.
        functional=str(run.run_type).replace("GGA", "functional of the POTCAR"),
        details=f"{float(run.parameters['ENMAX']):g} eV, {', '.join(run.potcar_symbols)}",
        forces=np.asarray(step["forces"], dtype=np.float64),
        energy_ev=float(step["e_0_energy"]),
    )


def _read_espresso(path: Path) -> tuple[Atoms, DftForces]:
    from io import StringIO  # noqa: PLC0415

    from ase.io.espresso import read_espresso_out  # noqa: PLC0415

    text = path.read_text(encoding="utf-8", errors="replace")
    if "convergence NOT achieved" in text:
        raise _invalid(path, "is of a calculation whose electrons did not converge", "raise electron_maxstep")
    if "JOB DONE" not in text:
        raise _invalid(path, "is of a calculation that has not finished", "let it finish")
    frames = list(read_espresso_out(StringIO(text), slice(None)))
    if len(frames) != 1:
        raise _invalid(path, f"holds {len(frames)} ionic steps", "run it as calculation = 'scf'")
    atoms = frames[0]
    files = sorted(set(re.findall(r"PseudoPot\. # *\d+ for *(\S+) read from file:?\s+(\S+)", text)))
    cutoff = _stated(r"kinetic-energy cutoff *= *([\d.]+)", text)
    return atoms, DftForces(
        program="Quantum ESPRESSO",
        version=_stated(r"Program PWSCF v\.?([\w.]+)", text),
        functional=_stated(r"Exchange-correlation *= *([^\n(]+?) *(?:\(|\n)", text),
        details=", ".join([f"{cutoff} Ry", *(Path(name).name for _, name in files)]),
        forces=np.asarray(atoms.calc.results["forces"], dtype=np.float64),
        energy_ev=float(atoms.calc.results["energy"]),
    )


def _stated(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1].strip() if found else "not stated"


def _check_cell(path: Path, atoms: Atoms, expected: Atoms) -> None:
    if not np.array_equal(atoms.numbers, expected.numbers):
        raise _invalid(path, "lists other elements, or in another order, than the cell of its folder", "run that cell")
    if np.abs(atoms.cell[:] - expected.cell[:]).max() > POSITION_TOLERANCE_ANGSTROM:
        raise _invalid(path, "has another lattice than the cell of its folder", "run that cell")
    difference = atoms.positions - expected.positions
    fractional = np.linalg.solve(expected.cell[:].T, difference.T).T
    apart = np.linalg.norm((fractional - np.round(fractional)) @ expected.cell[:], axis=1).max()
    if apart > POSITION_TOLERANCE_ANGSTROM:
        raise _invalid(
            path, f"has an atom {apart:.4f} Å away from its place in the cell of its folder", "run that cell"
        )


def _invalid(path: Path, reason: str, way_out: str) -> ComputeError:
    return ComputeError(f"{path} {reason}; {way_out}.", code="invalid_forces")
