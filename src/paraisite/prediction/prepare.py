"""From files or crystals to graphs with their table rows; the part of a prediction that needs no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paraisite.applicability import Concern, find_all_concerns
from paraisite.graphs.build import build_graphs
from paraisite.models.inputs import Inputs, Needs, gather_inputs
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions
from paraisite.structures.statements import MISSING_HYDROGENS

CHUNK_CRYSTALS = 256
"""Crystals that are carried through the pipeline together: many enough for the model, few enough for the memory."""
OK = "ok"
BONDLESS = "bondless_atoms"
NOT_FINITE = "not_finite"
"""The model gives no finite number, as one whose weights are damaged or whose training diverged."""


def predicted_statuses(options: ReadOptions = STRICT) -> frozenset[str]:
    """Status of rows that carry a prediction, some of them with a warning, where readers let pass what `options` say."""
    return frozenset({OK, BONDLESS} | ({MISSING_HYDROGENS} if options.allow_missing_hydrogens else set()))


@dataclass(slots=True)
class Rows:
    """What the table says of each structure besides κ, one list per column.

    Attributes:
        material_id: Identifiers.
        formula: Reduced formulas; empty for a failure.
        n_atoms: Atoms in the cell; 0 for a failure.
        status: `ok`, `bondless_atoms` or `missing_hydrogens` (predicted, with a warning), or the code of the error;
            `not_finite` where the model gives no finite number.
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
        rows: One row per structure, in the order of the input, failures among them.
        predicted: Rows that have a graph, [n_graphs] int64.
        inputs: What the model asked of those, [n_graphs].
        concerns: Why κ may not hold for each, whatever the model, [n_graphs].
    """

    rows: Rows
    predicted: np.ndarray
    inputs: Inputs
    concerns: list[tuple[Concern, ...]]


def prepare(items: Sequence[Crystal | ReadFailure], needs: Needs) -> Prepared:
    """Build the graphs of crystals that were read and what else the model asks for, and the rows of all.

    Args:
        items: Crystals, and failures in the place of those that could not be read.
        needs: What the model asks for.
    """
    crystals = [item for item in items if isinstance(item, Crystal)]
    position = np.array([index for index, item in enumerate(items) if isinstance(item, Crystal)], dtype=np.int64)
    built = build_graphs(crystals, needs.graphs)
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
    kept = [crystals[index] for index in built.kept]
    _add_warnings(rows, predicted, kept, built.store.bondless, needs.graphs.cutoff_angstrom)
    formulas = [rows.formula[row] for row in predicted]
    concerns = find_all_concerns(kept, built.store, formulas)
    return Prepared(rows, predicted, gather_inputs(kept, formulas, built.store, needs), concerns)


def _add_warnings(
    rows: Rows, predicted: np.ndarray, crystals: Sequence[Crystal], bondless: np.ndarray, cutoff_angstrom: float
) -> None:
    """Put what speaks against a prediction into its row; the reader's doubt goes first."""
    for row, crystal, unbound in zip(predicted.tolist(), crystals, bondless.tolist(), strict=True):
        sentences = []
        if unbound:
            rows.status[row] = BONDLESS
            sentences.append(
                f"Some atoms have no neighbour within {cutoff_angstrom:g} Å, so the model cannot see how they are bound."
            )
        if crystal.warning is not None:
            rows.status[row] = crystal.warning.code
            sentences.insert(0, f"{crystal.warning.message}.")
        rows.error[row] = " ".join(sentences)
