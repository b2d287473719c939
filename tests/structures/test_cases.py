"""Small inputs that once went wrong, each with its right value or its refusal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from paraisite.datasets.catalogue import load_data_set
from paraisite.prediction.predict import Predictor
from paraisite.structures import Crystal, ReadFailure, ReadOptions, iter_crystals


@dataclass(frozen=True, slots=True)
class Right:
    """A case that is read: what it holds, and the file whose κ it must have."""

    formula: str
    n_atoms: int
    same_as: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A case that is refused: with which code, and a word of the sentence that says why."""

    code: str
    word: str


BRUCITE = Right("MgH2O2", 5, "02a.cif")
SALT = Right("NaCl", 8, "nacl.cif")
CASES: dict[str, Right | Refused] = {
    "02a_OH_label.cif": BRUCITE,
    "02b_OH_no_H.cif": Refused("missing_hydrogens", "hydrogen"),
    "02c_one_type_unknown.cif": SALT,
    "02d_mixed_type.cif": Refused("partial_occupancy", "0.5Na+0.5K"),
    "02e_vacancy_label.cif": Refused("unreadable", "Vac"),
    "02f_HOh_label.cif": BRUCITE,
    "03a_bi2te3_brackets.cif": Right("Bi2Te3", 15, "03a.cif"),
    "03b_si_origin_brackets.cif": Right("Si", 8, "03b.cif"),
    "04a_ops_identity_only.cif": Refused("contradicts_file", "Z = 4"),
    "04b_ops_no_centring.cif": Refused("contradicts_file", "Z = 4"),
    "04c_ops_centring_twice.cif": Refused("unreadable", "no group"),
    "04d_ops_without_identity.cif": Refused("unreadable", "identity"),
    "04e_hall_P1_against_HM.cif": Refused("contradicts_file", "Z = 4"),
    "05a_dummy_site.cif": SALT,
    "05b_disorder_group.cif": Refused("partial_occupancy", "disorder"),
    "05c_formula_has_H.cif": Refused("missing_hydrogens", "hydrogen"),
    "09_alunite_four_digits.cif": Right("KAl3H6S2O14", 78, "09.cif"),
    "11_water_label_H_listed.cif": BRUCITE,
    "12a_mixed_AMCSD.cif": Refused("partial_occupancy", "0.6"),
    "12b_no_angles.cif": Refused("no_cell", "_cell_angle_alpha"),
    "12c_dotted.cif": SALT,
    "12d_nacl.cif.xz": SALT,
    "06a_optimade_assemblies.json": Refused("partial_occupancy", "assemblies"),
    "06b_optimade_attached_H.json": Refused("unreadable", "attached"),
    "right/06.json": Right("MgO", 8, "06.json"),
    "POSCAR_01_vasp4_selective": Refused("unreadable", "names no elements"),
    "POSCAR_08_more_counts": Refused("unreadable", "1 element symbols and 2 counts"),
    "POSCAR_10_wrapped": Right("NaCl", 24, "POSCAR_10"),
    "right/POSCAR_01": Right("TiO2", 6, "POSCAR_01"),
    "right/POSCAR_08": Right("MgO", 8, "POSCAR_08"),
}


@cache
def _predictor() -> Predictor:
    return Predictor()


def _kappa(path: Path) -> float:
    return float(_predictor().predict_files([path])["kappa"].iloc[0])


@pytest.mark.parametrize("name", CASES)
def test_case(shared: Path, name: str) -> None:
    folder, expected = shared / "cases", CASES[name]
    (item,) = iter_crystals(folder / name)
    if isinstance(expected, Refused):
        assert isinstance(item, ReadFailure), item
        assert (item.code, expected.word in item.message) == (expected.code, True), item
        assert item.message.startswith(str(folder / name))
        return
    assert isinstance(item, Crystal), item
    assert (item.formula, item.n_atoms) == (expected.formula, expected.n_atoms)
    assert _kappa(folder / name) == pytest.approx(_kappa(folder / "right" / expected.same_as), rel=1e-4)


def test_missing_hydrogens_are_predicted_with_a_warning_where_asked_for(shared: Path) -> None:
    path = shared / "cases" / "05c_formula_has_H.cif"
    (crystal,) = iter_crystals(path, options=ReadOptions(allow_missing_hydrogens=True))
    assert isinstance(crystal, Crystal)
    assert crystal.warning is not None
    assert (crystal.formula, crystal.warning.code) == ("AlO2", "missing_hydrogens")
    refused = _predictor().predict_files([path])
    assert refused["kappa"].isna().all()
    row = _predictor().predict_files([path], allow_missing_hydrogens=True).iloc[0]
    assert row["status"] == "missing_hydrogens"
    assert row["kappa"] > 0
    assert "4 more hydrogen atoms" in row["error"]
    assert row["error"].endswith(".")


def test_an_empty_cell_of_a_table_labels_nothing(shared: Path) -> None:
    data = load_data_set(str(shared / "cases" / "07_csv" / "table.csv"))
    assert (len(data.crystals), data.kappa.max(), len(data.failures)) == (5, 140.0, 1)
    assert "row 6" in data.failures[0].message
