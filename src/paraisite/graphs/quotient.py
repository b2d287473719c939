"""The exact quotient graph: one node for all atoms that no message passing on distances can tell apart.

Atoms are split by colour refinement (Weisfeiler-Leman; Grohe, doi 10.1145/3375395.3387641): start from the species, refine
by the multiset of (distance, colour of the neighbour), stop when stable. Atoms of one colour carry the same features in
every layer of MEGNet, and so do edges of the same (source colour, destination colour, distance). One of each is kept with
its multiplicity, and every mean over atoms or edges becomes a weighted mean: the same function of a smaller graph.

All functions work on many crystals at once, as flat arrays, because one crystal is too small to be worth a numpy call.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_CLUSTER_WIDTHS = 4
"""A cluster of equal distances is at most this many tolerances wide; a longer chain of close distances is cut."""
ROUNDING_ANGSTROM = 1e-9
"""Distances this close in Å differ by rounding only, and no cut of a chain comes between them."""


@dataclass(frozen=True, slots=True)
class PlainGraphs:
    """Plain graphs of many crystals, as flat arrays; edges sorted by destination, atoms by crystal.

    Attributes:
        element: Embedding row of each atom, [n_atoms] int64.
        crystal: Crystal of each atom, [n_atoms] int64, ascending.
        destination: Flat atom index that receives the message, [n_edges] int64, ascending.
        source: Flat atom index that sends it, [n_edges] int64.
        distance: Distance in Å, [n_edges] float64.
    """

    element: np.ndarray
    crystal: np.ndarray
    destination: np.ndarray
    source: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True, slots=True)
class QuotientGraphs:
    """Quotient graphs of many crystals, as flat arrays; nodes sorted by crystal, edges by destination.

    Attributes:
        element: Embedding row of each node, [n_nodes] int64.
        crystal: Crystal of each node, [n_nodes] int64, ascending.
        multiplicity: Atoms of the cell that the node stands for, [n_nodes] int64.
        destination: Flat node index that receives the message, [n_edges] int64, ascending.
        source: Flat node index that sends it, [n_edges] int64.
        distance: Mean distance in Å of the pairs that the edge stands for, [n_edges] float64.
        count: Such pairs into ONE atom of the destination node, [n_edges] int64.
    """

    element: np.ndarray
    crystal: np.ndarray
    multiplicity: np.ndarray
    destination: np.ndarray
    source: np.ndarray
    distance: np.ndarray
    count: np.ndarray


def quotient_graphs(plain: PlainGraphs, tolerance_angstrom: float) -> QuotientGraphs:
    """Collapse plain graphs to their quotient graphs.

    Args:
        plain: Plain graphs of any number of crystals.
        tolerance_angstrom: Distances of one crystal closer than this in Å are one distance; 0 keeps every atom and pair.

    Returns:
        The quotient graphs, in the order of the crystals.
    """
    if tolerance_angstrom == 0:
        ones = np.ones_like
        return QuotientGraphs(
            plain.element, plain.crystal, ones(plain.element),
            plain.destination, plain.source, plain.distance, ones(plain.source),
        )  # fmt: skip
    distance_class = cluster_distances(plain.distance, plain.crystal[plain.destination], tolerance_angstrom)
    colour = _refine_colours(plain, distance_class)
    return _collapse(plain, colour, distance_class)


def cluster_distances(distance: np.ndarray, crystal: np.ndarray, tolerance_angstrom: float) -> np.ndarray:
    """Number the distinct distances of each crystal.

    Sorted distances of a crystal are cut where the gap exceeds the tolerance; a cluster wider than `MAX_CLUSTER_WIDTHS`
    tolerances is cut again into equal widths, but never between distances that differ by rounding only.

    Args:
        distance: Distances in Å, [n_edges].
        crystal: Crystal of each distance, [n_edges].
        tolerance_angstrom: Largest gap inside a cluster in Å.

    Returns:
        Cluster number of each distance, [n_edges] int64; no cluster spans two crystals.
    """
    order = np.lexsort((distance, crystal))
    sorted_distance, sorted_crystal = distance[order], crystal[order]
    starts = np.ones(len(order), dtype=bool)
    new_crystal = sorted_crystal[1:] != sorted_crystal[:-1]
    starts[1:] = new_crystal | (np.diff(sorted_distance) > tolerance_angstrom)
    first = np.flatnonzero(starts)
    cluster = np.cumsum(starts) - 1
    part = ((sorted_distance - sorted_distance[first][cluster]) / (MAX_CLUSTER_WIDTHS * tolerance_angstrom)).astype(
        np.int64
    )
    if part.any():
        distinct = starts.copy()
        distinct[1:] |= np.diff(sorted_distance) > min(ROUNDING_ANGSTROM, tolerance_angstrom)
        part = part[np.maximum.accumulate(np.where(distinct, np.arange(len(order)), 0))]
        starts[1:] |= part[1:] != part[:-1]
        cluster = np.cumsum(starts) - 1
    result = np.empty(len(order), dtype=np.int64)
    result[order] = cluster
    return result


def _refine_colours(plain: PlainGraphs, distance_class: np.ndarray) -> np.ndarray:
    """Stable colours of the atoms, [n_atoms] int64, ascending with the crystal."""
    n_atoms = len(plain.element)
    first_edge = np.flatnonzero(np.diff(plain.destination, prepend=-1))
    has_edges = plain.destination[first_edge]
    edge_part = mix(_inside_crystal(distance_class, plain.crystal[plain.destination]))
    colour = _rank(plain.crystal, plain.element)
    n_colours = int(colour.max()) + 1
    while True:
        neighbour = _inside_crystal(colour, plain.crystal)[plain.source]
        message = mix(edge_part + mix(neighbour + np.uint64(1 << 40)))
        received = np.zeros(n_atoms, dtype=np.uint64)
        if len(first_edge):
            # A wrapping sum of 64-bit hashes: equal for equal multisets, in any order.
            received[has_edges] = np.add.reduceat(message, first_edge)
        colour = _rank(colour, received)
        if int(colour.max()) + 1 == n_colours:
            return colour
        n_colours = int(colour.max()) + 1


def _rank(major: np.ndarray, minor: np.ndarray) -> np.ndarray:
    """Dense rank of the pairs (major, minor), [n] int64."""
    order = np.lexsort((minor, major))
    changed = np.zeros(len(order), dtype=np.int64)
    changed[1:] = (np.diff(major[order]) != 0) | (minor[order][1:] != minor[order][:-1])
    result = np.empty(len(order), dtype=np.int64)
    result[order] = np.cumsum(changed)
    return result


def _inside_crystal(number: np.ndarray, crystal: np.ndarray) -> np.ndarray:
    """Numbers counted from each crystal's smallest, [n] uint64: a graph must not depend on the others in its block."""
    if len(number) == 0:
        return number.astype(np.uint64)
    first = np.flatnonzero(np.diff(crystal, prepend=-1))
    smallest = np.minimum.reduceat(number, first)
    inside: np.ndarray = number - np.repeat(smallest, np.diff(first, append=len(number)))
    return inside.astype(np.uint64)


def mix(values: np.ndarray) -> np.ndarray:
    """Finaliser of splitmix64 (Steele et al., doi 10.1145/2660193.2660195), [n] uint64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed


def _collapse(plain: PlainGraphs, colour: np.ndarray, distance_class: np.ndarray) -> QuotientGraphs:
    """One node a colour, one edge a (destination colour, source colour, distance)."""
    multiplicity = np.bincount(colour)
    representative = np.empty(len(multiplicity), dtype=np.int64)
    representative[colour[::-1]] = np.arange(len(colour) - 1, -1, -1)
    destination, source = colour[plain.destination], colour[plain.source]
    order = np.lexsort((distance_class, source, destination))
    sorted_keys = [key[order] for key in (destination, source, distance_class)]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in sorted_keys])
    first = np.flatnonzero(starts)
    pairs = np.diff(first, append=len(order))
    distance = np.add.reduceat(plain.distance[order], first) / pairs
    edge_destination = sorted_keys[0][first]
    return QuotientGraphs(
        element=plain.element[representative],
        crystal=plain.crystal[representative],
        multiplicity=multiplicity,
        destination=edge_destination,
        source=sorted_keys[1][first],
        distance=distance,
        count=pairs // multiplicity[edge_destination],
    )
