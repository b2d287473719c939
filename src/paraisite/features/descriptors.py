"""Descriptors of a crystal for models without a network: its elements, its bonds and the room it has.

All are means, spreads and extremes over the crystal's atoms and bonds, taken from the quotient graph and the volume, so that
they exist for any crystal and change neither with the choice of the cell nor with its orientation. They are continuous in
positions and cell: bonds have weights that fade out (`paraisite.features.smooth`), extremes of lengths and coordination are
soft, and complexity is the number of distinct surroundings (`paraisite.features.environments`). Lengths, masses and
volumes enter as logarithms, as κ itself does: models of κ are products of powers (Slack, doi 10.1016/0022-3697(73)90092-9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from paraisite.elements import ELEMENTS, PAULING_ELECTRONEGATIVITY, element_properties
from paraisite.features.environments import count_environments
from paraisite.features.smooth import CUTOFF_ANGSTROM, bond_weights, soft_nearest
from paraisite.graphs.build import build_store
from paraisite.graphs.settings import GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal

DESCRIPTOR_GRAPHS = GraphSettings(cutoff_angstrom=CUTOFF_ANGSTROM)
"""Graphs that hold the nearest shell of nearly every crystal, a metal's twelve neighbours and the eight of CsI included."""
LENGTH_SHARPNESS, COORDINATION_SHARPNESS, DIFFERENCE_SHARPNESS = 8.0, 4.0, 3.0
"""β of the soft extremes ln(mean exp(±β x)) / ±β: of ln lengths, of ln coordination numbers and of electronegativities. A
value that a share w of the atoms or bonds has counts by w exp(β x), so a bond that fades out takes its extreme with it."""
LENGTH_SPREAD = 0.05
"""Spreads of ln length far below this rise with their square, √(s² + 0.05²) - 0.05: noise is hardly a spread."""

ELEMENT_PROPERTIES = (
    "electronegativity", "valence electrons", "Mendeleev number", "ln melting point", "p electrons", "d electrons",
    "first ionization energy", "electron affinity", "ln molar volume", "ln mass", "covalent radius",
)  # fmt: skip
STATISTICS = ("mean", "smallest", "largest", "standard deviation")
STRUCTURE_DESCRIPTORS = (
    "ln mean mass", "relative variance of the mass", "number of elements",
    "ln volume per atom", "ln covalent volume over volume",
    "ln nearest-neighbour distance", "ln soft-smallest nearest-neighbour distance",
    "ln mean coordination number", "ln soft-smallest coordination number", "ln soft-largest coordination number",
    "bonds: ln length over covalent radii", "bonds: soft-smallest ln length over covalent radii",
    "bonds: spread of ln length over covalent radii",
    "bonds: electronegativity difference", "bonds: soft-largest electronegativity difference", "bonds: ionicity",
    "bonds: ln reduced mass", "bonds: mass contrast", "bonds: ln sum of covalent radii", "bonds: radius contrast",
)  # fmt: skip
DESCRIPTORS: tuple[str, ...] = (
    *STRUCTURE_DESCRIPTORS,
    *(f"{statistic} {name}" for name in ELEMENT_PROPERTIES for statistic in STATISTICS),
    "ln distinct surroundings",
)
"""Names of the descriptors, [65]. ln: of the value in Å, Å³, K, cm³/mol or u; energies in eV, Pauling electronegativity."""


def describe_crystals(crystals: Sequence[Crystal]) -> np.ndarray:
    """Describe crystals: the columns of `DESCRIPTORS`, [n_crystals, 65] float64.

    Raises:
        StructureError: A crystal cannot have a graph.
    """
    store = build_store(crystals, DESCRIPTOR_GRAPHS)
    volume = np.array([crystal.volume / crystal.n_atoms for crystal in crystals])
    return describe_graphs(store, volume, count_environments(crystals, DESCRIPTOR_GRAPHS))


@dataclass(frozen=True, slots=True)
class _Elements:
    """Tables by embedding row, each [89] float64, and the statistics' properties, [89, 11]."""

    mass: np.ndarray
    radius: np.ndarray
    electronegativity: np.ndarray
    properties: np.ndarray


def describe_graphs(store: GraphStore, volume_per_atom: np.ndarray, environments: np.ndarray) -> np.ndarray:
    """Describe crystals by their graphs.

    An atom without any neighbour in the graph counts as one with a single neighbour that is out of reach, and one whose
    weights of bonds sum to less than one has the rest of that bond there.

    Args:
        store: Quotient graphs, of settings `DESCRIPTOR_GRAPHS`.
        volume_per_atom: Volume of the cell over its atoms in Å³, [n_graphs].
        environments: Distinct surroundings of each crystal's atoms, by `count_environments`, [n_graphs].

    Returns:
        The columns of `DESCRIPTORS`, [n_graphs, 65] float64, all finite.
    """
    if len(store) == 0:
        return np.zeros((0, len(DESCRIPTORS)))
    table = _elements()
    element = store.element.astype(np.int64)
    nodes = _Nodes(store, store.node_weight.astype(np.float64))
    mass, radius = table.mass[element], table.radius[element]
    mean_mass = nodes.mean(mass)
    nearest, coordination, bonds = _bonds(store)
    properties = [_statistics(nodes, column[element]) for column in table.properties.T]
    return np.column_stack([
        np.log(mean_mass),
        nodes.mean((1 - mass / mean_mass[nodes.graph]) ** 2),
        _count_elements(store, nodes.graph),
        np.log(volume_per_atom),
        np.log(nodes.mean(radius**3) / volume_per_atom),
        nodes.mean(np.log(nearest)),
        nodes.soft_extreme(np.log(nearest), -LENGTH_SHARPNESS),
        np.log(nodes.mean(coordination)),
        nodes.soft_extreme(np.log(coordination), -COORDINATION_SHARPNESS),
        nodes.soft_extreme(np.log(coordination), COORDINATION_SHARPNESS),
        *_bond_columns(bonds, nodes, element, table),
        *(column for columns in properties for column in columns),
        np.log(environments),
    ])  # fmt: skip


class _Nodes:
    """Means and extremes over the nodes of each graph."""

    def __init__(self, store: GraphStore, weight: np.ndarray) -> None:
        self.graph = np.repeat(np.arange(len(store)), np.diff(store.node_pointer))
        self._start, self._weight, self._n = store.node_pointer[:-1], weight, len(store)
        self._total = np.bincount(self.graph, weight, self._n)

    def mean(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(self.graph, self._weight * values, self._n) / self._total)

    def soft_extreme(self, values: np.ndarray, sharpness: float) -> np.ndarray:
        """Soft largest value, or smallest for a negative sharpness."""
        mean = self.mean(values)
        return np.asarray(mean + np.log(self.mean(np.exp(sharpness * (values - mean[self.graph])))) / sharpness)

    def smallest(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.minimum.reduceat(values, self._start))

    def largest(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum.reduceat(values, self._start))


@dataclass(frozen=True, slots=True)
class _Bonds:
    """Bonds of all graphs, counted through: both nodes, length in Å, and the bond's share of its first node's bonds.

    The shares of a node sum to its coordination number where that is below 1, else to 1.
    """

    destination: np.ndarray
    source: np.ndarray
    length: np.ndarray
    share: np.ndarray


def _bonds(store: GraphStore) -> tuple[np.ndarray, np.ndarray, _Bonds]:
    """Distance to the nearest neighbour in Å and coordination number of each node, [n_nodes], and the bonds."""
    offset = np.repeat(store.node_pointer[:-1], np.diff(store.edge_pointer))
    destination, source = store.destination + offset, store.source + offset
    distance = store.distance.astype(np.float64)
    count = store.edge_count.astype(np.float64)
    nearest = soft_nearest(destination, distance, count, store.n_nodes)
    weight = count * bond_weights(distance, nearest[destination])
    bonded = weight > 0
    destination, source, distance, weight = destination[bonded], source[bonded], distance[bonded], weight[bonded]
    coordination = np.maximum(np.bincount(destination, weight, store.n_nodes), 1.0)
    return nearest, coordination, _Bonds(destination, source, distance, weight / coordination[destination])


def _bond_columns(bonds: _Bonds, nodes: _Nodes, element: np.ndarray, table: _Elements) -> list[np.ndarray]:
    first, second = element[bonds.destination], element[bonds.source]
    mass_1, mass_2 = table.mass[first], table.mass[second]
    radius_1, radius_2 = table.radius[first], table.radius[second]
    difference = np.abs(table.electronegativity[first] - table.electronegativity[second])
    relative = np.log(bonds.length / (radius_1 + radius_2))

    def mean(values: np.ndarray) -> np.ndarray:
        return nodes.mean(np.bincount(bonds.destination, bonds.share * values, len(element)))

    mean_relative = mean(relative)
    deviation = relative - mean_relative[nodes.graph[bonds.destination]]
    missing = 1 - mean(np.ones_like(relative))
    alike = mean(np.exp(-LENGTH_SHARPNESS * deviation)) + missing
    apart = mean(np.exp(DIFFERENCE_SHARPNESS * difference)) + missing
    return [
        mean_relative,
        mean_relative - np.log(alike) / LENGTH_SHARPNESS,
        np.sqrt(mean(deviation**2) + LENGTH_SPREAD**2) - LENGTH_SPREAD,
        mean(difference),
        np.log(apart) / DIFFERENCE_SHARPNESS,
        mean(1 - np.exp(-(difference**2) / 4)),
        mean(np.log(mass_1 * mass_2 / (mass_1 + mass_2))),
        mean(np.abs(mass_1 - mass_2) / (mass_1 + mass_2)),
        mean(np.log(radius_1 + radius_2)),
        mean(np.abs(radius_1 - radius_2) / (radius_1 + radius_2)),
    ]


def _statistics(nodes: _Nodes, values: np.ndarray) -> list[np.ndarray]:
    mean = nodes.mean(values)
    spread = np.sqrt(nodes.mean((values - mean[nodes.graph]) ** 2))
    return [mean, nodes.smallest(values), nodes.largest(values), spread]


def _count_elements(store: GraphStore, graph: np.ndarray) -> np.ndarray:
    pairs = np.unique(graph * len(ELEMENTS) + store.element.astype(np.int64))
    return np.bincount(pairs // len(ELEMENTS), minlength=len(store)).astype(np.float64)


@lru_cache(maxsize=1)
def _elements() -> _Elements:
    columns = {name: _filled(values) for name, values in element_properties().items()}
    pauling = [PAULING_ELECTRONEGATIVITY[symbol] for symbol in ELEMENTS]
    mass, radius = columns["atomic_mass"], columns["covalent_radius"]
    electronegativity = _filled(np.array([value if value < 9.0 else np.nan for value in pauling]))
    properties = np.column_stack([
        electronegativity, columns["valence_electrons"], columns["mendeleev_number"], np.log(columns["melting_point"]),
        columns["p_electrons"], columns["d_electrons"], columns["first_ionization_energy"],
        columns["electron_affinity"], np.log(columns["molar_volume"]), np.log(mass), radius,
    ])  # fmt: skip
    return _Elements(mass, radius, electronegativity, properties)


def _filled(column: np.ndarray) -> np.ndarray:
    """What an element lacks is the mean over the others."""
    return np.where(np.isnan(column), np.nanmean(column), column)
