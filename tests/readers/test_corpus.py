"""The script that checks a folder of CIFs: crystals of the shared data as several programs write them, and what is wrong."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

from crystal_comparison import FCC, cif_text, shared_crystals
from paraisite.structures import to_ase, to_pymatgen

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_corpus.py"


def run(folder: Path) -> tuple[int, str, pd.DataFrame]:
    command = [sys.executable, str(SCRIPT), str(folder), "--csv", str(folder / "table.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, done.stdout, pd.read_csv(folder / "table.csv", keep_default_na=False)


@pytest.mark.slow
def test_crystals_as_other_programs_write_them(shared: Path, tmp_path: Path) -> None:
    from pymatgen.io.cif import CifWriter

    for number, crystal in enumerate(shared_crystals(shared, sample=40)):
        structure = to_pymatgen(crystal)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for style, symprec in (("p1", None), ("symmetric", 0.01)):
                (tmp_path / f"{number}-pymatgen-{style}.cif").write_text(str(CifWriter(structure, symprec=symprec)))
            to_ase(crystal).write(tmp_path / f"{number}-ase.cif")
    code, text, table = run(tmp_path)
    assert code == 0, text
    assert (table["status"] == "ok").all(), text
    assert not (table[["formula", "Z", "pymatgen"]] == "differs").any(axis=None), text
    assert (table["formula"] == "agrees").mean() > 0.9


def test_refusals_and_disagreements_are_listed(tmp_path: Path) -> None:
    (tmp_path / "right.cif").write_text(cif_text(FCC + "_chemical_formula_sum 'Cl Na'\n_cell_formula_units_Z 4\n"))
    (tmp_path / "wrong.cif").write_text(cif_text(FCC + "_chemical_formula_sum 'Cl K'\n"))
    (tmp_path / "none.cif").write_text("data_x\n_cell_length_a 3\n")
    code, text, table = run(tmp_path)
    assert code == 0
    assert dict(zip(table["source"].map(lambda name: Path(name).stem), table["status"], strict=True)) == {
        "right": "ok",
        "wrong": "contradicts_file",
        "none": "no_atoms",
    }
    assert table.loc[table["status"] == "ok", ["formula", "Z", "pymatgen", "ASE"]].to_numpy().tolist() == [
        ["agrees"] * 4
    ]
    assert "3 crystals, 1 read" in text
