"""The formation-energy MEGNet against MatGL's own, from a table of its outputs and live where it is installed.

A pair at exactly 4 Å would be inside for one program and outside for the other by rounding alone. Both count a pair up to
4 Å + 1e-8 Å as inside (pymatgen's numerical tolerance, the package's margin), and none of the 4 400 crystals of `aflow_agl`
has a pair within 1e-6 Å of 4 Å: none is left out here.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from make_matgl_golden import GOLDEN, STEP, load_matgl, matgl_outputs
from torch import Tensor

from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.models.network.formation_energy import FormationEnergyMEGNet
from paraisite.structures.crystal import Crystal

LoadCrystals = Callable[..., list[Crystal]]
TOLERANCE = 1e-5
"""Of a standardised output of order 1: two float32 programs that sum in another order differ by some 1e-6, and the merging
of distances adds up to 4e-6."""
LIVE_STEP = 400


def golden_table() -> tuple[list[str], np.ndarray]:
    with GOLDEN.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return [row["material_id"] for row in rows], np.array([float(row["standardised_formation_energy"]) for row in rows])


@pytest.mark.parametrize("tolerance_angstrom", [0.0, DEFAULT_GRAPH_SETTINGS.tolerance_angstrom])
def test_outputs_equal_the_table_of_matgl(
    tolerance_angstrom: float,
    shared_crystals: LoadCrystals,
    formation_energy_model: FormationEnergyMEGNet,
    evaluate: Callable[..., Tensor],
) -> None:
    crystals = shared_crystals("aflow_agl", step=STEP)
    names, values = golden_table()
    assert [crystal.material_id for crystal in crystals] == names
    assert len(names) == 220
    ours = evaluate(formation_energy_model, crystals, GraphSettings(tolerance_angstrom=tolerance_angstrom)).numpy()
    np.testing.assert_allclose(ours, values, rtol=0, atol=TOLERANCE)


@pytest.mark.parity
def test_outputs_equal_matgl_live(
    shared_crystals: LoadCrystals,
    formation_energy_folder: Path,
    formation_energy_model: FormationEnergyMEGNet,
    evaluate: Callable[..., Tensor],
) -> None:
    pytest.importorskip("matgl")
    crystals = shared_crystals("aflow_agl", step=LIVE_STEP)
    plain = [(crystal.cell, crystal.numbers, crystal.fractional) for crystal in crystals]
    theirs = matgl_outputs(load_matgl(formation_energy_folder), plain)
    ours = evaluate(formation_energy_model, crystals).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
