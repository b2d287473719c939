"""Helpers of the tests in this folder: samples, CIF texts, and the distance between two crystals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from paraisite.readers import iter_crystals
from paraisite.structures import Crystal, ReadFailure

DATA_FILES = (
    "togo15.extxyz",
    "hh143.extxyz",
    "aflow_agl.extxyz.gz",
    "aflow_unlabelled.extxyz.gz",
    "mp_scan.extxyz.gz",
)

CUBE = """_cell_length_a 5.64(2)
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
"""
HEXAGON = CUBE.replace("gamma 90", "gamma 120")
FCC = "_symmetry_space_group_name_H-M 'F m -3 m'\n"
SALT = "Na1 Na+ 0 0 0\nCl1 Cl- 0.5 0.5 0.5"


def cif_text(
    symmetry: str = FCC,
    sites: str = SALT,
    *,
    cell: str = CUBE,
    columns: str = "label type_symbol fract_x fract_y fract_z",
    head: str = "data_x\n",
) -> str:
    """A CIF data block."""
    tags = "".join(f"_atom_site_{column}\n" for column in columns.split())
    return f"{head}{cell}{symmetry}loop_\n{tags}{sites}\n"


def shared_crystals(shared: Path, sample: int | None = None) -> Iterator[Crystal]:
    """All crystals of the shared data, or about `sample` spread evenly over each set."""
    for name in DATA_FILES:
        crystals = [item for item in iter_crystals(shared / "data" / name) if isinstance(item, Crystal)]
        step = 1 if sample is None else max(1, len(crystals) * len(DATA_FILES) // sample)
        yield from crystals[::step]


def deviation(first: Crystal, second: Crystal) -> float:
    """Largest difference in Å of the cells and of the best-matched sites, modulo lattice translations."""
    if first.n_atoms != second.n_atoms or sorted(first.numbers) != sorted(second.numbers):
        return float("inf")
    worst = float(np.abs(first.cell - second.cell).max())
    for number in np.unique(first.numbers):
        shift = first.fractional[first.numbers == number][:, None] - second.fractional[second.numbers == number][None]
        shift -= np.round(shift)
        distances = np.linalg.norm(shift @ first.cell, axis=-1)
        worst = max(worst, float(distances[linear_sum_assignment(distances)].max()))
    return worst


def only(items: Iterator[Crystal | ReadFailure]) -> Crystal | ReadFailure:
    """The single item of a stream."""
    (item,) = items
    return item
