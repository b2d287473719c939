"""Whether a model knows crystals like this one: distance in its own features, elements and formula type.

A crystal is judged by how it compares with the crystals held out of the members: what next to none of them shows is
outside, what is rare among them is at the edge.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf

import numpy as np

from paraisite.elements import ELEMENTS
from paraisite.graphs.store import GraphStore

LEVELS = ("inside", "edge", "outside")
EDGE_SHARE, OUTSIDE_SHARE = 0.05, 0.001
"""A sign that at most this share of the held-out crystals show means the edge, or outside."""
MAX_CENTRES = 512
"""Reference crystals of a member that are kept; of more, as many centres of clusters."""
CLUSTER_SEED = 0
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_COUNT = re.compile(r"[A-Z][a-z]?(\d*)")


@dataclass(frozen=True, slots=True)
class Domain:
    """The crystals that a model was trained on, as it sees them, and how far from them those held out lie.

    Attributes:
        name: Name of the data set.
        centres: Features of the reference crystals of each member, [n_members, n_centres, n_features] float32, scaled.
        offset: Mean of each feature over the member's training crystals, [n_members, n_features] float32.
        scale: Standard deviation of the same, [n_members, n_features] float32.
        typical: Median distance of a training crystal to the nearest other reference, [n_members] float32, scaled.
        elements: Whether each element of the model is in a training crystal, [n_elements] bool.
        formula_types: Formula types of the training crystals; see `formula_type`.
        limits: Distances from which on a crystal is at the edge, and outside.
        unseen_elements: Share of the held-out crystals with an element that their member has not seen.
        unseen_formula_type: Share of those whose formula type it has not seen.
    """

    name: str
    centres: np.ndarray
    offset: np.ndarray
    scale: np.ndarray
    typical: np.ndarray
    elements: np.ndarray
    formula_types: frozenset[str]
    limits: tuple[float, float] = (inf, inf)
    unseen_elements: float = 0.0
    unseen_formula_type: float = 0.0

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Distance of crystals to each member's nearest reference; 1 is usual between training crystals.

        Args:
            features: The body's features, [n_members, n, n_features].

        Returns:
            [n_members, n] float32.
        """
        values = np.asarray(features, dtype=np.float32)
        scaled = _finite((values - self.offset[:, None]) / self.scale[:, None])
        # Which is nearest, by a product in 64 bits: in 32, near equals would depend on the batch. The distance itself by
        # subtraction, exact also next to zero.
        centres = self.centres.astype(np.float64)
        half_square = (centres**2).sum(axis=2)[:, None] / 2
        nearest = (half_square - scaled.astype(np.float64) @ centres.transpose(0, 2, 1)).argmin(axis=2)
        difference = scaled - np.take_along_axis(self.centres, nearest[:, :, None], axis=1)
        return np.asarray(np.linalg.norm(difference, axis=2) / self.typical[:, None])

    def judge(
        self, features: np.ndarray, store: GraphStore, formulas: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Judge crystals.

        Args:
            features: The body's features, [n_members, n, n_features].
            store: The crystals' graphs.
            formulas: Their reduced formulas.

        Returns:
            Level of each (a number of `LEVELS`), [n] int64; mean distance over the members, [n] float64; and the reasons, in
            words, empty for a crystal inside.
        """
        distance = self.distances(features).mean(axis=0).astype(np.float64)
        level = np.searchsorted(self.limits, distance, side="left")
        reasons: list[list[str]] = [[] for _ in formulas]
        for row, symbols in self._unseen(store).items():
            level[row] = max(level[row], _level(self.unseen_elements))
            reasons[row].append(f"element{'s' if len(symbols) > 1 else ''} {', '.join(symbols)} not in {self.name}")
        for row, kind in enumerate(map(formula_type, formulas)):
            if kind not in self.formula_types:
                level[row] = max(level[row], _level(self.unseen_formula_type))
                reasons[row].append(f"no crystal of the formula type {kind} in {self.name}")
        for far in np.flatnonzero(distance > self.limits[0]):
            reasons[far].append(f"{distance[far]:.1f} times the usual distance from {self.name}")
        return level, distance, ["; ".join(texts) for texts in reasons]

    def _unseen(self, store: GraphStore) -> dict[int, list[str]]:
        """Elements of each graph that are in no training crystal, where there are any."""
        nodes = np.flatnonzero(~self.elements[store.element])
        graph = np.searchsorted(store.node_pointer, nodes, side="right") - 1
        found: dict[int, list[str]] = {}
        for row, element in np.unique(np.stack([graph, store.element[nodes]], axis=1), axis=0).tolist():
            found.setdefault(row, []).append(ELEMENTS[element])
        return found


def fit_domain(
    name: str,
    features: np.ndarray,
    presence: np.ndarray,
    formulas: Sequence[str],
    *,
    known: np.ndarray,
    held_out: np.ndarray,
) -> Domain:
    """Describe what an ensemble was trained on.

    Args:
        name: Name of the data set.
        features: The body's features of its crystals, [n_members, n_crystals, n_features].
        presence: Elements of each; see `element_presence`.
        formulas: Their reduced formulas.
        known: Crystals that each member learned from, [n_members, n_crystals] bool; one at least.
        held_out: Crystals that each did not, and by which the limits are set, [n_members, n_crystals] bool.
    """
    types = np.array([formula_type(formula) for formula in formulas])
    wide = np.asarray(features, dtype=np.float64)
    references = [_reference(values[mask]) for values, mask in zip(wide, known, strict=True)]
    n_centres = max(len(reference[0]) for reference in references)
    # A member with fewer references has its first one several times.
    padded = [np.concatenate([centres, centres[:1].repeat(n_centres - len(centres), 0)]) for centres, *_ in references]
    arrays = [padded, *zip(*(reference[1:] for reference in references), strict=True)]
    centres, offset, scale, typical = (np.array(array, dtype=np.float32) for array in arrays)
    trained_on = known.any(axis=0)
    elements = np.asarray(presence[trained_on].any(axis=0))
    domain = Domain(name, centres, offset, scale, typical, elements, frozenset(types[trained_on].tolist()))
    unseen = np.zeros((2, *known.shape), dtype=bool)
    for member, mask in enumerate(known):
        unseen[0, member] = (presence & ~presence[mask].any(axis=0)).any(axis=1)
        unseen[1, member] = ~np.isin(types, types[mask])
    distance = held_out_distance(domain, features, held_out)
    limits = np.quantile(distance[~np.isnan(distance)], [1 - EDGE_SHARE, 1 - OUTSIDE_SHARE])
    return replace(
        domain,
        limits=(float(limits[0]), float(limits[1])),
        unseen_elements=float(unseen[0][held_out].mean()),
        unseen_formula_type=float(unseen[1][held_out].mean()),
    )


def held_out_distance(domain: Domain, features: np.ndarray, held_out: np.ndarray) -> np.ndarray:
    """Mean distance of each crystal over the members that it is held out of, [n_crystals]; NaN where there are none."""
    distance = domain.distances(features).astype(np.float64)
    count = held_out.sum(axis=0)
    total = np.where(held_out, distance, 0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def element_presence(store: GraphStore) -> np.ndarray:
    """Whether each graph has each element of the model, [n_graphs, n_elements] bool."""
    presence = np.zeros((len(store), len(ELEMENTS)), dtype=bool)
    presence[np.repeat(np.arange(len(store)), np.diff(store.node_pointer)), store.element] = True
    return presence


def formula_presence(formulas: Sequence[str]) -> np.ndarray:
    """The same from reduced formulas, [n_formulas, n_elements] bool."""
    index = {symbol: column for column, symbol in enumerate(ELEMENTS)}
    presence = np.zeros((len(formulas), len(ELEMENTS)), dtype=bool)
    for row, formula in enumerate(formulas):
        presence[row, [index[symbol] for symbol in _SYMBOL.findall(formula)]] = True
    return presence


@lru_cache(maxsize=65536)
def formula_type(formula: str) -> str:
    """Anonymous formula of a reduced formula: `BaSb2O6` → `AB2C6`, whatever the structure."""
    counts = sorted(int(count or 1) for count in _COUNT.findall(formula))
    return "".join(letter + (str(count) if count > 1 else "") for letter, count in zip(LETTERS, counts, strict=False))


def _reference(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """References of one member from its training crystals' features, [n, n_features]: centres, offset, scale, typical."""
    from scipy.spatial.distance import cdist  # noqa: PLC0415 - a prediction has no use for it

    values = _finite(values)
    offset, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    scaled = (values - offset) / scale
    if len(scaled) > MAX_CENTRES:
        from scipy.cluster.vq import kmeans2  # noqa: PLC0415 - a prediction has no use for it

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # equal crystals leave a cluster empty, which does no harm
            start = np.random.default_rng(CLUSTER_SEED).permutation(len(scaled))[:MAX_CENTRES]
            centres, _ = kmeans2(scaled, scaled[start], minit="matrix")
        distance = cdist(scaled, centres)
    else:
        centres = scaled
        distance = cdist(scaled, scaled)
        np.fill_diagonal(distance, np.inf)
    nearest = np.sort(distance.min(axis=1))
    typical = float(nearest[(len(nearest) - 1) // 2])  # the lower median: the distance of a crystal that is there
    return centres, offset, scale, typical if 0 < typical < inf else 1.0


def _level(share: float) -> int:
    """Level of a sign that this share of the held-out crystals show."""
    return 2 if share <= OUTSIDE_SHARE else 1 if share <= EDGE_SHARE else 0


def _finite(values: np.ndarray) -> np.ndarray:
    """A diverged member's values as zeros."""
    return np.asarray(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0))
