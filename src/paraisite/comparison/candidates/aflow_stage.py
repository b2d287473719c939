"""The shipped AFLOW-stage network's prediction as a feature of other candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paraisite.errors import DataError
from paraisite.features.row_cache import RowCache
from paraisite.features.structure import structure_features
from paraisite.metrics import MIN_KAPPA_W_PER_MK
from paraisite.prediction.predict import Predictor
from paraisite.structures.crystal import Crystal

AFLOW_STAGE_MODEL = "FEAF"
"""Shipped model whose prediction serves as a feature: formation energies, then AFLOW; it never saw a first-principles κ."""


def aflow_stage_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Prediction of the shipped AFLOW-stage model: log10 of its median κ at 300 K in W/(m K), [n_crystals, 1].

    Raises:
        DataError: The model cannot predict a crystal.
    """
    return _aflow_stage_rows(crystals)


def structure_and_aflow_stage_features(crystals: Sequence[Crystal]) -> np.ndarray:
    """Structure features and the AFLOW stage's prediction, [n_crystals, 19]."""
    return np.hstack([structure_features(crystals), aflow_stage_features(crystals)])


def _aflow_stage_matrix(crystals: Sequence[Crystal]) -> np.ndarray:
    table = Predictor(AFLOW_STAGE_MODEL, threads=1).predict(crystals)
    bad = table[table["kappa"].isna()]
    if len(bad):
        raise DataError(f"{AFLOW_STAGE_MODEL} cannot predict {bad['material_id'].iloc[0]}: {bad['error'].iloc[0]}")
    return np.asarray(np.log10(np.maximum(table[["kappa"]].to_numpy(), MIN_KAPPA_W_PER_MK)))


_aflow_stage_rows = RowCache(_aflow_stage_matrix)
