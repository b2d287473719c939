"""A study's folder as the orchestrator leaves it, with predictions drawn at random: no training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paraisite.datasets.splits import published_splits
from paraisite.datasets.tables import load_hh143, load_togo15
from paraisite.metrics import error_metrics
from paraisite.structures.crystal import Crystal
from paraisite.study.report.data import FAMILIES_BY_DATA
from paraisite.training.network.state import METRICS

RUNS = tuple(range(1, 10))
EPOCHS = 4
N_AFLOW = 60
SCATTER = {"RW": 0.35, "FE": 0.3, "RWAF": 0.25, "FEAF": 0.15}
"""Standard deviation of the error of log10 κ by way of transfer."""
MakeStudy = Callable[..., Path]


def aflow_like() -> pd.DataFrame:
    """A made-up set in the place of AFLOW's."""
    rng = np.random.default_rng(7)
    names = [f"Na{k}Cl" for k in range(N_AFLOW)]
    table = pd.DataFrame({"material_id": [f"made-up-{k}" for k in range(N_AFLOW)], "formula": names})
    return table.assign(
        kappa=10 ** rng.normal(0.5, 0.5, N_AFLOW), prototype="", spacegroup=rng.integers(1, 6, N_AFLOW), n_atoms=4,
        elements="Cl Na",
    )  # fmt: skip


def described(crystals: list[Crystal], spacegroup: int) -> pd.DataFrame:
    """The columns of a data table of real crystals."""
    return pd.DataFrame({
        "material_id": [crystal.material_id for crystal in crystals],
        "formula": [crystal.formula for crystal in crystals],
        "kappa": [float(crystal.properties["kappa"]) for crystal in crystals],
        "prototype": [crystal.properties.get("prototype", "") for crystal in crystals],
        "spacegroup": spacegroup, "n_atoms": [crystal.n_atoms for crystal in crystals], "elements": "Ga N",
    })  # fmt: skip


def data_tables() -> dict[str, pd.DataFrame]:
    """The data sets by name, MIX among them."""
    sets = {"togo15": described(load_togo15(), 216), "hh143": described(load_hh143(), 216), "aflow_agl": aflow_like()}
    return {**sets, "mix": pd.concat([sets["togo15"], sets["hh143"]], ignore_index=True)}


def way_of(family: str) -> str:
    """Way of transfer of a family's name."""
    base = family.split("-", maxsplit=1)[0]
    return base if base in {"RWAF", "FEAF"} else base.removesuffix("TG15").removesuffix("HH143").removesuffix("MIX")


def job(protocol: str, family: str, kind: str, data: str, **more: Any) -> dict[str, Any]:
    stage = "" if kind == "candidate" else "aflow" if data == "aflow_agl" else data
    names = {"id": f"{protocol}/{family}", "protocol": protocol, "family": family, "kind": kind, "data": data}
    return {**names, "stage": stage, "title": family, "initial": "random", "train_size": 0, **more}


def planned() -> list[dict[str, Any]]:
    """Jobs of every kind."""
    jobs = [
        job(protocol, family, "family", data)
        for data, families in FAMILIES_BY_DATA.items()
        for family in families
        for protocol in ("paper", "held_out", *(["grouped"] if data == "togo15" else []))
    ]
    for name in ("frozen-body", "new-head"):
        jobs += [
            job(protocol, f"FEAFTG15-{name}", "ablation", "togo15") for protocol in ("paper", "held_out", "grouped")
        ]
    jobs += [job(protocol, "FEAFTG15-unseen", "leak", "togo15") for protocol in ("paper", "held_out")]
    jobs += [job("paper", f"{family}-compressed", "trap", "togo15") for family in ("RWAFTG15", "FEAFTG15")]
    jobs += [
        job("paper", f"{family}-seed{seed}", "seed", "togo15") for family in ("RWTG15", "FETG15") for seed in (43, 44)
    ]
    jobs += [
        job("held_out", f"{family}-n{size}", "learning_curve", "togo15", train_size=size)
        for family in ("RWTG15", "FETG15", "FEAFTG15")
        for size in (10, 20)
    ]
    names = ("median", "gaussian_process_structure")
    return jobs + [job(protocol, name, "candidate", "togo15") for name in names for protocol in ("held_out", "grouped")]


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> MakeStudy:
    """Function that writes a study's folder: `make_study(runs, quick=, without=, families=, scatter=)`.

    `without` names jobs that are planned and have no result; `families`, where given, are all that is planned.
    """

    def make(
        runs: tuple[int, ...] = RUNS,
        *,
        quick: bool = False,
        without: tuple[str, ...] = (),
        families: tuple[str, ...] = (),
        scatter: dict[str, float] | None = None,
    ) -> Path:
        out = tmp_path_factory.mktemp("study")
        tables, jobs = data_tables(), [entry for entry in planned() if not families or entry["family"] in families]
        content = {"version": "1.0", "quick": quick, "runs": runs, "jobs": jobs}
        (out / "study.json").write_text(json.dumps(content))
        for folder in ("jobs", "data"):
            (out / folder).mkdir()
        for name in ("togo15", "hh143", "aflow_agl"):
            tables[name].to_csv(out / "data" / f"{name}.csv", index=False)
        for entry in jobs:
            if entry["id"] not in without:
                write_job(out, entry, tables[entry["data"]], runs, {**SCATTER, **(scatter or {})})
        return out

    return make


def write_job(
    out: Path, entry: dict[str, Any], data: pd.DataFrame, runs: tuple[int, ...], scatter: dict[str, float]
) -> None:
    """Results of a job whose predictions are κ with an error of log10 κ drawn at random."""
    folder = out / "runs" / entry["protocol"] / entry["family"]
    results = folder / entry["stage"]
    results.mkdir(parents=True)
    rng = np.random.default_rng(len(entry["id"]))
    width = scatter.get(entry["family"], scatter.get(way_of(entry["family"]), 0.2))
    validation = published_splits([len(data)], runs).validation
    predictions = pd.concat([_run(data, run, mask, rng, width) for run, mask in zip(runs, validation, strict=True)])
    if entry["kind"] == "candidate":
        card = {
            "name": entry["family"],
            "title": entry["family"],
            "seconds_fit": [0.1] * len(runs),
            "seconds_predict": 0.2,
        }
        (folder / "candidate.json").write_text(json.dumps(card))
        predictions = predictions.drop(columns="kappa_last").assign(log10_std="")
    else:
        _write_training(folder, results, entry, predictions, runs)
    predictions.to_csv(results / "predictions.csv", index=False)
    state = {"id": entry["id"], "status": "done", "seconds": 60.0, "error": "", "epochs": EPOCHS}
    (out / "jobs" / f"{entry['id'].replace('/', '__')}.json").write_text(json.dumps(state))


def _run(data: pd.DataFrame, run: int, validation: np.ndarray, rng: np.random.Generator, width: float) -> pd.DataFrame:
    parts = np.where(validation, "validation", "train")
    selected, last = (data["kappa"] * 10 ** rng.normal(0, factor * width, len(data)) for factor in (1, 1.5))
    return data[["material_id", "formula"]].assign(
        run=run, part=parts, kappa=data["kappa"], kappa_selected=selected, kappa_last=last
    )


def _write_training(
    folder: Path, results: Path, entry: dict[str, Any], predictions: pd.DataFrame, runs: tuple[int, ...]
) -> None:
    (folder / "recipe.toml").write_text(f'name = "{entry["family"]}"\ninitial = "{folder.parent}/other/model"\n')
    (folder / "environment.json").write_text(json.dumps({"paraisite": "1.0", "machine": "test"}))
    epochs = pd.DataFrame({"epoch": np.repeat(np.arange(1, EPOCHS + 1), len(runs)), "run": np.tile(runs, EPOCHS)})
    for position, name in enumerate(METRICS):
        epochs[name] = 0.4 + 0.1 * position + 0.1 / epochs["epoch"]
    epochs.to_csv(results / "metrics.csv", index=False)
    by_run = [{"run": run, "paper_compressed": {"mape": 0.2 + run / 100}} for run in runs]
    (results / "errors.json").write_text(json.dumps({"by_run": by_run}))
    rows = []
    for run, part in predictions[predictions["part"] == "validation"].groupby("run"):
        errors = error_metrics(part["kappa"].to_numpy(), part["kappa_selected"].to_numpy())
        rows += [{"run": run, "tested_on": name, "n": len(part), **errors} for name in FAMILIES_BY_DATA]
    if entry["kind"] == "family":
        pd.DataFrame(rows).to_csv(folder / "cross_errors.csv", index=False)


@pytest.fixture(scope="session")
def study_folder(make_study: MakeStudy) -> Path:
    """A study in which everything is done; not to be changed by a test."""
    return make_study()
