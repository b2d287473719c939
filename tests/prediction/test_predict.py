"""Prediction: the table, its agreement with the model, streaming, workers, bad structures."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ase.io import write

import paraisite
from paraisite.datasets.tables import load_togo15
from paraisite.errors import ModelFileError, ParaisiteError
from paraisite.graphs.build import build_store
from paraisite.models.files import graph_settings, load_model
from paraisite.models.network.batch import GraphBatch
from paraisite.prediction.predict import Predictor, predict_files
from paraisite.prediction.worker import prepare_pool, prepare_with
from paraisite.structures import to_ase, to_pymatgen

COLUMNS = [
    "material_id", "formula", "n_atoms", "kappa_mean", "kappa_std", "kappa_median", "kappa_low", "kappa_high",
    "interval_low", "interval_high", *(f"kappa_{member}" for member in range(1, 10)),
    "domain", "domain_distance", "domain_reason", "status", "error", "source",
]  # fmt: skip
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


def test_table_states_the_members_and_their_statistics(crystals: list[paraisite.Crystal]) -> None:
    table = paraisite.predict(crystals)
    assert list(table.columns) == COLUMNS
    members = table[[f"kappa_{member}" for member in range(1, 10)]].to_numpy()
    np.testing.assert_allclose(table["kappa_mean"], members.mean(axis=1))
    np.testing.assert_allclose(table["kappa_std"], members.std(axis=1))
    np.testing.assert_allclose(table["kappa_median"], np.median(members, axis=1))
    low, high = np.quantile(np.log(members), [0.05, 0.95], axis=1)
    np.testing.assert_allclose(np.log(table["kappa_low"]), low)
    np.testing.assert_allclose(np.log(table["kappa_high"]), high)


def test_table_equals_the_network_called_by_hand(crystals: list[paraisite.Crystal]) -> None:
    folder = paraisite.shipped_models()["FEAFTG15"]
    store = build_store(crystals, graph_settings(folder))
    with torch.no_grad():
        batch = GraphBatch.from_arrays(store.collate(np.arange(len(crystals))))
        kappa = load_model(folder).predict_kappa(batch).numpy()
    table = paraisite.predict(crystals, "FEAFTG15")
    np.testing.assert_allclose(table["kappa_4"], kappa[3], rtol=1e-6)


def test_objects_of_every_kind_give_the_same(crystals: list[paraisite.Crystal]) -> None:
    by_kind = [paraisite.predict(map(kind, crystals)) for kind in (lambda crystal: crystal, to_ase, to_pymatgen)]
    for table in by_kind[1:]:
        np.testing.assert_allclose(table["kappa_mean"], by_kind[0]["kappa_mean"], rtol=SAME_GRAPH)


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
    assert np.isnan(table["kappa_mean"][1])
    assert "overlap" in table["error"][1]


def test_no_structure_gives_an_empty_table() -> None:
    table = paraisite.predict([])
    assert list(table.columns) == COLUMNS
    assert len(table) == 0


def test_a_killed_worker_is_replaced(files: list[Path]) -> None:
    many = files * 40
    with prepare_pool(1, Predictor().settings) as pool:
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
        np.testing.assert_allclose(on_gpu["kappa_mean"], on_cpu["kappa_mean"], rtol=1e-4)
