"""Fit a model to the user's own crystals too, whatever its kind."""

from __future__ import annotations

from pathlib import Path

from paraisite.datasets.catalogue import DataSet
from paraisite.models.interface import RefitOptions, Refitted
from paraisite.models.names import DEFAULT_MODEL
from paraisite.models.registry import kind_of_model


def finetune(
    data: str | Path | DataSet,
    folder: str | Path,
    options: RefitOptions = RefitOptions(),  # noqa: B008 - frozen
    *,
    model: str | Path = DEFAULT_MODEL,
) -> Refitted:
    """Fit a model to the user's own crystals too.

    The multi-fidelity model is fitted anew to its crystals and the user's, and lies in `folder`; see
    `paraisite.training.multi_fidelity.refit.refit`. Networks are fine-tuned on the user's crystals alone: every member trains
    on 80 % of them, another 80 % each; its errors on the other 20 % are in `folder/finetune/errors.json`, the model in
    `folder/finetune/model`. Other kinds say for themselves what they do.

    The crystals are checked first, see `paraisite.training.checks.check_training_data`: κ on another scale than the model's
    predictions is refused unless `accept_scale` is set; what is merged or left out is in the result.

    Args:
        data: Crystals with κ.
        folder: The run's folder; a stopped run of networks is continued.
        options: How, as far as it concerns the kind of the model.
        model: Model to start from; `FEAF` for networks.

    Returns:
        Where the new model lies, its errors on held-out crystals, what was left out, and warnings;
        `paraisite.load_model` loads it.

    Raises:
        ParaisiteError: Data, model or run folder cannot be used.
    """
    kind, _ = kind_of_model(model)
    return kind.make_trainer().refit(model, data, Path(folder), options)
