"""The Slack model by AFLOW's automatic Gibbs library (AGL), looked up for the same crystal.

AGL computes κ from a quasi-harmonic Debye-Grüneisen model (Toher et al. 2014, doi 10.1103/PhysRevB.90.174107).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from paraisite.comparison.candidates.interface import CandidatePrediction
from paraisite.datasets.catalogue import find_data_file, load_data_set
from paraisite.datasets.levels import Source
from paraisite.structures.crystal import Crystal
from paraisite.structures.space_group import find_symmetry


class AglTable:
    """κ by AGL by reduced formula and space group; the space groups of a formula are found when it is first asked for."""

    def __init__(self, crystals: Sequence[Crystal], kappa: np.ndarray) -> None:
        """Keep the entries.

        Args:
            crystals: Crystals with an AGL value.
            kappa: The values at 300 K in W/(m K), [n_crystals].
        """
        self._entries: dict[str, list[tuple[Crystal, float]]] = defaultdict(list)
        for crystal, value in zip(crystals, np.log10(kappa), strict=True):
            self._entries[crystal.composition].append((crystal, float(value)))
        self._groups: dict[str, list[int]] = {}

    def log10_kappa(self, crystals: Sequence[Crystal]) -> np.ndarray:
        """Decimal logarithm of the median of the entries with a crystal's formula and space group, [n]; NaN without one."""
        return np.array([self._find(crystal) for crystal in crystals])

    def _find(self, crystal: Crystal) -> float:
        entries = self._entries.get(crystal.composition, [])
        if not entries:
            return np.nan
        if crystal.composition not in self._groups:
            self._groups[crystal.composition] = [find_symmetry(entry).space_group for entry, _ in entries]
        group = find_symmetry(crystal).space_group
        groups = self._groups[crystal.composition]
        values = [value for (_, value), other in zip(entries, groups, strict=True) if other == group]
        return float(np.median(values)) if values else np.nan


class SlackAgl:
    """The AGL value of the same formula and space group; without one, the training part's median of log κ.

    Calibrated, log10 κ = a + b log10 κ(AGL), by least squares over the training crystals with a value.
    """

    def __init__(self, data_folder: str | Path | None = None, *, calibrated: bool = False) -> None:
        """Load the AGL values.

        Args:
            data_folder: Folder of `aflow_agl.extxyz.gz`; without it, the one that `PARAISITE_DATA` names.
            calibrated: Whether to recalibrate on the training part.

        Raises:
            DataError: The AGL values are not there.
        """
        self.name = "slack_agl_calibrated" if calibrated else "slack_agl"
        self.title = "Slack model (AGL), recalibrated" if calibrated else "Slack model (AGL)"
        self._table = _load_table(find_data_file("aflow_agl.extxyz.gz", data_folder))
        self._calibrated = calibrated
        self._offset, self._slope, self._median = 0.0, 1.0, np.nan
        self._coverage: dict[str, float] = {}

    def fit(
        self,
        crystals: Sequence[Crystal],
        kappa: np.ndarray,
        source: Sequence[Source] | None = None,  # noqa: ARG002 - one noise for all
    ) -> None:
        """See `Candidate.fit`."""
        log10_kappa, value = np.log10(kappa), self._table.log10_kappa(crystals)
        found = np.isfinite(value)
        self._median = float(np.median(log10_kappa))
        self._offset, self._slope = 0.0, 1.0
        if self._calibrated and len(np.unique(value[found])) > 1:
            slope, offset = np.polyfit(value[found], log10_kappa[found], 1)
            self._offset, self._slope = float(offset), float(slope)
        self._coverage = {"coverage_training": float(found.mean())}

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """See `Candidate.predict`."""
        value = self._table.log10_kappa(crystals)
        found = np.isfinite(value)
        self._coverage["coverage"] = float(found.mean())
        return CandidatePrediction(np.where(found, self._offset + self._slope * value, self._median))

    def settings(self) -> dict[str, Any]:
        """See `Candidate.settings`; `coverage` is the share of the crystals of the last prediction with an AGL value."""
        return {
            "offset": self._offset,
            "slope": self._slope,
            "log10_kappa_without_value": self._median,
            **self._coverage,
        }


@lru_cache(maxsize=1)
def _load_table(path: Path) -> AglTable:
    data = load_data_set("aflow_agl", path.parent)
    return AglTable(data.crystals, data.kappa)
