"""Explain predictions of the multi-fidelity model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paraisite.errors import ModelFileError, StructureError
from paraisite.features.descriptors import describe_graphs
from paraisite.features.vocabulary import WORDS
from paraisite.models.explanation import Attribution, Explanation, Neighbour
from paraisite.models.multi_fidelity.attribution import MISSING_LIBRARY, Attributor
from paraisite.models.multi_fidelity.model import N_CORRECTION, MultiFidelity, correction_covariance, prior_mean
from paraisite.models.names import DEFAULT_MODEL
from paraisite.prediction.backends import MultiFidelityBackend
from paraisite.prediction.predict import Predictor
from paraisite.prediction.prepare import Prepared, prepare
from paraisite.structures.convert import as_crystal
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.formula import written_formula

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core.structure import Structure

N_NEIGHBOURS = 5


class Explainer:
    """Explains the predictions of a loaded model.

    Attributes:
        model: The multi-fidelity model.
        settings: Settings of the graphs that it takes.
    """

    def __init__(self, predictor: Predictor) -> None:
        """Take a predictor's model.

        Raises:
            ModelFileError: It is an ensemble of networks.
        """
        if not isinstance(predictor.backend, MultiFidelityBackend):
            raise ModelFileError(
                "Only the multi-fidelity model can be explained, and this model is an ensemble of networks; "
                f"take {DEFAULT_MODEL}, or a model that was fine-tuned from it."
            )
        self.model = predictor.backend.model
        self.settings = predictor.settings
        self._attributor = Attributor.of(self.model)

    @property
    def note(self) -> str:
        """Why there are no attributions; empty where there are."""
        return "" if self._attributor else MISSING_LIBRARY

    def explain_prepared(self, chunk: Prepared) -> Iterator[Explanation]:
        """Explain a chunk's graphs, one at a time, in their order; rows without a graph are left out."""
        if len(chunk.store) == 0:
            return
        descriptors = describe_graphs(chunk.store, chunk.volume_per_atom, chunk.primitive_atoms)
        for index, row in enumerate(chunk.predicted):
            rows = chunk.rows
            yield self._explain(descriptors[index], rows.material_id[row], rows.formula[row], rows.source[row])

    def explain_item(self, item: Crystal | ReadFailure) -> Explanation | ReadFailure:
        """Explain one crystal of a stream; a failure where it cannot be predicted."""
        chunk = prepare([item], self.settings)
        for explanation in self.explain_prepared(chunk):
            return explanation
        rows = chunk.rows
        return ReadFailure(rows.material_id[0], rows.source[0], rows.status[0], rows.error[0])

    def _explain(self, descriptors: np.ndarray, material_id: str, formula: str, source: str) -> Explanation:
        said = self.model.predict(descriptors[None])
        median, point = float(said.log10_median[0]), float(said.log10_point[0])
        # The median ρ, as the prediction is the median over the members; what is left is the correction.
        rho = float(np.median([member.parameters.rho for member in self.model.members]))
        fall_back = float(prior_mean(rho, said.agl)[0])
        low, high = said.interval()
        background, attributions = self._attribute(descriptors)
        return Explanation(
            material_id=material_id,
            formula=formula,
            source=source,
            agl_kappa=float(10 ** said.agl[0]),
            fall_back_kappa=10**fall_back,
            correction=median - fall_back,
            median_kappa=10**median,
            shift=point - median,
            kappa=10**point,
            interval_low=float(10 ** low[0]),
            interval_high=float(10 ** high[0]),
            members=tuple((10 ** said.members[:, 0]).tolist()),
            neighbours=find_neighbours(self.model, descriptors),
            background_kappa=background,
            attributions=attributions,
            note=self.note,
        )

    def _attribute(self, descriptors: np.ndarray) -> tuple[float | None, tuple[Attribution, ...]]:
        if self._attributor is None:
            return None, ()
        background, values = self._attributor.attribute(descriptors)
        attributions = [
            Attribution(word.label, word.group, word.value(float(descriptor)), word.unit, float(value))
            for word, descriptor, value in zip(WORDS, descriptors, values, strict=True)
        ]
        return 10**background, tuple(sorted(attributions, key=lambda part: -abs(part.log10_kappa)))


def find_neighbours(model: MultiFidelity, descriptors: np.ndarray) -> tuple[Neighbour, ...]:
    """Find the training crystals whose correction is correlated most with a crystal's, before any κ is known.

    Args:
        model: A fitted model.
        descriptors: Of one crystal, [65].

    Returns:
        Up to 5, the most correlated first.
    """
    data = model.data
    inputs = descriptors[None, :N_CORRECTION] / data.scale
    correlations = [
        correction_covariance(member.parameters, inputs, data.inputs)[0] / member.parameters.amplitude**2
        for member in model.members
    ]
    correlation = np.mean(correlations, axis=0)
    distance = np.linalg.norm(data.inputs - inputs, axis=1)
    return tuple(
        Neighbour(
            material_id=str(data.material_id[row]),
            formula=written_formula(str(data.composition[row])),
            source=str(data.source[row]),
            kappa=float(10 ** data.log10_kappa[row]),
            correlation=float(correlation[row]),
            distance=float(distance[row]),
        )
        for row in np.argsort(-correlation, kind="stable")[:N_NEIGHBOURS]
    )


def explain(
    structures: Iterable[Crystal | ReadFailure | Structure | Atoms], model: str | Path = DEFAULT_MODEL
) -> Iterator[Explanation | ReadFailure]:
    """Explain predictions, one structure at a time: their parts, nearest training crystals and descriptors.

    The attributions take seconds a structure and need the extra `explain`; all else takes milliseconds and nothing more.

    Args:
        structures: `Crystal`, pymatgen `Structure` or ASE `Atoms` objects, or what `iter_crystals` gives for files.
        model: Name of a shipped multi-fidelity model, or the folder of one.

    Returns:
        In their order, made as they are asked for: an explanation, or a failure for a structure that cannot be predicted.

    Raises:
        ModelFileError: There is no such model, it is damaged, or it is an ensemble of networks.
    """
    explainer = Explainer(Predictor(model))
    return (explainer.explain_item(_as_item(index, item)) for index, item in enumerate(structures, 1))


def _as_item(index: int, structure: Any) -> Crystal | ReadFailure:
    if isinstance(structure, ReadFailure):
        return structure
    try:
        return as_crystal(structure)
    except StructureError as error:
        return ReadFailure(f"structure-{index}", "", error.code, f"Structure {index}: {error}")
