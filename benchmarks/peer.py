"""The peer: MatGL's own MEGNet, graphs and batching, driven in the way that is fastest for it.

Random weights of MatGL's default sizes: speed does not depend on the values. This network is the smaller one: it ends
in 32 → 16 → 1, ParAIsite adds a perceptron 16 → 450 → 350 → 350 → 1. Also in the peer's favour: no Lightning, fused Adam,
denormals flushed, positions and image shifts computed once and not in every step.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TQDM_DISABLE", "1")

import torch
from matgl.config import DEFAULT_ELEMENTS
from matgl.ext.pymatgen import Structure2Graph
from matgl.graph.data import MGLDataset, collate_fn_graph
from matgl.models import MEGNet
from pymatgen.core import Lattice, Structure
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torch_geometric.data import Batch, Data

CUTOFF_ANGSTROM = 4.0
LN_10 = 2.302585092994046


def setup(threads: int) -> None:
    """Set the threads and flush denormals."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


def make_model(seed: int) -> MEGNet:
    """A MEGNet of MatGL's default sizes with random weights."""
    torch.manual_seed(seed)
    return MEGNet(cutoff=CUTOFF_ANGSTROM)


def converter() -> Structure2Graph:
    """MatGL's converter, with the model's elements and cutoff."""
    return Structure2Graph(element_types=DEFAULT_ELEMENTS, cutoff=CUTOFF_ANGSTROM)


def read_structures(path: Path) -> tuple[list[Structure], list[float]]:
    """Structures and κ in W/(m K) of an extxyz file."""
    from ase.io import iread

    structures, kappa = [], []
    for atoms in iread(path, index=":"):
        structures.append(Structure(Lattice(atoms.cell[:]), atoms.get_chemical_symbols(), atoms.get_scaled_positions()))
        kappa.append(float(atoms.info["kappa"]))
    return structures, kappa


def add_positions(graph: Data, lattice: Tensor) -> Data:
    """Put Cartesian positions and image shifts on a graph, as MatGL's training step and `predict_structure` do."""
    graph.pos = graph.frac_coords @ lattice[0]
    graph.pbc_offshift = graph.pbc_offset @ lattice[0]
    del graph.frac_coords, graph.pbc_offset
    return graph


def make_dataset(structures: list[Structure], kappa: list[float]) -> MGLDataset:
    """MatGL's data set of ready-made graphs."""
    with tempfile.TemporaryDirectory() as root:
        data = MGLDataset(
            converter=converter(), structures=structures, labels={"kappa": kappa}, root=root, save_cache=False
        )
    for graph, lattice in zip(data.graphs, data.lattices, strict=True):
        add_positions(graph, lattice)
    return data


def make_loader(data: MGLDataset, indices: Sequence[int], batch_size: int, workers: int) -> DataLoader:
    """The loader that MatGL's `MGLDataLoader` makes, for training."""
    return DataLoader(
        Subset(data, list(indices)), batch_size=batch_size, shuffle=True, collate_fn=collate_fn_graph,
        num_workers=workers, persistent_workers=workers > 0,
    )  # fmt: skip


def train_epoch(
    model: MEGNet, optimizer: torch.optim.Optimizer, loader: DataLoader, scale: tuple[float, float], steps: int = 10**9
) -> None:
    """Train one epoch with the loss that ParAIsite has, mean |κ' - κ| / κ; `scale` is that of log10(κ + 1)."""
    mean, deviation = scale
    for step, (graph, _, state, kappa) in enumerate(loader):
        if step >= steps:
            break
        logarithm = model(graph, state_attr=state).reshape(-1) * deviation + mean
        loss = ((torch.expm1(logarithm * LN_10) - kappa).abs() / kappa).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def predict_batch(models: Sequence[MEGNet], graphs: list[Data]) -> Tensor:
    """Predict a batch by all members: [n_members, n_graphs]."""
    batch = Batch.from_data_list(graphs)
    state = torch.zeros(len(graphs), 2)
    return torch.stack([model(batch, state_attr=state).reshape(-1) for model in models])
