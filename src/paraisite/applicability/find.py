"""Find the concerns of crystals: cheap screens of all at once, and kept algorithms for the suspects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from paraisite.applicability import vacuum
from paraisite.applicability.concern import Concern
from paraisite.applicability.elements import NOBLE_GASES
from paraisite.applicability.features import find_features
from paraisite.applicability.metals import metal_concern
from paraisite.applicability.molecules import (
    MAX_BONDS_PER_ATOM,
    MIN_FORMERS,
    molecular_concern,
    noble_gas_concern,
)
from paraisite.applicability.reduction import reduction_concern
from paraisite.applicability.volume import log_volume_ratios, volume_concern, volume_model
from paraisite.elements import ELEMENTS
from paraisite.graphs.build import build_graphs
from paraisite.graphs.settings import GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal

SCREEN_GRAPHS = GraphSettings(cutoff_angstrom=5.0)
OBLIQUE_LOG_RATIO = 0.25
"""ln of volume over expected volume from which on vacuum is looked for along oblique planes too."""


def find_concerns(crystal: Crystal) -> tuple[Concern, ...]:
    """Find the reasons why κ may not hold for a crystal, the gravest first.

    Args:
        crystal: A checked crystal.

    Returns:
        The concerns; none for a bulk, ordered, insulating crystal. A crystal that has no graph, such as an atom in vacuum, is
        judged without the screens that need bonds.
    """
    built = build_graphs([crystal], SCREEN_GRAPHS)
    if len(built.kept) == 0:
        gap = float(vacuum.empty_layers([crystal])[0])
        return (vacuum.vacuum_concern(crystal, gap),) if gap > vacuum.EDGE_GAP_ANGSTROM else ()
    return find_all_concerns([crystal], built.store, [crystal.formula])[0]


def find_all_concerns(
    crystals: Sequence[Crystal], store: GraphStore, formulas: Sequence[str]
) -> list[tuple[Concern, ...]]:
    """Find the concerns of many crystals; see `find_concerns`.

    Args:
        crystals: Checked crystals.
        store: Their graphs.
        formulas: Their reduced formulas.
    """
    if not crystals:
        return []
    features = find_features(store)
    volume_per_atom = np.array([crystal.volume / crystal.n_atoms for crystal in crystals])
    ratio = log_volume_ratios(features, volume_per_atom)
    gaps = _empty_layers(crystals, ratio)
    noble = features.fraction[:, [ELEMENTS.index(symbol) for symbol in sorted(NOBLE_GASES)]].sum(axis=1)
    suspect = (features.formers >= MIN_FORMERS) & (features.bonds_per_atom <= MAX_BONDS_PER_ATOM)
    log_ratio = np.where(np.abs(ratio) > volume_model().edge, ratio, 0.0)
    formers = np.where(suspect, features.formers, 0.0)
    screens = zip(gaps.tolist(), noble.tolist(), formers.tolist(), log_ratio.tolist(), strict=True)
    rows = zip(crystals, formulas, map(_Screens._make, screens), strict=True)
    return [_concerns(*row) for row in rows]


class _Screens(NamedTuple):
    """What the screens of one crystal give.

    Attributes:
        gap: Widest empty layer in Å.
        noble: Share of noble-gas atoms.
        formers: Share of molecule formers where the crystal may be molecular, else 0.
        log_ratio: Logarithm of volume over expected volume where that is unusual, else 0.
    """

    gap: float
    noble: float
    formers: float
    log_ratio: float


def _empty_layers(crystals: Sequence[Crystal], ratio: np.ndarray) -> np.ndarray:
    gaps = vacuum.empty_layers(crystals)
    loose = np.flatnonzero((ratio > OBLIQUE_LOG_RATIO) & (gaps <= vacuum.OUTSIDE_GAP_ANGSTROM)).tolist()
    if loose:
        gaps[loose] = np.maximum(
            gaps[loose], vacuum.empty_layers([crystals[row] for row in loose], vacuum.OBLIQUE_PLANES)
        )
    return gaps


def _concerns(crystal: Crystal, formula: str, screens: _Screens) -> tuple[Concern, ...]:
    found: list[Concern | None] = []
    in_vacuum = screens.gap > vacuum.EDGE_GAP_ANGSTROM
    if in_vacuum:
        found.append(vacuum.vacuum_concern(crystal, screens.gap))
    if screens.noble > 0:
        found.append(noble_gas_concern(screens.noble))
    molecular = None
    if screens.formers > 0 and not in_vacuum and screens.noble < 1:
        molecular = molecular_concern(crystal, screens.formers)
    found += [molecular, metal_concern(formula)]
    explained = in_vacuum or molecular is not None or screens.noble > 0
    if screens.log_ratio and not explained:
        found.append(volume_concern(screens.log_ratio))
    found.append(reduction_concern(crystal))
    concerns = [concern for concern in found if concern is not None]
    return tuple(sorted(concerns, key=lambda concern: concern.severity == "edge"))
