"""Tables of a trained stage: errors by epoch, predictions, and a summary that names each protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.splits import Splits
from paraisite.errors import RunError
from paraisite.metrics import error_metrics
from paraisite.training.network.recipe import StageRecipe
from paraisite.training.network.state import METRICS, TrainingState


def read_stage_table(stage_folder: str | Path, name: str) -> pd.DataFrame:
    """Read a table of a trained stage.

    Args:
        stage_folder: The stage's folder.
        name: File name of the table.

    Raises:
        RunError: The folder has none.
    """
    path = Path(stage_folder) / name
    if not path.is_file():
        raise RunError(f"{stage_folder} is not the folder of a trained stage: it has no {name}.")
    return pd.read_csv(path)


def read_metrics(stage_folder: str | Path) -> pd.DataFrame:
    """Read a stage's errors by epoch and run.

    Raises:
        RunError: The folder has none.
    """
    return read_stage_table(stage_folder, "metrics.csv")


def read_predictions(stage_folder: str | Path) -> pd.DataFrame:
    """Read a finished stage's predictions.

    Raises:
        RunError: The folder has none.
    """
    return read_stage_table(stage_folder, "predictions.csv")


def history_table(state: TrainingState, runs: Sequence[int]) -> pd.DataFrame:
    """Errors by epoch and run: columns `epoch`, `run` and `METRICS`, [n_epochs n_members] rows."""
    values = torch.stack(state.history).numpy()
    n_epochs, n_members, _ = values.shape
    index = {"epoch": np.repeat(np.arange(1, n_epochs + 1), n_members), "run": np.tile(runs, n_epochs)}
    return pd.DataFrame({**index, **{name: values[:, :, column].ravel() for column, name in enumerate(METRICS)}})


def predictions_table(
    runs: Sequence[int], data: DataSet, splits: Splits, selected: np.ndarray, last: np.ndarray
) -> pd.DataFrame:
    """Predictions of every run for every crystal.

    Args:
        runs: Run number of each member.
        data: The data set.
        splits: Its parts.
        selected: κ in W/(m K) by the selected epoch's weights, [n_members, n_crystals].
        last: The same by the last epoch's.

    Returns:
        Columns `run`, `material_id`, `formula`, `part`, `kappa`, `kappa_selected`, `kappa_last`.
    """
    parts = {"train": splits.train, "validation": splits.validation, "selection": splits.selection}
    part = np.select(list(parts.values()), list(parts), "unused")
    n_members, n_crystals = part.shape
    return pd.DataFrame({
        "run": np.repeat(runs, n_crystals),
        "material_id": [crystal.material_id for crystal in data.crystals] * n_members,
        "formula": [crystal.formula for crystal in data.crystals] * n_members,
        "part": part.ravel(),
        "kappa": np.tile(data.kappa, n_members),
        "kappa_selected": selected.ravel(),
        "kappa_last": last.ravel(),
    })  # fmt: skip


def stage_errors(state: TrainingState, stage: StageRecipe, runs: Sequence[int], table: pd.DataFrame) -> dict[str, Any]:
    """Errors on the validation parts, by run and as mean and standard deviation over the runs.

    The protocols: `paper` (the epoch with the lowest error on the validation part itself: optimistic), `held_out` (epoch
    and scale without the validation part; only for a stage that selects so) and `last_epoch` (never selected).
    `paper_compressed` is the published step 3's figure, in a compressed κ: not an error of κ.
    """
    validation = table[table["part"] == "validation"]
    history = torch.stack(state.history)
    columns = {name: history[:, :, column].numpy() for column, name in enumerate(METRICS)}
    by_run = []
    for member, run in enumerate(runs):
        rows = validation[validation["run"] == run]
        kappa = rows["kappa"].to_numpy()
        entry: dict[str, Any] = {"run": run, "selected_epoch": int(state.best_epoch[member])}
        protocol = {"validation": "paper", "inner": "held_out"}.get(stage.selection)
        if protocol:
            entry[protocol] = error_metrics(kappa, rows["kappa_selected"].to_numpy())
        entry["last_epoch"] = error_metrics(kappa, rows["kappa_last"].to_numpy())
        if protocol != "paper":
            entry["paper"] = {"mape": float(np.nanmin(columns["validation_mape"][:, member]))}
        entry["paper_compressed"] = {"mape": float(np.nanmin(columns["validation_mape_compressed"][:, member]))}
        by_run.append(entry)
    return {"data": stage.data, "epochs": state.epoch, "summary": _summary(by_run), "by_run": by_run}


def _summary(by_run: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the runs of every error of every protocol."""
    summary: dict[str, Any] = {}
    for protocol in ("held_out", "paper", "last_epoch", "paper_compressed"):
        if protocol in by_run[0]:
            names = by_run[0][protocol]
            values = {name: [entry[protocol][name] for entry in by_run] for name in names}
            summary[protocol] = {
                name: {"mean": float(np.mean(value)), "standard_deviation": float(np.std(value))}
                for name, value in values.items()
            }
    return summary
