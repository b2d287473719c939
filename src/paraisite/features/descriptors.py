"""Descriptors of a crystal for models without a network: its elements, its bonds and the room it has.

All are means, spreads and extremes over the crystal's atoms and bonds, taken from the quotient graph and the volume, so that
they exist for any crystal and change neither with the choice of the cell nor with its orientation. Lengths, masses and
volumes enter as logarithms, as κ itself does: models of κ are products of powers (Slack, doi 10.1016/0022-3697(73)90092-9).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from paraisite.elements import ELEMENTS, PAULING_ELECTRONEGATIVITY, element_properties
from paraisite.graphs.build import build_store
from paraisite.graphs.settings import GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal
from paraisite.structures.primitive import count_primitive_atoms

DESCRIPTOR_GRAPHS = GraphSettings(cutoff_angstrom=5.0)
"""Graphs that hold the nearest shell of nearly every crystal, a metal's twelve neighbours and the eight of CsI included."""
BOND_FACTOR = 1.2
"""Neighbours up to this many times an atom's shortest distance are bonded to it: between the shells of rocksalt (1.41)
and those of a distorted polyhedron; in bcc metals (1.15) the second shell counts too."""

ELEMENT_PROPERTIES = (
    "electronegativity", "valence electrons", "Mendeleev number", "ln melting point", "p electrons", "d electrons",
    "first ionization energy", "electron affinity", "ln molar volume", "ln mass", "covalent radius",
)  # fmt: skip
STATISTICS = ("mean", "smallest", "largest", "standard deviation")
STRUCTURE_DESCRIPTORS = (
    "ln mean mass", "relative variance of the mass", "number of elements",
    "ln volume per atom", "ln covalent volume over volume",
    "ln nearest-neighbour distance", "ln smallest nearest-neighbour distance",
    "ln mean coordination number", "ln smallest coordination number", "ln largest coordination number",
    "bonds: ln length over covalent radii", "bonds: smallest ln length over covalent radii",
    "bonds: spread of ln length over covalent radii",
    "bonds: electronegativity difference", "bonds: largest electronegativity difference", "bonds: ionicity",
    "bonds: ln reduced mass", "bonds: mass contrast", "bonds: ln sum of covalent radii", "bonds: radius contrast",
)  # fmt: skip
DESCRIPTORS: tuple[str, ...] = (
    *STRUCTURE_DESCRIPTORS,
    *(f"{statistic} {name}" for name in ELEMENT_PROPERTIES for statistic in STATISTICS),
    "ln atoms of the primitive cell",
)
"""Names of the descriptors, [65]. ln: of the value in Å, Å³, K, cm³/mol or u; energies in eV, Pauling electronegativity."""


def describe_crystals(crystals: Sequence[Crystal]) -> np.ndarray:
    """Describe crystals: the columns of `DESCRIPTORS`, [n_crystals, 65] float64.

    Raises:
        StructureError: A crystal cannot have a graph.
    """
    store = build_store(crystals, DESCRIPTOR_GRAPHS)
    volume = np.array([crystal.volume / crystal.n_atoms for crystal in crystals])
    return describe_graphs(store, volume, np.array([count_primitive_atoms(crystal) for crystal in crystals]))


@dataclass(frozen=True, slots=True)
class _Elements:
    """Tables by embedding row, each [89] float64, and the statistics' properties, [89, 11]."""

    mass: np.ndarray
    radius: np.ndarray
    electronegativity: np.ndarray
    properties: np.ndarray


def describe_graphs(store: GraphStore, volume_per_atom: np.ndarray, primitive_atoms: np.ndarray) -> np.ndarray:
    """Describe crystals by their graphs.

    An atom without any neighbour in the graph counts as one with a single neighbour that is out of reach.

    Args:
        store: Quotient graphs, of settings `DESCRIPTOR_GRAPHS`.
        volume_per_atom: Volume of the cell over its atoms in Å³, [n_graphs].
        primitive_atoms: Atoms of the primitive cell, [n_graphs].

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
        np.log(nodes.smallest(nearest)),
        np.log(nodes.mean(coordination)),
        np.log(nodes.smallest(coordination)),
        np.log(nodes.largest(coordination)),
        *_bond_columns(bonds, nodes, element, table),
        *(column for columns in properties for column in columns),
        np.log(primitive_atoms),
    ])  # fmt: skip


class _Nodes:
    """Means and extremes over the nodes of each graph."""

    def __init__(self, store: GraphStore, weight: np.ndarray) -> None:
        self.graph = np.repeat(np.arange(len(store)), np.diff(store.node_pointer))
        self._start, self._weight, self._n = store.node_pointer[:-1], weight, len(store)
        self._total = np.bincount(self.graph, weight, self._n)

    def mean(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.bincount(self.graph, self._weight * values, self._n) / self._total)

    def smallest(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.minimum.reduceat(values, self._start))

    def largest(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum.reduceat(values, self._start))


@dataclass(frozen=True, slots=True)
class _Bonds:
    """Bonds of all graphs, counted through: both nodes, length in Å, and the bond's share of its first node's bonds."""

    destination: np.ndarray
    source: np.ndarray
    length: np.ndarray
    share: np.ndarray


def _bonds(store: GraphStore) -> tuple[np.ndarray, np.ndarray, _Bonds]:
    """Distance to the nearest neighbour in Å and coordination number of each node, [n_nodes], and the bonds."""
    offset = np.repeat(store.node_pointer[:-1], np.diff(store.edge_pointer))
    destination, source = store.destination + offset, store.source + offset
    distance = store.distance.astype(np.float64)
    nearest = np.full(store.n_nodes, DESCRIPTOR_GRAPHS.cutoff_angstrom)
    np.minimum.at(nearest, destination, distance)
    bonded = distance <= BOND_FACTOR * nearest[destination]
    destination, source, distance = destination[bonded], source[bonded], distance[bonded]
    count = store.edge_count[bonded].astype(np.float64)
    coordination = np.maximum(np.bincount(destination, count, store.n_nodes), 1.0)
    return nearest, coordination, _Bonds(destination, source, distance, count / coordination[destination])


def _bond_columns(bonds: _Bonds, nodes: _Nodes, element: np.ndarray, table: _Elements) -> list[np.ndarray]:
    first, second = element[bonds.destination], element[bonds.source]
    mass_1, mass_2 = table.mass[first], table.mass[second]
    radius_1, radius_2 = table.radius[first], table.radius[second]
    difference = np.abs(table.electronegativity[first] - table.electronegativity[second])
    relative = np.log(bonds.length / (radius_1 + radius_2))

    def mean(values: np.ndarray) -> np.ndarray:
        return nodes.mean(np.bincount(bonds.destination, bonds.share * values, len(element)))

    def smallest(values: np.ndarray) -> np.ndarray:
        by_node = np.full(len(element), np.inf)
        np.minimum.at(by_node, bonds.destination, values)
        found = nodes.smallest(by_node)
        return np.where(np.isfinite(found), found, 0.0)

    mean_relative = mean(relative)
    return [
        mean_relative,
        smallest(relative),
        np.sqrt(np.maximum(mean(relative**2) - mean_relative**2, 0.0)),
        mean(difference),
        -smallest(-difference),
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
