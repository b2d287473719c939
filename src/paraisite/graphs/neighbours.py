"""Neighbour pairs of a crystal within the cutoff, by vesin (https://github.com/Luthaf/vesin)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.graphs.settings import GraphSettings
from paraisite.structures.crystal import Crystal
from paraisite.threads import import_without

NeighborList: Any = import_without("vesin", "torch", "ase").NeighborList
CUTOFF_MARGIN_ANGSTROM = 1e-8
"""A pair at the cutoff to rounding is inside, as in pymatgen, however the crystal is turned."""
MIN_DISTANCE_ANGSTROM = 0.4
SKEWED_HEIGHT_ANGSTROM = 1.5
MAX_BOXES = 1e5
"""Boxes of vesin's search, at most; a flat cell with more ends the process by a division by zero (vesin 0.6.2)."""


@dataclass(frozen=True, slots=True)
class NeighbourPairs:
    """Directed neighbour pairs, sorted by destination; every pair also stands in reverse.

    Attributes:
        destination: Index of the atom that receives the message, [n_edges] int64.
        source: Index of the atom that sends it, [n_edges] int64.
        distance: Distance in Å, [n_edges] float64.
        vector: From the receiving atom to the sending one in Å, [n_edges, 3] float64.
    """

    destination: np.ndarray
    source: np.ndarray
    distance: np.ndarray
    vector: np.ndarray


@lru_cache(maxsize=4)
def _neighbour_list(cutoff_angstrom: float) -> NeighborList:
    # One thread: a cell is far too small to share out, and a scan runs one process per core already.
    return NeighborList(cutoff=cutoff_angstrom + CUTOFF_MARGIN_ANGSTROM, full_list=True, sorted=True, n_threads=1)


def find_neighbours(crystal: Crystal, settings: GraphSettings) -> NeighbourPairs:
    """Find all pairs of atoms, periodic images included, within the cutoff.

    Args:
        crystal: A checked crystal.
        settings: Cutoff in Å and the largest number of pairs.

    Returns:
        The directed pairs.

    Raises:
        StructureError: `overlapping_atoms` (two atoms closer than 0.4 Å), `no_bonds` (no pair at all within the cutoff),
            `too_many_neighbours` (more pairs than `max_edges`) or `invalid_cell` (too large to be searched).
    """
    _refuse_too_many(crystal, settings)
    cell, fractional = _compact_cell(crystal, settings.cutoff_angstrom)
    if crystal.n_atoms**2 > settings.max_edges:
        _refuse_clumps(crystal, fractional @ cell, settings)
    destination, source, distance, vector = _neighbour_list(settings.cutoff_angstrom).compute(
        points=fractional @ cell, box=cell, periodic=True, quantities="ijdD"
    )
    if len(distance) == 0:
        raise StructureError(
            f"{_name(crystal)}: no two atoms are within {settings.cutoff_angstrom:g} Å, so the crystal has no bond to "
            "read; check the cell and its unit (Å).",
            code="no_bonds",
        )
    closest = int(np.argmin(distance))
    if distance[closest] < MIN_DISTANCE_ANGSTROM:
        raise StructureError(
            f"{_name(crystal)}: atoms {int(destination[closest]) + 1} and {int(source[closest]) + 1} overlap "
            f"({distance[closest]:.3f} Å apart, less than {MIN_DISTANCE_ANGSTROM} Å); check the positions and the cell.",
            code="overlapping_atoms",
        )
    return NeighbourPairs(destination.astype(np.int64), source.astype(np.int64), distance, vector)


def _refuse_too_many(crystal: Crystal, settings: GraphSettings) -> None:
    sphere = 4 / 3 * pi * settings.cutoff_angstrom**3
    expected = crystal.n_atoms**2 * sphere / crystal.volume
    if expected > settings.max_edges:
        raise StructureError(
            f"{_name(crystal)}: about {expected:.0f} neighbour pairs within {settings.cutoff_angstrom:g} Å are more than "
            f"the limit of {settings.max_edges}; check the cell and its unit (Å).",
            code="too_many_neighbours",
        )


def _refuse_clumps(crystal: Crystal, positions: np.ndarray, settings: GraphSettings) -> None:
    """Refuse atoms that are so many in one place that their pairs alone are too many, however large the cell."""
    # All atoms in a box of this edge are neighbours.
    edge = settings.cutoff_angstrom / 3**0.5
    _, counts = np.unique(np.floor(positions / edge).astype(np.int64), axis=0, return_counts=True)
    if int((counts.astype(np.int64) ** 2).sum()) > settings.max_edges:
        raise StructureError(
            f"{_name(crystal)}: up to {counts.max()} atoms lie within {settings.cutoff_angstrom:g} Å of each other, which "
            f"gives more neighbour pairs than the limit of {settings.max_edges}; check the positions.",
            code="too_many_neighbours",
        )


def _compact_cell(crystal: Crystal, cutoff_angstrom: float) -> tuple[np.ndarray, np.ndarray]:
    """Cell and wrapped coordinates for the search; a flat or skewed cell is reduced, the crystal stays the same.

    Raises:
        StructureError: As `find_neighbours`.
    """
    cell, fractional = crystal.cell, crystal.fractional
    heights = _heights(cell, crystal.volume)
    if heights.min() < SKEWED_HEIGHT_ANGSTROM:
        from ase.geometry import minkowski_reduce  # noqa: PLC0415 - few cells need it

        reduced, operation = minkowski_reduce(cell)
        # reduced = operation @ cell, and the positions stay: f_reduced @ operation @ cell = f @ cell.
        cell, fractional = np.asarray(reduced), fractional @ np.linalg.inv(operation)
        heights = _heights(cell, crystal.volume)
        shortest = float(np.sqrt((cell**2).sum(axis=1)).min())
        if shortest < MIN_DISTANCE_ANGSTROM:
            raise StructureError(
                f"{_name(crystal)}: atoms overlap with their own images, {shortest:.3g} Å apart; check the cell and its "
                "unit (Å).",
                code="overlapping_atoms",
            )
    if heights.max() > cutoff_angstrom * MAX_BOXES ** (1 / 3):
        _refuse_unsearchable(crystal, heights, cutoff_angstrom)
    return cell, fractional % 1.0


def _heights(cell: np.ndarray, volume: float) -> np.ndarray:
    """Distances between opposite faces of a cell in Å, [3]."""
    first, second = cell[[1, 2, 0]], cell[[2, 0, 1]]
    # np.cross takes ten times as long for three vectors.
    cross = first[:, [1, 2, 0]] * second[:, [2, 0, 1]] - first[:, [2, 0, 1]] * second[:, [1, 2, 0]]
    return np.asarray(volume / np.sqrt((cross**2).sum(axis=1)))


def _refuse_unsearchable(crystal: Crystal, heights: np.ndarray, cutoff_angstrom: float) -> None:
    """Refuse a cell that is a thousand Å and more in two directions and a few in the third."""
    boxes = np.maximum(heights // cutoff_angstrom, 1.0)
    kept = boxes * min(1.0, float(MAX_BOXES / boxes.prod()) ** (1 / 3))
    if kept.min() < min(2.0, float(boxes.min())):
        shown = " × ".join(f"{height:.0f}" for height in heights)
        raise StructureError(
            f"{_name(crystal)}: a cell of {shown} Å is too large for a search of neighbours; check the cell and its "
            "unit (Å).",
            code="invalid_cell",
        )


def _name(crystal: Crystal) -> str:
    return crystal.source or crystal.material_id or crystal.formula
