"""Space-group operations from a CIF block, and the orbit of sites under them.

Sites merge as in pymatgen's `CifParser` (MIT licence, https://pymatgen.org): images of a site that agree within a
tolerance in every fractional coordinate are one atom, and the first image in the order of the operations is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np

SITE_TOLERANCE = 1e-4
"""Two sites this close in every fractional coordinate are one, as in pymatgen."""

SPECIAL_DISTANCE = 0.05
"""Images of one site within this distance in Å are one atom on a special position, written with few digits."""

_EXACT = 1e-9
"""Fractional coordinates this close are those of the special position itself."""

# Weights without small integer relations, so that distinct special positions have distinct projections.
_WEIGHTS = np.array([1.0, 1.7320508, 2.6457513])

Operations = tuple[np.ndarray, np.ndarray]
"""Rotations [n_ops, 3, 3] and translations [n_ops, 3] on column vectors of fractional coordinates."""

IDENTITY: Operations = (np.eye(3)[None], np.zeros((1, 3)))


@dataclass(frozen=True, slots=True)
class Group:
    """A space group in one setting.

    Attributes:
        operations: Its operations, the identity first.
        elements: The same as whole numbers, for comparing groups: 24 times rotations and translations below 1.
        number: Its number in the International Tables; 0 where it is no setting that is known.
        name: Its Hermann-Mauguin symbol, or its number where the setting has none.
        rotations: Its distinct rotations and rotoinversions, [n_rotations, 3, 3].
    """

    operations: Operations
    elements: frozenset[tuple[int, ...]]
    number: int
    name: str
    rotations: np.ndarray

    @property
    def order(self) -> int:
        """Number of operations in the cell, centrings among them."""
        return len(self.elements)


@lru_cache(maxsize=2048)
def group_from_triplets(triplets: tuple[str, ...]) -> Group:
    """Group of triplets such as `-x, y+1/2, z`, with or without quotes, in any order and perhaps repeated.

    Raises:
        ValueError: A triplet that gemmi refuses, or operations that form no group; the message is a clause.
    """
    try:
        listed = [gemmi.Op(triplet.strip("'\" \t")).wrap() for triplet in triplets]
    except RuntimeError as error:
        raise ValueError(f"one of them cannot be read, {error}") from error
    unique = list({_element(op): op for op in listed}.values())
    for op in unique:
        if abs(op.det_rot()) != gemmi.Op.DEN**3:
            raise ValueError(f"{op.triplet()} is no rotation or rotoinversion")
    if _element(gemmi.Op()) not in set(map(_element, unique)):
        raise ValueError("the identity x,y,z is missing")
    return _closed_group(unique)


@lru_cache(maxsize=1024)
def group_of_setting(xhm: str) -> Group:
    """Group of a tabulated setting, named by its extended Hermann-Mauguin symbol."""
    setting = gemmi.SpaceGroup(xhm)
    ops = list(setting.operations())
    return _group(ops, frozenset(map(_element, ops)), setting)


@lru_cache(maxsize=1024)
def group_from_hall(hall: str) -> Group:
    """Group of a Hall symbol.

    Raises:
        ValueError: A symbol that gemmi refuses.
    """
    try:
        ops = list(gemmi.symops_from_hall(hall))
    except (RuntimeError, ValueError) as error:
        raise ValueError(str(error)) from error
    return _closed_group(ops)


def _closed_group(ops: list[gemmi.Op]) -> Group:
    """Group of distinct operations with the identity among them.

    Raises:
        ValueError: They are not closed under multiplication.
    """
    elements = frozenset(map(_element, ops))
    whole = gemmi.GroupOps(ops)
    try:
        whole.add_missing_elements()
    except RuntimeError as error:
        raise ValueError("they form no finite group") from error
    centrings = {_element(gemmi.Op().translated(centring)) for centring in whole.cen_ops}
    sums = (
        gemmi.Op().translated([one + other for one, other in zip(first, second, strict=True)])
        for first in whole.cen_ops
        for second in whole.cen_ops
    )
    if frozenset(_element(op.wrap()) for op in whole) != elements or not centrings.issuperset(map(_element, sums)):
        raise ValueError(f"the {len(elements)} that are listed form no group, products of some are missing")
    ops = sorted(ops, key=lambda op: op != gemmi.Op())
    return _group(ops, elements, gemmi.find_spacegroup_by_ops(whole))


def _group(ops: list[gemmi.Op], elements: frozenset[tuple[int, ...]], setting: gemmi.SpaceGroup | None) -> Group:
    """Group of operations that form one, in a tabulated setting or in another."""
    operations = _stack(ops)
    rotations = np.unique(operations[0], axis=0)
    if setting is not None:
        return Group(operations, elements, setting.number, setting.xhm(), rotations)
    number = _number_of(operations)
    return Group(operations, elements, number, f"no. {number}" if number else "no known group", rotations)


def _number_of(operations: Operations) -> int:
    """Number of the group in the International Tables by spglib, whatever its setting; 0 where that fails."""
    import spglib  # noqa: PLC0415 - most files need none

    rotations, translations = operations
    metric = np.einsum("nji,njk->ik", rotations, rotations) / len(rotations)
    lattice = np.linalg.cholesky(metric)  # rows of a cell that these operations leave alone
    try:
        found = spglib.get_spacegroup_type_from_symmetry(rotations.astype(int), translations, lattice)
    except spglib.SpglibError:
        return 0
    return 0 if found is None else int(found.number)


def _element(op: gemmi.Op) -> tuple[int, ...]:
    return (*(value for row in op.rot for value in row), *(value % gemmi.Op.DEN for value in op.tran))


def preserves(cell: np.ndarray, group: Group, tolerance: float) -> bool:
    """Whether the operations leave lengths and angles of a cell, [3, 3], alone within a relative tolerance."""
    if group.order == 1:
        return True
    rotations = group.rotations
    metric = cell @ cell.T
    moved = np.einsum("nji,jk,nkl->nil", rotations, metric, rotations)
    scale = np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    return bool((np.abs(moved - metric) <= tolerance * scale).all())


def is_closed(fractional: np.ndarray, numbers: np.ndarray, cell: np.ndarray, group: Group) -> bool:
    """Whether every operation maps the atoms onto atoms of the same element, within `SPECIAL_DISTANCE`."""
    rotations, translations = group.operations
    for rotation, translation in zip(rotations, translations, strict=True):
        moved = fractional @ rotation.T + translation
        for number in np.unique(numbers):
            atoms = fractional[numbers == number]
            shift = moved[numbers == number][:, None] - atoms[None]
            shift -= np.round(shift)
            if (((shift @ cell) ** 2).sum(axis=-1).min(axis=1) > SPECIAL_DISTANCE**2).any():
                return False
    return True


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
    near = (((shift @ cell) ** 2).sum(axis=-1)) < SPECIAL_DISTANCE**2
    mean = (shift * near[..., None]).sum(axis=1) / near.sum(axis=1)[:, None]
    if (np.abs(mean) > _EXACT).any():
        # The mean over the images at one place is fixed by the operations that map the place onto itself.
        images = _images(fractional + mean, rotations, translations)
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
