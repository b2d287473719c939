"""Train on one data set, test on every one: errors on each set's validation part of the same run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.datasets.catalogue import load_data_set
from paraisite.metrics import error_metrics
from paraisite.models.network.paraisite import ParAIsite
from paraisite.threads import torch_settings
from paraisite.training.network.data import outer_splits, prepare_data
from paraisite.training.network.loop import predict_store
from paraisite.training.network.recipe import SplitRule

TESTED_ON = ("togo15", "hh143", "mix", "aflow_agl")
CROSS_FILE = "cross_errors.csv"


def cross_errors(model: ParAIsite, runs: Sequence[int], split: SplitRule, data_folder: Path | None) -> pd.DataFrame:
    """Errors of every member on the validation part that its run has in each data set.

    Args:
        model: The ensemble, one member a run.
        runs: Run number of each member.
        split: Kind of the splits.
        data_folder: Folder of the data that the package does not ship.

    Returns:
        Columns `run`, `tested_on`, `n` (crystals), and those of `error_metrics`.
    """
    rows = []
    for name in TESTED_ON:
        data, store = prepare_data(load_data_set(name, data_folder))
        validation = outer_splits(data, runs, split).validation
        with torch_settings(1):
            predicted = model.target.inverse(predict_store(model, store)).numpy()
        for member, run in enumerate(runs):
            chosen = np.flatnonzero(validation[member])
            errors = error_metrics(data.kappa[chosen], predicted[member, chosen])
            rows.append({"run": run, "tested_on": name, "n": len(chosen), **errors})
    return pd.DataFrame(rows)


def write_cross_errors(
    model: ParAIsite, runs: Sequence[int], split: SplitRule, data_folder: Path | None, folder: Path
) -> None:
    """Write `cross_errors.csv` into a run's folder."""
    table = cross_errors(model, runs, split, data_folder)
    write_text_atomic(folder / CROSS_FILE, table.to_csv(index=False))
