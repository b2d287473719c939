"""Checks of a user's crystals before a model is fitted to them: what is merged, left out or doubtful is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import spearmanr

from paraisite.datasets.catalogue import DataSet, select
from paraisite.errors import DataError
from paraisite.graphs.build import build_graphs
from paraisite.graphs.canonical import graph_hashes
from paraisite.graphs.store import GraphStore
from paraisite.models.inputs import gather_inputs
from paraisite.models.interface import Model
from paraisite.structures.crystal import Crystal, ReadFailure

MIN_PLAUSIBLE, MAX_PLAUSIBLE = 1e-3, 1e5
"""κ at 300 K in W/(m K) outside these is no crystal's: the lowest known are near 0.05, pure diamond has 3 000."""
SCALE_REFUSED, SCALE_DOUBTED = 20.0, 5.0
"""Median factor between κ and the starting model's prediction. Whole families of crystals are off by up to 10; of other units
the closest are a factor of 100 (W/(cm K)) and 1 000 (mW) away."""
UNIT_DOUBT = 4.0
"""Factor by which the scale may miss that of a unit that is named: a model may be off itself."""
SINGLE_DOUBTED = 50.0
"""Factor between a crystal's κ and its prediction, beyond that of the others, from which on it is named."""
CONTRADICTING_KAPPA = 2.0
"""Factor between the κ of equal crystals from which on none is used; published measurements differ by as much."""
FEW = 3
NAMED = 5
"""Crystals that a warning names; of more it gives the number."""
RANK_AGREES = 0.5
MIN_RANKED = 5
"""Crystals from which on a rank correlation says anything."""
UNITS = {
    "mW/(m K)": 1e3,
    "W/(cm K)": 1e-2,
    "mW/(cm K)": 10.0,
    "kW/(m K)": 1e-3,
    "cal/(cm s K)": 1 / 418.4,
    "µW/(cm K)": 1e4,
}
"""Numbers that 1 W/(m K) is in other units that are in use."""


@dataclass(frozen=True, slots=True)
class CheckedData:
    """Crystals that a model can be fitted to.

    Attributes:
        data: The data set; what was left out of it is in `data.failures`.
        warnings: What was done or is doubtful, a sentence each.
        changed: Whether crystals were merged or left out, so that a file of them is no longer the data set.
    """

    data: DataSet
    warnings: tuple[str, ...]
    changed: bool

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why crystals were left out, a sentence each."""
        return tuple(failure.message for failure in self.data.failures)


def check_training_data(data: DataSet, model: Model, *, accept_scale: bool = False) -> CheckedData:
    """Check crystals with κ against the model that is to be fitted to them too.

    In this order: crystals without a graph are left out; the scale of κ is compared with the model's predictions; impossible
    κ are left out; crystals with equal graphs are merged by the geometric mean of their κ, or left out where these contradict
    each other; few crystals and a constant κ are named.

    Args:
        data: Crystals with κ in W/(m K).
        model: The model to start from.
        accept_scale: Whether κ may be on quite another scale than the predictions.

    Raises:
        DataError: No crystal is left, or κ is on another scale than the predictions.
    """
    built = build_graphs(data.crystals, model.needs.graphs)
    broken = [_failure(data.crystals[index], error.code, str(error)) for index, error in built.failures]
    if len(built.kept) == 0:
        raise DataError(f"No crystal of {data.name} can be described: {built.failures[0][1]}")
    found = select(data, built.kept.tolist(), broken)
    formulas = [crystal.formula for crystal in found.crystals]
    inputs = gather_inputs(found.crystals, formulas, built.store, model.needs)
    warnings = scale_warnings(found, 10 ** model.predict(inputs).point, accept_scale=accept_scale)
    rows, failures = _plausible(found)
    merged, more = _merge_equal(found, rows, built.store)
    result = replace(merged, failures=(*merged.failures, *failures))
    if not result.crystals:
        raise DataError(f"{data.name} holds no crystal to fit to. The first problem: {result.failures[0].message}")
    warnings = [*warnings, *more, *_said_of_few(result)]
    return CheckedData(result, tuple(warnings), len(result.crystals) < len(data.crystals))


def scale_warnings(data: DataSet, predicted: np.ndarray, *, accept_scale: bool = True) -> list[str]:
    """Compare the scale of κ with predictions.

    Args:
        data: Crystals with κ in W/(m K).
        predicted: Predicted κ in W/(m K), [n].
        accept_scale: Whether κ may be on quite another scale.

    Returns:
        What is doubtful, a sentence each.

    Raises:
        DataError: κ is on another scale, and that is not accepted.
    """
    ratio = np.log10(data.kappa) - np.log10(predicted)
    offset = float(np.median(ratio))
    warnings = []
    if abs(offset) >= np.log10(SCALE_DOUBTED):
        sentence = _scale_sentence(data, predicted, offset)
        if abs(offset) >= np.log10(SCALE_REFUSED) and not accept_scale:
            raise DataError(
                f"{sentence}; give κ in W/(m K), or, if these values are right, --accept-scale (accept_scale=True)."
            )
        warnings.append(f"{sentence}; they are taken as they are.")
    apart = np.flatnonzero(np.abs(ratio - offset) >= np.log10(SINGLE_DOUBTED))
    if len(apart):
        named = _named([f"{data.crystals[row].material_id} ({data.kappa[row]:.3g})" for row in apart])
        warnings.append(
            f"κ of {len(apart)} crystal(s) is more than {SINGLE_DOUBTED:g} times off what the model predicts, unlike the "
            f"others: {named}; kept, but check their units."
        )
    return warnings


def _scale_sentence(data: DataSet, predicted: np.ndarray, offset: float) -> str:
    factor = 10**offset
    distance = {name: abs(offset - np.log10(size)) for name, size in UNITS.items()}
    alike = sorted((name for name in UNITS if distance[name] < np.log10(UNIT_DOUBT)), key=distance.__getitem__)
    unit = f", as if they were in {' or '.join(alike)}" if alike else ""
    rank = ""
    if len(data.kappa) >= MIN_RANKED and len(np.unique(data.kappa)) > 1 and len(np.unique(predicted)) > 1:
        correlation = float(spearmanr(data.kappa, predicted).statistic)
        verdict = "agree" if correlation >= RANK_AGREES else "do not agree either"
        rank = f", while the ranks {verdict} (rank correlation {correlation:.2f})"
    return f"The κ of {data.name} are {factor:.3g} times what the model predicts{rank}{unit}"


def _plausible(data: DataSet) -> tuple[np.ndarray, list[ReadFailure]]:
    """Rows whose κ can be that of a crystal, and what is said of the others."""
    good = (data.kappa >= MIN_PLAUSIBLE) & (data.kappa <= MAX_PLAUSIBLE)
    failures = [
        _failure(
            data.crystals[row],
            "implausible_kappa",
            f"{data.crystals[row].source} ({data.crystals[row].material_id}): κ of {data.kappa[row]:.3g} W/(m K) is no "
            f"crystal's at 300 K; give one between {MIN_PLAUSIBLE:g} and {MAX_PLAUSIBLE:g}.",
        )
        for row in np.flatnonzero(~good)
    ]
    return np.flatnonzero(good), failures


def _merge_equal(data: DataSet, rows: np.ndarray, store: GraphStore) -> tuple[DataSet, list[str]]:
    """Keep one of several equal crystals, with the geometric mean of their κ; none where these contradict each other."""
    groups: dict[str, list[int]] = defaultdict(list)
    hashes = graph_hashes(store)
    for row in rows.tolist():
        groups[hashes[row]].append(row)
    kappa, kept, failures, warnings = data.kappa.copy(), [], [], []
    for group in groups.values():
        values = data.kappa[group]
        names = _named([f"{data.crystals[row].material_id} ({data.kappa[row]:.3g})" for row in group])
        if values.max() > CONTRADICTING_KAPPA * values.min():
            failures += [
                _failure(
                    data.crystals[row],
                    "contradicting_kappa",
                    f"{data.crystals[row].source} ({data.crystals[row].material_id}): κ contradicts that of equal crystals "
                    f"by more than a factor of {CONTRADICTING_KAPPA:g}: {names}; keep the one that is right.",
                )
                for row in group
            ]
            continue
        kept.append(group[0])
        if len(group) > 1:
            kappa[group[0]] = np.exp(np.log(values).mean())
            warnings.append(
                f"{len(group)} crystals are equal, {names}: they count as one, with the geometric mean of their κ, "
                f"{kappa[group[0]]:.4g}."
            )
    return select(replace(data, kappa=kappa), kept, failures), _shortened(warnings)


def _said_of_few(data: DataSet) -> list[str]:
    n = len(data.kappa)
    if n < FEW:
        return [
            f"{data.name} has {n} crystal(s): the model hardly changes, and its errors on them say next to nothing."
        ]
    if len(np.unique(data.kappa)) > 1:
        return []
    sentence = (
        f"All {n} crystals of {data.name} have the same κ, {data.kappa[0]:.4g}: they are kept, but teach the model that "
        "κ does not depend on the crystal; check the column."
    )
    return [sentence]


def _failure(crystal: Crystal, code: str, message: str) -> ReadFailure:
    return ReadFailure(crystal.material_id, crystal.source, code, message)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _shortened(warnings: list[str]) -> list[str]:
    """The first warnings of a kind, and the number of the others."""
    if len(warnings) <= NAMED:
        return warnings
    return [*warnings[:NAMED], f"The same holds of {len(warnings) - NAMED} further groups of equal crystals."]
