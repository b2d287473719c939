"""Evaluate a model on crystals with known κ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from paraisite.datasets.catalogue import DataSet, known_source, load_data_set, parts_of, select
from paraisite.datasets.identity import crystal_keys, split_keys
from paraisite.html_tables import html_table
from paraisite.metrics import error_metrics
from paraisite.models.card import check_card
from paraisite.models.files import find_model, read_card
from paraisite.models.names import DEFAULT_MODEL
from paraisite.prediction.predict import Predictor
from paraisite.prediction.table import member_columns
from paraisite.training.checks import scale_warnings


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Errors of a model on a data set.

    Attributes:
        errors: Errors of the estimate, and with `members` the mean error of the single members: rows `kappa`, `members`;
            columns as in `paraisite.metrics.error_metrics`.
        table: The predictions, with the known κ in the column `kappa_reference`.
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
        failed = self.table.loc[self.table["kappa"].isna(), "error"]
        return (*(failure.message for failure in self.data.failures), *failed)

    def _repr_html_(self) -> str:
        """What a notebook shows: the errors."""
        names = [str(name) for name in self.errors.columns]
        values = zip(self.errors.index, self.errors.to_numpy(), strict=True)
        rows = [(label, *(f"{value:.3g}" for value in row)) for label, row in values]
        seen = "; the model was trained on these crystals" if self.seen_in_training else ""
        return html_table(("", *names), rows, f"Errors on {self.data!r}{seen}")


def evaluate(
    data: str | Path | DataSet,
    model: str | Path = DEFAULT_MODEL,
    *,
    data_folder: str | Path | None = None,
    kappa_column: str | None = None,
    device: str = "cpu",
    members: bool = False,
) -> Evaluation:
    """Predict crystals with known κ and compute the errors.

    Args:
        data: Name or path of a data set, or the data set.
        model: Shipped model or model folder.
        data_folder: Folder of what the package does not ship.
        kappa_column: Name of the κ column of a file.
        device: `cpu` or `cuda`.
        members: Whether to give the members' κ and their mean error too.

    Raises:
        ParaisiteError: The data set or the model cannot be used.
    """
    if not isinstance(data, DataSet):
        data = load_data_set(str(data), data_folder, kappa_column)
    predictor = Predictor(model, device=device, members=members)
    table = predictor.predict(data.crystals)
    table.insert(3, "kappa_reference", data.kappa)
    good = table[table["kappa"].notna()]
    known = good["kappa_reference"].to_numpy()
    rows = {"kappa": error_metrics(known, good["kappa"].to_numpy())}
    if members:
        each = [error_metrics(known, good[name].to_numpy()) for name in member_columns(predictor.n_members)]
        rows["members"] = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
    predicted = select(data, good.index.tolist(), ())
    warnings = scale_warnings(predicted, good["kappa"].to_numpy()) if len(good) else []
    errors = pd.DataFrame.from_dict(rows, orient="index")
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
