"""Kinds of models as candidates: fitted by their trainers, predicting by their one interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from paraisite.comparison.candidates.interface import CandidatePrediction
from paraisite.datasets.levels import Level, Source
from paraisite.errors import DataError
from paraisite.models.registry import Kind
from paraisite.structures.crystal import Crystal

if TYPE_CHECKING:
    from paraisite.models.interface import ModelOutput

TRAINING = Source("training", Level.FIRST_PRINCIPLES)
"""Stands for the one data set of crystals that come without any."""


class KindCandidate:
    """A kind of models, fitted from its usual start to the training part."""

    def __init__(self, kind: Kind, trainer: Any = None) -> None:
        """Take a kind.

        Args:
            kind: The kind.
            trainer: What fits it; without it, the kind's own.
        """
        self.name, self.title = kind.name, kind.title
        self._kind, self._trainer = kind, trainer
        self._predictor: Any = None
        self._settings: dict[str, Any] = {}

    def fit(self, crystals: Sequence[Crystal], kappa: np.ndarray, source: Sequence[Source] | None = None) -> None:
        """See `Candidate.fit`."""
        from paraisite.models.interface import Labelled  # noqa: PLC0415 - PyTorch for these candidates alone
        from paraisite.prediction.predict import Predictor  # noqa: PLC0415

        trainer = self._trainer or self._kind.make_trainer()
        training = Labelled(crystals, kappa, [TRAINING] * len(crystals) if source is None else list(source))
        model, self._settings = trainer.fit(training)
        self._predictor = Predictor(model)

    def predict(self, crystals: Sequence[Crystal]) -> CandidatePrediction:
        """See `Candidate.predict`.

        Raises:
            DataError: The model cannot predict a crystal.
        """
        parts: list[ModelOutput] = []
        for chunk, said in self._predictor.predict_chunks(crystals):
            for row in sorted(set(range(len(chunk.rows.status))) - set(chunk.predicted.tolist())):
                raise DataError(f"{self.name} cannot predict {chunk.rows.material_id[row]}: {chunk.rows.error[row]}")
            parts.append(said)
        deviations = [said.log10_std for said in parts if said.log10_std is not None]
        low, high = (
            np.log10(np.concatenate([getattr(said.judgement, name) for said in parts]))
            for name in ("kappa_low", "kappa_high")
        )
        return CandidatePrediction(
            np.concatenate([said.point for said in parts]),
            np.concatenate(deviations) if len(deviations) == len(parts) else None,
            *((low, high) if np.isfinite(low).all() else (None, None)),
        )

    def settings(self) -> dict[str, Any]:
        """See `Candidate.settings`."""
        return self._settings
