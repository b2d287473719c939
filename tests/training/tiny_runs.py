"""A small labelled file, small recipes for it, and what a run leaves behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms

from paraisite.datasets.tables import load_togo15
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.training.network.data import StageData, load_stage_data
from paraisite.training.network.recipe import Recipe, StageRecipe
from paraisite.training.network.state import TrainingState

N_CRYSTALS = 12


def write_data(path: Path, n_crystals: int = N_CRYSTALS, factor: float = 1.0) -> str:
    """Write the first crystals of Togo15 with their κ times a factor; the path as a recipe names it."""
    frames = []
    for crystal in load_togo15()[:n_crystals]:
        atoms = Atoms(crystal.numbers, cell=crystal.cell, scaled_positions=crystal.fractional, pbc=True)
        atoms.info = {"kappa": factor * crystal.properties["kappa"], "material_id": crystal.material_id}
        frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")
    return str(path)


def tiny_stage(data: str, **changes: Any) -> StageRecipe:
    """Six epochs of two steps."""
    return StageRecipe(**{"name": "first", "data": data, "epochs": 6, "batch_size": 6, **changes})


def tiny_recipe(data: str, **changes: Any) -> Recipe:
    """Two members and one stage."""
    return Recipe(**{"name": "tiny", "stages": (tiny_stage(data),), "runs": (1, 2), **changes})


def two_stages(data: str) -> Recipe:
    """Two stages of four epochs that select by different protocols."""
    first = tiny_stage(data, epochs=4, selection="inner")
    return tiny_recipe(data, stages=(first, replace(first, name="second", selection="validation", validate_every=2)))


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of what a run leaves behind; not its checkpoints, nor what a killed run left half written."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != "checkpoint.safetensors"
    }


def start_state(recipe: Recipe, position: int = 0) -> tuple[TrainingState, StageData]:
    """State before a stage's first epoch, with random weights from the runs as seeds, and the stage's data."""
    stage, data = recipe.stages[position], load_stage_data(recipe, position)
    model = ParAIsite(ParAIsiteSettings(n_members=len(recipe.runs)))
    model.reset(recipe.runs)
    model.target.fit(data.kappa, torch.as_tensor(data.splits.scale))
    optimizer = torch.optim.Adam(model.parameters(), lr=stage.learning_rate, eps=stage.adam_epsilon)
    return TrainingState.start(model, optimizer), data


def parameters_of(model: ParAIsite) -> dict[str, np.ndarray]:
    """Copies of all parameters."""
    return {name: value.detach().cpu().numpy().copy() for name, value in model.named_parameters()}
