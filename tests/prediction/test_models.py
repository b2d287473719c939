"""Both kinds of models behind one interface, and what the shipped default says of crystals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.io import write
from random_crystals import make, permuted, recelled, shifted, supercell, turned

import paraisite
from paraisite.datasets.prototypes import build
from paraisite.datasets.tables import load_literature, load_togo15
from paraisite.errors import ModelFileError
from paraisite.features.descriptors import describe_crystals
from paraisite.models.files import CARD_NAME, UNCERTAINTY_NAME, WEIGHTS_NAME, find_model
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.models.multi_fidelity.kind import MultiFidelityModel
from paraisite.models.network.kind import NetworkModel
from paraisite.models.registry import load_model
from paraisite.prediction.predict import Predictor
from paraisite.prediction.prepare import prepare
from paraisite.structures import to_ase
from paraisite.structures.crystal import Crystal

SAME_CRYSTAL = 1e-6
"""Relative, of κ: the surrogate is summed in float32, in blocks that depend on the number of crystals."""
MEMBERS = [f"kappa_{member}" for member in range(1, 10)]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(members=True)


@pytest.fixture(scope="module")
def togo15() -> list[Crystal]:
    return load_togo15()


@pytest.fixture(scope="module")
def table(predictor: Predictor, togo15: list[Crystal]) -> pd.DataFrame:
    return predictor.predict(togo15)


def assert_same_numbers(first: pd.DataFrame, second: pd.DataFrame, tolerance: float = SAME_CRYSTAL) -> None:
    numbers = [name for name in first.columns if first[name].dtype == np.float64 and name != "kappa_std"]
    np.testing.assert_allclose(second[numbers], first[numbers], rtol=tolerance)
    # A small difference of large numbers.
    np.testing.assert_allclose(second["kappa_std"], first["kappa_std"], rtol=tolerance, atol=1e-5)
    for name in ("formula", "domain", "domain_reason", "status"):
        assert list(second[name]) == list(first[name]), name


def copy_of_default(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_model(), tmp_path / "model"))


# Loading


def test_the_card_says_which_kind() -> None:
    default, network = (load_model(name) for name in ("MultiFidelity", "FEAFTG15"))
    assert isinstance(default, MultiFidelityModel)
    assert isinstance(network, NetworkModel)
    assert (default.needs.graphs.cutoff_angstrom, network.needs.graphs.cutoff_angstrom) == (5.0, 4.0)
    assert default.n_members == network.n_members == 9
    assert isinstance(Predictor().model, MultiFidelityModel)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "oracle"}, "oracle"),
        ({"graph": {"cutoff_angstrom": -1}}, "graph settings"),
        ({"format": 99}, "format"),
    ],
    ids=["kind", "graph", "format"],
)
def test_a_card_that_is_not_understood_is_one_sentence(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    folder = copy_of_default(tmp_path)
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    (folder / CARD_NAME).write_text(json.dumps({**card, **changes}), encoding="utf-8")
    with pytest.raises(ModelFileError, match=words) as caught:
        Predictor(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [WEIGHTS_NAME, UNCERTAINTY_NAME])
def test_a_damaged_file_is_one_sentence(name: str, tmp_path: Path) -> None:
    folder = copy_of_default(tmp_path)
    (folder / name).write_bytes((folder / name).read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=name) as caught:
        Predictor(folder)
    assert "\n" not in str(caught.value)


# The same crystal, the same row


def test_the_table_is_the_model_called_by_hand(table: pd.DataFrame, togo15: list[Crystal]) -> None:
    prediction = load_multi_fidelity(find_model()).predict(describe_crystals(togo15))
    np.testing.assert_allclose(table[MEMBERS].to_numpy().T, 10**prediction.members, rtol=SAME_CRYSTAL)
    low, high = prediction.interval()
    np.testing.assert_allclose(table[["kappa_low", "kappa_high"]].T, [10**low, 10**high], rtol=SAME_CRYSTAL)


@pytest.mark.parametrize("size", [1, 7, 60])
def test_chunks_of_any_size_give_the_same(
    size: int, predictor: Predictor, table: pd.DataFrame, togo15: list[Crystal]
) -> None:
    chunks = [togo15[start : start + size] for start in range(0, len(togo15), size)]
    parts = [predictor.predict_prepared(prepare(chunk, predictor.needs)) for chunk in chunks]
    assert_same_numbers(table, pd.concat(parts, ignore_index=True))


def test_files_and_objects_give_the_same(
    predictor: Predictor, table: pd.DataFrame, togo15: list[Crystal], tmp_path: Path
) -> None:
    paths = []
    for index, crystal in enumerate(togo15):
        paths.append(tmp_path / f"{index:03}.vasp")
        write(paths[-1], to_ase(crystal), format="vasp", direct=True)
    assert_same_numbers(table, predictor.predict_files(paths, processes=1))
    assert_same_numbers(table, predictor.predict(map(to_ase, togo15)))


def test_a_supercell_has_the_kappa_of_its_crystal(predictor: Predictor, togo15: list[Crystal]) -> None:
    crystals = togo15[::10] + load_literature()[::12]
    small = predictor.predict(crystals)
    for matrix in (np.diag([2, 1, 1]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]]), np.diag([3, 3, 2])):
        large = predictor.predict([supercell(crystal, matrix) for crystal in crystals])
        assert (large["n_atoms"] == small["n_atoms"] * round(np.linalg.det(matrix))).all()
        assert_same_numbers(small, large)


def test_kappa_belongs_to_the_crystal_not_to_its_description(predictor: Predictor, togo15: list[Crystal]) -> None:
    crystals, generator = togo15[::10] + load_literature()[::12], np.random.default_rng(0)
    changed = [
        permuted(
            turned(shifted(recelled(crystal, generator), generator), generator), generator.permutation(crystal.n_atoms)
        )
        for crystal in crystals
    ]
    assert_same_numbers(predictor.predict(crystals), predictor.predict(changed))


# What the shipped default says


def test_bounds_are_ordered(table: pd.DataFrame) -> None:
    assert (table["status"] == "ok").all()
    assert (table["kappa_low"] > 0).all()
    assert (table["kappa_low"] < table["kappa"]).all()
    assert (table["kappa"] < table["kappa_high"]).all()
    assert (table["kappa_low"] <= table["kappa"]).all()
    assert (table["kappa"] <= table["kappa_high"]).all()


def test_known_crystals_are_predicted_closely_and_are_inside(table: pd.DataFrame, togo15: list[Crystal]) -> None:
    kappa = np.array([crystal.properties["kappa"] for crystal in togo15])
    assert np.median(np.abs(table["kappa"] / kappa - 1)) < 0.1
    assert ((table["kappa_low"] < kappa) & (kappa < table["kappa_high"])).mean() > 0.9
    assert (table["domain"] != "outside").all()
    # The volume is compared with the one that 98 % of crystals lie within, those that the model knows included.
    doubtful = table[table["domain"] == "edge"]
    assert len(doubtful) <= 0.05 * len(table)
    assert doubtful["domain_reason"].str.contains("volume").all()
    assert (table.loc[table["domain"] == "inside", "domain_reason"] == "").all()


def test_the_interval_is_wider_where_less_is_known(predictor: Predictor, table: pd.DataFrame) -> None:
    exotic = predictor.predict(
        [make([92, 9, 35, 1], 6.0 * np.eye(3), [[0, 0, 0], [0.35, 0, 0], [0.5] * 3, [0.5, 0, 0.1]])]
    )
    assert exotic["domain"][0] == "outside"
    assert exotic["domain_distance"][0] > table["domain_distance"].max()
    width, usual = (np.log(each["kappa_high"] / each["kappa_low"]) for each in (exotic, table))
    assert width[0] > 2 * usual.median()


@pytest.mark.parametrize(
    ("crystal", "words"),
    [
        (build("fcc", ["Xe"], {"a": 6.13}), "element Xe"),
        (build("fcc", ["He"], {"a": 4.2}), "element He"),
        (make([94], 3.0 * np.eye(3), [[0, 0, 0]]), "element Pu"),
    ],
    ids=["xenon", "helium", "plutonium"],
)
def test_unknown_elements_are_outside_and_named(crystal: Crystal, words: str, predictor: Predictor) -> None:
    row = predictor.predict([crystal]).iloc[0]
    assert (row["status"], row["domain"]) == ("ok", "outside")
    assert words in row["domain_reason"]


def test_any_crystal_with_a_bond_has_a_finite_row(predictor: Predictor) -> None:
    crystals = [
        build("fcc", ["Ar"], {"a": 5.26}),
        build("fcc", ["Cu"], {"a": 3.61}),
        build("bcc", ["W"], {"a": 3.165}),
        build("bcc", ["Na"], {"a": 4.28}),
        make([3], 2.5 * np.eye(3), [[0, 0, 0]]),
        make([1, 1], 20 * np.eye(3), [[0, 0, 0], [0.037, 0, 0]]),
        make([11, 17, 54], 18 * np.eye(3), [[0, 0, 0], [0.15, 0, 0], [0.5, 0.5, 0.5]]),
    ]
    table = predictor.predict(crystals)
    assert list(table["status"]) == ["ok"] * 6 + ["bondless_atoms"]
    numbers = table.select_dtypes(np.float64).to_numpy()
    assert np.isfinite(numbers).all()
    assert (table[MEMBERS] > 0).all(axis=None)
    assert (table["kappa_low"] < table["kappa"]).all()
    assert (table["kappa"] < table["kappa_high"]).all()


def test_an_atom_beyond_reach_is_a_row_with_its_reason(predictor: Predictor, togo15: list[Crystal]) -> None:
    table = predictor.predict([togo15[0], make([18], 9 * np.eye(3), [[0, 0, 0]]), togo15[1]])
    assert list(table["status"]) == ["ok", "no_bonds", "ok"]
    assert "5 Å" in table["error"][1]
    assert np.isnan(table["kappa_low"][1])
    assert table["domain"][1] == ""


def test_no_structure_gives_an_empty_table_of_the_same_columns(predictor: Predictor, table: pd.DataFrame) -> None:
    assert list(predictor.predict([]).columns) == list(table.columns)
    said = predictor.outputs(prepare([], predictor.needs))
    assert said.kappa.shape == (9, 0)
    assert said.judgement.domain == []


def test_without_its_domain_the_interval_is_still_told(
    table: pd.DataFrame, togo15: list[Crystal], tmp_path: Path
) -> None:
    folder = copy_of_default(tmp_path)
    (folder / UNCERTAINTY_NAME).unlink()
    without = paraisite.predict(togo15[:5], folder)
    pd.testing.assert_frame_equal(
        without[["kappa", "kappa_low", "kappa_high"]],
        table[["kappa", "kappa_low", "kappa_high"]][:5],
        rtol=SAME_CRYSTAL,
    )
    assert (without[["domain", "domain_reason"]] == "").all(axis=None)
    assert without["domain_distance"].isna().all()
