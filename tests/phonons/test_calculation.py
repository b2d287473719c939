"""A calculation of κ from structure to record, by argon's Lennard-Jones potential."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

from paraisite.errors import OutputError
from paraisite.phonons.calculation import Calculation, CalculationStep
from paraisite.phonons.potentials.classical import lennard_jones_argon
from paraisite.phonons.potentials.potential import Potential
from paraisite.phonons.record import ComputeRecord, read_record
from paraisite.phonons.settings import ComputeError, ComputeSettings
from paraisite.structures import from_ase

pytest.importorskip("phono3py")

SMALL = ComputeSettings(
    anharmonic_length_angstrom=9.0,
    harmonic_length_angstrom=9.0,
    mesh_length_angstrom=22.0,
    temperatures_k=(50.0, 100.0),
)
"""Settings for a second rather than a minute: supercells of 32 atoms and 7³ q-points."""


def compute_argon(folder: Path, atoms: Atoms | None = None, settings: ComputeSettings = SMALL) -> ComputeRecord:
    crystal = from_ase(bulk("Ar", "fcc", a=5.3) if atoms is None else atoms, material_id="argon")
    return Calculation(crystal=crystal, folder=folder, potential=lennard_jones_argon(), settings=settings).run()


@pytest.fixture(scope="module")
def argon(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ComputeRecord]:
    folder = tmp_path_factory.mktemp("argon")
    return folder, compute_argon(folder)


def test_argon_is_what_phono3py_gives_when_called_directly(tmp_path: Path) -> None:
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

    settings = ComputeSettings(
        anharmonic_length_angstrom=9.0, harmonic_length_angstrom=14.0, mesh_length_angstrom=22.0, temperatures_k=(100.0,),
        third_order="finite-differences", cutoff_angstrom=4.5, check=False,
    )  # fmt: skip
    record = compute_argon(tmp_path, settings=settings)
    assert record.status == "ok", record.message

    relaxed = record.relaxed.atoms()
    calculator = lennard_jones_argon().calculator

    def forces_on(cell: PhonopyAtoms | None) -> np.ndarray:
        if cell is None:
            return np.zeros((32, 3))
        atoms = Atoms(
            cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True, calculator=calculator
        )
        return atoms.get_forces()

    direct = Phono3py(
        PhonopyAtoms(numbers=relaxed.numbers, cell=relaxed.cell[:], scaled_positions=relaxed.get_scaled_positions()),
        supercell_matrix=np.diag([2, 2, 2]),
        phonon_supercell_matrix=np.diag([3, 3, 3]),
        primitive_matrix="F",
    )
    direct.generate_displacements(distance=0.03, cutoff_pair_distance=4.5)
    direct.generate_fc2_displacements(distance=0.01)
    direct.phonon_forces = [forces_on(cell) for cell in direct.phonon_supercells_with_displacements]
    direct.forces = [forces_on(cell) for cell in direct.supercells_with_displacements]
    direct.produce_fc2()
    direct.symmetrize_fc2()
    direct.produce_fc3()
    direct.symmetrize_fc3()
    direct.mesh_numbers = record.transport.mesh
    direct.init_phph_interaction()
    direct.run_thermal_conductivity(temperatures=[100.0], is_isotope=True)
    expected = direct.thermal_conductivity.kappa[0, 0]
    assert np.abs(np.array(record.transport.kappa_tensor[0]) - expected).max() < 1e-6 * expected[0]


def test_the_record_holds_what_was_found(argon: tuple[Path, ComputeRecord]) -> None:
    folder, record = argon
    assert record.status == "ok"
    assert record.level == lennard_jones_argon().level
    assert record.phonons.stable
    assert record.phonons.imaginary_at == []
    assert record.relaxed.space_group == record.relaxed.space_group_before == 225
    assert record.relaxed.largest_force < 1e-4
    cold, warm = record.transport.kappa
    assert cold > warm > 0
    assert len(record.transport.kappa_coherence) == 2
    assert record.transport.mesh_change > 0
    assert record.convergence_error >= record.transport.mesh_change
    assert (folder / "fc2.hdf5").is_file()
    assert (folder / "fc3.hdf5").is_file()
    assert list(folder.glob("kappa-m*.hdf5"))
    assert json.loads((folder / "record.json").read_text())["transport"]["kappa"] == [cold, warm]


def test_modes_add_up_to_kappa(argon: tuple[Path, ComputeRecord]) -> None:
    record = argon[1]
    kappa = record.transport.kappa[record.transport.temperatures_k.index(record.modes.temperature_k)]
    assert record.modes.kappa_below_frequency[-1] == pytest.approx(kappa, rel=1e-6)
    assert record.modes.kappa_below_mean_free_path[-1] == pytest.approx(kappa, rel=1e-6)
    assert record.modes.kappa_below_frequency == sorted(record.modes.kappa_below_frequency)


def test_debye_temperature_and_heat_capacity_are_argons(argon: tuple[Path, ComputeRecord]) -> None:
    # Measured Debye temperature of solid argon: 93 K (Kittel, Introduction to Solid State Physics, 8th ed., table 5.1).
    record = argon[1]
    assert 75 < record.phonons.debye_temperature_k < 110
    assert 0 < record.phonons.heat_capacity[0] < record.phonons.heat_capacity[1] < 3


@pytest.mark.parametrize("form", ["conventional", "rotated", "supercell"])
def test_every_description_of_a_crystal_gives_the_same_kappa(
    form: str, argon: tuple[Path, ComputeRecord], tmp_path: Path
) -> None:
    atoms = bulk("Ar", "fcc", a=5.3)
    if form == "conventional":
        atoms = bulk("Ar", "fcc", a=5.3, cubic=True)
    elif form == "rotated":
        atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    else:
        atoms = atoms * (2, 1, 1)
    record = compute_argon(tmp_path, atoms)
    assert record.status == "ok", record.message
    assert record.transport.kappa == pytest.approx(argon[1].transport.kappa, rel=0.01)


def test_a_finished_calculation_is_not_done_again(argon: tuple[Path, ComputeRecord]) -> None:
    folder, record = argon
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert compute_argon(folder) == record
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_a_folder_of_other_settings_is_refused(argon: tuple[Path, ComputeRecord]) -> None:
    with pytest.raises(OutputError, match=r"other settings .*mesh_length_angstrom"):
        compute_argon(argon[0], settings=ComputeSettings(mesh_length_angstrom=30.0))


@pytest.mark.parametrize("moment", [1, 3, 6])
def test_a_killed_calculation_repeats_no_finished_force_call(
    moment: int, argon: tuple[Path, ComputeRecord], tmp_path: Path
) -> None:
    """Killed after some force calls, gone on with: the same κ to the last digit, and every call made once."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_calculation import compute_argon; compute_argon(Path(sys.argv[1]))"
    )
    folder = tmp_path / "argon"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([p for p in sys.path if p])}
    child = subprocess.Popen([sys.executable, "-c", code, str(folder), str(Path(__file__).parent)], env=environment)
    while child.poll() is None and len(list((folder / "forces").glob("*.npz"))) < moment:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = {path.name: path.stat().st_mtime_ns for path in (folder / "forces").glob("*.npz")}
    assert len(done) >= moment
    calls: list[CalculationStep] = []
    crystal = from_ase(bulk("Ar", "fcc", a=5.3), material_id="argon")
    potential = lennard_jones_argon()
    record = Calculation(
        crystal=crystal, folder=folder, potential=potential, settings=SMALL, on_step=calls.append
    ).run()
    assert record.transport == argon[1].transport
    assert record.force_calls == argon[1].force_calls
    assert {name: (folder / "forces" / name).stat().st_mtime_ns for name in done} == done
    assert max((step.force_calls for step in calls), default=0) == record.force_calls - len(done)


def test_time_that_is_over_leaves_no_record(tmp_path: Path) -> None:
    crystal = from_ase(bulk("Ar", "fcc", a=5.3), material_id="argon")
    late = Calculation(crystal=crystal, folder=tmp_path, potential=lennard_jones_argon(), settings=SMALL, deadline=0.0)
    with pytest.raises(ComputeError, match="--resume"):
        late.run()
    assert read_record(tmp_path) is None


class Broken(Calculator):
    """Forces of argon until a call, then what is asked for."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 - as ASE declares it

    def __init__(self, after: int, value: float) -> None:
        super().__init__()
        self.inner, self.left, self.value = lennard_jones_argon().calculator, after, value

    def calculate(self, atoms: object = None, properties: object = ("energy",), changes: object = all_changes) -> None:
        super().calculate(atoms, properties, changes)
        self.inner.calculate(atoms, ["energy", "forces", "stress"], all_changes)
        self.results = dict(self.inner.results)
        self.left -= 1
        if self.left < 0:
            self.results["forces"] = self.results["forces"] * self.value


def test_forces_that_are_not_finite_give_a_record_with_the_reason(tmp_path: Path) -> None:
    potential = Potential("broken", "Broken", "1", "Broken, not DFT", None, Broken(3, float("nan")))
    crystal = from_ase(bulk("Ar", "fcc", a=5.3), material_id="argon")
    record = Calculation(crystal=crystal, folder=tmp_path, potential=potential, settings=SMALL).run()
    assert record.status == "forces_not_finite"
    assert "Broken" in record.message
    assert record.transport is None


def test_imaginary_modes_stop_before_the_third_order_and_say_where(tmp_path: Path) -> None:
    # Simple cubic argon is a saddle point of the Lennard-Jones crystal.
    crystal = from_ase(Atoms("Ar", cell=np.eye(3) * 3.9, pbc=True), material_id="simple cubic")
    record = Calculation(crystal=crystal, folder=tmp_path, potential=lennard_jones_argon(), settings=SMALL).run()
    assert record.status == "imaginary_modes"
    assert record.phonons.lowest_frequency < -0.1
    assert str(record.phonons.lowest_at) in record.message
    assert record.plan is None


def test_a_relaxation_that_does_not_converge_is_a_record(tmp_path: Path) -> None:
    settings = ComputeSettings(max_relaxation_steps=1)
    crystal = from_ase(bulk("Ar", "fcc", a=5.0), material_id="argon")
    record = Calculation(crystal=crystal, folder=tmp_path, potential=lennard_jones_argon(), settings=settings).run()
    assert record.status == "not_converged"
    assert "max_relaxation_steps" in record.message


def test_an_element_unknown_to_the_potential_is_a_record_without_a_force_call(tmp_path: Path) -> None:
    crystal = from_ase(bulk("NaCl", "rocksalt", a=5.6), material_id="salt")
    record = Calculation(crystal=crystal, folder=tmp_path, potential=lennard_jones_argon(), settings=SMALL).run()
    assert record.status == "unsupported_element"
    assert record.force_calls == 0


def test_too_much_memory_is_refused_before_the_third_order(tmp_path: Path) -> None:
    settings = ComputeSettings(
        anharmonic_length_angstrom=9.0, harmonic_length_angstrom=9.0, mesh_length_angstrom=22.0, max_memory_gib=1e-4
    )
    record = compute_argon(tmp_path, settings=settings)
    assert record.status == "too_large"
    assert "max_memory_gib" in record.message


def test_a_cell_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    record = compute_argon(tmp_path, settings=ComputeSettings(max_supercell_atoms=3))
    assert record.status == "too_large"
    assert "4 atoms" in record.message


@pytest.mark.parametrize("name", ["force_tolerance", "mesh_length_angstrom", "max_memory_gib"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_settings_without_meaning_are_refused(name: str, value: float) -> None:
    with pytest.raises(ComputeError, match=name):
        ComputeSettings(**{name: value})
