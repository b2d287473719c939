"""Grüneisen parameters, phase space and the report of one crystal, for argon by Lennard-Jones."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from ase.build import bulk

from paraisite.errors import RunError
from paraisite.phonons.anharmonic import fit_third_order, plan_third_order, third_order
from paraisite.phonons.calculation import Calculation
from paraisite.phonons.forces import ForceStore
from paraisite.phonons.harmonic import HBAR_OVER_K, build_phono3py, phonopy_of, second_order
from paraisite.phonons.potentials.registry import load_potential
from paraisite.phonons.record import ComputeRecord, write_record
from paraisite.phonons.relax import RelaxedCell
from paraisite.phonons.report import FastPrediction, write_crystal_report
from paraisite.phonons.scattering import mean_gruneisen, phase_space
from paraisite.phonons.settings import ComputeSettings
from paraisite.structures import from_ase

SETTINGS = ComputeSettings(
    mesh_length_angstrom=12, temperatures_k=(50.0, 100.0), harmonic_length_angstrom=7.5, cutoff_angstrom=6.0
)


@pytest.fixture(scope="module")
def calculated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ComputeRecord]:
    folder = tmp_path_factory.mktemp("argon")
    crystal = from_ase(bulk("Ar", "fcc", a=5.3), "argon")
    potential = load_potential("lennard-jones:argon")
    return folder, Calculation(crystal=crystal, folder=folder, potential=potential, settings=SETTINGS).run()


def harmonic(relaxed: RelaxedCell, settings: ComputeSettings, store: ForceStore) -> object:
    ph3 = build_phono3py(relaxed, settings)
    second_order(ph3, store, settings)
    return ph3


def test_gruneisen_parameters_are_those_of_two_volumes(calculated: tuple[Path, ComputeRecord], tmp_path: Path) -> None:
    """From the third order (in another supercell than the second) and from frequencies at two volumes."""
    _, record = calculated
    assert record.relaxed
    settings = msgspec.structs.replace(SETTINGS, harmonic_length_angstrom=11.0)
    store = ForceStore(tmp_path / "forces", load_potential("lennard-jones:argon"))
    ph3 = harmonic(record.relaxed, settings, store)
    assert len(ph3.phonon_supercell) > len(ph3.supercell)
    plan = plan_third_order(ph3, settings)
    third_order(ph3, store, plan, settings)
    fit_third_order(ph3, plan, settings, plan.cutoff_angstrom)
    mean, rms = mean_gruneisen(ph3, (4, 4, 4), 100.0)
    meshes = []
    for scale in (0.998, 1.0, 1.002):
        cell = (np.array(record.relaxed.cell) * scale).tolist()
        strained = harmonic(msgspec.structs.replace(record.relaxed, cell=cell), settings, store)
        meshes.append(phonopy_of(strained).run_mesh([4, 4, 4], is_gamma_center=True))
    low, middle, high = (mesh.frequencies for mesh in meshes)
    x = HBAR_OVER_K * np.maximum(middle, 0.05) / 100.0
    weights = np.where(middle > 0.05, (x / 2 / np.sinh(x / 2)) ** 2, 0.0) * meshes[1].weights[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.nan_to_num(-np.log(np.abs(high / low)) / (3 * np.log(1.002 / 0.998)))
    # The third order is cut off at 6 Å, the potential at 10 Å: that is worth 3 %.
    assert mean == pytest.approx(float((weights * values).sum() / weights.sum()), rel=0.05)
    assert rms >= mean


def test_the_phase_space_converges(calculated: tuple[Path, ComputeRecord], tmp_path: Path) -> None:
    _, record = calculated
    assert record.relaxed
    store = ForceStore(tmp_path / "forces", load_potential("lennard-jones:argon"))
    ph3 = harmonic(record.relaxed, SETTINGS, store)
    coarse, fine = phase_space(ph3, (7, 7, 7)), phase_space(ph3, (9, 9, 9))
    assert coarse == pytest.approx(fine, rel=0.1)
    # No more than the density of pairs of modes that a width of twice the highest frequency allows, by three branches.
    assert 0.0 < fine < 1.0


def test_the_record_holds_them(calculated: tuple[Path, ComputeRecord]) -> None:
    _, record = calculated
    assert record.modes
    assert record.modes.anharmonicity
    assert record.modes.anharmonicity.gruneisen_mean == pytest.approx(3.0, rel=0.1)
    assert record.modes.anharmonicity.phase_space_mesh == record.transport.mesh


def test_a_report_by_its_folder_alone(calculated: tuple[Path, ComputeRecord], tmp_path: Path) -> None:
    folder, record = calculated
    prediction = FastPrediction("MultiFidelity", 0.9, 0.3, 2.7)
    page = write_crystal_report(folder, tmp_path / "report", prediction=prediction)
    text = page.read_text(encoding="utf-8")
    assert record.level in text
    assert "ase 3" in text
    assert text.count("data:image/png;base64,") == 4
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    markdown = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert f"{record.transport.kappa[1]:.4g}" in markdown
    assert "MultiFidelity predicts 0.9 W/(m K) (90 % interval 0.3 to 2.7)" in markdown
    assert "Mode Grüneisen parameter, mean by heat capacity | 3.0" in markdown
    assert {path.suffix for path in (tmp_path / "report" / "figures").iterdir()} == {".png", ".svg", ".csv"}
    write_crystal_report(folder, tmp_path / "report")  # its own earlier report is replaced


def test_the_report_of_a_crystal_without_kappa(calculated: tuple[Path, ComputeRecord], tmp_path: Path) -> None:
    folder, record = calculated
    unstable = msgspec.structs.replace(
        record.phonons, imaginary_at=[(0.5, 0.5, 0.0)], imaginary_share=0.05, lowest_frequency=-0.7
    )
    failed = msgspec.structs.replace(
        record,
        status="imaginary_modes",
        message="imaginary modes | <b>lowest</b>",
        phonons=unstable,
        transport=None,
        modes=None,
    )
    other = tmp_path / "failed"
    other.mkdir()
    write_record(other, failed)
    (other / "fc2.hdf5").write_bytes((folder / "fc2.hdf5").read_bytes())
    text = write_crystal_report(other).read_text(encoding="utf-8")
    assert "No κ" in text
    assert "(0.5, 0.5, 0)" in text
    assert "<b>lowest</b>" not in text
    assert text.count("data:image/png;base64,") == 1


def test_a_folder_without_a_record(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no finished calculation"):
        write_crystal_report(tmp_path)
