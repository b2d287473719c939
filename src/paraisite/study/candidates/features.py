"""Features of a crystal for models without a graph: a structure set made here, and Magpie's of the composition.

The structure set exists for any crystal and does not change with the choice of the cell or its orientation. Magpie
is the set of Ward et al. 2016 (doi 10.1038/npjcompumats.2016.28) as matminer makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from ase.data import atomic_masses, chemical_symbols, covalent_radii

from paraisite.elements import PAULING_ELECTRONEGATIVITY
from paraisite.errors import DataError, StructureError
from paraisite.graphs.cache import content_key
from paraisite.graphs.neighbours import NeighbourPairs, find_neighbours
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.metrics import MIN_KAPPA_W_PER_MK
from paraisite.structures.crystal import Crystal
from paraisite.structures.space_group import find_symmetry

AFLOW_STAGE_MODEL = "FEAF"
"""Shipped model whose prediction serves as a feature: formation energies, then AFLOW; it never saw a first-principles κ."""
CUTOFFS_ANGSTROM = (4.0, 8.0, 20.0)
"""Radii searched in turn until every atom has a neighbour; one without any counts as that far from the next."""
COORDINATION_FACTOR = 1.2
"""Neighbours up to this many times an atom's shortest distance are bonded to it: between the shells of rocksalt (1.41)
and those of a distorted polyhedron; in bcc metals (1.15) the second shell counts too."""
DENSITY_UNIT_G_PER_CM3 = 1.66053906660
"""One atomic mass unit per Å³."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of features.

    Attributes:
        name: What it is.
        unit: Its unit; 1 for a plain number.
    """

    name: str
    unit: str


STRUCTURE_FEATURES: tuple[Feature, ...] = (
    Feature("mean atomic mass", "u"),
    Feature("smallest atomic mass", "u"),
    Feature("largest atomic mass", "u"),
    Feature("largest over smallest atomic mass", "1"),
    Feature("relative variance of the atomic mass", "1"),
    Feature("volume per atom", "Å³"),
    Feature("density", "g/cm³"),
    Feature("atoms in the primitive cell", "1"),
    Feature("number of elements", "1"),
    Feature("mean nearest-neighbour distance", "Å"),
    Feature("smallest nearest-neighbour distance", "Å"),
    Feature("mean bond length over the sum of covalent radii", "1"),
    Feature("mean coordination number", "1"),
    Feature("smallest coordination number", "1"),
    Feature("mean electronegativity", "Pauling"),
    Feature("largest difference of electronegativity", "Pauling"),
    Feature("mean covalent radius", "Å"),
    Feature("order of the point group", "1"),
)

MAGPIE_UNITS: dict[str, str] = {
    "Number": "1",
    "MendeleevNumber": "1",
    "AtomicWeight": "u",
    "MeltingT": "K",
    "Column": "1",
    "Row": "1",
    "CovalentRadius": "pm",
    "Electronegativity": "Pauling",
    "NsValence": "1",
    "NpValence": "1",
    "NdValence": "1",
    "NfValence": "1",
    "NValence": "1",
    "NsUnfilled": "1",
    "NpUnfilled": "1",
    "NdUnfilled": "1",
    "NfUnfilled": "1",
    "NUnfilled": "1",
    "GSvolume_pa": "Å³",
    "GSbandgap": "eV",
    "GSmagmom": "μB",
    "SpaceGroupNumber": "1",
}
"""Unit by property of an element: those of its ground-state crystal are volume per atom, gap, moment and space group."""


class _RowCache:
    """Rows by the crystals' content, so that many splits and models cost one pass over the crystals."""

    def __init__(self, compute: Callable[[Sequence[Crystal]], np.ndarray]) -> None:
        self._compute = compute
        self._rows: dict[str, np.ndarray] = {}

    def __call__(self, crystals: Sequence[Crystal]) -> np.ndarray:
        keys = [content_key([crystal], DEFAULT_GRAPH_SETTINGS) for crystal in crystals]
        missing = {key: crystal for key, crystal in zip(keys, crystals, strict=True) if key not in self._rows}
        if missing:
            self._rows.update(zip(missing, self._compute(list(missing.values())), strict=True))
        return np.stack([self._rows[key] for key in keys])


def structure_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Features of species and structure.

    Args:
        crystals: Checked crystals.

    Returns:
        The columns of `STRUCTURE_FEATURES` in their units, [n_crystals, 18], all finite.

    Raises:
        StructureError: Two atoms of a crystal overlap.
    """
    return _structure_rows(crystals)


def magpie_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Magpie's statistics of the composition.

    Args:
        crystals: Crystals; only their reduced compositions count.

    Returns:
        The columns of `magpie_table`, [n_crystals, 132], all finite: what the tables lack for an element is the mean over
        the others.
    """
    return np.array([_magpie_row(_composition(crystal)) for crystal in crystals])


def aflow_stage_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Prediction of the shipped AFLOW-stage model: log10 of its median κ at 300 K in W/(m K), [n_crystals, 1].

    Raises:
        DataError: The model cannot predict a crystal.
    """
    return _aflow_stage_rows(crystals)


def magpie_table() -> list[Feature]:
    """Names and units of Magpie's features, [132]; the names are matminer's, statistic and property."""
    labels = [label.removeprefix("MagpieData ") for label in _magpie().feature_labels()]
    return [Feature(label, MAGPIE_UNITS[label.rsplit(" ", 1)[1]]) for label in labels]


def structure_and_magpie_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Structure and Magpie features, [n_crystals, 150]."""
    return np.hstack([structure_features(crystals), magpie_features(crystals)])


def structure_and_aflow_stage_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Structure features and the AFLOW stage's prediction, [n_crystals, 19]."""
    return np.hstack([structure_features(crystals), aflow_stage_features(crystals)])


def _structure_row(crystal: Crystal) -> np.ndarray:
    symmetry = find_symmetry(crystal)
    mass = atomic_masses[crystal.numbers]
    radius = covalent_radii[crystal.numbers]
    volume_per_atom = crystal.volume / crystal.n_atoms
    electronegativity = _electronegativity(crystal.numbers)
    nearest, coordination, relative = _bonds(crystal, radius)
    return np.array([
        mass.mean(), mass.min(), mass.max(), mass.max() / mass.min(), ((1 - mass / mass.mean()) ** 2).mean(),
        volume_per_atom, DENSITY_UNIT_G_PER_CM3 * mass.mean() / volume_per_atom,
        symmetry.n_atoms_primitive, len(np.unique(crystal.numbers)),
        nearest.mean(), nearest.min(), relative.mean(), coordination.mean(), coordination.min(),
        electronegativity.mean(), np.ptp(electronegativity), radius.mean(), symmetry.point_group_order,
    ])  # fmt: skip


def _electronegativity(numbers: np.ndarray) -> np.ndarray:
    """Pauling electronegativities of those atoms that have one; one zero where none has (He, Ne, Ar)."""
    known = [PAULING_ELECTRONEGATIVITY.get(chemical_symbols[number], 9.0) for number in numbers]
    return np.array([value for value in known if value < 9.0] or [0.0])


def _bonds(crystal: Crystal, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance to the nearest neighbour in Å, coordination number, and bond length over covalent radii by atom, [n_atoms]."""
    pairs, cutoff = _pairs(crystal)
    nearest = np.full(crystal.n_atoms, cutoff)
    np.minimum.at(nearest, pairs.destination, pairs.distance)
    bonded = pairs.distance <= COORDINATION_FACTOR * nearest[pairs.destination]
    destination, source, length = pairs.destination[bonded], pairs.source[bonded], pairs.distance[bonded]
    coordination = np.bincount(destination, minlength=crystal.n_atoms)
    ratio = np.bincount(destination, length / (radius[destination] + radius[source]), crystal.n_atoms)
    alone = nearest / (2 * radius)
    return nearest, coordination, np.where(coordination > 0, ratio / np.maximum(coordination, 1), alone)


def _pairs(crystal: Crystal) -> tuple[NeighbourPairs, float]:
    """Neighbour pairs that hold every atom's nearest shell as far as there is one, and the radius searched in Å."""
    pairs = NeighbourPairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, 3)))
    for cutoff in CUTOFFS_ANGSTROM:
        try:
            pairs = find_neighbours(crystal, GraphSettings(cutoff_angstrom=cutoff))
        except StructureError as error:
            if error.code != "no_bonds":
                raise
            continue
        nearest = np.full(crystal.n_atoms, np.inf)
        np.minimum.at(nearest, pairs.destination, pairs.distance)
        if COORDINATION_FACTOR * nearest.max() <= cutoff:
            break
    return pairs, cutoff


def _structure_matrix(crystals: Sequence[Crystal]) -> np.ndarray:
    return np.array([_structure_row(crystal) for crystal in crystals])


def _composition(crystal: Crystal) -> tuple[tuple[int, int], ...]:
    """Atomic numbers and their reduced counts, ascending."""
    numbers, counts = np.unique(crystal.numbers, return_counts=True)
    counts //= np.gcd.reduce(counts)
    return tuple(zip(numbers.tolist(), counts.tolist(), strict=True))


@lru_cache(maxsize=1)
def _magpie() -> Any:
    from matminer.featurizers.composition import ElementProperty  # noqa: PLC0415 - slow to import, in an extra

    return ElementProperty.from_preset("magpie", impute_nan=True)


@lru_cache(maxsize=16384)
def _magpie_row(composition: tuple[tuple[int, int], ...]) -> np.ndarray:
    from pymatgen.core.composition import Composition  # noqa: PLC0415 - slow to import

    content = {chemical_symbols[number]: count for number, count in composition}
    return np.array(_magpie().featurize(Composition(content)), dtype=np.float64)


def _aflow_stage_matrix(crystals: Sequence[Crystal]) -> np.ndarray:
    from paraisite.prediction.predict import Predictor  # noqa: PLC0415 - only one feature needs PyTorch

    table = Predictor(AFLOW_STAGE_MODEL, threads=1).predict(crystals)
    bad = table[table["kappa_median"].isna()]
    if len(bad):
        raise DataError(f"{AFLOW_STAGE_MODEL} cannot predict {bad['material_id'].iloc[0]}: {bad['error'].iloc[0]}")
    return np.asarray(np.log10(np.maximum(table[["kappa_median"]].to_numpy(), MIN_KAPPA_W_PER_MK)))


_structure_rows = _RowCache(_structure_matrix)
_aflow_stage_rows = _RowCache(_aflow_stage_matrix)
