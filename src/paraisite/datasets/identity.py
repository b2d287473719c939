"""Which data a model has seen: data sets and crystals compared by content, not by how a path is spelled."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from paraisite.datasets.catalogue import DataSet, data_set_names, parts_of
from paraisite.structures.crystal import Crystal

_KEY_DIGITS = 8
"""Hexadecimal digits per crystal. Among 500 crystals and 4 399 others, two share a key with a chance of 5e-4; residuals are
then taken for optimistic, which does no harm."""
_STEPS_PER_UNIT = 1000
"""Lengths in Å and fractional coordinates are compared to 0.001, so that writing and reading a file changes no key."""
_OFFSET = 0.27
"""Keeps the borders between steps away from 1/16, 3/16 and other usual coordinates, where rounding would turn a key."""


def crystal_keys(data: DataSet) -> frozenset[str]:
    """Keys of the crystals of a data set, each with its κ; their order and names do not count."""
    return frozenset(_key(crystal, float(kappa)) for crystal, kappa in zip(data.crystals, data.kappa, strict=True))


def data_names(name: str) -> frozenset[str]:
    """Names by which a recipe's data are compared where no content is known: of the parts, or the resolved path of a file."""
    return parts_of(name) if name in data_set_names() else frozenset({str(Path(name).resolve())})


def join_keys(keys: frozenset[str]) -> str:
    """Write keys one after the other, as a model's card keeps them."""
    return "".join(sorted(keys))


def split_keys(joined: str) -> frozenset[str]:
    """Take keys apart that `join_keys` wrote."""
    return frozenset(joined[start : start + _KEY_DIGITS] for start in range(0, len(joined), _KEY_DIGITS))


def _key(crystal: Crystal, kappa: float) -> str:
    content = hashlib.sha256(np.asarray(crystal.numbers, dtype="<i8").tobytes())
    content.update(_steps(crystal.cell).tobytes())
    content.update((_steps(crystal.fractional) % _STEPS_PER_UNIT).tobytes())
    content.update(f"{kappa:.6g}".encode())
    return content.hexdigest()[:_KEY_DIGITS]


def _steps(values: np.ndarray) -> np.ndarray:
    return np.round(values * _STEPS_PER_UNIT + _OFFSET).astype("<i8")
