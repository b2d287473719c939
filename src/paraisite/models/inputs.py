"""What a model asks of a crystal, and what it is given; without PyTorch, as workers prepare it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from paraisite.features.descriptors import describe_graphs
from paraisite.features.environments import count_environments
from paraisite.graphs.settings import GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model asks of every crystal; plain values, so that it can be sent to a worker.

    Attributes:
        graphs: Settings of the quotient graphs. They are built for every kind, as they also find overlapping atoms, atoms
            without bonds, and crystals that are equal.
        descriptors: Whether the descriptors are computed, `paraisite.features.descriptors.DESCRIPTORS`.
        crystals: Whether the crystals themselves are kept, for example for forces from a potential.
    """

    graphs: GraphSettings = field(default_factory=GraphSettings)
    descriptors: bool = False
    crystals: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """Crystals as a model gets them.

    Attributes:
        material_id: Their identifiers, [n].
        formula: Their reduced formulas, [n].
        source: Where each was read, [n].
        store: Their graphs.
        descriptors: Their descriptors, [n, n_descriptors] float64; None where they were not asked for.
        crystals: The crystals, [n]; None where they were not asked for.
    """

    material_id: list[str]
    formula: list[str]
    source: list[str]
    store: GraphStore
    descriptors: np.ndarray | None = None
    crystals: tuple[Crystal, ...] | None = None

    def __len__(self) -> int:
        """Number of crystals."""
        return len(self.store)


def gather_inputs(
    crystals: Sequence[Crystal],
    formulas: Sequence[str],
    store: GraphStore,
    needs: Needs,
) -> Inputs:
    """Gather what a model asks for.

    Args:
        crystals: Crystals that have a graph.
        formulas: Their reduced formulas.
        store: Their graphs, of the settings in `needs`.
        needs: What the model asks for.
    """
    descriptors = None
    if needs.descriptors:
        volume_per_atom = np.array([crystal.volume / crystal.n_atoms for crystal in crystals])
        descriptors = describe_graphs(store, volume_per_atom, count_environments(crystals, needs.graphs))
    return Inputs(
        material_id=[crystal.material_id for crystal in crystals],
        formula=list(formulas),
        source=[crystal.source for crystal in crystals],
        store=store,
        descriptors=descriptors,
        crystals=tuple(crystals) if needs.crystals else None,
    )
