"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.io import write

import paraisite
from paraisite.cli.main import main
from paraisite.datasets.tables import load_togo15
from paraisite.structures import to_ase

CIF = """data_{name}
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""
CSCL = "Cs1 Cs 0 0 0 1\nCl1 Cl 0.5 0.5 0.5 1"


def cif(path: Path, sites: str = CSCL, a: float | str = 4.12) -> Path:
    path.write_text(CIF.format(name=path.stem, a=a, sites=sites), encoding="utf-8")
    return path


@pytest.fixture
def bad_batch(tmp_path: Path) -> tuple[list[Path], dict[str, str]]:
    """Good files with one bad file of every kind among them, and the status that each must get."""
    folder = tmp_path / "batch"
    folder.mkdir()
    expected = {}

    def add(path: Path, status: str) -> None:
        expected[path.stem] = status

    add(cif(folder / "good_1.cif"), "ok")
    (folder / "garbage.cif").write_bytes(bytes(range(256)) * 4)
    add(folder / "garbage.cif", "unreadable")
    (folder / "empty.cif").touch()
    add(folder / "empty.cif", "empty_file")
    write(folder / "molecule.xyz", Atoms("H2O", positions=[[0, 0, 0], [0.96, 0, 0], [0, 0.96, 0]]), format="extxyz")
    add(folder / "molecule.xyz", "no_cell")
    add(cif(folder / "partial.cif", "Cs1 Cs 0 0 0 0.5\nCl1 Cl 0.5 0.5 0.5 1"), "partial_occupancy")
    add(cif(folder / "mixed.cif", "Cs1 Cs 0 0 0 0.5\nRb1 Rb 0 0 0 0.5\nCl1 Cl 0.5 0.5 0.5 1"), "partial_occupancy")
    add(cif(folder / "polonium.cif", "Po1 Po 0 0 0 1", a=3.35), "unsupported_element")
    add(cif(folder / "nan.cif", a="nan"), "invalid_cell")
    add(cif(folder / "flat.cif", a=0.0), "invalid_cell")
    add(cif(folder / "overlap.cif", "Cs1 Cs 0 0 0 1\nCl1 Cl 0.01 0 0 1"), "overlapping_atoms")
    add(cif(folder / "far.cif", "Ne1 Ne 0 0 0 1", a=9.0), "no_bonds")
    add(
        cif(folder / "some_bondless.cif", "Cs1 Cs 0 0 0 1\nO1 O 0.5 0.5 0.5 1\nO2 O 0.62 0.5 0.5 1", a=10.0),
        "bondless_atoms",
    )
    add(folder / "missing.cif", "unreadable")
    add(cif(folder / "good_2.cif", a=4.2), "ok")
    return [folder / (name + (".xyz" if name == "molecule" else ".cif")) for name in expected], expected


def test_bad_files_become_rows_and_good_ones_are_predicted(
    bad_batch: tuple[list[Path], dict[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, expected = bad_batch
    code = main(["predict", *map(str, files), "--csv", str(tmp_path / "out.csv"), "--json", str(tmp_path / "out.json")])
    assert code == 3
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    names = [Path(source).stem for source in table["source"]]
    assert dict(zip(names, table["status"], strict=True)) == expected
    for row in table.to_dict("records"):
        predicted = row["status"] in {"ok", "bondless_atoms"}
        assert (row["kappa"] != "") == predicted
        if not predicted:
            assert Path(row["source"]).name in row["error"]
            assert "\n" not in row["error"]
    records = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [record["status"] for record in records] == list(table["status"])
    assert list(records[0]) == list(table.columns)
    assert "Traceback" not in capsys.readouterr().err


def test_predict_shows_a_table_and_leaves_with_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(cif(tmp_path / "CsCl.cif"))]) == 0
    output = capsys.readouterr()
    assert "CsCl" in output.out
    assert "1 structures: 1 ok" in output.err


def test_csv_on_the_standard_output_is_clean(tmp_path: Path) -> None:
    path = cif(tmp_path / "CsCl.cif")
    command = [sys.executable, "-m", "paraisite.cli.main", "predict", str(path), "--csv", "-"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert lines[0].startswith("material_id,formula,n_atoms,kappa")
    assert len(lines) == 2


def test_cli_equals_the_library(tmp_path: Path) -> None:
    path = cif(tmp_path / "CsCl.cif")
    main(["predict", str(path), "--csv", str(tmp_path / "out.csv")])
    written = pd.read_csv(tmp_path / "out.csv")
    np.testing.assert_allclose(written["kappa"], paraisite.predict_files([path])["kappa"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["predict", "x.cif", "--model", "nonsense"], 1, "no model 'nonsense'"),
        (["predict"], 2, "Missing argument"),
        (["train", "NOFAMILY", "-o", "run"], 1, "RWAF, FEAF, RWTG15"),
        (["train", "FETG15", "-o", "run"], 1, "PARAISITE_DATA"),
        (["finetune", "no-such-file.csv", "-o", "run"], 1, "no data set 'no-such-file.csv'"),
        (["evaluate", "no-such-set"], 1, "no data set 'no-such-set'"),
        (["info", "nonsense"], 1, "no model 'nonsense'"),
        (["unknown"], 2, "No such command"),
    ],
)
def test_mistakes_are_one_sentence_on_the_error_stream(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAISITE_DATA", raising=False)
    assert main(arguments) == code
    error = " ".join(capsys.readouterr().err.split())
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize("start", ["MultiFidelity", "FEAF"])
def test_finetune_then_predict_and_evaluate(start: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = []
    for crystal in load_togo15()[:20]:
        frames.append(to_ase(crystal))
        frames[-1].info = {"material_id": crystal.material_id, "my_kappa": crystal.properties["kappa"]}
    frames[3].info["my_kappa"] = -1.0
    write(tmp_path / "mine.extxyz", frames)
    data, run = str(tmp_path / "mine.extxyz"), str(tmp_path / "run")
    assert main(["finetune", data, "-o", run, "-m", start, "--epochs", "2", "--kappa-column", "my_kappa"]) == 3
    output = capsys.readouterr()
    assert "held_out" in output.out or "held out" in output.out
    assert "κ must be a number above 0" in output.err
    model = run
    assert main(["predict", str(cif(tmp_path / "CsCl.cif")), "--model", model]) == 0
    code = main(["evaluate", data, "--model", model, "--kappa-column", "my_kappa", "--csv", str(tmp_path / "e.csv")])
    assert code == 3, "one crystal was left out"
    assert len(pd.read_csv(tmp_path / "e.csv")) == 19


def test_finetune_from_a_table_of_files(tmp_path: Path) -> None:
    rows = ["file,kappa,comment"]
    for crystal in load_togo15()[:12]:
        write(tmp_path / f"{crystal.material_id}.cif", to_ase(crystal))
        rows.append(f"{crystal.material_id}.cif,{crystal.properties['kappa']},mine")
    rows.append("missing.cif,3.0,mine")
    (tmp_path / "mine.csv").write_text("\n".join(rows), encoding="utf-8")
    start = ["finetune", str(tmp_path / "mine.csv"), "-o", str(tmp_path / "run")]
    assert main([*start, "-m", "FEAF", "--epochs", "1"]) == 3
    splits = json.loads((tmp_path / "run" / "finetune" / "splits.json").read_text(encoding="utf-8"))
    assert splits["n_crystals"] == 12
    assert "missing.cif" in splits["left_out"][0]["message"]
    assert main(start) == 1, "the folder holds a run of networks"
    assert main([*start[:-1], str(tmp_path / "other")]) == 3
    errors = json.loads((tmp_path / "other" / "errors.json").read_text(encoding="utf-8"))
    assert errors["n_crystals"] == 12
    assert "missing.cif" in errors["left_out"][0]["message"]


def test_train_shows_a_recipe_that_it_reads_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "FEAFTG15", "--show"]) == 0
    (tmp_path / "shown.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert paraisite.Recipe.from_toml(tmp_path / "shown.toml") == paraisite.family_recipe("FEAFTG15")
    assert main(["train", "FEAFTG15"]) == 2, "neither a folder nor --show"


def test_train_takes_a_recipe_file_and_goes_on(tmp_path: Path) -> None:
    recipe = paraisite.Recipe("small", (paraisite.StageRecipe("togo15", "togo15", epochs=2),), runs=(1, 2))
    (tmp_path / "small.toml").write_text(recipe.to_toml(), encoding="utf-8")
    command = ["train", str(tmp_path / "small.toml"), "-o", str(tmp_path / "run")]
    assert main(command) == 0
    before = (tmp_path / "run" / "togo15" / "errors.json").read_bytes()
    assert main(command) == 0
    assert (tmp_path / "run" / "togo15" / "errors.json").read_bytes() == before


@pytest.mark.parametrize(
    ("data", "model", "seen"),
    [
        ("togo15", "MultiFidelity", True),
        ("hh143", "MultiFidelity", True),
        ("literature", "MultiFidelity", True),
        ("togo15", "FEAFTG15", True),
        ("hh143", "FEAFTG15", False),
    ],
)
def test_evaluate_says_that_the_crystals_were_seen(
    data: str, model: str, seen: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", data, "--model", model]) == 0
    assert ("trained on these crystals" in capsys.readouterr().out) == seen


def test_info_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["info"]) == 0
    assert main(["info", "FEAF"]) == 0
    output = capsys.readouterr().out
    assert paraisite.__version__ in output
    assert "FEAFTG15" in output
    assert main(["info", "FEAF", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "FEAF"


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(paraisite.ParaisiteError):
        main(["evaluate", "no-such-set", "--debug"])
