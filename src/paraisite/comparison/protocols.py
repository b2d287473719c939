"""The protocols: what is trained on, and which crystals are predicted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from paraisite.datasets.catalogue import NAME_PROTOTYPES, DataSet, load_data_set, prototypes_of
from paraisite.datasets.levels import Source
from paraisite.datasets.splits import Splits, composition_splits, published_splits
from paraisite.errors import ParaisiteError
from paraisite.graphs.cache import content_key
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS
from paraisite.structures.crystal import Crystal

Masks = tuple[np.ndarray, np.ndarray]
"""Training and predicted crystals of each split, [n_splits, n_crystals] bool each."""
HELD_OUT_RUNS = tuple(range(1, 10))
GROUPED_RUNS = tuple(range(1, 6))


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """All crystals of a comparison, of several data sets one after the other.

    Attributes:
        crystals: The crystals.
        kappa: Their κ at 300 K in W/(m K), [n_crystals].
        source: Name of the data set of each, [n_crystals] str.
        formula: Reduced formula of each, [n_crystals] str.
        prototype: Structure type of each, [n_crystals] str; empty in a data set that names none.
        sources: What is known of each data set, by its name.
    """

    crystals: tuple[Crystal, ...]
    kappa: np.ndarray
    source: np.ndarray
    formula: np.ndarray
    prototype: np.ndarray
    sources: dict[str, Source] = field(default_factory=dict)

    def of(self, *names: str) -> np.ndarray:
        """Indices of the crystals of some data sets."""
        return np.flatnonzero(np.isin(self.source, names))

    def take(self, indices: np.ndarray) -> list[Crystal]:
        """Some of the crystals."""
        return [self.crystals[index] for index in indices]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One training part and what is predicted from it, as indices into a pool.

    Attributes:
        run: Number of the split, from 1.
        training: Crystals that a candidate is fitted to.
        predicted: Crystals that it predicts.
    """

    run: int
    training: np.ndarray
    predicted: np.ndarray

    def fingerprint(self, pool: Pool) -> str:
        """Hash of everything that a candidate is given and asked, and of the truth."""
        content = hashlib.sha256(str(self.run).encode())
        for indices in (self.training, self.predicted):
            content.update(content_key(pool.take(indices), DEFAULT_GRAPH_SETTINGS).encode())
            content.update(pool.kappa[indices].tobytes())
            content.update("\n".join(pool.source[indices]).encode())
        return content.hexdigest()


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way to split.

    Attributes:
        title: What it asks, for a table.
        trained: Data sets that the training parts are from.
        predicted: Data set that the predicted crystals are from.
        masks: Gives the training and the predicted crystals of the predicted data set, each [n_splits, n_crystals] bool,
            from the formula and the structure type of each.
    """

    title: str
    trained: tuple[str, ...]
    predicted: str
    masks: Callable[[np.ndarray, np.ndarray], Masks]


def load_pool(names: Sequence[str], data_folder: Path | None = None) -> Pool:
    """Load data sets.

    Args:
        names: Their names.
        data_folder: Folder of what the package does not ship.

    Raises:
        DataError: One is not there.
    """
    parts = [load_data_set(name, data_folder) for name in names]
    crystals = tuple(crystal for part in parts for crystal in part.crystals)
    return Pool(
        crystals=crystals,
        kappa=np.concatenate([part.kappa for part in parts]),
        source=np.repeat(np.array(names), [len(part.crystals) for part in parts]),
        formula=np.array([crystal.composition for crystal in crystals]),
        prototype=np.concatenate([_prototypes(part) for part in parts]),
        sources={name: part.source for name, part in zip(names, parts, strict=True)},
    )


def make_splits(protocol: Protocol, pool: Pool, further: Sequence[str] = ()) -> list[Split]:
    """Make the splits of a protocol.

    A crystal of another data set than the predicted one is not trained on where its composition is among those to predict.

    Args:
        protocol: The protocol.
        pool: Crystals, those of its data sets and of the further ones among them.
        further: Data sets that are trained on beside the protocol's own; the predicted one is none of them.
    """
    own = pool.of(protocol.predicted)
    others = pool.of(*({*protocol.trained, *further} - {protocol.predicted}))
    masks = protocol.masks(pool.formula[own], pool.prototype[own])
    splits = []
    for run, (trained, predicted) in enumerate(zip(*masks, strict=True), 1):
        asked = own[predicted]
        allowed = others[~np.isin(pool.formula[others], pool.formula[asked])]
        splits.append(Split(run, np.concatenate([own[trained], allowed]), asked))
    return splits


def choose_protocols(names: Sequence[str]) -> dict[str, Protocol]:
    """Protocols by name, in the order of `PROTOCOLS`.

    Raises:
        ParaisiteError: There is no such protocol.
    """
    for name in names:
        if name not in PROTOCOLS:
            raise ParaisiteError(f"There is no protocol {name!r}; choose among {', '.join(PROTOCOLS)}.")
    return {name: protocol for name, protocol in PROTOCOLS.items() if name in names}


def _prototypes(data: DataSet) -> list[str]:
    return prototypes_of(data) if data.name in NAME_PROTOTYPES else [""] * len(data.crystals)


def _parts(splits: Splits) -> Masks:
    return ~splits.validation, splits.validation


def _held_out(formula: np.ndarray, prototype: np.ndarray) -> Masks:  # noqa: ARG001 - one signature for all
    return _parts(published_splits([len(formula)], HELD_OUT_RUNS))


def _grouped(formula: np.ndarray, prototype: np.ndarray) -> Masks:  # noqa: ARG001
    return _parts(composition_splits(formula.tolist(), [len(formula)], GROUPED_RUNS))


def _by_prototype(formula: np.ndarray, prototype: np.ndarray) -> Masks:  # noqa: ARG001
    predicted = prototype == np.unique(prototype)[:, None]
    return ~predicted, predicted


def _all(formula: np.ndarray, prototype: np.ndarray) -> Masks:  # noqa: ARG001
    everything = np.ones((1, len(formula)), dtype=bool)
    return ~everything, everything


PROTOCOLS: dict[str, Protocol] = {
    "held_out": Protocol("Togo15, the 9 published splits", ("togo15",), "togo15", _held_out),
    "grouped": Protocol("Togo15, no composition on both sides (5 splits)", ("togo15",), "togo15", _grouped),
    "prototype": Protocol("Togo15, each prototype from the other two", ("togo15",), "togo15", _by_prototype),
    "hh143": Protocol("HH143 from Togo15", ("togo15",), "hh143", _all),
    "literature": Protocol("Literature values from Togo15 and HH143", ("togo15", "hh143"), "literature", _all),
}
"""The protocols, in the order of tables."""
