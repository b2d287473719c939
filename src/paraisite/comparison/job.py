"""One candidate under one protocol: its folder, and whether it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.comparison.candidates.interface import Candidate, CandidatePrediction
from paraisite.comparison.candidates.run import fit_and_predict, library_versions
from paraisite.comparison.protocols import ComparisonSplit, CrystalPool
from paraisite.comparison.specs import CandidateSpec
from paraisite.json_text import json_text
from paraisite.metrics import NORMAL_90
from paraisite.threads import torch_settings

RUNS_FOLDER = "runs"
PREDICTIONS_FILE, JOB_FILE = "predictions.csv", "job.json"


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonJob:
    """A candidate under a protocol.

    Attributes:
        protocol: Name of the protocol.
        spec: The candidate and its further data.
        splits: What it trains on and predicts.
        fingerprint: Hash of the crystals and κ of all splits.
        folder: Gets `predictions.csv` and then `job.json`, which marks the job as done.
    """

    protocol: str
    spec: CandidateSpec
    splits: tuple[ComparisonSplit, ...]
    fingerprint: str
    folder: Path

    def card(self) -> dict[str, Any] | None:
        """What the finished job says of itself; None where it is not done, or was done with other data."""
        path = self.folder / JOB_FILE
        if not path.exists():
            return None
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return card if card["fingerprint"] == self.fingerprint else None

    def is_outdated(self) -> bool:
        """Whether the folder holds the job as done with other data."""
        return (self.folder / JOB_FILE).exists() and self.card() is None

    def predictions(self) -> pd.DataFrame:
        """Predictions of the finished job."""
        return pd.read_csv(
            self.folder / PREDICTIONS_FILE, dtype={"material_id": str}, keep_default_na=False, na_values=[""]
        )


def make_job(
    protocol: str, spec: CandidateSpec, splits: Sequence[ComparisonSplit], pool: CrystalPool, folder: Path
) -> ComparisonJob:
    """Describe a job of the comparison in `folder`."""
    content = hashlib.sha256("\n".join(split.fingerprint(pool) for split in splits).encode()).hexdigest()
    return ComparisonJob(protocol, spec, tuple(splits), content, folder / RUNS_FOLDER / protocol / str(spec))


def run_comparison_job(
    job: ComparisonJob, candidate: Candidate, pool: CrystalPool, report: Callable[[int], None]
) -> None:
    """Fit and predict every split, on one thread, and write the job's folder.

    Args:
        job: What to do.
        candidate: Its candidate.
        pool: Where the splits' crystals are.
        report: Called with the number of splits that are done.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - in an extra

    (job.folder / JOB_FILE).unlink(missing_ok=True)
    tables, entries = [], []
    with threadpool_limits(1), torch_settings(1):
        for number, split in enumerate(job.splits, 1):
            training = split.training
            prediction, told = fit_and_predict(
                candidate,
                pool.take(training),
                pool.kappa[training],
                [pool.sources[name] for name in pool.source[training]],
                pool.take(split.predicted),
            )
            tables.append(_table(split, pool, prediction))
            counts = {"n_training": len(training), "n_predicted": len(split.predicted)}
            entries.append({"run": split.run, **counts, **told})
            report(number)
    card = {
        "protocol": job.protocol,
        "candidate": str(job.spec),
        "title": candidate.title,
        "fingerprint": job.fingerprint,
        "n_tried": max((entry["settings"].get("n_tried", 0) for entry in entries), default=0),
        "versions": library_versions(),
        "splits": entries,
    }
    write_text_atomic(job.folder / PREDICTIONS_FILE, pd.concat(tables, ignore_index=True).to_csv(index=False))
    write_text_atomic(job.folder / JOB_FILE, json_text(card, indent=2) + "\n")


def _table(split: ComparisonSplit, pool: CrystalPool, prediction: CandidatePrediction) -> pd.DataFrame:
    """Predictions of one split; κ in W/(m K)."""
    low, high = _interval(prediction)
    return pd.DataFrame({
        "run": split.run,
        "material_id": [crystal.material_id for crystal in pool.take(split.predicted)],
        "formula": [crystal.formula for crystal in pool.take(split.predicted)],
        "prototype": pool.prototype[split.predicted],
        "kappa": pool.kappa[split.predicted],
        "predicted": 10**prediction.log10_kappa,
        "log10_std": np.nan if prediction.log10_std is None else prediction.log10_std,
        "low": 10**low,
        "high": 10**high,
    })  # fmt: skip


def _interval(prediction: CandidatePrediction) -> tuple[np.ndarray, np.ndarray]:
    """The candidate's own 90 % interval of log10 κ, else that of its normal distribution; NaN without either."""
    if prediction.log10_low is not None and prediction.log10_high is not None:
        return prediction.log10_low, prediction.log10_high
    std = np.nan if prediction.log10_std is None else prediction.log10_std
    return prediction.log10_kappa - NORMAL_90 * std, prediction.log10_kappa + NORMAL_90 * std
