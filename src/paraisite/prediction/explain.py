"""Explain predictions, whatever the kind of model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paraisite.errors import StructureError
from paraisite.models.explanation import Explanation
from paraisite.models.names import DEFAULT_MODEL
from paraisite.prediction.predict import Predictor
from paraisite.prediction.prepare import prepare
from paraisite.structures.convert import as_crystal
from paraisite.structures.crystal import Crystal, ReadFailure

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure


def explain(
    structures: Iterable[Crystal | ReadFailure | Structure | Atoms], model: str | Path = DEFAULT_MODEL
) -> Iterator[Explanation | ReadFailure]:
    """Explain predictions, one structure at a time: their parts, nearest training crystals and descriptors.

    The attributions take seconds per structure and need the extra `explain`; all else takes milliseconds and nothing more.

    Args:
        structures: `Crystal`, pymatgen `Structure` or ASE `Atoms` objects, or what `iter_crystals` gives for files.
        model: Name of a shipped model, or a model folder, of a kind that can be explained.

    Returns:
        In their order, made as they are asked for: an explanation, or a failure for a structure that cannot be predicted.

    Raises:
        ModelFileError: There is no such model, it is damaged, or its kind cannot be explained.
    """
    predictor = Predictor(model)
    explainer = predictor.model.explainer()

    def explained(item: Crystal | ReadFailure) -> Explanation | ReadFailure:
        chunk = prepare([item], predictor.needs)
        for explanation in explainer.explain(chunk.inputs):
            return explanation
        rows = chunk.rows
        return ReadFailure(rows.material_id[0], rows.source[0], rows.status[0], rows.error[0])

    return (explained(_as_item(index, item)) for index, item in enumerate(structures, 1))


def _as_item(index: int, structure: Any) -> Crystal | ReadFailure:
    if isinstance(structure, ReadFailure):
        return structure
    try:
        return as_crystal(structure)
    except StructureError as error:
        return ReadFailure(f"structure-{index}", "", error.code, f"Structure {index}: {error}")
