"""From files or crystals to graphs with their table rows; the part of a prediction that needs no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paraisite.graphs.build import build_graphs
from paraisite.graphs.settings import GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.primitive import count_primitive_atoms

CHUNK_CRYSTALS = 256
"""Crystals that are carried through the pipeline together: many enough for the model, few enough for the memory."""
OK = "ok"
BONDLESS = "bondless_atoms"


@dataclass(slots=True)
class Rows:
    """What the table says of each structure besides κ, one list a column.

    Attributes:
        material_id: Identifiers.
        formula: Reduced formulas; empty for a failure.
        n_atoms: Atoms in the cell; 0 for a failure.
        status: `ok`, `bondless_atoms` (predicted, with a warning), or the code of the error.
        error: The sentence that explains a status other than `ok`; else empty.
        source: Where each was read.
    """

    material_id: list[str]
    formula: list[str]
    n_atoms: list[int]
    status: list[str]
    error: list[str]
    source: list[str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A chunk ready for the model.

    Attributes:
        rows: One row a structure, in the order of the input, failures among them.
        predicted: Rows that have a graph, [n_graphs] int64.
        store: Their graphs.
        volume_per_atom: Volumes of their cells over their atoms in Å³, [n_graphs] float64.
        primitive_atoms: Atoms of their primitive cells, [n_graphs] int64.
    """

    rows: Rows
    predicted: np.ndarray
    store: GraphStore
    volume_per_atom: np.ndarray
    primitive_atoms: np.ndarray


def prepare(items: Sequence[Crystal | ReadFailure], settings: GraphSettings) -> Prepared:
    """Build the graphs of crystals that were read, and the rows of all.

    Args:
        items: Crystals, and failures in the place of those that could not be read.
        settings: Graph settings of the model.
    """
    crystals = [item for item in items if isinstance(item, Crystal)]
    position = np.array([index for index, item in enumerate(items) if isinstance(item, Crystal)], dtype=np.int64)
    built = build_graphs(crystals, settings)
    rows = Rows(
        material_id=[item.material_id for item in items],
        formula=[item.formula if isinstance(item, Crystal) else "" for item in items],
        n_atoms=[item.n_atoms if isinstance(item, Crystal) else 0 for item in items],
        status=[OK if isinstance(item, Crystal) else item.code for item in items],
        error=["" if isinstance(item, Crystal) else item.message for item in items],
        source=[item.source for item in items],
    )
    for index, error in built.failures:
        rows.status[position[index]] = error.code
        rows.error[position[index]] = str(error)
    predicted = position[built.kept]
    for row in predicted[built.store.bondless]:
        rows.status[row] = BONDLESS
        rows.error[row] = (
            f"Some atoms have no neighbour within {settings.cutoff_angstrom:g} Å, so the model cannot see how they are bound."
        )
    kept = [crystals[index] for index in built.kept]
    volume_per_atom = np.array([crystal.volume / crystal.n_atoms for crystal in kept])
    primitive_atoms = np.array([count_primitive_atoms(crystal) for crystal in kept], dtype=np.int64)
    return Prepared(rows, predicted, built.store, volume_per_atom, primitive_atoms)
