"""Prediction: the table, its agreement with the model, streaming, workers, bad structures."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ase.io import write
from pymatgen.core import Molecule

import paraisite
from paraisite.datasets.tables import load_togo15
from paraisite.errors import ModelFileError, ParaisiteError
from paraisite.graphs.build import build_store
from paraisite.models.files import graph_settings
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.files import load_network
from paraisite.prediction.predict import Predictor, predict_files
from paraisite.prediction.worker import Preparation, prepare_pool, prepare_with
from paraisite.structures import to_ase, to_pymatgen

COLUMNS = [
    "material_id", "formula", "n_atoms", "kappa", "kappa_low", "kappa_high",
    "domain", "domain_distance", "domain_reason", "status", "error", "source",
]  # fmt: skip
MEMBERS = [f"kappa_{member}" for member in range(1, 10)]
SAME_GRAPH = 2e-5
"""Relative: the same crystal through another file format differs by float32 rounding of distances."""


@pytest.fixture(scope="module")
def crystals() -> list[paraisite.Crystal]:
    return load_togo15()[::12]


@pytest.fixture
def files(crystals: list[paraisite.Crystal], tmp_path: Path) -> list[Path]:
    paths = []
    for crystal in crystals:
        paths.append(tmp_path / f"{crystal.material_id}.cif")
        write(paths[-1], to_ase(crystal))
    return paths


@pytest.mark.parametrize("model", ["FEAFTG15", "MultiFidelity"])
def test_one_kappa_and_the_members_where_they_are_asked_for(crystals: list[paraisite.Crystal], model: str) -> None:
    table = paraisite.predict(crystals, model)
    assert list(table.columns) == COLUMNS
    detailed = paraisite.predict(crystals, model, members=True)
    assert list(detailed.columns) == [*COLUMNS[:6], "kappa_mean", "kappa_std", *MEMBERS, *COLUMNS[6:]]
    pd.testing.assert_frame_equal(detailed[COLUMNS], table)
    members = detailed[MEMBERS].to_numpy()
    np.testing.assert_allclose(detailed["kappa_mean"], members.mean(axis=1))
    np.testing.assert_allclose(detailed["kappa_std"], members.std(axis=1))
    np.testing.assert_allclose(table["kappa"], np.median(members, axis=1))
    assert (table["kappa_low"] < table["kappa"]).all()
    assert (table["kappa"] < table["kappa_high"]).all()


def test_a_model_without_a_calibrated_interval_has_none(crystals: list[paraisite.Crystal]) -> None:
    table = paraisite.predict(crystals, "FEAF")
    assert table[["kappa_low", "kappa_high"]].isna().all(axis=None)
    assert table["kappa"].notna().all()


@pytest.mark.parametrize("kind", [lambda crystal: crystal, to_ase, to_pymatgen])
def test_one_structure_is_one_row(crystals: list[paraisite.Crystal], kind: Callable[[object], object]) -> None:
    table = paraisite.predict(kind(crystals[0]))
    assert len(table) == 1
    np.testing.assert_allclose(table["kappa"], paraisite.predict(crystals[:1])["kappa"], rtol=SAME_GRAPH)


def test_one_path_is_its_crystals(files: list[Path], tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(paraisite.predict(str(files[0])), predict_files([files[0]]))
    pd.testing.assert_frame_equal(paraisite.predict(files[0]), predict_files([files[0]]))
    pd.testing.assert_frame_equal(paraisite.predict(tmp_path), predict_files(tmp_path))


def test_structures_and_paths_may_be_mixed(crystals: list[paraisite.Crystal], files: list[Path]) -> None:
    mixed = (kind for kind in (crystals[0], str(files[1]), to_ase(crystals[2]), files[3], "missing.cif"))
    table = paraisite.predict(mixed)
    assert list(table["formula"]) == [*(crystal.formula for crystal in crystals[:4]), ""]
    assert list(table["status"]) == ["ok"] * 4 + ["unreadable"]
    assert table["error"].iloc[-1].startswith("missing.cif: there is no such file")


@pytest.mark.parametrize("wrong", [3, {"a": 1}, b"NaCl.cif", None])
def test_what_is_no_structure_is_one_sentence(wrong: object) -> None:
    with pytest.raises(ParaisiteError, match="is no crystal; give a path"):
        paraisite.predict(wrong)


def test_a_molecule_is_one_failure() -> None:
    molecule = Molecule(["H", "O"], [[0, 0, 0], [0, 0, 1]])
    assert list(paraisite.predict(molecule)["status"]) == ["unsupported_format"]


def test_table_equals_the_network_called_by_hand(crystals: list[paraisite.Crystal]) -> None:
    folder = paraisite.shipped_models()["FEAFTG15"]
    store = build_store(crystals, graph_settings(folder))
    with torch.no_grad():
        batch = GraphBatch.from_arrays(store.collate(np.arange(len(crystals))))
        kappa = load_network(folder).predict_kappa(batch).numpy()
    table = paraisite.predict(crystals, "FEAFTG15", members=True)
    np.testing.assert_allclose(table["kappa_4"], kappa[3], rtol=1e-6)


def test_objects_of_every_kind_give_the_same(crystals: list[paraisite.Crystal]) -> None:
    by_kind = [paraisite.predict(map(kind, crystals)) for kind in (lambda crystal: crystal, to_ase, to_pymatgen)]
    for table in by_kind[1:]:
        np.testing.assert_allclose(table["kappa"], by_kind[0]["kappa"], rtol=SAME_GRAPH)


def test_files_keep_their_order_with_workers(files: list[Path], tmp_path: Path) -> None:
    many = [files[index % len(files)] for index in np.random.default_rng(0).permutation(150)]
    many[70] = tmp_path / "missing.cif"
    serial = predict_files(many, processes=1)
    parallel = predict_files(many, processes=3)
    pd.testing.assert_frame_equal(serial, parallel)
    assert list(serial["source"]) == [str(path) for path in many]
    assert serial["status"].value_counts().to_dict() == {"ok": 149, "unreadable": 1}


def test_a_folder_is_its_files(files: list[Path], tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(predict_files(tmp_path), predict_files(sorted(files)))


def test_stream_holds_no_more_than_a_chunk(files: list[Path]) -> None:
    sizes = [len(table) for table in Predictor().stream_files(files * 80, processes=1)]
    assert sum(sizes) == 80 * len(files)
    assert max(sizes) <= 256


def test_bad_objects_become_rows(crystals: list[paraisite.Crystal]) -> None:
    broken = to_ase(crystals[0])
    broken.positions[:] = 0.0
    table = paraisite.predict([crystals[0], broken, crystals[1]])
    assert list(table["status"]) == ["ok", "overlapping_atoms", "ok"]
    assert np.isnan(table["kappa"][1])
    assert "overlap" in table["error"][1]


def test_no_structure_gives_an_empty_table() -> None:
    table = paraisite.predict([])
    assert list(table.columns) == COLUMNS
    assert len(table) == 0


def test_a_killed_worker_is_replaced(files: list[Path]) -> None:
    many = files * 40
    with prepare_pool(1, Preparation(Predictor().needs)) as pool:
        chunks = prepare_with(pool, many)
        found = [*next(chunks).rows.source]
        first = pool.workers[0].pid
        os.kill(first, signal.SIGKILL)
        for chunk in chunks:
            found += chunk.rows.source
        assert pool.workers[0].pid != first
    assert found == [str(path) for path in many]


def test_unknown_model_is_one_clear_error() -> None:
    with pytest.raises(ModelFileError, match=r"FEAF, FEAFTG15, MultiFidelity"):
        Predictor("no-such-model")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("model", ["FEAFTG15", "MultiFidelity"])
def test_cuda_without_a_gpu_is_one_clear_error(model: str) -> None:
    with pytest.raises(ParaisiteError, match="no CUDA device"):
        Predictor(model, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_gives_the_same_numbers(crystals: list[paraisite.Crystal]) -> None:
    for model in ("FEAFTG15", "MultiFidelity"):
        on_cpu, on_gpu = (paraisite.predict(crystals, model, device=device) for device in ("cpu", "cuda"))
        # float32 on both, another order of summation.
        np.testing.assert_allclose(on_gpu["kappa"], on_cpu["kappa"], rtol=1e-4)
