"""Hand-over to DFT: the displaced cells as input files, and the way back from forces to κ.

A folder of input files holds, for one crystal,

- `vasp/fc2-00001` … and `vasp/fc3-00001` …: one cell each, numbered as phono3py does; `fc2-00000` and `fc3-00000` are the
  perfect supercells, whose forces are taken off the others where they are there;
- `vasp/born`: the primitive cell for Born effective charges;
- `espresso/…`: the same cells for Quantum ESPRESSO;
- `phono3py_disp.yaml`, with which phono3py itself can go on;
- `handover.json`: the crystal, all settings, and a key of every cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from paraisite.atomic import atomic_path, write_text_atomic
from paraisite.errors import OutputError
from paraisite.phonons.anharmonic import displaced_third_order, plan_third_order
from paraisite.phonons.calculation import CALCULATION_MANIFEST, CalculationManifest
from paraisite.phonons.cells import to_atoms
from paraisite.phonons.dft_inputs import DftSettings, write_espresso_input, write_vasp_inputs
from paraisite.phonons.dft_outputs import POSITION_TOLERANCE_ANGSTROM, DftForces, find_output, read_output
from paraisite.phonons.forces import ForceStore, cell_key
from paraisite.phonons.harmonic import build_phono3py, displaced_second_order
from paraisite.phonons.record import ForceSource, read_source, read_struct, write_source, write_struct
from paraisite.phonons.relax import RelaxedCell, given_cell
from paraisite.phonons.settings import ComputeError, ComputeSettings
from paraisite.structures import Crystal, to_ase

if TYPE_CHECKING:
    from ase import Atoms

HANDOVER_FILE = "handover.json"
_NAMED = 12
"""So many missing cells are named; the rest are counted."""
_LARGE_RESIDUAL = 0.01
"""Residual force of the perfect cell, in eV/Å, that a reader of κ should know of."""


_Answers = dict[str, tuple[Any, float]]
"""Forces in eV/Å and energy in eV of each cell by its name."""


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder of input files belongs to.

    Attributes:
        material_id: Identifier of the crystal.
        numbers: Atomic numbers of the crystal as given.
        cell: Lattice vectors as rows in Å.
        fractional: Fractional coordinates.
        relaxed: The cell that was displaced.
        settings: Cells and displacements; the same are needed to go on.
        dft: Settings of the input files.
        cells: Key of every displaced cell (`forces.cell_key`) by its name.
    """

    material_id: str
    numbers: list[int]
    cell: list[list[float]]
    fractional: list[list[float]]
    relaxed: RelaxedCell
    settings: ComputeSettings
    dft: DftSettings
    cells: dict[str, str]

    def crystal(self) -> Crystal:
        """The crystal as given, to the last digit, so that its calculation is found again."""
        return Crystal(
            numbers=np.array(self.numbers, dtype=np.int64),
            cell=np.array(self.cell),
            fractional=np.array(self.fractional),
            material_id=self.material_id,
        )


@dataclass(frozen=True, slots=True)
class DisplacedCells:
    """Cells whose forces are needed, by name, and the perfect supercells of both orders."""

    displaced: dict[str, Atoms]
    perfect: dict[str, Atoms]
    ph3: Any


def write_inputs(
    crystal: Crystal,
    folder: Path,
    settings: ComputeSettings | None = None,
    *,
    relaxed: RelaxedCell | None = None,
    dft: DftSettings | None = None,
) -> Handover:
    """Write the displaced cells of a crystal for VASP, Quantum ESPRESSO and phono3py.

    Args:
        crystal: The crystal.
        folder: A new or empty folder.
        settings: Cells and displacements.
        relaxed: The cell to displace, such as `record.relaxed` of a potential's calculation; without it the crystal is taken
            as relaxed already.
        dft: Functional, cutoffs, k-points, pseudopotentials.

    Raises:
        OutputError: The folder holds files already.
        ComputeError: `too_large` or `broken_symmetry`.
    """
    settings, dft = settings or ComputeSettings(), dft or DftSettings()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists and is not empty; choose another folder.")
    relaxed = relaxed or given_cell(to_ase(crystal), settings.symmetry_tolerance_angstrom)
    cells = displaced_cells(relaxed, settings)
    for name, atoms in {**cells.perfect, **cells.displaced}.items():
        write_vasp_inputs(folder / "vasp" / name, atoms, dft)
        write_espresso_input(folder / "espresso" / name, atoms, dft)
    write_vasp_inputs(folder / "vasp" / "born", to_atoms(cells.ph3.primitive), dft, born=True)
    with atomic_path(folder / "phono3py_disp.yaml") as temporary:
        cells.ph3.save(temporary, settings={"force_sets": False, "displacements": True, "force_constants": False})
    handover = Handover(
        material_id=crystal.material_id,
        numbers=[int(number) for number in crystal.numbers],
        cell=np.asarray(crystal.cell).tolist(),
        fractional=np.asarray(crystal.fractional).tolist(),
        relaxed=relaxed,
        settings=settings,
        dft=dft,
        cells={name: cell_key(atoms) for name, atoms in cells.displaced.items()},
    )
    write_text_atomic(folder / "README", _readme(handover))
    write_struct(folder / HANDOVER_FILE, handover)
    return handover


def displaced_cells(relaxed: RelaxedCell, settings: ComputeSettings) -> DisplacedCells:
    """All cells whose forces a calculation asks for after the relaxation, named as phono3py numbers them."""
    ph3 = build_phono3py(relaxed, settings)
    second = displaced_second_order(ph3, settings)
    third = displaced_third_order(ph3, plan_third_order(ph3, settings), settings)
    named = {f"fc2-{number:05d}": atoms for number, atoms in enumerate(second, start=1)}
    named |= {f"fc3-{number:05d}": atoms for number, atoms in enumerate(third, start=1) if atoms is not None}
    perfect = {"fc2-00000": to_atoms(ph3.phonon_supercell), "fc3-00000": to_atoms(ph3.supercell)}
    return DisplacedCells(named, perfect, ph3)


def read_forces(inputs: Path, folder: Path) -> Handover:
    """Take the forces of DFT into the folder of a calculation, which `Calculation(potential=None)` can then finish.

    Every output is checked against its cell: elements, order, lattice, positions within 1e-4 Å, convergence, one method
    for all. Those of the perfect supercells are taken off where they are there. Instead of outputs, `FORCES_FC2` and
    `FORCES_FC3` of phono3py may lie beside `phono3py_disp.yaml`; they state no positions, so only their numbers of cells
    and atoms are checked.

    Args:
        inputs: The folder that `write_inputs` made, with outputs in it.
        folder: Folder of the calculation.

    Returns:
        What the inputs belong to: `crystal()` and `settings` of the calculation.

    Raises:
        ComputeError: `forces_missing` (those that are there are taken nevertheless), or `invalid_forces`.
        OutputError: The folder holds another calculation.
    """
    handover = read_struct(inputs / HANDOVER_FILE, Handover)
    if handover is None:
        raise ComputeError(f"{inputs} holds no readable {HANDOVER_FILE}; give a folder that --write-inputs made.")
    _check_folder(folder, handover)
    cells = displaced_cells(handover.relaxed, handover.settings)
    if (inputs / "FORCES_FC2").is_file() and (inputs / "FORCES_FC3").is_file():
        answers, source = _from_force_files(inputs, cells)
    else:
        answers, source = _from_outputs(inputs, cells)
    _keep(folder, answers, cells)
    _check_complete(inputs, [name for name in cells.displaced if name not in answers])
    if source is not None and not (folder / CALCULATION_MANIFEST).exists():
        write_struct(folder / "relaxed.json", handover.relaxed)
        write_source(folder, source)
    return handover


def _check_folder(folder: Path, handover: Handover) -> None:
    relaxed = read_struct(folder / "relaxed.json", RelaxedCell)
    manifest = read_struct(folder / CALCULATION_MANIFEST, CalculationManifest)
    of_potential = manifest is not None and read_source(folder).name != manifest.potential
    if of_potential or (relaxed is not None and relaxed != handover.relaxed):
        raise OutputError(f"{folder} holds another calculation; choose another folder.")


def _keep(folder: Path, answers: _Answers, cells: DisplacedCells) -> None:
    """Put answers into the store of a calculation; one that was begun keeps its forces."""
    store = ForceStore(folder / "forces", None)
    begun = (folder / CALCULATION_MANIFEST).exists()
    for name, (forces, energy_ev) in answers.items():
        atoms = cells.displaced[name]
        if not begun:
            store.put(atoms, {"forces": forces, "energy": np.asarray(energy_ev), "stress": np.full(6, np.nan)})
        elif not np.array_equal(store.answer(atoms)["forces"], forces):
            raise OutputError(f"{folder} was computed with other forces of {name}; choose another folder.")


def _from_outputs(inputs: Path, cells: DisplacedCells) -> tuple[_Answers, ForceSource | None]:
    found = _outputs(inputs, cells.displaced)
    perfect = _outputs(inputs, cells.perfect)
    methods = {read.method: name for name, read in {**perfect, **found}.items()}
    if len(methods) > 1:
        (one, name), (other, second) = list(methods.items())[:2]
        raise ComputeError(
            f"{inputs}: {name} was computed by {', '.join(one)} and {second} by {', '.join(other)}; "
            "compute all by one method.",
            code="invalid_forces",
        )
    answers = {name: (read.forces - _residual(perfect, name), read.energy_ev) for name, read in found.items()}
    if not methods:
        return answers, None
    program, version, functional, details = next(iter(methods))
    return answers, ForceSource(
        name=program,
        version=f"{version}, {functional}, {details}",
        level=f"DFT ({functional}) by {program}",
        warnings=_residual_warnings(perfect),
    )


def _outputs(inputs: Path, cells: dict[str, Atoms]) -> dict[str, DftForces]:
    found = {}
    for name, atoms in cells.items():
        paths = [path for code in ("vasp", "espresso") if (path := find_output(inputs / code / name))]
        if len(paths) > 1:
            raise ComputeError(f"{paths[0]} and {paths[1]} are of one cell; leave one.", code="invalid_forces")
        if paths:
            found[name] = read_output(paths[0], atoms)
    return found


def _residual(perfect: dict[str, DftForces], name: str) -> Any:
    found = perfect.get(f"{name[:3]}-00000")
    return 0.0 if found is None else found.forces


def _residual_warnings(perfect: dict[str, DftForces]) -> list[str]:
    largest = max((float(np.linalg.norm(read.forces, axis=1).max()) for read in perfect.values()), default=0.0)
    if largest <= _LARGE_RESIDUAL:
        return []
    return [f"the perfect cell has forces up to {largest:.2g} eV/Å by this method: it is not relaxed by it."]


def _check_complete(inputs: Path, missing: Sequence[str]) -> None:
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ComputeError(
            f"{inputs} lacks the forces of {len(missing)} cells: {', '.join(missing[:_NAMED])}{more}; put vasprun.xml or "
            "pw.out into their folders.",
            code="forces_missing",
        )


def _from_force_files(inputs: Path, cells: DisplacedCells) -> tuple[_Answers, ForceSource | None]:
    answers: _Answers = {}
    for order, all_cells in (("FC2", cells.ph3.phonon_supercells_with_displacements),
                             ("FC3", cells.ph3.supercells_with_displacements)):  # fmt: skip
        path, perfect = inputs / f"FORCES_{order}", cells.perfect[f"{order.lower()}-00000"]
        table = _force_table(path, len(all_cells), len(perfect))
        for number, rows in enumerate(table, start=1):
            name = f"{order.lower()}-{number:05d}"
            if name in cells.displaced:
                _check_displacements(path, name, rows[:, :-3], cells.displaced[name].positions - perfect.positions)
                answers[name] = (np.ascontiguousarray(rows[:, -3:]), float("nan"))
    return answers, ForceSource(
        name="FORCES_FC2 and FORCES_FC3",
        version="",
        level="forces read from FORCES_FC2 and FORCES_FC3",
        warnings=["FORCES_FC2 and FORCES_FC3 state no method, so the level of κ is that of whatever made them."],
    )


def _force_table(path: Path, n_cells: int, n_atoms: int) -> np.ndarray:
    """Rows of phono3py's file, [n_cells, n_atoms, 3 or 6]: forces, or displacements and forces of random cells."""
    try:
        table = np.loadtxt(path, ndmin=2)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise ComputeError(f"{path} cannot be read ({error}); make it by phono3py.", code="invalid_forces") from error
    if table.shape[0] != n_cells * n_atoms or table.shape[1] not in {3, 6} or not np.isfinite(table).all():
        raise ComputeError(
            f"{path} does not hold finite forces of {n_cells} cells of {n_atoms} atoms; make it by phono3py from "
            "the outputs in the order of their folders.",
            code="invalid_forces",
        )
    return table.reshape(n_cells, n_atoms, -1)


def _check_displacements(path: Path, name: str, stated: np.ndarray, expected: np.ndarray) -> None:
    if stated.size and np.abs(stated - expected).max() > POSITION_TOLERANCE_ANGSTROM:
        raise ComputeError(
            f"{path} states other displacements than those of {name}; make it with the phono3py_disp.yaml beside it.",
            code="invalid_forces",
        )


def _readme(handover: Handover) -> str:
    return "\n".join((
        f"Displaced cells of {handover.material_id or 'a crystal'} for its lattice thermal conductivity.",
        "",
        "vasp/fc2-*, vasp/fc3-*: POSCAR, INCAR, KPOINTS. Add your POTCAR; elements are in the order of POSCAR. Run each,",
        "and leave vasprun.xml (.gz, .bz2 or .xz too) in its folder.",
        "espresso/…: the same cells. Name the pseudopotentials in pw.in; leave the standard output as pw.out.",
        "fc2-00000, fc3-00000: the perfect supercells, optional; their forces are taken off the others.",
        "vasp/born: the primitive cell for Born effective charges; phonopy-vasp-born makes BORN of it (--born BORN).",
        "phono3py_disp.yaml: for phono3py itself; FORCES_FC2 and FORCES_FC3 beside it are read instead of outputs.",
        "The head of INCAR and pw.in says which settings are those of Togo, Chaput and Tanaka 2015 and which are ours.",
        "",
        f"{len(handover.cells)} cells need forces. Then: paraisite compute --read-forces THIS_FOLDER",
        "",
    ))  # fmt: skip
