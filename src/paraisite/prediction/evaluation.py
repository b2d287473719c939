"""Evaluate a model on crystals with known κ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from paraisite.datasets.catalogue import DataSet, known_source, load_data_set, parts_of, select
from paraisite.datasets.identity import crystal_keys, split_keys
from paraisite.metrics import error_metrics
from paraisite.models.card import check_card
from paraisite.models.files import find_model, read_card
from paraisite.models.names import DEFAULT_MODEL
from paraisite.prediction.predict import Predictor
from paraisite.training.checks import scale_warnings


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Errors of a model on a data set.

    Attributes:
        errors: Errors of the members' mean and of their median, and the mean error of the single members: rows `mean`,
            `median`, `members`; columns as in `paraisite.metrics.error_metrics`.
        table: The predictions, with the reference in the column `kappa`.
        data: The data set, with what was left out of it.
        warnings: What is doubtful of κ, a sentence each: another scale than the predictions, as other units give it.
        seen_in_training: Whether the model was trained on this data set, so that the errors say nothing about new crystals.
    """

    errors: pd.DataFrame
    table: pd.DataFrame
    data: DataSet
    seen_in_training: bool
    warnings: tuple[str, ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why crystals of the data set have no part in the errors, a sentence each."""
        failed = self.table.loc[self.table["kappa_median"].isna(), "error"]
        return (*(failure.message for failure in self.data.failures), *failed)


def evaluate(
    data: str | Path | DataSet,
    model: str | Path = DEFAULT_MODEL,
    *,
    data_folder: str | Path | None = None,
    kappa_column: str | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Predict crystals with known κ and compute the errors.

    Args:
        data: Name or path of a data set, or the data set.
        model: Shipped model or model folder.
        data_folder: Folder of what the package does not ship.
        kappa_column: Name of the κ column of a file.
        device: `cpu` or `cuda`.

    Raises:
        ParaisiteError: The data set or the model cannot be used.
    """
    if not isinstance(data, DataSet):
        data = load_data_set(str(data), data_folder, kappa_column)
    predictor = Predictor(model, device=device)
    table = predictor.predict(data.crystals)
    table.insert(3, "kappa", data.kappa)
    good = table[table["kappa_mean"].notna()]
    kappa = good["kappa"].to_numpy()
    names = [f"kappa_{member}" for member in range(1, predictor.n_members + 1)]
    members = pd.DataFrame([error_metrics(kappa, good[name].to_numpy()) for name in names])
    errors = pd.DataFrame(
        [
            error_metrics(kappa, good["kappa_mean"].to_numpy()),
            error_metrics(kappa, good["kappa_median"].to_numpy()),
            members.mean().to_dict(),
        ],
        index=["mean", "median", "members"],
    )
    predicted = select(data, good.index.tolist(), ())
    warnings = scale_warnings(predicted, good["kappa_median"].to_numpy()) if len(good) else []
    return Evaluation(errors, table, data, _seen(data, model), tuple(warnings))


def _seen(data: DataSet, model: str | Path) -> bool:
    """Whether the model was trained on a data set of this name or its parts, or on a crystal of it with the same κ."""
    folder = find_model(model)
    card = check_card(read_card(folder), folder)
    stages = [] if card.recipe is None else [stage.data for stage in card.recipe.stages]
    trained = frozenset[str]().union(*(parts_of(name) for name in [*stages, *card.data_sets]))
    # A file that is named like a data set of the package is another one.
    named = parts_of(data.name) if data.catalogued or known_source(data.name) is None else frozenset[str]()
    return bool(named & trained or crystal_keys(data) & split_keys(card.trained_on_crystals))
