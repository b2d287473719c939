"""The training loop: all members in one pass, each crystal masked out of the loss of those that it validates."""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, pi

import numpy as np
import torch
from torch import Tensor

from paraisite.datasets.splits import Splits
from paraisite.graphs.store import GraphStore
from paraisite.metrics import MIN_KAPPA_W_PER_MK
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.paraisite import ParAIsite
from paraisite.models.network.target import MAX_LOGARITHM
from paraisite.training.network.data import StageData
from paraisite.training.network.recipe import Loss, StageRecipe
from paraisite.training.network.state import METRICS, TrainingState

EVALUATION_GRAPHS, EVALUATION_EDGES = 256, 4000
"""Size of a batch of validation: a member's features of it stay in a core's cache."""
PUBLISHED_AFLOW_SCALE = (0.73215, 0.37621)
"""Mean and standard deviation of log10(κ + 1) over the published AFLOW set: the scale that the published step 3 kept."""


def learning_rate(stage: StageRecipe, epoch: int) -> float:
    """Learning rate of an epoch, counted from 0: a cosine from `learning_rate` to the floor over `cosine_epochs`."""
    share = (1 + cos(pi * min(epoch / stage.cosine_epochs, 1.0))) / 2
    return float(stage.learning_rate_floor) + (stage.learning_rate - stage.learning_rate_floor) * share


def epoch_batches(n_crystals: int, size: int, seed: list[int], epoch: int) -> list[np.ndarray]:
    """Shuffled batches of an epoch, a function of seed and epoch alone, so that a resumed run sees the same ones."""
    order = np.random.default_rng([*seed, epoch]).permutation(n_crystals)
    return [order[start : start + size] for start in range(0, n_crystals, size)]


def joint_batch_size(splits: Splits, batch_size: int) -> int:
    """Crystals of the whole data set in a batch, so that a member trains on `batch_size` of them on average.

    A member then takes as many steps an epoch as it would alone.
    """
    return max(1, round(batch_size / float(splits.train.mean())))


def member_mape(kappa: Tensor, predicted: Tensor, mask: Tensor) -> Tensor:
    """Mean |predicted - κ| / |κ| of each member over the crystals of its mask: [n_members]; NaN for an empty mask.

    Args:
        kappa: κ in W/(m K), [n] or [n_members, n].
        predicted: Predictions in W/(m K), [n_members, n].
        mask: [n_members, n] bool.
    """
    relative = (predicted - kappa).abs() / kappa.abs()  # a compressed κ can lie below zero
    # Chosen, not multiplied: an error that is not finite must not reach a member that has the crystal in another part.
    return torch.where(mask, relative, 0.0).sum(dim=1) / mask.sum(dim=1)


def predict_store(model: ParAIsite, store: GraphStore) -> Tensor:
    """Predict the standardised target of every graph, [n_members, n_graphs], on the model's device."""
    device = next(model.parameters()).device
    with torch.no_grad():
        parts = [
            model(GraphBatch.from_arrays(store.collate(indices), device))
            for indices in store.batches(EVALUATION_GRAPHS, EVALUATION_EDGES)
        ]
    return torch.cat(parts, dim=1)


def train_epochs(state: TrainingState, data: StageData, stage: StageRecipe, seed: list[int]) -> Iterator[TrainingState]:
    """Train until the stage's last epoch, from wherever the state stands.

    Args:
        state: The state, changed in place.
        data: Graphs, κ and splits.
        stage: What to do.
        seed: Seed of the order of the crystals.

    Yields:
        The state after every epoch, to save and to report.
    """
    device = next(state.model.parameters()).device
    kappa = data.kappa.to(device)
    masks = {
        name: torch.as_tensor(getattr(data.splits, name), device=device)
        for name in ("train", "selection", "validation")
    }
    batch_size = joint_batch_size(data.splits, stage.batch_size)
    while state.epoch < stage.epochs and not _exhausted(state, stage):
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(stage, state.epoch)
        row = torch.full((state.model.settings.n_members, len(METRICS)), torch.nan, dtype=torch.float64)
        batches = epoch_batches(len(data.store), batch_size, seed, state.epoch)
        row[:, 0], row[:, 5] = _train_epoch(state, data.store, kappa, masks, batches, loss_name=stage.loss)
        state.epoch += 1
        if state.epoch % stage.validate_every == 0 or state.epoch == stage.epochs:
            row[:, 1:5] = _validate(state.model, data.store, kappa, masks, stage.loss)
            state.keep_best(row[:, 1])
        state.history.append(row)
        yield state


def _exhausted(state: TrainingState, stage: StageRecipe) -> bool:
    """Whether no member has improved for the stage's patience; asked after validated epochs alone."""
    waited = state.epoch - int(state.best_epoch.max())
    return stage.patience > 0 and state.epoch % stage.validate_every == 0 and waited >= stage.patience


def _train_epoch(
    state: TrainingState,
    store: GraphStore,
    kappa: Tensor,
    masks: dict[str, Tensor],
    batches: list[np.ndarray],
    *,
    loss_name: Loss = "mape",
) -> tuple[Tensor, Tensor]:
    """Train one epoch; mean training loss and validation error of the predictions on the way, each [n_members]."""
    device = kappa.device
    sums = torch.zeros(2, 2, masks["train"].shape[0], device=device)
    for indices in batches:
        chosen = torch.as_tensor(indices, device=device)
        standardised = state.model(GraphBatch.from_arrays(store.collate(indices), device))
        reference, predicted = _compared(state.model, kappa[chosen], standardised, loss_name)
        relative = (predicted - reference).abs() / reference.abs()
        train = masks["train"][:, chosen]
        # A member without a training crystal in this batch contributes nothing, not 0/0.
        loss = ((relative * train).sum(dim=1) / train.sum(dim=1).clamp(min=1)).sum()
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        for row, mask in enumerate((train, masks["validation"][:, chosen])):
            sums[row, 0] += (relative.detach() * mask).sum(dim=1)
            sums[row, 1] += mask.sum(dim=1)
    means = (sums[:, 0] / sums[:, 1]).double().cpu()
    return means[0], means[1]


def _validate(
    model: ParAIsite, store: GraphStore, kappa: Tensor, masks: dict[str, Tensor], loss: Loss = "mape"
) -> Tensor:
    """Errors after an epoch, [n_members, 4]: the second to fifth of `METRICS`."""
    standardised = predict_store(model, store)
    predicted = model.target.inverse(standardised)
    validation = masks["validation"]
    logarithms = predicted.clamp(min=MIN_KAPPA_W_PER_MK).log10() - kappa.log10()
    errors = [
        member_mape(*_compared(model, kappa, standardised, loss), masks["selection"]),
        member_mape(kappa, predicted, validation),
        (logarithms.abs() * validation).sum(dim=1) / validation.sum(dim=1),
        compressed_mape(model, kappa, standardised, validation),
    ]
    return torch.stack(errors, dim=1).double().cpu()


def _compared(model: ParAIsite, kappa: Tensor, standardised: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """Reference and prediction as the loss sees them: κ, or the published step 3's compressed κ."""
    if loss == "mape":
        return kappa, model.target.inverse(standardised)
    mean, deviation = PUBLISHED_AFLOW_SCALE

    def compressed(values: Tensor) -> Tensor:
        # Held where κ is held too: beyond, it overflows, and one wild crystal makes errors and gradients NaN.
        return 10 ** (mean + deviation * values).clamp(max=MAX_LOGARITHM) - 1

    return compressed(model.target(kappa)), compressed(standardised)


def compressed_mape(model: ParAIsite, kappa: Tensor, standardised: Tensor, mask: Tensor) -> Tensor:
    """The published step 3's error: labels and predictions mapped back by AFLOW's scale, a compressed κ; [n_members].

    For comparison with the published figure only: it is not an error of κ.

    Args:
        model: The ensemble, whose own scale standardised the labels.
        kappa: κ in W/(m K), [n].
        standardised: Standardised predictions, [n_members, n].
        mask: [n_members, n] bool.
    """
    return member_mape(*_compared(model, kappa, standardised, "compressed_mape"), mask)
