"""The ensemble of networks as a kind of models."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from paraisite.errors import ModelFileError
from paraisite.metrics import MIN_KAPPA_W_PER_MK
from paraisite.models.files import graph_settings
from paraisite.models.inputs import Inputs, Needs
from paraisite.models.interface import Explainer, Model, ModelOutput
from paraisite.models.names import DEFAULT_MODEL, NETWORK
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.files import load_network, save_network
from paraisite.models.network.paraisite import ParAIsite
from paraisite.threads import require_device, torch_settings
from paraisite.uncertainty.files import load_uncertainty, save_uncertainty
from paraisite.uncertainty.judgement import Judgement, Uncertainty

BATCH_GRAPHS = 256
CPU_EDGES = 1500
"""Edges that pass through a network together on a CPU: their features stay in a core's cache."""
GPU_EDGES = 500_000
EDGES_WORTH_THREADS = 50
"""Edges of a graph from which on a network, not the reading, takes the time, and may have all cores."""


class NetworkModel(Model):
    """An ensemble of networks with what judges its predictions.

    Attributes:
        network: The ensemble.
        uncertainty: Its residuals and domain; None where it has no such file.
        device: Where it is.
        threads: CPU threads; without it, one for small graphs, where more are slower, else one per core.
    """

    kind: ClassVar[str] = NETWORK

    def __init__(
        self,
        network: ParAIsite,
        uncertainty: Uncertainty | None = None,
        needs: Needs | None = None,
        device: str = "cpu",
        threads: int | None = None,
    ) -> None:
        """Take a trained ensemble."""
        self.network, self.uncertainty, self.device, self.threads = network, uncertainty, device, threads
        self.needs = needs or Needs()
        self.n_members = network.settings.n_members
        self._max_edges = CPU_EDGES if device == "cpu" else GPU_EDGES

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", threads: int | None = None) -> Self:
        """See `Model.load`."""
        require_device(device)
        needs = Needs(graph_settings(folder))
        return cls(load_network(folder, device), load_uncertainty(folder), needs, device, threads)

    def save(self, folder: Path, card: dict[str, Any]) -> None:
        """See `Model.save`."""
        save_network(self.network, folder, card)
        if self.uncertainty is not None:
            save_uncertainty(self.uncertainty, folder)

    def predict(self, inputs: Inputs) -> ModelOutput:
        """See `Model.predict`.

        The estimate that comparisons judge is the mean over the members' log10 κ. Its variance is that over the members plus
        the mean squared error of log10 κ on the training crystals by those members that held them out.
        """
        if len(inputs) == 0:
            return ModelOutput.empty(self.n_members)
        with torch_settings(self.threads or _threads_for(inputs)), torch.inference_mode():
            features, parts = [], []
            for indices in inputs.store.batches(BATCH_GRAPHS, self._max_edges):
                batch = GraphBatch.from_arrays(inputs.store.collate(indices), self.device)
                features.append(self.network.body(batch))
                parts.append(self.network.target.inverse(self.network.from_features(features[-1])))
            kappa = torch.cat(parts, dim=1).double().cpu().numpy()
            if self.uncertainty is None:
                judgement = Judgement.unknown(len(inputs))
            else:
                seen = torch.cat(features, dim=1).cpu().numpy()
                judgement = self.uncertainty.judge(kappa, seen, inputs.store, inputs.formula)
        members = np.log10(np.maximum(kappa, MIN_KAPPA_W_PER_MK))
        return ModelOutput(kappa, judgement, members.mean(axis=0), self._deviation(members))

    def explainer(self) -> Explainer:
        """See `Model.explainer`: there is none."""
        raise ModelFileError(
            "Only the multi-fidelity model can be explained, and this model is an ensemble of networks; take "
            f"{DEFAULT_MODEL}, or a model that was fine-tuned from it."
        )

    @property
    def held_out_rms(self) -> float | None:
        """Root mean square error of log10 κ on the crystals that members held out; None where there are no honest errors."""
        if self.uncertainty is None or self.uncertainty.residuals is None:
            return None
        return float(np.sqrt((self.uncertainty.residuals.values**2).mean()) / math.log(10))

    def _deviation(self, members: np.ndarray) -> np.ndarray | None:
        rms = self.held_out_rms
        return None if rms is None else np.asarray(np.sqrt(members.var(axis=0) + rms**2))


def _threads_for(inputs: Inputs) -> int:
    large = inputs.store.n_edges > EDGES_WORTH_THREADS * len(inputs)
    return (os.cpu_count() or 1) if large else 1
