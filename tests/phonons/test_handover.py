"""Hand-over to DFT: what is written, what is read back, and that κ comes out the same."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

sys.path.append(str(Path(__file__).parent))

from dft_files import write_pw_out, write_vasprun

from paraisite.errors import OutputError
from paraisite.phonons.calculation import Calculation
from paraisite.phonons.dft_outputs import read_output
from paraisite.phonons.forces import ForceStore, cell_key
from paraisite.phonons.handover import DisplacedCells, Handover, displaced_cells, read_forces, write_inputs
from paraisite.phonons.potentials.registry import load_potential
from paraisite.phonons.record import ComputeRecord, read_record, read_source
from paraisite.phonons.settings import ComputeError, ComputeSettings
from paraisite.structures import Crystal, from_ase

SETTINGS = ComputeSettings(
    mesh_length_angstrom=15,
    temperatures_k=(50.0, 100.0),
    harmonic_length_angstrom=9.0,
    cutoff_angstrom=4.5,
    check=False,
)


@pytest.fixture(scope="module")
def argon() -> Crystal:
    return from_ase(bulk("Ar", "fcc", a=5.3), "argon")


@pytest.fixture(scope="module")
def by_potential(argon: Crystal, tmp_path_factory: pytest.TempPathFactory) -> ComputeRecord:
    folder = tmp_path_factory.mktemp("potential")
    potential = load_potential("lennard-jones:argon")
    record = Calculation(crystal=argon, folder=folder, potential=potential, settings=SETTINGS).run()
    assert record.status == "ok", record.message
    return record


@pytest.fixture(scope="module")
def cells(by_potential: ComputeRecord) -> DisplacedCells:
    assert by_potential.relaxed
    return displaced_cells(by_potential.relaxed, SETTINGS)


@pytest.fixture(scope="module")
def answers(cells: DisplacedCells, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    store = ForceStore(tmp_path_factory.mktemp("answers"), load_potential("lennard-jones:argon"))
    return {name: store.answer(atoms)["forces"] for name, atoms in cells.displaced.items()}


@pytest.fixture(scope="module")
def empty_inputs(argon: Crystal, by_potential: ComputeRecord, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "inputs"
    write_inputs(argon, folder, SETTINGS, relaxed=by_potential.relaxed)
    return folder


@pytest.fixture
def inputs(empty_inputs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty_inputs, tmp_path / "inputs"))


def write_all(inputs: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, *, leave_out: str = "") -> None:
    for name, atoms in cells.displaced.items():
        if name != leave_out:
            write_vasprun(inputs / "vasp" / name / "vasprun.xml", atoms, answers[name])


def check_kept(folder: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, tolerance: float) -> None:
    """Compare forces rather than κ: on a mesh as coarse as here, phono3py's κ of argon changes by 1 % where degenerate
    frequencies differ in their last digits."""
    store = ForceStore(folder / "forces", None)
    for name, atoms in cells.displaced.items():
        np.testing.assert_allclose(store.answer(atoms)["forces"], answers[name], rtol=0, atol=tolerance)


def finish(handover: Handover, folder: Path) -> ComputeRecord:
    return Calculation(crystal=handover.crystal(), folder=folder, potential=None, settings=handover.settings).run()


def test_forces_by_vasprun_give_the_kappa_of_the_potential(
    inputs: Path, answers: dict[str, np.ndarray], by_potential: ComputeRecord, cells: DisplacedCells, tmp_path: Path
) -> None:
    write_all(inputs, answers, cells)
    record = finish(read_forces(inputs, tmp_path / "calculation"), tmp_path / "calculation")
    assert record.status == "ok", record.message
    assert record.transport
    assert by_potential.transport
    np.testing.assert_allclose(
        record.transport.kappa_tensor, by_potential.transport.kappa_tensor, rtol=1e-10, atol=1e-12
    )
    assert (record.potential, record.level) == ("VASP", "DFT (PBE) by VASP")
    assert record.potential_version == "6.4.2, PBE, 520 eV, PAW_PBE Ar 07Sep2000"
    assert record.force_calls == len(answers)


def test_forces_by_espresso_are_those_that_it_prints(
    inputs: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, tmp_path: Path
) -> None:
    for name, atoms in cells.displaced.items():
        write_pw_out(inputs / "espresso" / name / "pw.out", atoms, answers[name])
    record = finish(read_forces(inputs, tmp_path / "calculation"), tmp_path / "calculation")
    assert record.level == "DFT (PBE) by Quantum ESPRESSO"
    assert record.potential_version == "7.2, PBE, 90.0000 Ry, Ar.upf"
    assert record.status == "ok", record.message
    # pw.x prints forces to 1e-8 Ry/Bohr, so half of 2.6e-7 eV/Å is lost.
    check_kept(tmp_path / "calculation", answers, cells, 1.3e-7)


def test_force_files_of_phono3py_are_read(
    inputs: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, tmp_path: Path
) -> None:
    import phono3py
    from phono3py.file_IO import write_FORCES_FC2

    ph3 = phono3py.load(inputs / "phono3py_disp.yaml", produce_fc=False, log_level=0)
    forces = {order: np.array([answers[n] for n in answers if n.startswith(order)]) for order in ("fc2", "fc3")}
    write_FORCES_FC2(ph3.phonon_dataset, forces["fc2"], filename=inputs / "FORCES_FC2")
    rows = np.concatenate([ph3.dataset["displacements"], forces["fc3"]], axis=2).reshape(-1, 6)
    np.savetxt(inputs / "FORCES_FC3", rows)
    folder = tmp_path / "calculation"
    record = finish(read_forces(inputs, folder), folder)
    assert record.status == "ok", record.message
    assert any("no method" in warning for warning in record.warnings)
    # FORCES_FC2 holds ten decimals.
    check_kept(folder, answers, cells, 1e-10)
    np.savetxt(inputs / "FORCES_FC3", np.concatenate([-rows[:, :3], rows[:, 3:]], axis=1))
    with pytest.raises(ComputeError, match="other displacements"):
        read_forces(inputs, tmp_path / "another")


def test_missing_cells_are_named_and_the_others_kept(
    inputs: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, tmp_path: Path
) -> None:
    write_all(inputs, answers, cells, leave_out="fc3-00002")
    with pytest.raises(ComputeError, match=r"lacks the forces of 1 cells: fc3-00002;") as caught:
        read_forces(inputs, tmp_path / "calculation")
    assert caught.value.code == "forces_missing"
    assert len(list((tmp_path / "calculation" / "forces").iterdir())) == len(answers) - 1
    write_all(inputs, answers, cells)
    assert finish(read_forces(inputs, tmp_path / "calculation"), tmp_path / "calculation").status == "ok"


def spoil(inputs: Path, name: str, old: str, new: str) -> None:
    path = inputs / "vasp" / name / "vasprun.xml"
    text = path.read_text(encoding="latin-1")
    assert old in text
    path.write_text(text.replace(old, new), encoding="latin-1")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<c>Ar</c>", "<c>Ne</c>", "other elements"),
        ("</modeling>", "", "cannot be read|not finished"),
        ('name="NELM">120', 'name="NELM">2', "did not converge"),
        ("PE</i>", "PS</i>", "compute all by one method"),
        (">6.4.2", ">6.5.0", "compute all by one method"),
    ],
)
def test_an_output_that_does_not_fit_is_refused(
    old: str,
    new: str,
    reason: str,
    inputs: Path,
    answers: dict[str, np.ndarray],
    by_potential: ComputeRecord,
    cells: DisplacedCells,
    tmp_path: Path,
) -> None:
    write_all(inputs, answers, cells)
    spoil(inputs, "fc3-00002", old, new)
    with pytest.raises(ComputeError, match=reason) as caught:
        read_forces(inputs, tmp_path / "calculation")
    assert caught.value.code == "invalid_forces"
    assert "fc3-00002" in str(caught.value)


def test_the_output_of_another_cell_is_refused(
    inputs: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, tmp_path: Path
) -> None:
    write_all(inputs, answers, cells)
    one, other = (inputs / "vasp" / name / "vasprun.xml" for name in ("fc3-00001", "fc3-00002"))
    one.write_bytes(other.read_bytes())
    with pytest.raises(ComputeError, match=r"fc3-00001.vasprun.xml has an atom 0.0\d+ Å away from its place"):
        read_forces(inputs, tmp_path / "calculation")


def test_a_begun_calculation_keeps_its_forces(
    inputs: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, tmp_path: Path
) -> None:
    write_all(inputs, answers, cells)
    folder = tmp_path / "calculation"
    first = finish(read_forces(inputs, folder), folder)
    read_forces(inputs, folder)
    assert read_record(folder) == first
    write_vasprun(
        inputs / "vasp" / "fc2-00001" / "vasprun.xml",
        cells.displaced["fc2-00001"],
        1.01 * answers["fc2-00001"],
    )
    with pytest.raises(OutputError, match="other forces of fc2-00001"):
        read_forces(inputs, folder)


def test_forces_never_go_into_the_folder_of_a_potential(
    argon: Crystal, inputs: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, tmp_path: Path
) -> None:
    folder = tmp_path / "calculation"
    stopped = Calculation(
        crystal=argon, folder=folder, potential=load_potential("lennard-jones:argon"), settings=SETTINGS, deadline=0.0
    )
    with pytest.raises(ComputeError):
        stopped.run()
    write_all(inputs, answers, cells)
    with pytest.raises(OutputError, match="another calculation"):
        read_forces(inputs, folder)


def test_the_forces_of_the_perfect_cell_are_taken_off(
    inputs: Path, answers: dict[str, np.ndarray], cells: DisplacedCells, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    residual = {name: 0.05 * random.standard_normal((len(atoms), 3)) for name, atoms in cells.perfect.items()}
    for name, atoms in cells.perfect.items():
        write_vasprun(inputs / "vasp" / name / "vasprun.xml", atoms, residual[name])
    shifted = {name: forces + residual[f"{name[:3]}-00000"] for name, forces in answers.items()}
    write_all(inputs, shifted, cells)
    folder = tmp_path / "calculation"
    read_forces(inputs, folder)
    check_kept(folder, answers, cells, 1e-14)
    assert any("not relaxed" in warning for warning in read_source(folder).warnings)


def test_what_is_written(inputs: Path, argon: Crystal, cells: DisplacedCells) -> None:
    import ase.io

    handover = json.loads((inputs / "handover.json").read_text(encoding="utf-8"))
    assert handover["cells"] == {name: cell_key(atoms) for name, atoms in cells.displaced.items()}
    for name, atoms in cells.displaced.items():
        for path, kind in (
            (inputs / "vasp" / name / "POSCAR", "vasp"),
            (inputs / "espresso" / name / "pw.in", "espresso-in"),
        ):
            read = ase.io.read(path, format=kind)
            assert (read.numbers == atoms.numbers).all()
            np.testing.assert_allclose(read.cell[:], atoms.cell[:], atol=1e-8)
            apart = (read.positions - atoms.positions) @ np.linalg.inv(atoms.cell[:])
            np.testing.assert_allclose(apart, np.round(apart), atol=1e-9)
    incar = (inputs / "vasp" / "fc2-00001" / "INCAR").read_text(encoding="utf-8")
    assert "GGA = PE" in incar
    assert "10.1103/PhysRevB.91.094306" in incar
    assert "NAME_A_FILE_FOR_Ar.upf" in (inputs / "espresso" / "fc2-00001" / "pw.in").read_text(encoding="utf-8")
    assert "LEPSILON" in (inputs / "vasp" / "born" / "INCAR").read_text(encoding="utf-8")
    assert not list(inputs.rglob("*POTCAR*"))
    with pytest.raises(OutputError, match="not empty"):
        write_inputs(argon, inputs, SETTINGS)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("vasprun_dfpt.xml", ("VASP", "6.3.2", "PBE", "400 eV, PAW_PBE Na 08Apr2002, PAW_PBE Cl 06Sep2000")),
        ("vasprun_pstress.xml", ("VASP", "6.3.0", "functional of the POTCAR", "400 eV, PAW C 22Mar2012")),
    ],
)
def test_real_outputs_of_vasp(name: str, method: tuple[str, ...], tmp_path: Path) -> None:
    import ase.io
    import ase.test

    path = Path(str(ase.test.__file__)).parent / "testdata" / "vasp" / name
    if not path.is_file():
        pytest.skip("this ASE was installed without its test data")
    shutil.copy(path, tmp_path / "vasprun.xml")
    atoms = ase.io.read(path, index=-1)
    found = read_output(tmp_path / "vasprun.xml", atoms)
    assert found.method == method
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-8)


def test_a_folder_without_a_hand_over(tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match=r"no readable handover\.json"):
        read_forces(tmp_path, tmp_path / "calculation")
