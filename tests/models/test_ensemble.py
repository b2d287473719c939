"""The ensemble: each member is the published network by itself, alone or in company, single or in a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from reference_megnet import reference_output
from torch import Tensor

from paraisite.graphs.build import build_store
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.structures.crystal import Crystal

Evaluate = Callable[..., Tensor]
PLAIN = GraphSettings(tolerance_angstrom=0)
ROUNDING = 1e-5
"""Of a standardised output of order 1: float32 sums in another order."""
SEEDS = (3, 1, 2)
ZERO_INPUT = "body.state_encoder.0.weight"


def random_ensemble(seeds: tuple[int, ...]) -> ParAIsite:
    """Ensemble whose outputs differ by crystal: the random initial weights, the perceptron's six times as large."""
    model = ParAIsite(ParAIsiteSettings(n_members=len(seeds)))
    model.reset(seeds)
    with torch.no_grad():
        for layer in model.head:
            layer.weight.mul_(6)
    return model.eval()


@pytest.fixture(scope="module")
def ensemble() -> ParAIsite:
    return random_ensemble(SEEDS)


@pytest.fixture(scope="module")
def crystals(togo15_sample: list[Crystal]) -> list[Crystal]:
    lone = Crystal(np.array([14, 14, 2]), 14 * np.eye(3), np.array([[0, 0, 0], [0.16, 0, 0], [0.6, 0.5, 0.5]]))
    low = Crystal(
        np.array([8, 8, 14, 12]),
        np.array([[4.1, 0, 0], [0.7, 4.4, 0], [-0.9, 0.3, 4.9]]),
        np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.2], [0.4, 0.3, 0.8], [0.9, 0.8, 0.6]]),
    )
    return [*togo15_sample, low, lone]


@pytest.fixture(scope="module")
def togo15_sample() -> list[Crystal]:
    from paraisite.datasets.tables import load_togo15

    return load_togo15()[::12]


def test_outputs_differ_by_member_and_crystal(ensemble: ParAIsite, crystals: list[Crystal], evaluate: Evaluate) -> None:
    # Without this, the comparisons below would hold for a constant too.
    values = evaluate(ensemble, crystals)
    assert values.shape == (3, len(crystals))
    assert float(values.std(dim=1).min()) > 1000 * ROUNDING
    assert float((values[0] - values[1]).abs().min()) > 10 * ROUNDING


@pytest.mark.parametrize("settings", [PLAIN, DEFAULT_GRAPH_SETTINGS])
def test_members_equal_the_network_written_out(
    settings: GraphSettings, ensemble: ParAIsite, crystals: list[Crystal], evaluate: Evaluate
) -> None:
    values = evaluate(ensemble, crystals, settings)
    for member in range(len(SEEDS)):
        expected = [reference_output(ensemble, member, crystal) for crystal in crystals]
        torch.testing.assert_close(values[member], torch.tensor(expected), rtol=0, atol=ROUNDING)


def test_each_member_equals_itself_alone(ensemble: ParAIsite, crystals: list[Crystal], evaluate: Evaluate) -> None:
    values = evaluate(ensemble, crystals)
    for member in range(len(SEEDS)):
        alone = ParAIsite(ParAIsiteSettings(n_members=1)).eval()
        state = {
            name: value if name.endswith("centres") else value[member : member + 1]
            for name, value in ensemble.state_dict().items()
        }
        alone.load_state_dict(state, strict=True)
        torch.testing.assert_close(evaluate(alone, crystals)[0], values[member], rtol=0, atol=ROUNDING)


def test_initial_weights_of_a_member_depend_on_its_own_seed_alone(ensemble: ParAIsite) -> None:
    other = random_ensemble((9, 1, 8, 7))
    for (name, value), (_, another) in zip(ensemble.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(value[1], another[1]), name
        assert not torch.equal(value[0], another[0]), name


@pytest.mark.parametrize("settings", [PLAIN, DEFAULT_GRAPH_SETTINGS])
def test_batch_equals_single_crystals(
    settings: GraphSettings, ensemble: ParAIsite, crystals: list[Crystal], evaluate: Evaluate
) -> None:
    together = evaluate(ensemble, crystals, settings)
    single = torch.cat([evaluate(ensemble, [crystal], settings) for crystal in crystals], dim=1)
    torch.testing.assert_close(together, single, rtol=0, atol=ROUNDING)


def test_order_in_the_batch_does_not_matter(ensemble: ParAIsite, crystals: list[Crystal], evaluate: Evaluate) -> None:
    backwards = evaluate(ensemble, crystals[::-1])
    torch.testing.assert_close(evaluate(ensemble, crystals), backwards.flip(1), rtol=0, atol=ROUNDING)


def test_some_bondless_atoms_give_finite_numbers(
    ensemble: ParAIsite, crystals: list[Crystal], evaluate: Evaluate
) -> None:
    lone = crystals[-1]
    assert build_store([lone]).bondless.tolist() == [True]
    plain, quotient = evaluate(ensemble, [lone], PLAIN), evaluate(ensemble, [lone])
    assert bool(torch.isfinite(quotient).all())
    torch.testing.assert_close(plain, quotient, rtol=0, atol=ROUNDING)


def test_gradients_are_finite_with_bondless_atoms(ensemble: ParAIsite, crystals: list[Crystal]) -> None:
    store = build_store(crystals)
    loss = ensemble.predict_kappa(GraphBatch.from_arrays(store.collate(np.arange(len(store))))).sum()
    gradients = torch.autograd.grad(loss, list(ensemble.parameters()))
    for (name, _), gradient in zip(ensemble.named_parameters(), gradients, strict=True):
        assert bool(torch.isfinite(gradient).all()), name
        # The input state is zero for every crystal, so its weights never act.
        assert bool(gradient.any()) == (name != ZERO_INPUT), name


def test_quotient_has_the_gradient_of_the_plain_graph(ensemble: ParAIsite, crystals: list[Crystal]) -> None:
    found = []
    for settings in (PLAIN, DEFAULT_GRAPH_SETTINGS):
        store = build_store(crystals, settings)
        loss = ensemble(GraphBatch.from_arrays(store.collate(np.arange(len(store))))).square().sum()
        found.append(torch.autograd.grad(loss, list(ensemble.parameters())))
    for plain, quotient in zip(*found, strict=True):
        # Relative to the tensor's largest entry: small entries are differences of large terms in float32.
        torch.testing.assert_close(quotient, plain, rtol=0, atol=1e-4 * float(plain.abs().max()))


def test_loss_of_one_member_has_no_gradient_in_another(ensemble: ParAIsite, crystals: list[Crystal]) -> None:
    store = build_store(crystals)
    values = ensemble(GraphBatch.from_arrays(store.collate(np.arange(len(store)))))
    for name, gradient in zip(
        dict(ensemble.named_parameters()),
        torch.autograd.grad(values[1].sum(), list(ensemble.parameters())),
        strict=True,
    ):
        assert not bool(gradient[[0, 2]].any()), name
        assert bool(gradient[1].any()) == (name != ZERO_INPUT), name


def test_features_feed_the_head(ensemble: ParAIsite, crystals: list[Crystal]) -> None:
    store = build_store(crystals)
    batch = GraphBatch.from_arrays(store.collate(np.arange(len(store))))
    with torch.no_grad():
        features = ensemble.body(batch)
        assert features.shape == (3, len(crystals), 16)
        assert torch.equal(ensemble.from_features(features), ensemble(batch))
        assert torch.equal(ensemble.predict_kappa(batch), ensemble.target.inverse(ensemble(batch)))
