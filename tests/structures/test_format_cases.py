"""Small inputs of other formats than CIF that once went wrong, each with its right value or its refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraisite.datasets.catalogue import load_data_set
from paraisite.prediction.predict import predict_files
from paraisite.structures import ReadFailure, iter_crystals


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("POSCAR_01_vasp4_selective", "unreadable", "names no elements"),
        ("POSCAR_08_more_counts", "unreadable", "1 element symbols and 2 counts"),
        ("06a_optimade_assemblies.json", "partial_occupancy", "assemblies"),
        ("06b_optimade_attached_H.json", "unreadable", "attached"),
    ],
)
def test_refused(shared: Path, name: str, code: str, word: str) -> None:
    (failure,) = iter_crystals(shared / "cases" / name)
    assert isinstance(failure, ReadFailure)
    assert (failure.code, word in failure.message) == (code, True), failure


@pytest.mark.parametrize(
    ("name", "right", "formula", "n_atoms"),
    [
        ("right/POSCAR_01", "right/POSCAR_01", "TiO2", 6),
        ("right/POSCAR_08", "right/POSCAR_08", "MgO", 8),
        ("POSCAR_10_wrapped", "right/POSCAR_10", "NaCl", 24),
        ("right/06.json", "right/06.json", "MgO", 8),
        ("12d_nacl.cif.xz", "right/nacl.cif", "NaCl", 8),
    ],
)
def test_read(shared: Path, name: str, right: str, formula: str, n_atoms: int) -> None:
    table = predict_files([shared / "cases" / name, shared / "cases" / right])
    assert table["formula"].tolist() == [formula] * 2
    assert table["n_atoms"].tolist() == [n_atoms] * 2
    assert table["kappa_mean"][0] == pytest.approx(table["kappa_mean"][1], rel=1e-6)


def test_a_table_with_an_empty_cell(shared: Path) -> None:
    data = load_data_set(str(shared / "cases" / "07_csv" / "table.csv"))
    assert (len(data.crystals), data.kappa.max(), len(data.failures)) == (5, 140.0, 1)
    assert "row 6" in data.failures[0].message
