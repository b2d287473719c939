"""Whether intervals and domain keep their word: coverage on crystals that took no part, and error by domain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from paraisite.errors import DataError
from paraisite.metrics import MIN_KAPPA_W_PER_MK, error_metrics
from paraisite.uncertainty.conformal import LEVEL, HeldOut, Residuals, quantile_rank

COLUMNS = (
    "material_id",
    "formula",
    "kappa_reference",
    "kappa_low",
    "kappa_high",
    "covered",
    "n_members",
    "n_residuals",
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the intervals of held-out crystals hold their κ.

    Attributes:
        level: Share that they are to hold.
        expected: Share that as few residuals as there are give on average, a little above the level.
        coverage: Share that they hold.
        standard_error: Of the share, from the number of crystals.
        median_width: Median of upper end / lower end, a factor.
        table: One row a crystal: `material_id`, `formula`, `kappa_reference`, `kappa_low`, `kappa_high` in W/(m K),
            `covered`, and `n_members` and `n_residuals` that the interval was made of.
    """

    level: float
    expected: float
    coverage: float
    standard_error: float
    median_width: float
    table: pd.DataFrame


def measured_coverage(
    predictions: pd.DataFrame,
    calibration: pd.DataFrame | None = None,
    *,
    apart: str = "formula",
    column: str = "kappa_selected",
    level: float = LEVEL,
) -> Coverage:
    """Measure the coverage of the intervals on the validation crystals of a trained stage, each crystal once.

    The κ of a tested crystal takes no part in its interval: the ensemble is cut down to the members that did not train on
    it, and the residuals are theirs on other crystals, without any of its composition. One to a few members are left, where
    a new crystal has them all: single members are off by more, so these intervals are wider.

    Args:
        predictions: A stage's `predictions.csv`, of a stage whose validation part did not select the epoch.
        calibration: Predictions of another run on the same crystals to take the residuals from, for example of random splits
            where `predictions` are of splits by composition.
        apart: Column whose value a crystal in the residuals may not share with the tested one: `formula` or `material_id`.
        column: Column of the predicted κ.
        level: Share of crystals whose κ the intervals are to hold.

    Returns:
        The coverage; crystals that are in no validation part, or for which too few residuals are left, are not tested.

    Raises:
        DataError: The two runs are of different crystals, or no crystal can be tested.
    """
    tested = HeldOut.from_predictions(predictions, column)
    pool = tested if calibration is None else HeldOut.from_predictions(calibration, column)
    if not tested.crystals["material_id"].equals(pool.crystals["material_id"]):
        raise DataError(
            "The predictions and those to calibrate by are of different crystals; give two runs of one data set."
        )
    names = tested.crystals[apart].to_numpy()
    rows = []
    for crystal in np.flatnonzero(tested.held_out.any(axis=0)):
        own, others = tested.held_out[:, crystal], pool.held_out[:, crystal]
        residuals, crystals = pool.residuals("", others)
        kept = names[crystals] != names[crystal]
        values, held_out = residuals.values[kept], residuals.held_out[:, kept]
        predicted = tested.predicted[own, crystal]
        if calibration is not None:  # members of another run: what they share is the mean
            predicted, held_out = predicted.mean(keepdims=True), np.ones((1, len(values)), dtype=bool)
        if quantile_rank(len(values), level) is None:
            continue
        low, high = Residuals(values, held_out, "").interval(np.exp(predicted)[:, None], level)
        known = tested.crystals.iloc[crystal]
        covered = bool(low[0] <= known["kappa"] <= high[0])
        rows.append((*known, low[0], high[0], covered, int(own.sum()), len(values)))
    if not rows:
        raise DataError(
            "No crystal has enough residuals of others to be tested; give a stage with more crystals or runs."
        )
    return _summarise(pd.DataFrame(rows, columns=list(COLUMNS)), level)


def _summarise(table: pd.DataFrame, level: float) -> Coverage:
    ranks = [(quantile_rank(n, level) or n) / (n + 1) for n in table["n_residuals"]]
    share = float(table["covered"].mean())
    return Coverage(
        level=level,
        expected=float(np.mean(ranks)),
        coverage=share,
        standard_error=float(np.sqrt(share * (1 - share) / len(table))),
        median_width=float((table["kappa_high"] / table["kappa_low"]).median()),
        table=table,
    )


def error_by_domain(table: pd.DataFrame) -> pd.DataFrame:
    """Errors of predictions inside, at the edge and outside of the model's domain.

    Args:
        table: Predictions with `kappa_reference`, `kappa`, `kappa_low`, `kappa_high` in W/(m K) and `domain`, such as the
            table of `paraisite.evaluate`.

    Returns:
        One row a domain that occurs: `n_crystals`, the errors of `kappa` of `paraisite.metrics.error_metrics`,
        `median_factor` (median of κ / predicted or its inverse, whichever is above 1) and `coverage` of the intervals.
    """
    rows = {}
    for domain in ("inside", "edge", "outside"):
        chosen = table[(table["domain"] == domain) & table["kappa"].notna()]
        if len(chosen) == 0:
            continue
        known, predicted = chosen["kappa_reference"].to_numpy(), chosen["kappa"].to_numpy()
        difference = np.abs(np.log(np.maximum(predicted, MIN_KAPPA_W_PER_MK) / known))
        calibrated = chosen[chosen["kappa_low"].notna()]
        covered = calibrated["kappa_reference"].between(calibrated["kappa_low"], calibrated["kappa_high"])
        rows[domain] = {
            "n_crystals": len(chosen),
            **error_metrics(known, predicted),
            "median_factor": float(np.exp(np.median(difference))),
            "coverage": float(covered.mean()) if len(calibrated) else float("nan"),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
