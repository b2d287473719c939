"""The project's own network as a candidate: the shipped AFLOW ensemble, fine-tuned as `paraisite finetune` does it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from paraisite.comparison.candidates.interface import CandidatePrediction
from paraisite.errors import DataError
from paraisite.metrics import MIN_KAPPA_W_PER_MK
from paraisite.prediction.table import member_columns
from paraisite.structures.convert import to_ase
from paraisite.structures.crystal import Crystal

EPOCHS = 300


class FineTunedNetwork:
    """The mean of the members' log10 κ, each fine-tuned on another 80 % of the training part.

    The epoch of each member is selected inside its 80 %. The variance is that over the members plus the mean squared error
    of log10 κ on the training crystals by those members that held them out; the interval is the model's own calibrated one
    (see `paraisite.uncertainty.conformal`), from the same errors.
    """

    name = "network"
    title = "Network (formation energies, AFLOW, fine-tuned)"

    def __init__(self, *, epochs: int = EPOCHS) -> None:
        """Make one that has not been fitted.

        Args:
            epochs: Epochs of the fine-tuning.
        """
        self._epochs = epochs
        self._predictor: Any = None
        self._rms = math.nan
        self._recipe: dict[str, Any] = {}

    def fit(
        self,
        crystals: Sequence[Crystal],
        kappa: np.ndarray,
        source: np.ndarray | None = None,  # noqa: ARG002 - one noise for all
    ) -> None:
        """See `Candidate.fit`; the training's folder is a temporary one."""
        from paraisite.prediction.predict import Predictor  # noqa: PLC0415 - only this candidate needs it
        from paraisite.training.finetune import STAGE_NAME, START_MODEL, finetune  # noqa: PLC0415

        with TemporaryDirectory(prefix="paraisite_network_") as folder:
            data, run = Path(folder) / "training.extxyz", Path(folder) / "run"
            _write(data, crystals, kappa)
            finetune(data, run, model=START_MODEL, epochs=self._epochs, selection="inner")
            self._predictor = Predictor(run / STAGE_NAME / "model", threads=1, members=True)
        residuals = self._predictor.backend.uncertainty.residuals
        self._rms = float(np.sqrt((residuals.values**2).mean()) / math.log(10))
        self._recipe = {"initial": START_MODEL, "epochs": self._epochs, "selection": "inner"}

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """See `Candidate.predict`.

        Raises:
            DataError: The network cannot predict a crystal.
        """
        table = self._predictor.predict(crystals)
        bad = table[table["kappa"].isna()]
        if len(bad):
            raise DataError(f"The network cannot predict {bad['material_id'].iloc[0]}: {bad['error'].iloc[0]}")
        names = member_columns(self._predictor.n_members)
        members = np.log10(np.maximum(table[names].to_numpy(), MIN_KAPPA_W_PER_MK))
        low, high = np.log10(table[["kappa_low", "kappa_high"]].to_numpy()).T
        calibrated = (low, high) if np.isfinite(low).all() else (None, None)
        std = np.sqrt(members.var(axis=1) + self._rms**2)
        return CandidatePrediction(members.mean(axis=1), std, *calibrated)

    def settings(self) -> dict[str, Any]:
        """See `Candidate.settings`; `held_out_rms` is the error of log10 κ on the crystals that members held out."""
        return {**self._recipe, "held_out_rms": self._rms}


def _write(path: Path, crystals: Sequence[Crystal], kappa: np.ndarray) -> None:
    """Write the training part as the user would."""
    from ase.io import write  # noqa: PLC0415 - slow to import

    frames = [
        to_ase(
            replace(crystal, properties={"kappa": float(value)}, material_id=crystal.material_id or f"crystal_{row}")
        )
        for row, (crystal, value) in enumerate(zip(crystals, kappa, strict=True), 1)
    ]
    write(path, frames, format="extxyz")
