"""ParAIsite's side of the comparison: training state, model folders and prediction, through the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.splits import published_splits
from paraisite.errors import ModelFileError
from paraisite.graphs.build import build_store
from paraisite.graphs.settings import GraphSettings
from paraisite.models.files import find_model
from paraisite.models.network.files import save_network
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.prediction.predict import predict_files
from paraisite.training.network.data import StageData
from paraisite.training.network.loop import _train_epoch, epoch_batches, joint_batch_size
from paraisite.training.network.state import TrainingState

RUNS = tuple(range(1, 10))
NETWORK = "FEAFTG15"
"""The shipped ensemble of networks, which the peer is compared with."""


def stage_data(data: DataSet) -> StageData:
    """Graphs, κ and the published splits of a data set whose crystals all have a graph."""
    splits = published_splits([len(data.crystals)], RUNS)
    return StageData(data, build_store(data.crystals), splits)


def start_training(data: StageData, device: str = "cpu") -> TrainingState:
    """An ensemble of 9 with random weights and its optimiser, as a run makes them."""
    model = ParAIsite(ParAIsiteSettings(n_members=len(RUNS)))
    model.reset(RUNS)
    model.target.fit(data.kappa, torch.as_tensor(data.splits.scale))
    model.to(device)
    return TrainingState.start(model, torch.optim.Adam(model.parameters(), lr=1e-3, fused=True))


def train_epoch(state: TrainingState, data: StageData, batch_size: int, epoch: int = 0) -> Tensor:
    """Train all members for one epoch without the validation after it; returns the training loss, [n_members]."""
    device = next(state.model.parameters()).device
    masks = {
        name: torch.as_tensor(getattr(data.splits, name), device=device)
        for name in ("train", "selection", "validation")
    }
    batches = epoch_batches(len(data.store), joint_batch_size(data.splits, batch_size), [0], epoch)
    loss, _ = _train_epoch(state, data.store, data.kappa.to(device), masks, batches)
    return loss


def model_folder(work: str) -> str:
    """The shipped ensemble of networks, or without it one of the same size with random weights."""
    try:
        find_model(NETWORK)
    except ModelFileError:
        folder = Path(work) / "random-model"
        if not (folder / "card.json").exists():
            model = ParAIsite(ParAIsiteSettings(n_members=len(RUNS)))
            model.reset(RUNS)
            save_network(model, folder, {"name": "random", "graph": asdict(GraphSettings())})
        return str(folder)
    return NETWORK


def predict(paths: Sequence[str], model: str, processes: int | None = None) -> pd.DataFrame:
    """From files to the table, with the package's own settings otherwise."""
    return predict_files(list(paths), model, processes=processes)


def count_good(table: pd.DataFrame) -> int:
    """Rows that carry a prediction."""
    return int(table["kappa"].notna().sum())
