"""Predictions of an ensemble whose errors are known."""

from __future__ import annotations

import numpy as np
import pandas as pd


def simulated(
    n_crystals: int, seed: int, *, noise: float = 0.3, own_noise: float = 0.3, n_members: int = 9
) -> pd.DataFrame:
    """Predictions of members that are off by an error of their own and by one they share, each held out of a fifth."""
    random = np.random.default_rng(seed)
    log_kappa = random.normal(2, 1.5, n_crystals)
    shared = random.normal(0, noise, n_crystals)
    held_out = random.random((n_members, n_crystals)) < 0.2
    predicted = log_kappa + shared + random.normal(0, own_noise, (n_members, n_crystals))
    return pd.DataFrame({
        "run": np.repeat(np.arange(n_members), n_crystals),
        "material_id": [f"id-{number}" for number in range(n_crystals)] * n_members,
        "formula": [f"F{number // 2}" for number in range(n_crystals)] * n_members,
        "part": np.where(held_out, "validation", "train").ravel(),
        "kappa": np.tile(np.exp(log_kappa), n_members),
        "kappa_selected": np.exp(predicted).ravel(),
    })  # fmt: skip
