"""What all tests share: the reference material beside the project, crystals from it, and one evaluation of a model."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from torch import Tensor, nn

from paraisite.graphs.build import build_store
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.formation_energy import FormationEnergyMEGNet, load_formation_energy_megnet
from paraisite.structures.crystal import Crystal

TESTS = Path(__file__).parent
# The helper modules beside the tests, whatever pytest's import mode.
sys.path += [str(TESTS / folder) for folder in ("graphs", "models", "training", "parity", "screening")]

SHARED_SETS = ("togo15", "hh143", "aflow_agl", "aflow_unlabelled", "mp_scan")
MARKERS = {
    "slow": "takes more than a few seconds; left out by -m 'not slow'",
    "parity": "runs another program live and needs it installed",
}
EVALUATION_BATCH = 32
LoadCrystals = Callable[..., list[Crystal]]
Evaluate = Callable[..., Tensor]


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers that the configuration file does not."""
    known = {line.split(":")[0].strip() for line in config.getini("markers")}
    for name, text in MARKERS.items():
        if name not in known:
            config.addinivalue_line("markers", f"{name}: {text}")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Keep PyTorch to one thread: the tensors are small."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the reference material."""
    folder = Path(os.environ.get("PARAISITE_SHARED") or TESTS.parents[1] / "shared")
    if (folder / "data" / "togo15.extxyz").is_file():
        return folder
    message = f"the reference material is not at {folder}; set PARAISITE_SHARED"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def shared_crystals(shared: Path) -> LoadCrystals:
    """Function that reads every `step`-th crystal of a shared set by ASE: `shared_crystals("togo15", step=1)`."""

    @cache
    def load(name: str, step: int = 1) -> list[Crystal]:
        path = next((shared / "data").glob(f"{name}.extxyz*"))
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        frames = _frames(text.splitlines(keepends=True))[::step]
        atoms = ase.io.read(io.StringIO("".join(frames)), index=":", format="extxyz")
        return [from_ase_atoms(item) for item in atoms]

    return load


@pytest.fixture(scope="session")
def formation_energy_folder(shared: Path) -> Path:
    """Folder of the published formation-energy weights."""
    return shared / "pretrained" / "megnet-eform-mp-2018.6.1"


@pytest.fixture(scope="session")
def formation_energy_model(formation_energy_folder: Path) -> FormationEnergyMEGNet:
    """The formation-energy MEGNet; not to be changed by a test."""
    return load_formation_energy_megnet(formation_energy_folder)


@pytest.fixture(scope="session")
def evaluate() -> Evaluate:
    """Function that gives a model's standardised outputs of crystals, [..., n_crystals]."""

    def outputs(
        model: nn.Module, crystals: Sequence[Crystal], settings: GraphSettings = DEFAULT_GRAPH_SETTINGS
    ) -> Tensor:
        store = build_store(crystals, settings)
        numbers = np.arange(len(store))
        batches = [numbers[start : start + EVALUATION_BATCH] for start in range(0, len(store), EVALUATION_BATCH)]
        with torch.no_grad():
            return torch.cat([model(GraphBatch.from_arrays(store.collate(batch))) for batch in batches], dim=-1)

    return outputs


def _frames(lines: list[str]) -> list[str]:
    """Text of each crystal of an extxyz file: ASE takes milliseconds a crystal, so only those wanted are given to it."""
    frames, start = [], 0
    while start < len(lines):
        end = start + int(lines[start]) + 2
        frames.append("".join(lines[start:end]))
        start = end
    return frames


def from_ase_atoms(atoms: Atoms) -> Crystal:
    """Crystal of ASE's atoms, made without the package's own readers."""
    return Crystal(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        cell=np.array(atoms.cell),
        fractional=atoms.get_scaled_positions(wrap=False),
        material_id=str(atoms.info.get("material_id", atoms.info.get("id", ""))),
        properties=dict(atoms.info),
    )
