"""Bonds and elements of many crystals at once, from their quotient graphs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paraisite.applicability.components import COVALENT_REACH, IONIC_REACH
from paraisite.applicability.elements import element_table
from paraisite.elements import ELEMENTS
from paraisite.graphs.store import GraphStore

BOND_DECAY = 6
"""A neighbour counts as a bond by the weight exp(1 − (distance / nearest)^6), so that no bond ends at a threshold."""
FAR_ANGSTROM = 5.0
"""Distance that counts as the nearest of an atom without a neighbour in its graph."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the screens see of each crystal.

    Attributes:
        fraction: Share of each element in the atoms, [n_graphs, n_elements].
        columns: Features of the volume model that a change of all lengths leaves as they are but for `log_length`, named
            by `ELEMENT_COLUMNS`, [n_graphs, n_columns].
        log_length: Mean logarithm of the bond lengths in Å, [n_graphs].
        formers: Share of the atoms that are molecule formers, [n_graphs].
        bonds_per_atom: Mean number of bonds of an atom by the reach of `components.py`, [n_graphs].
    """

    fraction: np.ndarray
    columns: np.ndarray
    log_length: np.ndarray
    formers: np.ndarray
    bonds_per_atom: np.ndarray


BOND_COLUMNS = (
    "electronegativity difference", "squared electronegativity difference", "ln coordination", "squared ln coordination",
    "ln sum of covalent radii", "share of bonds between like atoms", "spread of ln length", "constant",
)  # fmt: skip
ELEMENT_COLUMNS = (
    *(f"atoms {symbol}" for symbol in ELEMENTS),
    *(f"bonds to {symbol}" for symbol in ELEMENTS),
    *BOND_COLUMNS,
)


def find_features(store: GraphStore) -> Features:
    """Features of all graphs of a store."""
    table, n = element_table(), len(store)
    element, weight = store.element.astype(np.int64), store.node_weight.astype(np.float64)
    graph = np.repeat(np.arange(n), np.diff(store.node_pointer))
    offset = np.repeat(store.node_pointer[:-1], np.diff(store.edge_pointer))
    to, of = store.destination + offset, store.source + offset
    length = store.distance.astype(np.float64)
    nearest = np.full(len(element), FAR_ANGSTROM)
    np.minimum.at(nearest, to, length)
    bond = np.exp(1 - (length / nearest[to]) ** BOND_DECAY) * store.edge_count
    coordination = np.bincount(to, bond, len(element))
    share = bond / coordination[to] * weight[to]
    radii = table.radius[element[to]] + table.radius[element[of]]
    former = table.molecule_former[element]
    reach = np.where(former[to] & former[of], COVALENT_REACH, IONIC_REACH)
    lonely = coordination == 0

    def nodes(values: np.ndarray) -> np.ndarray:
        return np.bincount(graph, weight * values, n)

    def bonds(values: np.ndarray) -> np.ndarray:
        return np.bincount(graph[to], share * values, n)

    difference = np.abs(table.electronegativity[element[to]] - table.electronegativity[element[of]])
    log_coordination = nodes(np.log(np.where(lonely, 1.0, coordination)))
    log_length = np.log(length)
    mean_length = bonds(log_length)
    fraction = _by_element(graph, element, weight, n)
    columns = np.column_stack([
        fraction,
        _by_element(graph[of], element[of], share, n),
        bonds(difference),
        bonds(difference**2),
        log_coordination,
        log_coordination**2,
        bonds(np.log(radii)),
        bonds((element[to] == element[of]).astype(float)),
        np.sqrt(np.maximum(bonds(log_length**2) - mean_length**2, 0.0)),
        np.ones(n),
    ])  # fmt: skip
    return Features(
        fraction,
        columns,
        mean_length + nodes(np.where(lonely, np.log(FAR_ANGSTROM), 0.0)),
        nodes(former.astype(float)),
        np.bincount(graph[to], weight[to] * store.edge_count * (length < reach * radii), n),
    )


def _by_element(graph: np.ndarray, element: np.ndarray, weight: np.ndarray, n: int) -> np.ndarray:
    flat = np.bincount(graph * len(ELEMENTS) + element, weight, n * len(ELEMENTS))
    return flat.reshape(n, len(ELEMENTS))
