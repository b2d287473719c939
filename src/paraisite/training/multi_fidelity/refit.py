"""Add the user's own crystals to the multi-fidelity model: its processes are fitted anew, in seconds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.datasets.catalogue import DataSet, load_data_set
from paraisite.datasets.levels import Source
from paraisite.errors import DataError
from paraisite.json_text import json_text
from paraisite.metrics import error_metrics
from paraisite.models.files import find_model, read_card
from paraisite.models.interface import FitProgress, RefitOptions, ignore_progress
from paraisite.models.multi_fidelity.files import load_multi_fidelity, save_multi_fidelity
from paraisite.models.multi_fidelity.kind import MultiFidelityModel
from paraisite.models.multi_fidelity.model import MultiFidelity
from paraisite.models.names import DEFAULT_MODEL
from paraisite.outputs import output_folder
from paraisite.training.checks import CheckedData, check_training_data
from paraisite.training.multi_fidelity.fit import (
    TrainingCrystals,
    describe_fit,
    fit_domains,
    fit_multi_fidelity,
)
from paraisite.uncertainty.files import load_uncertainty, save_uncertainty
from paraisite.version import __version__


def refit(
    data: str | Path | DataSet,
    folder: str | Path,
    model: str | Path = DEFAULT_MODEL,
    options: RefitOptions = RefitOptions(),  # noqa: B008 - frozen
) -> MultiFidelity:
    """Fit the processes of a multi-fidelity model to its own crystals and the user's.

    The user's values get a noise of their own, also where their file is named like a data set that the model knows. A crystal
    that the model has from another source counts twice, once by each. Crystals are checked first; see
    `paraisite.training.checks.check_training_data`.

    Args:
        data: Crystals with κ at 300 K in W/(m K): see `paraisite.datasets.catalogue.load_data_set`.
        folder: Gets the model, `errors.json` (errors of the user's crystals, each by the member that held its composition
            out) and `predictions.csv`.
        model: The multi-fidelity model to start from.
        options: Name of the κ column, level and noise of the values, whether another scale is accepted, what is told of the
            progress (see `FitProgress`), and whether to replace what is in the way.

    Returns:
        The model.

    Raises:
        OutputError: The folder holds other files, or a model of other data.
        ParaisiteError: Data or model cannot be used.
    """
    folder, origin = Path(folder), find_model(model)
    start, mine = load_multi_fidelity(origin), _user_data(data, options)
    made_from = f"{len(mine)} crystals of {Path(mine.name).name} (hash {_short_hash(mine)})"
    reads = [] if isinstance(data, DataSet) else [data]
    report = options.report or ignore_progress
    with output_folder(folder, "finetune", inputs=made_from, reads=reads, force=options.force) as new:
        report(FitProgress("checks", 0, 1))
        checked = check_training_data(mine, MultiFidelityModel(start), accept_scale=options.accept_scale)
        report(FitProgress("checks", 1, 1))
        return _fit_into(new, checked, origin, report, name=folder.name)


def _fit_into(
    folder: Path, checked: CheckedData, origin: Path, report_progress: Callable[[FitProgress], None], *, name: str
) -> MultiFidelity:
    """Fit to crystals that were checked, and write an empty folder; `name` is that of the folder that it becomes."""
    start = load_multi_fidelity(origin)
    mine, warnings = replace(checked.data, name=Path(checked.data.name).name), list(checked.warnings)
    source = _own_source(mine.source, start.data.sources)
    known = TrainingCrystals.of(start)
    if source.identity in {one.identity for one in start.data.sources}:
        known = known.take(known.source != source.name)
        warnings.append(f"The model was fitted to these crystals of {mine.name} already: they count once.")
    report_progress(FitProgress("descriptors", 0, 1))
    new = TrainingCrystals.describe(mine.crystals, mine.kappa, [source] * len(mine.crystals))
    report_progress(FitProgress("descriptors", 1, 1))
    fitted, report = fit_multi_fidelity(start.surrogates, known + new, report_progress)
    card = read_card(origin)
    content: dict[str, Any] = {
        **{key: card[key] for key in ("intended_domain", "not_for", "licence", "training_data") if key in card},
        "name": name,
        "description": f"{card.get('name', origin.name)} with {len(mine.crystals)} crystals of {mine.name}",
        "version": __version__,
        "fit": describe_fit(fitted, report),
    }
    save_multi_fidelity(fitted, folder, content)
    before = load_uncertainty(origin)
    if before is not None:
        save_uncertainty(fit_domains(fitted, f"{before.domain.name} and {mine.name}", before.earlier), folder)
    rows = slice(len(known.log10_kappa), None)
    _write_errors(folder, mine, 10 ** report.log10_mean[rows], fitted.data.fold[rows], warnings)
    return fitted


def _short_hash(data: DataSet) -> str:
    return hashlib.sha256(replace(data, catalogued=False).source.identity.encode()).hexdigest()[:12]


def _user_data(data: str | Path | DataSet, options: RefitOptions) -> DataSet:
    loaded = data
    if not isinstance(loaded, DataSet):
        loaded = load_data_set(str(data), options.data_folder, options.kappa_column or None)
    if options.level:
        loaded = replace(loaded, level=options.level, noise_log10=options.noise_log10, low=None)
    elif options.noise_log10 is not None:
        loaded = replace(loaded, noise_log10=options.noise_log10)
    if loaded.source.low:
        raise DataError(
            f"The values of {loaded.name} are of the level {loaded.level!r}, which a model corrects and is not corrected by; "
            "give κ by first principles or measurement."
        )
    return loaded


def _own_source(source: Source, known: Sequence[Source]) -> Source:
    """The source under a name that no other data set has; a source whose identity was not kept counts as the same."""
    identities = {one.name: one.identity for one in known}
    name, number = source.name, 1
    while identities.get(name, "") not in {"", source.identity}:
        number += 1
        name = f"{source.name} ({number})"
    return replace(source, name=name)


def _write_errors(folder: Path, data: DataSet, held_out: np.ndarray, fold: np.ndarray, warnings: Sequence[str]) -> None:
    table = pd.DataFrame({
        "material_id": [crystal.material_id for crystal in data.crystals],
        "formula": [crystal.formula for crystal in data.crystals],
        "kappa": data.kappa,
        "kappa_held_out": held_out,
        "member": fold + 1,
    })  # fmt: skip
    write_text_atomic(folder / "predictions.csv", table.to_csv(index=False))
    content: dict[str, Any] = {
        "held_out": error_metrics(data.kappa, held_out),
        "n_crystals": len(data.kappa),
        "left_out": [{"source": failure.source, "message": failure.message} for failure in data.failures],
        "warnings": list(warnings),
    }
    write_text_atomic(folder / "errors.json", json_text(content, indent=2) + "\n")
