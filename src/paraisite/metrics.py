"""Errors of predicted κ."""

from __future__ import annotations

import numpy as np

MIN_KAPPA_W_PER_MK = 1e-3
"""Predictions at or below this are raised to it before a logarithm: 10^z - 1 can fall below zero, κ cannot."""


def error_metrics(kappa: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Compute the errors of one set of predictions.

    Args:
        kappa: Reference κ in W/(m K), [n], all above zero.
        predicted: Predicted κ in W/(m K), [n].

    Returns:
        `mape`, `median_ape`, `mae_w_per_mk`, `rmse_w_per_mk`, `mae_log10`, `r2`, `spearman`, `sre`, `within_factor_2`.
        `sre` is the symmetric relative error of Matbench Discovery, mean of 2 |p - κ| / (p + κ), between 0 and 2
        (https://github.com/janosh/matbench-discovery/blob/023dca9/matbench_discovery/metrics/phonons.py).
    """
    from scipy.stats import spearmanr  # noqa: PLC0415 - over a second, and a prediction has no use for it

    relative = np.abs(predicted - kappa) / kappa
    difference = np.log10(np.maximum(predicted, MIN_KAPPA_W_PER_MK)) - np.log10(kappa)
    possible = np.maximum(predicted, 0)  # at most 2, also for a prediction below zero
    spread = float(((kappa - kappa.mean()) ** 2).sum())
    several = len(kappa) > 1 and len(np.unique(predicted)) > 1 and len(np.unique(kappa)) > 1
    return {
        "mape": float(relative.mean()),
        "median_ape": float(np.median(relative)),
        "mae_w_per_mk": float(np.abs(predicted - kappa).mean()),
        "rmse_w_per_mk": float(np.sqrt(((predicted - kappa) ** 2).mean())),
        "mae_log10": float(np.abs(difference).mean()),
        "r2": 1 - float(((predicted - kappa) ** 2).sum()) / spread if spread > 0 else float("nan"),
        "spearman": float(spearmanr(kappa, predicted).statistic) if several else float("nan"),
        "sre": float((2 * np.abs(possible - kappa) / (possible + kappa)).mean()),
        "within_factor_2": float((np.abs(difference) <= np.log10(2)).mean()),
    }
