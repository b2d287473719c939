"""The two kinds of models behind one interface: graphs in, κ of each member and a judgement out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np

from paraisite.features.descriptors import describe_graphs
from paraisite.graphs.settings import GraphSettings
from paraisite.models.files import graph_settings, load_model, read_card
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.models.names import MULTI_FIDELITY
from paraisite.prediction.prepare import CHUNK_CRYSTALS, Prepared
from paraisite.threads import require_device, torch_settings
from paraisite.uncertainty.files import load_uncertainty
from paraisite.uncertainty.judgement import Judgement, Uncertainty

CPU_EDGES = 1500
"""Edges that pass through a network together on a CPU: their features stay in a core's cache."""
GPU_EDGES = 500_000
EDGES_WORTH_THREADS = 50
"""Edges of a graph from which on a network, not the reading, takes the time, and may have all cores."""


class Backend(Protocol):
    """A loaded model.

    Attributes:
        settings: Graph settings that it was trained with.
        n_members: Number of members.
        uncertainty: What it needs to judge its predictions; None where it has no such file.
    """

    settings: GraphSettings
    n_members: int
    uncertainty: Uncertainty | None

    def outputs(self, chunk: Prepared) -> tuple[np.ndarray, Judgement]:
        """Predict and judge a chunk's graphs.

        Returns:
            κ at 300 K of each member in W/(m K), [n_members, n_graphs], and what the model says of these predictions.
        """
        ...


def load_backend(folder: Path, device: str, threads: int | None) -> Backend:
    """Load the model of a folder, of whatever kind.

    Args:
        folder: Model folder.
        device: `cpu` or `cuda`; the multi-fidelity model is numpy on the CPU in either case.
        threads: CPU threads of the model; without it, one for small graphs, where more are slower, else one a core.

    Raises:
        ModelFileError: The model is damaged, or of a kind that this version does not know.
    """
    require_device(device)
    if read_card(folder).get("kind") == MULTI_FIDELITY:
        return MultiFidelityBackend(folder)
    return NetworkBackend(folder, device, threads)


class NetworkBackend:
    """An ensemble of networks; see `Backend`."""

    def __init__(self, folder: Path, device: str, threads: int | None) -> None:
        """Load it."""
        self.settings = graph_settings(folder)
        self.model = load_model(folder, device)
        self.n_members = self.model.settings.n_members
        self.uncertainty = load_uncertainty(folder)
        self._device = device
        self._threads = threads
        self._max_edges = CPU_EDGES if device == "cpu" else GPU_EDGES

    def outputs(self, chunk: Prepared) -> tuple[np.ndarray, Judgement]:
        """See `Backend.outputs`."""
        if len(chunk.store) == 0:
            return np.zeros((self.n_members, 0)), Judgement.unknown(0)
        import torch  # noqa: PLC0415 - the default model goes without

        from paraisite.models.network.batch import GraphBatch  # noqa: PLC0415

        with torch_settings(self._threads or _threads_for(chunk)), torch.inference_mode():
            features, parts = [], []
            for indices in chunk.store.batches(CHUNK_CRYSTALS, self._max_edges):
                batch = GraphBatch.from_arrays(chunk.store.collate(indices), self._device)
                features.append(self.model.body(batch))
                parts.append(self.model.target.inverse(self.model.from_features(features[-1])))
            kappa = torch.cat(parts, dim=1).double().cpu().numpy()
            if self.uncertainty is None:
                return kappa, Judgement.unknown(len(chunk.store))
            formulas = [chunk.rows.formula[row] for row in chunk.predicted]
            return kappa, self.uncertainty.judge(kappa, torch.cat(features, dim=1).cpu().numpy(), chunk.store, formulas)


class MultiFidelityBackend:
    """The multi-fidelity model; see `Backend`."""

    def __init__(self, folder: Path) -> None:
        """Load it."""
        self.settings = graph_settings(folder)
        self.model = load_multi_fidelity(folder)
        self.n_members = len(self.model.members)
        self.uncertainty = load_uncertainty(folder)

    def outputs(self, chunk: Prepared) -> tuple[np.ndarray, Judgement]:
        """See `Backend.outputs`; the interval is the calibrated one of the predictive distribution."""
        n = len(chunk.store)
        if n == 0:
            return np.zeros((self.n_members, 0)), Judgement.unknown(0)
        descriptors = describe_graphs(chunk.store, chunk.volume_per_atom, chunk.primitive_atoms)
        prediction = self.model.predict(descriptors)
        low, high = (10**end for end in prediction.interval())
        kappa = 10**prediction.members
        if self.uncertainty is None:
            said = Judgement.unknown(n)
        else:
            formulas = [chunk.rows.formula[row] for row in chunk.predicted]
            said = self.uncertainty.judge(kappa, descriptors.astype(np.float32)[None], chunk.store, formulas)
        return kappa, Judgement(low, high, said.domain, said.domain_distance, said.domain_reason)


def _threads_for(chunk: Prepared) -> int:
    large = chunk.store.n_edges > EDGES_WORTH_THREADS * len(chunk.store)
    return (os.cpu_count() or 1) if large else 1
