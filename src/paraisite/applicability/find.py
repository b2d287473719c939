"""Find the concerns of crystals: cheap screens of all at once, and kept algorithms for the suspects."""

from __future__ import annotations

from collections.abc import Sequence

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
from paraisite.structures.primitive import count_primitive_atoms

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
    return find_all_concerns([crystal], built.store, np.array([count_primitive_atoms(crystal)]), [crystal.formula])[0]


def find_all_concerns(
    crystals: Sequence[Crystal], store: GraphStore, primitive_atoms: np.ndarray, formulas: Sequence[str]
) -> list[tuple[Concern, ...]]:
    """Find the concerns of many crystals; see `find_concerns`.

    Args:
        crystals: Checked crystals.
        store: Their graphs.
        primitive_atoms: Atoms of their primitive cells, [n_crystals] int64.
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
    volume_off = np.abs(ratio) > volume_model().edge
    return [
        _concerns(crystal, float(gaps[row]), float(noble[row]), float(features.formers[row]) if suspect[row] else 0.0, float(ratio[row]) * volume_off[row],
                  int(primitive_atoms[row]), formulas[row])
        for row, crystal in enumerate(crystals)
    ]  # fmt: skip


def _empty_layers(crystals: Sequence[Crystal], ratio: np.ndarray) -> np.ndarray:
    gaps = vacuum.empty_layers(crystals)
    loose = np.flatnonzero((ratio > OBLIQUE_LOG_RATIO) & (gaps <= vacuum.OUTSIDE_GAP_ANGSTROM))
    if len(loose):
        gaps[loose] = np.maximum(
            gaps[loose], vacuum.empty_layers([crystals[row] for row in loose], vacuum.OBLIQUE_PLANES)
        )
    return gaps


def _concerns(
    crystal: Crystal, gap: float, noble: float, formers: float, log_ratio: float, primitive_atoms: int, formula: str
) -> tuple[Concern, ...]:
    """Concerns of one crystal from its screens; `log_ratio` is 0 where the volume is as expected, `formers` where it is no suspect."""
    found: list[Concern | None] = []
    in_vacuum = gap > vacuum.EDGE_GAP_ANGSTROM
    if in_vacuum:
        found.append(vacuum.vacuum_concern(crystal, gap))
    if noble > 0:
        found.append(noble_gas_concern(noble))
    molecular = molecular_concern(crystal, formers) if formers and not in_vacuum and noble < 1 else None
    found += [molecular, metal_concern(formula)]
    if log_ratio and not in_vacuum and molecular is None and noble == 0:  # those explain an unusual volume
        found.append(volume_concern(log_ratio))
    found.append(reduction_concern(crystal, primitive_atoms))
    concerns = [concern for concern in found if concern is not None]
    return tuple(sorted(concerns, key=lambda concern: concern.severity == "edge"))
