"""Roost, a network on the composition alone (Goodall and Lee 2020, doi 10.1038/s41467-020-19964-7), on log10 κ.

The network, its data classes and its loss are those of aviary-models (https://github.com/CompRhys/aviary); layers, batch
size, learning rate and weight decay are its defaults and were not tuned. Crystals of one composition get one prediction.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from paraisite.comparison.candidates.interface import CandidatePrediction
from paraisite.datasets.levels import Source
from paraisite.datasets.splits import Splits, inner_splits
from paraisite.errors import DataError, ParaisiteError
from paraisite.structures.crystal import Crystal
from paraisite.threads import torch_settings

MEMBERS = (1, 2, 3)
"""Seed of each member's weights, order of crystals, and inner split."""
INNER_FRACTION = 0.2
MAX_EPOCHS = 250
PATIENCE = 50
"""Epochs without improvement after which a member's training ends."""
BATCH_SIZE = 128
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 1e-6
TARGET = "log10_kappa"


@dataclass(frozen=True, slots=True)
class _Member:
    """A trained network and the epoch that its weights are of."""

    network: Any
    epoch: int


class RoostEnsemble:
    """Three networks, each stopped by another fifth of the training part, whose compositions it does not train on.

    The standard deviation joins what the networks expect themselves and how far they disagree (law of total variance).
    """

    name = "roost"
    title = "Roost (composition)"

    def __init__(self, *, max_epochs: int = MAX_EPOCHS) -> None:
        """Make one that has not been fitted.

        Args:
            max_epochs: Epochs of a member at most.

        Raises:
            ParaisiteError: aviary-models is not installed.
        """
        if find_spec("aviary") is None:
            raise ParaisiteError("roost needs aviary-models: install it with pip install 'paraisite[roost]'.")
        self._max_epochs = max_epochs
        self._members: list[_Member] = []
        self._mean = self._std = math.nan

    def fit(
        self,
        crystals: Sequence[Crystal],
        kappa: np.ndarray,
        source: Sequence[Source] | None = None,  # noqa: ARG002 - one noise for all
    ) -> None:
        """See `Candidate.fit`.

        Raises:
            DataError: All crystals have one composition.
        """
        splits = _inner_splits(crystals)
        target = np.log10(kappa)
        self._mean, self._std = float(target.mean()), float(target.std()) or 1.0
        standardised = torch.tensor((target - self._mean) / self._std, dtype=torch.float32)
        samples = _samples(crystals)
        with torch_settings(1), torch.random.fork_rng(devices=()):
            self._members = [
                _train(samples, standardised, splits.train[row], splits.selection[row], seed, self._max_epochs)
                for row, seed in enumerate(MEMBERS)
            ]

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """See `Candidate.predict`."""
        samples = _samples(crystals)
        with torch_settings(1):
            outputs = np.stack([_outputs(member.network, samples).double().numpy() for member in self._members])
        mean, std = outputs[..., 0], np.exp(outputs[..., 1])
        variance = (std**2).mean(axis=0) + mean.var(axis=0)
        return CandidatePrediction(self._mean + self._std * mean.mean(axis=0), self._std * np.sqrt(variance))

    def settings(self) -> dict[str, Any]:
        """See `Candidate.settings`."""
        return {
            "epochs": [member.epoch for member in self._members],
            "max_epochs": self._max_epochs,
            "patience": PATIENCE,
            "inner_fraction": INNER_FRACTION,
            "batch_size": BATCH_SIZE,
            "learning_rate": LEARNING_RATE,
            "weight_decay": WEIGHT_DECAY,
            "aviary-models": version("aviary-models"),
        }


def _inner_splits(crystals: Sequence[Crystal]) -> Splits:
    """Part of the crystals that selects the epoch, one row per member."""
    everything = np.ones((len(MEMBERS), len(crystals)), dtype=bool)
    outer = Splits(train=everything, selection=~everything, validation=~everything, scale=everything)
    splits = inner_splits(outer, MEMBERS, INNER_FRACTION, [crystal.composition for crystal in crystals])
    if not splits.train.any(axis=1).all():
        raise DataError(
            f"roost stops its training by compositions that it does not train on, and all {len(crystals)} training "
            f"crystals are {crystals[0].formula}; give crystals of two compositions at least."
        )
    return splits


def _samples(crystals: Sequence[Crystal]) -> list[Any]:
    """The network's inputs of each crystal."""
    from aviary.roost.data import CompositionData  # noqa: PLC0415 - slow to import, in an extra

    formulas = [crystal.composition for crystal in crystals]
    data = CompositionData(pd.DataFrame({"material_id": range(len(formulas)), "composition": formulas}), {})
    return [data[index] for index in range(len(formulas))]


def _train(  # noqa: PLR0917 - each argument is another kind of thing
    samples: list[Any], target: Tensor, train: np.ndarray, selection: np.ndarray, seed: int, max_epochs: int
) -> _Member:
    """Train a network until its mean absolute error on the crystals that are held out no longer falls."""
    from aviary.roost.model import Roost  # noqa: PLC0415 - slow to import, in an extra

    torch.manual_seed(seed)
    network = Roost(robust=True, n_targets=[1], task_dict={TARGET: "regression"}, device="cpu")
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    trained, held_out = torch.from_numpy(np.flatnonzero(train)), np.flatnonzero(selection)
    held_out_samples = [samples[index] for index in held_out]
    lowest, best, weights = math.inf, 0, network.state_dict()
    for epoch in range(1, max_epochs + 1):
        for batch in trained[torch.randperm(len(trained))].split(BATCH_SIZE):
            _step(network, optimizer, [samples[index] for index in batch], target[batch])
        error = float((_outputs(network, held_out_samples)[:, 0] - target[held_out]).abs().mean())
        if error < lowest:
            lowest, best, weights = error, epoch, copy.deepcopy(network.state_dict())
        elif epoch - best >= PATIENCE:
            break
    network.load_state_dict(weights)
    return _Member(network, best)


def _step(network: Any, optimizer: Any, samples: list[Any], target: Tensor) -> None:
    """Go one step down the robust L1 loss: a Laplace distribution of which the network gives mean and spread."""
    from aviary.losses import robust_l1_loss  # noqa: PLC0415 - in an extra
    from aviary.roost.data import collate_batch  # noqa: PLC0415 - slow to import, in an extra

    (outputs,) = network(*collate_batch(samples)[0])
    optimizer.zero_grad()
    robust_l1_loss(outputs[:, 0], outputs[:, 1], target).backward()
    optimizer.step()


def _outputs(network: Any, samples: list[Any]) -> Tensor:
    """Mean and logarithm of the standard deviation of the standardised target, [n_crystals, 2]."""
    from aviary.roost.data import collate_batch  # noqa: PLC0415 - slow to import, in an extra

    batches = [samples[start : start + BATCH_SIZE] for start in range(0, len(samples), BATCH_SIZE)]
    with torch.no_grad():
        return torch.cat([network(*collate_batch(batch)[0])[0] for batch in batches])
