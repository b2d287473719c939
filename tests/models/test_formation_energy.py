"""The published formation-energy weights: known energies, and strict import."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from paraisite.errors import ModelFileError
from paraisite.graphs.build import build_store
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.formation_energy import FormationEnergyMEGNet, load_formation_energy_megnet
from paraisite.structures.crystal import Crystal

State = dict[str, Tensor]
CENTRED = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
KNOWN_KEY = "model.blocks.1.conv.edge_func.layers.0.weight"


def binary(numbers: tuple[int, int], cell: np.ndarray, second: float) -> Crystal:
    return Crystal(np.array(numbers), cell, np.array([[0.0] * 3, [second] * 3]))


KNOWN = {
    "CsCl": (binary((55, 17), 4.1437 * np.eye(3), 0.5), -2.272),
    "NaCl": (binary((11, 17), 5.69 * CENTRED, 0.5), -2.115),
    "Si": (binary((14, 14), 5.43 * CENTRED, 0.25), 0.032),
}
"""Crystals and their energies in eV/atom, as the weights' authors' program gave them, to three digits."""


@pytest.mark.parametrize("name", KNOWN)
def test_known_formation_energies(name: str, formation_energy_model: FormationEnergyMEGNet) -> None:
    crystal, energy = KNOWN[name]
    batch = GraphBatch.from_arrays(build_store([crystal]).collate(np.arange(1)))
    with torch.no_grad():
        found = float(formation_energy_model.formation_energy(batch))
    # Averaging messages at the wrong end of the edges gives -1.924 and -1.761 for the two salts.
    assert found == pytest.approx(energy, abs=1e-3)


def test_target_scale_is_read(formation_energy_model: FormationEnergyMEGNet) -> None:
    assert float(formation_energy_model.mean) == np.float32(-1.65459073)
    assert float(formation_energy_model.standard_deviation) == np.float32(1.07266128)


@pytest.fixture
def copied(formation_energy_folder: Path, tmp_path: Path) -> Path:
    for name in ("model.json", "state.pt"):
        shutil.copyfile(formation_energy_folder / name, tmp_path / name)
    return tmp_path


def refuse(folder: Path, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        load_formation_energy_megnet(folder)


def test_unchanged_copy_loads(copied: Path) -> None:
    assert load_formation_energy_megnet(copied).training is False


def rename(state: State) -> None:
    state[KNOWN_KEY.removeprefix("model.")] = state.pop(KNOWN_KEY)


def remove(state: State) -> None:
    del state[KNOWN_KEY]


def add(state: State) -> None:
    state["model.blocks.3.weight"] = torch.zeros(1)


def reshape(state: State) -> None:
    state[KNOWN_KEY] = state[KNOWN_KEY][:, :-1]


def transpose(state: State) -> None:
    state[KNOWN_KEY] = state[KNOWN_KEY].T.contiguous()


def strip_all(state: State) -> None:
    for key in list(state):
        state[key.removeprefix("model.")] = state.pop(key)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rename, "1 missing keys .* 1 unexpected"),
        (remove, "1 missing keys .* 0 unexpected"),
        (add, "0 missing keys .* 1 unexpected"),
        (strip_all, "missing keys"),
        (reshape, "has the shape"),
        (transpose, "has the shape"),
    ],
)
def test_state_that_does_not_fit_is_refused(copied: Path, change: Callable[[State], None], words: str) -> None:
    state = torch.load(copied / "state.pt", weights_only=True)
    change(state)
    torch.save(state, copied / "state.pt")
    refuse(copied, words)


@pytest.mark.parametrize("content", [[1, 2], {KNOWN_KEY: "text"}, torch.zeros(3)])
def test_file_that_holds_no_state_is_refused(copied: Path, content: object) -> None:
    torch.save(content, copied / "state.pt")
    refuse(copied, "readable")


def test_truncated_weights_are_refused(copied: Path) -> None:
    content = (copied / "state.pt").read_bytes()
    (copied / "state.pt").write_bytes(content[: len(content) // 2])
    refuse(copied, "readable")


@pytest.mark.parametrize("content", [b"", b"not a model", b"{}"])
@pytest.mark.parametrize("name", ["model.json", "state.pt"])
def test_damaged_file_is_refused(copied: Path, name: str, content: bytes) -> None:
    (copied / name).write_bytes(content)
    refuse(copied, "readable")


@pytest.mark.parametrize("name", ["model.json", "state.pt"])
def test_missing_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    refuse(copied, f"{name}.* is missing")


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere", "is missing")


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    change(content["kwargs"])
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(("key", "value"), [("cutoff", 5.0), ("include_state", False), ("activation_type", "swish")])
def test_setting_that_cannot_be_imported_is_refused(copied: Path, key: str, value: object) -> None:
    rewrite(copied, lambda content: content["model"]["init_args"].update({key: value}))
    refuse(copied, key)


@pytest.mark.parametrize(("key", "value"), [("dim_edge_embedding", 80), ("nblocks", 2), ("dim_node_embedding", 8)])
def test_architecture_that_the_weights_do_not_have_is_refused(copied: Path, key: str, value: int) -> None:
    rewrite(copied, lambda content: content["model"]["init_args"].update({key: value}))
    refuse(copied, "state.pt")


def test_missing_setting_is_refused(copied: Path) -> None:
    rewrite(copied, lambda content: content["model"]["init_args"].pop("gauss_width"))
    refuse(copied, "gauss_width")


def test_missing_target_scale_is_refused(copied: Path) -> None:
    rewrite(copied, lambda content: content.update(target_transformer="none"))
    refuse(copied, "target scale")
