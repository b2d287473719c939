"""Explain predictions of the multi-fidelity model: their parts, nearest training crystals and descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paraisite.datasets.levels import level_title
from paraisite.errors import ModelFileError
from paraisite.features.vocabulary import WORDS
from paraisite.models.explanation import Attribution, Explanation, Section, as_factor
from paraisite.models.inputs import Inputs
from paraisite.models.multi_fidelity.attribution import MISSING_LIBRARY, Attributor
from paraisite.models.multi_fidelity.covariance import correction_covariance, prior_mean
from paraisite.models.multi_fidelity.model import N_CORRECTION, MultiFidelity
from paraisite.structures.formula import written_formula

N_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training crystal that the correction of a prediction rests on.

    Attributes:
        material_id: Its identifier.
        formula: Its reduced formula.
        source: Data set of its κ.
        kappa: That κ at 300 K in W/(m K).
        correlation: Prior correlation between the corrections of both crystals, 0 to 1; mean over the members.
        distance: Euclidean distance in the scaled descriptors of the correction.
    """

    material_id: str
    formula: str
    source: str
    kappa: float
    correlation: float
    distance: float


@dataclass(frozen=True, slots=True)
class LowLevelKappa:
    """What a low level says of a crystal.

    Attributes:
        data_set: Name of the data set of its surrogate.
        level: Its level.
        kappa: κ at 300 K in W/(m K) that the surrogate expects.
    """

    data_set: str
    level: str
    kappa: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiFidelityExplanation(Explanation):
    """Why the multi-fidelity model predicts what it does of one crystal; κ at 300 K in W/(m K).

    The parts add up in log10 κ: `fall_back_kappa` and `correction` give `median_kappa`, which `shift` moves to `kappa`.

    Attributes:
        agl_kappa: Value of the first low level, AGL's in the shipped model, that its surrogate expects.
        low_levels: Such a value of every low level.
        fall_back_kappa: What the members say far from every first-principles crystal, from ρ and the low levels alone.
        correction: δ: what the first-principles crystals add to log10 κ.
        shift: Shift of log10 κ from the median to the point estimate, which is lower where the prediction is uncertain.
        kappa_low: Lower end of the calibrated 90 % interval.
        kappa_high: Upper end.
        members: Point estimate of each member.
        neighbours: Training crystals that are correlated most, the nearest first.
    """

    agl_kappa: float
    low_levels: tuple[LowLevelKappa, ...]
    fall_back_kappa: float
    correction: float
    shift: float
    kappa_low: float
    kappa_high: float
    members: tuple[float, ...]
    neighbours: tuple[Neighbour, ...]

    def sections(self) -> tuple[Section, ...]:
        """See `Explanation.sections`."""
        return self._parts(), self._neighbours()

    def _parts(self) -> Section:
        names = [level_title(one.level) for one in self.low_levels]
        rows = (
            *(
                (f"{name}, expected", f"{one.kappa:.3g}", f"by a surrogate of the values of {one.data_set}")
                for name, one in zip(names, self.low_levels, strict=True)
            ),
            (
                "fall-back",
                f"{self.fall_back_kappa:.3g}",
                f"{' + '.join(f'ρ · {name}' for name in names)}: far from all first-principles crystals",
            ),
            (
                "median",
                f"{self.median_kappa:.3g}",
                f"{as_factor(self.correction)}: the correction δ, from those crystals",
            ),
            (
                "point estimate",
                f"{self.kappa:.3g}",
                f"{as_factor(self.shift)}: caution where it is uncertain",
            ),
            ("90 % interval", "", f"{self.kappa_low:.3g} to {self.kappa_high:.3g}"),
            ("members", "", f"{min(self.members):.3g} to {max(self.members):.3g}"),
        )
        return Section(("κ at 300 K in W/(m K)", "", ""), rows, left=(2,))

    def _neighbours(self) -> Section:
        rows = tuple(
            (
                f"{one.formula}  {one.material_id}", f"{one.kappa:.3g}", one.source,
                f"{one.correlation:.2f}", f"{one.distance:.2f}",
            )
            for one in self.neighbours
        )  # fmt: skip
        return Section(("nearest training crystals", "κ", "source", "correlation", "distance"), rows, left=(2,))


class MultiFidelityExplainer:
    """Explains the predictions of a multi-fidelity model; see `paraisite.models.interface.Explainer`.

    Attributes:
        model: The model.
    """

    def __init__(self, model: MultiFidelity) -> None:
        """Prepare it."""
        self.model = model
        self._attributor = Attributor.of(model)
        self.note = "" if self._attributor else MISSING_LIBRARY

    def explain(self, inputs: Inputs) -> Iterator[MultiFidelityExplanation]:
        """See `paraisite.models.interface.Explainer.explain`."""
        if inputs.descriptors is None:
            raise ModelFileError("The multi-fidelity model is explained by its descriptors; ask for them.")
        for index, descriptors in enumerate(inputs.descriptors):
            yield self._explain(descriptors, inputs.material_id[index], inputs.formula[index], inputs.source[index])

    def _explain(
        self, descriptors: np.ndarray, material_id: str, formula: str, source: str
    ) -> MultiFidelityExplanation:
        said = self.model.predict(descriptors[None])
        median, point = float(said.log10_median[0]), float(said.log10_point[0])
        # The median ρ, as the prediction is the median over the members; what is left is the correction.
        rho = np.median([one.rho for one in self.model.parameters], axis=0)
        fall_back = float(prior_mean(rho, said.low)[0])
        low, high = said.interval()
        background, attributions = self._attribute(descriptors)
        return MultiFidelityExplanation(
            material_id=material_id,
            formula=formula,
            source=source,
            agl_kappa=float(10 ** said.low[0, 0]),
            low_levels=tuple(
                LowLevelKappa(one.source.name, one.source.level, float(10 ** low[0]))
                for one, low in zip(self.model.surrogates, said.low, strict=True)
            ),
            fall_back_kappa=10**fall_back,
            correction=median - fall_back,
            median_kappa=10**median,
            shift=point - median,
            kappa=10**point,
            kappa_low=float(10 ** low[0]),
            kappa_high=float(10 ** high[0]),
            members=tuple((10 ** said.members[:, 0]).tolist()),
            neighbours=nearest_training_crystals(self.model, descriptors),
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


def nearest_training_crystals(model: MultiFidelity, descriptors: np.ndarray) -> tuple[Neighbour, ...]:
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
        correction_covariance(parameters, inputs, data.inputs)[0] / parameters.amplitude**2
        for parameters in model.parameters
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
