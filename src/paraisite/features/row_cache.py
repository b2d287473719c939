"""Rows of features, kept by the content of the crystals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from paraisite.graphs.cache import content_key
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS
from paraisite.structures.crystal import Crystal


class RowCache:
    """Rows by the crystals' content, so that many splits and models cost one pass over the crystals."""

    def __init__(self, compute: Callable[[Sequence[Crystal]], np.ndarray]) -> None:
        """Keep what computes the rows of crystals, [n_crystals, n_columns]."""
        self._compute = compute
        self._rows: dict[str, np.ndarray] = {}

    def __call__(self, crystals: Sequence[Crystal]) -> np.ndarray:
        """Give the crystals' rows, [n_crystals, n_columns]."""
        keys = [content_key([crystal], DEFAULT_GRAPH_SETTINGS) for crystal in crystals]
        missing = {key: crystal for key, crystal in zip(keys, crystals, strict=True) if key not in self._rows}
        if missing:
            self._rows.update(zip(missing, self._compute(list(missing.values())), strict=True))
        return np.stack([self._rows[key] for key in keys])
