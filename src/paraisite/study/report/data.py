"""What a study left in its folder, as the report reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paraisite.errors import RunError
from paraisite.training.network.results import read_metrics

REPORT_PROTOCOLS = ("held_out", "grouped", "paper")
PROTOCOL_TITLES = {
    "held_out": "held out",
    "grouped": "new compositions",
    "paper": "paper protocol (optimistic)",
    "last_epoch": "last epoch",
    "paper_compressed": "compressed κ (not an error of κ)",
}
REPORT_DATA_SETS = ("togo15", "hh143", "mix", "aflow_agl")
DATA_TITLES = {"togo15": "Togo15", "hh143": "HH143", "mix": "MIX", "aflow_agl": "AFLOW AGL"}
PUBLIC_DATA_SETS = ("togo15", "hh143", "mix")
"""Data sets whose single values may be shown; AFLOW's may not."""
FAMILIES_BY_DATA = {
    "togo15": ("RWTG15", "FETG15", "RWAFTG15", "FEAFTG15"),
    "hh143": ("RWHH143", "FEHH143", "FEAFHH143"),
    "mix": ("RWMIX", "FEMIX", "FEAFMIX"),
    "aflow_agl": ("RWAF", "FEAF"),
}
"""The paper's families by the data that they are trained on last, from no transfer to two stages of it."""


@dataclass(frozen=True, slots=True)
class JobResults:
    """A job of the study and what became of it.

    Attributes:
        name: The job's `protocol/family`.
        protocol: `paper`, `held_out` or `grouped`.
        family: Name of the family, variant or candidate.
        kind: `family`, `ablation`, `leak`, `trap`, `seed`, `learning_curve` or `candidate`.
        data: Data set that the last stage trains on.
        title: Title for people.
        train_size: Training crystals of a learning curve; 0 for all.
        status: `done`, `failed`, `running` or `missing`.
        seconds: Wall-clock time of all attempts.
        epochs: Epochs trained.
        error: Why it failed.
        folder: Folder of the run.
        results: Folder of its predictions: that of the last stage, for a candidate the run's own.
    """

    name: str
    protocol: str
    family: str
    kind: str
    data: str
    title: str
    train_size: int
    status: str
    seconds: float
    epochs: int
    error: str
    folder: Path
    results: Path


@dataclass(frozen=True, slots=True)
class StudyResults:
    """A study's folder, read.

    Attributes:
        folder: The folder.
        version: Version of the package that made it.
        quick: Whether it was shortened, so that its numbers are a try-out.
        runs: Numbers of the runs.
        jobs: All jobs that were planned.
        data: Crystals of each data set: columns `material_id`, `formula`, `kappa`, `prototype`, `spacegroup`, `n_atoms`,
            `elements`.
    """

    folder: Path
    version: str
    quick: bool
    runs: tuple[int, ...]
    jobs: tuple[JobResults, ...]
    data: dict[str, pd.DataFrame] = field(default_factory=dict)

    def done(self, *kinds: str) -> list[JobResults]:
        """Jobs that are done, of some kinds or of all."""
        return [job for job in self.jobs if job.status == "done" and (not kinds or job.kind in kinds)]

    def find(self, family: str, protocol: str) -> JobResults | None:
        """The done job of a family under a protocol."""
        return next((job for job in self.done() if (job.family, job.protocol) == (family, protocol)), None)


def read_study(folder: str | Path) -> StudyResults:
    """Read a study's folder.

    Raises:
        RunError: The folder is not a study's, or a file of it is damaged.
    """
    folder = Path(folder)
    if not (folder / "study.json").is_file():
        raise RunError(
            f"{folder} is not the folder of a study: it has no study.json; make one with `paraisite reproduce`."
        )
    content = read_report_json(folder / "study.json")
    try:
        jobs = tuple(_read_job(folder, entry) for entry in content["jobs"])
        study = StudyResults(folder, str(content["version"]), bool(content["quick"]), tuple(content["runs"]), jobs)
    except (KeyError, TypeError) as error:
        raise RunError(
            f"{folder / 'study.json'} is damaged: {error!r}; start the study again in a new folder."
        ) from error
    for name in REPORT_DATA_SETS:
        path = folder / "data" / f"{name}.csv"
        if path.is_file():
            study.data[name] = pd.read_csv(path, keep_default_na=False)
    return study


def _read_job(folder: Path, entry: dict[str, Any]) -> JobResults:
    path = folder / "jobs" / (entry["id"].replace("/", "__") + ".json")
    state = read_report_json(path) if path.is_file() else {}
    run = folder / "runs" / entry["protocol"] / entry["family"]
    results = run if entry["kind"] == "candidate" else run / entry["stage"]
    status = state.get("status", "missing")
    error = str(state.get("error") or "")
    if status == "done" and not (results / "predictions.csv").is_file():
        status, error = "missing", f"done, but {(results / 'predictions.csv').relative_to(folder)} is not there"
    return JobResults(
        name=entry["id"],
        protocol=entry["protocol"],
        family=entry["family"],
        kind=entry["kind"],
        data=entry["data"],
        title=entry.get("title") or entry["family"],
        train_size=int(entry.get("train_size") or 0),
        status=status,
        seconds=float(state.get("seconds") or 0),
        epochs=int(state.get("epochs") or 0),
        # A failure may name files of the study by their place on this machine.
        error=error.replace(f"{folder.resolve()}/", "").replace(f"{folder}/", ""),
        folder=run,
        results=results,
    )


def read_report_json(path: Path) -> dict[str, Any]:
    """Read a JSON file.

    Raises:
        RunError: It is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}; run the study again, it goes on where it was.") from error
    return content


def read_job_predictions(job: JobResults) -> pd.DataFrame:
    """Predictions of a job: columns `run`, `material_id`, `formula`, `part`, `kappa` and `kappa_selected`."""
    return pd.read_csv(job.results / "predictions.csv", keep_default_na=False, na_values=["nan", ""])


def validated_crystals(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions of the validation parts, a row per crystal: κ by the runs that did not train on it.

    Args:
        predictions: As `read_job_predictions` gives them.

    Returns:
        Columns `material_id`, `formula`, `kappa`, `predicted`, `lowest`, `highest` (mean and limits of those runs),
        `mean_abs_log10_error` (mean over those runs) and `n_runs`.
    """
    rows = predictions[predictions["part"] == "validation"]
    ratio = rows["kappa_selected"].clip(lower=1e-3) / rows["kappa"]
    rows = rows.assign(abs_log10_error=np.abs(np.log10(ratio)))
    grouped = rows.groupby(["material_id", "formula", "kappa"], sort=False)
    return grouped.agg(
        predicted=("kappa_selected", "mean"),
        lowest=("kappa_selected", "min"),
        highest=("kappa_selected", "max"),
        mean_abs_log10_error=("abs_log10_error", "mean"),
        n_runs=("kappa_selected", "size"),
    ).reset_index()


def read_curves(jobs: Iterable[JobResults]) -> pd.DataFrame:
    """Errors by epoch and run of some jobs, with columns `family` and `data` added; empty without a job."""
    frames = [read_metrics(job.results).assign(family=job.family, data=job.data) for job in jobs]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def collect(jobs: Iterable[JobResults], read: Callable[[JobResults], pd.DataFrame]) -> pd.DataFrame:
    """Join what is read of some jobs, with columns `protocol`, `family` and `kind` first; empty without a job."""
    frames = []
    for job in jobs:
        frame = read(job)
        for position, name in enumerate(("protocol", "family", "kind")):
            frame.insert(position, name, getattr(job, name))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
