"""Training of the multi-fidelity model: surrogates by gradient descent, the processes by their marginal likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paraisite.datasets.levels import Source
from paraisite.errors import DataError
from paraisite.features.descriptors import describe_crystals
from paraisite.models.interface import FitProgress, ignore_progress
from paraisite.models.multi_fidelity.model import (
    LOW,
    N_CORRECTION,
    FirstPrinciples,
    Member,
    MultiFidelity,
    Surrogate,
    assign_folds,
    low_levels,
)
from paraisite.structures.crystal import Crystal
from paraisite.threads import torch_settings
from paraisite.training.multi_fidelity.calibration import CAUTIONS, HeldOutPredictions, choose_caution
from paraisite.training.multi_fidelity.hyperparameters import fit_parameters, parameter_crystals
from paraisite.training.multi_fidelity.shared import condition_shared
from paraisite.uncertainty.domain import Domain, fit_domain, formula_presence
from paraisite.uncertainty.judgement import Uncertainty

N_MEMBERS = 9
MIN_COMPOSITIONS = 2
N_DOMAIN_PARTS = 5
FOLD_SEED = 0
MAX_OWN = 600
"""Crystals up to which every member has hyperparameters of its own; of more, all share those of `PARAMETER_CRYSTALS`."""


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit found out by its inner folds.

    Attributes:
        n_tried: Settings that were compared: cautions.
        log10_mean: Mean of log10 κ of each crystal by the member that held it out, [n].
        log10_std: Its standard deviation, calibrated as the model's, [n].
    """

    n_tried: int
    log10_mean: np.ndarray
    log10_std: np.ndarray


@dataclass(frozen=True, slots=True)
class SurrogateSettings:
    """How the surrogate is trained.

    Attributes:
        n_networks: Networks whose mean is taken.
        width: Width of the two hidden layers.
        epochs: Passes over the crystals.
        batch_size: Crystals of a step.
        learning_rate: Highest rate of the one-cycle schedule (arXiv 1708.07120).
        weight_decay: Of AdamW.
        seed: Of initial weights and order.
    """

    n_networks: int = 8
    width: int = 128
    epochs: int = 150
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    seed: int = 0


def train_surrogate(
    descriptors: np.ndarray,
    log10_kappa: np.ndarray,
    settings: SurrogateSettings = SurrogateSettings(),
    source: Source = LOW,
) -> Surrogate:
    """Train the surrogate of a low level on crystals with its values.

    Args:
        descriptors: [n, 65].
        log10_kappa: log10 of κ at 300 K in W/(m K), [n].
        settings: How.
        source: Their data set.
    """
    offset, scale = descriptors.mean(axis=0), descriptors.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    target = float(log10_kappa.mean()), float(log10_kappa.std())
    inputs = torch.as_tensor((descriptors - offset) / scale, dtype=torch.float32)
    wanted = torch.as_tensor((log10_kappa - target[0]) / target[1], dtype=torch.float32)
    with torch_settings(1):
        weights, biases = _train_networks(inputs, wanted, settings)
    return Surrogate(
        offset,
        scale,
        tuple(weight.detach().numpy() for weight in weights),
        tuple(bias.detach().numpy() for bias in biases),
        target,
        source,
    )


def _train_networks(inputs: Tensor, wanted: Tensor, settings: SurrogateSettings) -> tuple[list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(settings.seed)
    n_networks, n = settings.n_networks, len(wanted)
    sizes = (inputs.shape[1], settings.width, settings.width, 1)
    weights = [
        (
            torch.randn(n_networks, n_in, n_out, generator=generator) * sqrt((1 if n_out == 1 else 2) / n_in)
        ).requires_grad_()
        for n_in, n_out in pairwise(sizes)
    ]
    biases = [torch.zeros(n_networks, 1, n_out, requires_grad=True) for n_out in sizes[1:]]
    batch = min(settings.batch_size, n)
    steps = settings.epochs * (n // batch)
    optimizer = torch.optim.AdamW([*weights, *biases], lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps)
    for _ in range(settings.epochs):
        order = torch.stack([torch.randperm(n, generator=generator) for _ in range(n_networks)])
        for start in range(0, n - batch + 1, batch):
            rows = order[:, start : start + batch]
            values = inputs[rows]
            for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                values = torch.baddbmm(bias, values, weight)
                if index < len(weights) - 1:
                    values = torch.nn.functional.silu(values)
            loss = (values[..., 0] - wanted[rows]).abs().mean(dim=1).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return weights, biases


@dataclass(frozen=True, slots=True)
class TrainingCrystals:
    """Crystals to fit the processes to.

    Attributes:
        material_id: [n] str.
        composition: Reduced formula of each, [n] str; a member holds whole compositions out.
        source: Name of each one's data set, [n] str.
        descriptors: [n, 65].
        log10_kappa: log10 of κ at 300 K in W/(m K), [n].
        sources: What is known of the data sets; one that is not among them has the default noise prior.
    """

    material_id: np.ndarray
    composition: np.ndarray
    source: np.ndarray
    descriptors: np.ndarray
    log10_kappa: np.ndarray
    sources: tuple[Source, ...] = ()

    @classmethod
    def describe(cls, crystals: Sequence[Crystal], kappa: np.ndarray, source: Sequence[Source]) -> TrainingCrystals:
        """Describe crystals with κ at 300 K in W/(m K), [n], and their data sets, [n]."""
        return cls(
            np.array([crystal.material_id for crystal in crystals], dtype=str),
            np.array([crystal.composition for crystal in crystals], dtype=str),
            np.array([one.name for one in source], dtype=str),
            describe_crystals(crystals),
            np.log10(np.asarray(kappa, dtype=np.float64)),
            tuple(dict.fromkeys(source)),
        )

    @classmethod
    def of(cls, model: MultiFidelity) -> TrainingCrystals:
        """Take those of a fitted model."""
        data = model.data
        return cls(data.material_id, data.composition, data.source, data.descriptors, data.log10_kappa, data.sources)

    def __add__(self, other: TrainingCrystals) -> TrainingCrystals:
        """Join two sets."""
        arrays = {name: np.concatenate([getattr(part, name) for part in (self, other)]) for name in _ARRAYS}
        return TrainingCrystals(**arrays, sources=tuple(dict.fromkeys((*self.sources, *other.sources))))

    def take(self, rows: np.ndarray) -> TrainingCrystals:
        """Some of the crystals, by index or mask."""
        return TrainingCrystals(**{name: getattr(self, name)[rows] for name in _ARRAYS}, sources=self.sources)


_ARRAYS = ("material_id", "composition", "source", "descriptors", "log10_kappa")


def fit_multi_fidelity(
    surrogates: Sequence[Surrogate],
    crystals: TrainingCrystals,
    report: Callable[[FitProgress], None] = ignore_progress,
) -> tuple[MultiFidelity, FitReport]:
    """Fit the processes; caution and interval are chosen by the crystals that each member holds out.

    Args:
        surrogates: Give κ of the low levels; one at least.
        crystals: Crystals with κ better than theirs.
        report: Called after every part of the fit.

    Raises:
        DataError: They are of fewer than two compositions, so that none can be held out.
    """
    n_compositions = len(np.unique(crystals.composition))
    if n_compositions < MIN_COMPOSITIONS:
        raise DataError(f"The crystals are of {n_compositions} composition(s); give {MIN_COMPOSITIONS} or more.")
    descriptors = crystals.descriptors
    spread = descriptors[:, :N_CORRECTION].std(axis=0)
    typical = surrogates[0].scale[:N_CORRECTION]
    # Between the spread of these crystals and that of thousands: a descriptor that hardly varies here must not decide.
    scale = np.sqrt(np.where(spread > 1e-9, spread, typical) * typical)
    data = FirstPrinciples(
        crystals.material_id,
        crystals.composition,
        crystals.source,
        descriptors,
        low_levels(surrogates, descriptors),
        crystals.log10_kappa,
        assign_folds(crystals.composition.tolist(), min(N_MEMBERS, n_compositions), FOLD_SEED),
        scale,
        crystals.sources,
    )
    members: tuple[Member, ...] = ()
    shared = None
    if len(data.fold) <= MAX_OWN:
        members, held_out, several = _fit_members(data, report)
    else:
        parameters = fit_parameters(data, parameter_crystals(data.source), report)
        shared, held_out, several = condition_shared(parameters, data, report)
    widths, stated = (one.widths(data.log10_kappa) for one in several)
    mean, deviation = held_out.log10_mean, held_out.calibrated_std(widths)
    caution = choose_caution(data.log10_kappa, mean, deviation)
    fitted = MultiFidelity(tuple(surrogates), data, members, widths, stated, caution, shared)
    return fitted, FitReport(len(CAUTIONS), mean, deviation)


def _fit_members(
    data: FirstPrinciples, report: Callable[[FitProgress], None]
) -> tuple[tuple[Member, ...], HeldOutPredictions, list[HeldOutPredictions]]:
    """Members with hyperparameters of their own; their crystals by the one that holds each out, and by all others."""
    n_folds = int(data.fold.max()) + 1
    members = []
    for fold in range(n_folds):
        report(FitProgress("hyperparameters of the members", fold, n_folds))
        known = data.fold != fold
        members.append(Member(fit_parameters(data, known), data, known))
    report(FitProgress("hyperparameters of the members", n_folds, n_folds))
    several = [HeldOutPredictions.of_ensemble(members, data, stated=stated) for stated in (False, True)]
    return tuple(members), HeldOutPredictions.of(members, data), several


def describe_fit(model: MultiFidelity, report: FitReport) -> dict[str, Any]:
    """What a card or a comparison says of a fit, in plain values."""
    parameters = model.parameters
    rho = np.mean([one.rho for one in parameters], axis=0).round(4).tolist()
    return {
        "held_out_mae_log10": round(float(np.abs(report.log10_mean - model.data.log10_kappa).mean()), 4),
        "caution": model.caution,
        "interval_width": {name: round(width, 4) for name, width in model.widths.items()},
        "interval_width_of_stated_source": {name: round(width, 4) for name, width in model.stated_widths.items()},
        "rho": rho[0] if len(rho) == 1 else rho,
        "amplitude": round(float(np.mean([one.amplitude for one in parameters])), 4),
        "length": round(float(np.mean([one.length for one in parameters])), 4),
        "noise": {
            name: round(float(np.mean([one.noise[name] for one in parameters])), 4) for name in parameters[0].noise
        },
        "n_tried": report.n_tried,
    }


def round_surrogate(surrogate: Surrogate) -> Surrogate:
    """Round the weights to the 16 bits that they are stored in, so that the processes are fitted to what is loaded later."""
    return replace(
        surrogate, weights=tuple(weight.astype(np.float16).astype(np.float32) for weight in surrogate.weights)
    )


def fit_domains(model: MultiFidelity, name: str, earlier: Domain | None) -> Uncertainty:
    """Describe the crystals of the processes, so that predictions are judged by them.

    Args:
        model: A fitted model.
        name: What its crystals are called in a warning.
        earlier: Domain of the surrogate; see `domain_of`.
    """
    fold = model.data.fold
    held_out = fold[None] == np.arange(fold.max() + 1)[:, None]
    return Uncertainty(None, _domain(model.data.descriptors, model.data.composition.tolist(), name, held_out), earlier)


def domain_of(descriptors: np.ndarray, formulas: Sequence[str], name: str) -> Domain:
    """Domain of crystals that one model saw all of; its limits come from every fifth crystal, left out by turns.

    Args:
        descriptors: [n, 65].
        formulas: Reduced formulas.
        name: What they are called in a warning.
    """
    held_out = (np.arange(len(formulas)) % N_DOMAIN_PARTS)[None] == np.arange(N_DOMAIN_PARTS)[:, None]
    return _domain(descriptors, formulas, name, held_out)


def _domain(descriptors: np.ndarray, formulas: Sequence[str], name: str, held_out: np.ndarray) -> Domain:
    """Domain of all crystals; the limits are those of parts that were held out by turns, [n_parts, n] bool."""
    features = descriptors.astype(np.float32)[None]
    presence = formula_presence(formulas)
    by_part = np.broadcast_to(features, (len(held_out), *features.shape[1:]))
    parts = fit_domain(name, by_part, presence, formulas, known=~held_out, held_out=held_out)
    everything = np.ones((1, len(formulas)), dtype=bool)
    whole = fit_domain(name, features, presence, formulas, known=everything, held_out=everything)
    return replace(
        whole,
        limits=parts.limits,
        unseen_elements=parts.unseen_elements,
        unseen_formula_type=parts.unseen_formula_type,
    )
