"""Fit a candidate under the splits of a study and write what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.comparison.candidates.interface import Candidate, CandidatePrediction
from paraisite.comparison.candidates.registry import make_candidate, trained_on
from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.levels import Source
from paraisite.datasets.splits import Splits
from paraisite.errors import DataError
from paraisite.json_text import json_text
from paraisite.structures.crystal import Crystal
from paraisite.version import __version__

MIN_TRAINING_CRYSTALS = 5
"""Settings are chosen by five folds."""
LIBRARIES = ("matminer", "numpy", "scikit-learn", "scipy", "spglib", "torch")


def run_candidate(  # noqa: PLR0917 - each argument is another kind of thing
    name: str,
    data_set: DataSet,
    splits: Splits,
    runs: Sequence[int],
    folder: str | Path,
    data_folder: str | Path | None = None,
) -> None:
    """Fit a candidate on each run's training part and predict all crystals.

    The part that selects an epoch of a network is training part here. The predictions are the same every time; one thread
    is used.

    Args:
        name: A name in `paraisite.comparison.candidates.registry.CANDIDATES`.
        data_set: Crystals with κ.
        splits: Their parts, one row per run.
        runs: Run number of each row of the splits.
        folder: Gets `predictions.csv` (run, material_id, formula, part, kappa, kappa_selected, log10_std; κ at 300 K in
            W/(m K)) and then `candidate.json`, which marks the candidate as done.
        data_folder: Folder of what the package does not ship.

    Raises:
        ParaisiteError: What the candidate needs is missing, or the data do not suit it.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - in an extra

    folder = Path(folder)
    candidate = make_candidate(name, data_folder)
    _check(name, data_set, splits)
    (folder / "candidate.json").unlink(missing_ok=True)
    with threadpool_limits(1):
        results = [
            fit_and_predict(candidate, *_part(data_set, training), None, data_set.crystals)
            for training in training_parts(splits)
        ]
    table = pd.concat(
        [
            _table(data_set, splits, member, prediction, run)
            for member, (run, (prediction, _)) in enumerate(zip(runs, results, strict=True))
        ],
        ignore_index=True,
    )
    content = {
        "name": candidate.name,
        "title": candidate.title,
        "data": data_set.name,
        "seconds_fit": sum(report["seconds_fit"] for _, report in results),
        "seconds_predict": sum(report["seconds_predict"] for _, report in results),
        "by_run": [{"run": int(run), **report} for run, (_, report) in zip(runs, results, strict=True)],
        "versions": library_versions(),
    }
    write_text_atomic(folder / "predictions.csv", table.to_csv(index=False))
    write_text_atomic(folder / "candidate.json", json_text(content, indent=2) + "\n")


def library_versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    return {"paraisite": __version__, **{library: version(library) for library in LIBRARIES}}


def training_parts(splits: Splits) -> np.ndarray:
    """Crystals that a candidate is fitted to, [n_runs, n_crystals] bool."""
    return np.asarray((splits.train | splits.selection) & ~splits.validation)


def _check(name: str, data_set: DataSet, splits: Splits) -> None:
    if data_set.source.identity in trained_on(name):
        raise DataError(
            f"{name} knows the values of {data_set.name}, so it cannot be judged by them; use another data set."
        )
    smallest = int(training_parts(splits).sum(axis=1).min())
    if smallest < MIN_TRAINING_CRYSTALS:
        raise DataError(
            f"A training part of {data_set.name} has {smallest} crystals, and a candidate needs "
            f"{MIN_TRAINING_CRYSTALS}; use more crystals or a larger training share."
        )


def fit_and_predict(
    candidate: Candidate,
    crystals: Sequence[Crystal],
    kappa: np.ndarray,
    source: Sequence[Source] | None,
    asked: Sequence[Crystal],
) -> tuple[CandidatePrediction, dict[str, Any]]:
    """Fit a candidate and predict; the first to need the features of a crystal waits for them.

    Args:
        candidate: What is fitted.
        crystals: Crystals of the training part.
        kappa: Their κ at 300 K in W/(m K), [n_crystals].
        source: As for `Candidate.fit`.
        asked: Crystals to predict.

    Returns:
        The predictions, and `seconds_fit`, `seconds_predict` and `settings`.
    """
    start = perf_counter()
    candidate.fit(crystals, kappa, source)
    fitted = perf_counter()
    prediction = candidate.predict(asked)
    seconds = {"seconds_fit": fitted - start, "seconds_predict": perf_counter() - fitted}
    return prediction, {**seconds, "settings": candidate.settings()}


def _part(data_set: DataSet, mask: np.ndarray) -> tuple[list[Crystal], np.ndarray]:
    indices = np.flatnonzero(mask)
    return [data_set.crystals[index] for index in indices], data_set.kappa[indices]


def _table(data_set: DataSet, splits: Splits, member: int, prediction: CandidatePrediction, run: int) -> pd.DataFrame:
    """Rows of one run, in the columns of a trained stage's table as far as they apply."""
    part = np.select([splits.validation[member], training_parts(splits)[member]], ["validation", "train"], "unused")
    return pd.DataFrame({
        "run": run,
        "material_id": [crystal.material_id for crystal in data_set.crystals],
        "formula": [crystal.formula for crystal in data_set.crystals],
        "part": part,
        "kappa": data_set.kappa,
        "kappa_selected": 10**prediction.log10_kappa,
        "log10_std": np.nan if prediction.log10_std is None else prediction.log10_std,
    })  # fmt: skip
