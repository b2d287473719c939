"""Space-group operations from a CIF block, and the orbit of sites under them.

Sites merge as in pymatgen's `CifParser` (MIT licence, https://pymatgen.org): images of a site that agree within a
tolerance in every fractional coordinate are one atom, and the first image in the order of the operations is kept.
"""

from __future__ import annotations

from functools import lru_cache

import gemmi
import numpy as np

SITE_TOLERANCE = 1e-4
"""Two sites this close in every fractional coordinate are one, as in pymatgen."""

SPECIAL_DISTANCE = 0.05
"""Images of one site within this distance in Å are one atom on a special position, written with few digits."""

# Weights without small integer relations, so that distinct special positions have distinct projections.
_WEIGHTS = np.array([1.0, 1.7320508, 2.6457513])

Operations = tuple[np.ndarray, np.ndarray]
"""Rotations [n_ops, 3, 3] and translations [n_ops, 3] on column vectors of fractional coordinates."""

IDENTITY: Operations = (np.eye(3)[None], np.zeros((1, 3)))


@lru_cache(maxsize=2048)
def operations_from_triplets(triplets: tuple[str, ...]) -> Operations:
    """Operations from triplets such as `-x, y+1/2, z`, with or without quotes.

    Raises:
        ValueError: A triplet that gemmi refuses.
    """
    try:
        return _stack([gemmi.Op(triplet.strip("'\" \t")) for triplet in triplets])
    except RuntimeError as error:
        raise ValueError(str(error)) from error


@lru_cache(maxsize=1024)
def operations_of_group(xhm: str) -> Operations:
    """Operations of a tabulated setting, named by its extended Hermann-Mauguin symbol."""
    return _stack(list(gemmi.SpaceGroup(xhm).operations()))


@lru_cache(maxsize=1024)
def operations_from_hall(hall: str) -> Operations:
    """Operations from a Hall symbol.

    Raises:
        ValueError: A symbol that gemmi refuses.
    """
    try:
        return _stack(list(gemmi.symops_from_hall(hall)))
    except RuntimeError as error:
        raise ValueError(str(error)) from error


@lru_cache(maxsize=2048)
def find_group(symbol: str, number: str, alpha: float, gamma: float) -> gemmi.SpaceGroup | None:
    """The setting that a Hermann-Mauguin symbol, else a number, names; angles in degrees tell R:H from R:R."""
    if group := gemmi.find_spacegroup_by_name(symbol, alpha, gamma) if symbol else None:
        return group
    if not number.isdigit() or len(number) > 3 or not 1 <= int(number) <= 230:
        return None
    standard = gemmi.find_spacegroup_by_number(int(number))
    return gemmi.find_spacegroup_by_name(standard.hm, alpha, gamma) if standard.ext == "H" else standard


def other_origin(group: gemmi.SpaceGroup, symbol: str) -> str | None:
    """Extended symbol of the second origin choice, where the symbol in the file leaves the choice open."""
    if group.ext not in ("1", "2") or symbol.rstrip().endswith((":1", ":2")):
        return None
    return f"{group.hm}:{'2' if group.ext == '1' else '1'}"


def expand(fractional: np.ndarray, cell: np.ndarray, operations: Operations) -> tuple[np.ndarray, np.ndarray]:
    """All atoms of the cell.

    Args:
        fractional: Coordinates of the listed sites, [n_sites, 3].
        cell: Lattice vectors as rows in Å, [3, 3].
        operations: Space-group operations.

    Returns:
        Wrapped fractional coordinates, [n_atoms, 3], and the listed site of each, [n_atoms]. Two listed sites at one
        place give the atoms of both.
    """
    rotations, translations = operations
    n_sites, n_ops = len(fractional), len(rotations)
    if n_ops == 1 and operations is IDENTITY:
        return fractional - np.floor(fractional), np.arange(n_sites)
    images = _images(fractional, rotations, translations)
    shift = images - fractional[:, None]
    shift -= np.round(shift)
    loose = (((shift @ cell) ** 2).sum(axis=-1)) < SPECIAL_DISTANCE**2
    strict = (np.abs(shift) < SITE_TOLERANCE).all(axis=-1)
    if (loose & ~strict).any():
        # The mean over the images at one place is fixed by the operations that map the place onto itself.
        count = loose.sum(axis=1)
        mean = (shift * loose[..., None]).sum(axis=1) / np.maximum(count, 1)[:, None]
        sloppy = (loose & ~strict).any(axis=1)
        images = _images(np.where(sloppy[:, None], fractional + mean, fractional), rotations, translations)
    images -= np.floor(images)
    site = np.repeat(np.arange(n_sites), n_ops)
    kept = first_of_each_place(images.reshape(-1, 3), site)
    return images.reshape(-1, 3)[kept], site[kept]


def coincident_sites(fractional: np.ndarray, site: np.ndarray) -> tuple[int, int] | None:
    """Two different listed sites that share a place, or None.

    Args:
        fractional: Wrapped coordinates, [n_atoms, 3].
        site: Listed site of each atom, [n_atoms].
    """
    groups = np.zeros(len(site), dtype=np.int64)
    first, clusters = _sort_by_place(fractional, groups)
    if len(first) == len(site):
        return None
    kept = np.concatenate([first, *(_first_of_cluster(fractional, cluster) for cluster in clusters)])
    lost = np.setdiff1d(np.arange(len(site)), kept)
    for atom in lost:
        shift = fractional[kept] - fractional[atom]
        shift -= np.round(shift)
        twin = kept[(np.abs(shift) < SITE_TOLERANCE).all(axis=1)][0]
        if site[twin] != site[atom]:
            return int(min(site[twin], site[atom])), int(max(site[twin], site[atom]))
    return None


def first_of_each_place(images: np.ndarray, site: np.ndarray) -> np.ndarray:
    """Indices of the images that are kept, ascending: per site, the first at each place.

    Args:
        images: Wrapped coordinates in order of preference, [n_images, 3].
        site: Listed site of each image, [n_images]; images of different sites never merge.
    """
    first, clusters = _sort_by_place(images, site)
    return np.sort(np.concatenate([first, *(_first_of_cluster(images, cluster) for cluster in clusters)]))


def _first_of_cluster(points: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Indices of a cluster that no earlier kept one is close to, by comparing pairs."""
    kept = []
    remaining = np.sort(cluster)
    while len(remaining):
        kept.append(remaining[0])
        shift = points[remaining] - points[remaining[0]]
        shift -= np.round(shift)
        remaining = remaining[(np.abs(shift) >= SITE_TOLERANCE).any(axis=1)]
    return np.array(kept, dtype=np.int64)


def _sort_by_place(points: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """First index of each place that is surely told apart, and the clusters that need a comparison of pairs.

    Points at one place have nearly the same value of a fixed linear form, so sorting replaces comparing all pairs. The
    form is taken after moving coordinates just below 1 to just below 0; where a point lies at that cut, all pairs of
    its group are compared.
    """
    cut = 1.0 - 2.0 * SITE_TOLERANCE
    if (np.abs(points - cut) < SITE_TOLERANCE).any():
        return np.empty(0, dtype=np.int64), [np.nonzero(group == value)[0] for value in np.unique(group)]
    wrapped = np.where(points > cut, points - 1.0, points)
    key = wrapped @ _WEIGHTS + group * 10.0
    order = np.argsort(key, kind="stable")
    bound = SITE_TOLERANCE * float(_WEIGHTS.sum())
    starts = np.nonzero(np.diff(key[order], prepend=-np.inf) > bound)[0]
    if len(starts) == len(order):
        return order, []
    ranked = wrapped[order]
    width = np.maximum.reduceat(ranked, starts) - np.minimum.reduceat(ranked, starts)
    single = (width < SITE_TOLERANCE).all(axis=1)
    first = np.minimum.reduceat(order, starts)[single]
    if single.all():
        return first, []
    ends = np.append(starts[1:], len(order))
    return first, [order[start:end] for start, end in zip(starts[~single], ends[~single], strict=True)]


def _images(fractional: np.ndarray, rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """Images of every site under every operation, [n_sites, n_ops, 3]."""
    n_sites, n_ops = len(fractional), len(rotations)
    moved = fractional @ rotations.reshape(-1, 3).T
    return np.asarray(moved.reshape(n_sites, n_ops, 3) + translations)


def _stack(ops: list[gemmi.Op]) -> Operations:
    """Arrays of a list of operations."""
    if not ops:
        raise ValueError("no symmetry operations")
    rotations = np.array([op.rot for op in ops], dtype=np.float64) / gemmi.Op.DEN
    translations = np.array([op.tran for op in ops], dtype=np.float64) / gemmi.Op.DEN
    if len(ops) == 1 and not translations.any() and np.array_equal(rotations, IDENTITY[0]):
        return IDENTITY
    return rotations, translations
