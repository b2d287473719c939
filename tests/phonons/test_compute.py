"""Many crystals: the folder, its records and tables, going on, and the command line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from paraisite.cli.main import main
from paraisite.errors import OutputError
from paraisite.phonons.compute import ComputeOptions, compute, prepare_computation, run_computation
from paraisite.phonons.cost import estimate_cost
from paraisite.phonons.queue import crystal_folder, open_computation
from paraisite.phonons.record import read_record
from paraisite.phonons.settings import ComputeError, ComputeSettings
from paraisite.structures import from_ase

pytest.importorskip("phono3py")

ARGON = "lennard-jones:argon"
SMALL = ComputeSettings(
    anharmonic_length_angstrom=9.0, harmonic_length_angstrom=9.0, mesh_length_angstrom=15.0, check=False
)
WORDS = [
    "--potential", ARGON, "--set", "mesh_length_angstrom=15", "--set", "check=false",
    "--set", "anharmonic_length_angstrom=9", "--set", "harmonic_length_angstrom=9",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Structure files: argon, which has a κ; its unstable phase; salt, which the potential does not know; no structure."""
    place = tmp_path_factory.mktemp("structures")
    write(place / "argon.cif", bulk("Ar", "fcc", a=5.3))
    write(place / "cubic.cif", Atoms("Ar", cell=[3.9] * 3, pbc=True))
    write(place / "salt.cif", bulk("NaCl", "rocksalt", a=5.6))
    (place / "broken.cif").write_text("data_broken\n")
    return place


@pytest.fixture(scope="module")
def computed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "computation"
    assert main(["compute", str(folder), "-o", str(out), *WORDS]) == 3
    return out


def test_each_crystal_has_a_row_with_kappa_or_its_reason(computed: Path) -> None:
    table = pd.read_csv(computed / "computed.csv").set_index("material_id")
    assert table["computed_status"].to_dict() == {
        "argon": "ok", "cubic": "imaginary_modes", "salt": "unsupported_element"
    }  # fmt: skip
    assert table.loc["argon", "computed_kappa"] > 0
    assert table.loc["cubic", "lowest_frequency_thz"] < 0
    assert table.loc["salt", "predicted_kappa"] > 0
    assert "not DFT" in table.loc["argon", "level"]


def test_relaxed_crystals_with_their_kappa_can_be_trained_on(computed: Path) -> None:
    atoms = read(computed / "computed.extxyz", index=":")
    assert [item.info["material_id"] for item in atoms] == ["argon"]
    table = pd.read_csv(computed / "computed.csv").set_index("material_id")
    assert atoms[0].info["kappa"] == pytest.approx(table.loc["argon", "computed_kappa"])


def test_a_computation_is_not_begun_twice(computed: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compute", str(folder), "-o", str(computed), *WORDS]) == 1
    assert "--resume" in capsys.readouterr().err


def test_going_on_computes_what_is_left_alone(computed: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(computed, out)
    computation = open_computation(out)
    argon = next(entry for entry in computation.entries if entry.material_id == "argon")
    place = crystal_folder(out, argon)
    before = read_record(place)
    (place / "record.json").unlink()
    (place / "conductivity.json").unlink()
    assert main(["compute", "--resume", "-o", str(out)]) == 3
    assert read_record(place).transport == before.transport


def test_parts_of_a_job_array_share_a_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = [folder / "cubic.cif", folder / "salt.cif"]
    computation = prepare_computation(files, output=out, potential=ARGON, settings=SMALL)
    run_computation(out, computation, ComputeOptions(part=(2, 2)))
    assert list(pd.read_csv(out / "computed.csv")["material_id"]) == ["salt"]
    run_computation(out, computation, ComputeOptions(part=(1, 2), processes=2))
    assert list(pd.read_csv(out / "computed.csv")["material_id"]) == ["cubic", "salt"]


def test_time_that_is_over_leaves_crystals_for_later(folder: Path, tmp_path: Path) -> None:
    table = compute(
        folder / "salt.cif", output=tmp_path / "out", potential=ARGON, options=ComputeOptions(max_minutes=0.0)
    )
    assert table.empty


def test_objects_are_computed_too(tmp_path: Path) -> None:
    table = compute(Atoms("Ar", cell=[3.9] * 3, pbc=True), output=tmp_path / "out", potential=ARGON, settings=SMALL)
    assert list(table["computed_status"]) == ["imaginary_modes"]


def test_crystals_of_a_scan_are_chosen_as_by_top(folder: Path, tmp_path: Path) -> None:
    assert main(["scan", str(folder), "-o", str(tmp_path / "scan"), "-p", "1"]) == 3
    words = ["--lowest", "1", "--without-elements", "Na"]
    out = tmp_path / "out"
    assert main(["compute", str(tmp_path / "scan"), *words, "-o", str(out), *WORDS, "--max-minutes", "0"]) == 3
    chosen = [entry.formula for entry in open_computation(out).entries]
    assert chosen == ["Ar"]


def test_the_computed_kappa_stands_beside_the_predicted_one(
    computed: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(folder), "-o", str(tmp_path / "scan"), "-p", "1"]) == 3
    capsys.readouterr()
    assert main(["top", str(tmp_path / "scan"), "--with", str(computed)]) == 0
    assert "κ computed" in capsys.readouterr().out
    assert main(["top", str(tmp_path / "scan"), "--with", str(computed), "--csv", str(tmp_path / "top.csv")]) == 0
    rows = pd.read_csv(tmp_path / "top.csv").set_index("material_id")
    assert rows.loc["argon", "computed_kappa"] > 0
    assert main(["top", str(tmp_path / "scan"), "--with", str(folder)]) == 1
    assert "computed.csv" in capsys.readouterr().err


def test_a_process_that_is_killed_twice_gives_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deadly_potential.py").write_text(
        "import os\nfrom ase.calculators.calculator import Calculator\n"
        "class Deadly(Calculator):\n    implemented_properties = ['energy', 'forces', 'stress']\n"
        "    def calculate(self, *args):\n        os._exit(9)\n"
        "def make():\n    return Deadly()\n"
    )
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.syspath_prepend(str(tmp_path))
    table = compute(
        bulk("Ar", "fcc", a=5.3), output=tmp_path / "out", potential="deadly_potential:make", settings=SMALL
    )
    assert list(table["computed_status"]) == ["crashed"]
    assert "memory" in table["computed_message"][0]


def test_a_foreign_folder_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        compute(folder / "argon.cif", output=tmp_path, potential=ARGON)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.cif"], "nowhere.cif"),
        (["{argon}", "--set", "mesh=3"], "mesh_length_angstrom"),
        (["{argon}", "--set", "third_order=guess"], "third_order"),
        (["{argon}", "--temperatures", "300,x"], "temperatures_k"),
        (["{argon}", "--part", "3/2"], "i/n"),
        (["{argon}", "--potential", "magic"], "sevennet:7net-l3i5"),
        (["--resume"], "without --resume"),
    ],
)
def test_wrong_usage_is_one_sentence(
    words: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.format(argon=folder / "argon.cif") for word in words]
    assert main(["compute", *given, "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_the_cost_is_known_beforehand() -> None:
    cost = estimate_cost(from_ase(bulk("Ar", "fcc", a=5.3)), SMALL)
    assert (cost.harmonic_cells, cost.harmonic_atoms, cost.anharmonic_atoms) == (1, 32, 32)
    assert 4 <= cost.anharmonic_cells < 20
    assert 0 < cost.memory_gib < 1


def test_a_cell_of_sixty_atoms_without_symmetry_is_refused_beforehand() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    atoms.rattle(0.1, seed=1)
    cost = estimate_cost(from_ase(atoms[:60]), ComputeSettings(cutoff_angstrom=3.0, third_order="random"))
    assert cost.memory_gib > ComputeSettings().max_memory_gib


def test_an_unknown_folder_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match="holds no computation"):
        compute(output=tmp_path, options=ComputeOptions(resume=True))
