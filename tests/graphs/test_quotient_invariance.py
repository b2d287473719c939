"""The quotient is the same function as the plain graph, and both depend on the crystal, not on how it is written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_crystals import (
    crystals,
    permuted,
    rattled,
    recelled,
    rocksalt,
    shifted,
    supercell,
    symmetric_crystals,
    turned,
)
from torch import Tensor, nn

from paraisite.graphs.build import build_store
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.models.network.formation_energy import FormationEnergyMEGNet
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.structures.crystal import Crystal

PLAIN = GraphSettings(tolerance_angstrom=0)
Change = Callable[[Crystal, np.random.Generator], Crystal]

ROUNDING = 1e-5
"""Of a standardised output, relative to 1 or to its size: float32 carries 6e-8, and about 20 layers and sums of some
hundred terms, taken in another order, widen that some hundredfold."""
MERGED = 1e-4
"""Of a standardised output: distances merged within the tolerance of 1e-3 Å move by some 1e-4 Å, and the output by less
than 1 per Å of one distance out of many."""

quick = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def any_supercell(crystal: Crystal, generator: np.random.Generator) -> Crystal:
    while True:
        matrix = generator.integers(-1, 3, (3, 3))
        if 1 <= round(np.linalg.det(matrix)) <= 4:
            return supercell(crystal, matrix)


def any_order(crystal: Crystal, generator: np.random.Generator) -> Crystal:
    return permuted(crystal, generator.permutation(crystal.n_atoms))


CHANGES = {
    "supercell": any_supercell,
    "permutation": any_order,
    "rotation": turned,
    "translation": shifted,
    "choice of cell": recelled,
}


@pytest.fixture(scope="module")
def models(formation_energy_model: FormationEnergyMEGNet) -> tuple[nn.Module, ...]:
    """The formation-energy model and a random ensemble."""
    ensemble = ParAIsite(ParAIsiteSettings(n_members=2))
    ensemble.reset([1, 2])
    return formation_energy_model, ensemble.eval()


def assert_close(first: Tensor, second: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(first, second, rtol=tolerance, atol=tolerance)


def assert_same_function(
    models: tuple[nn.Module, ...], first: Crystal, second: Crystal, evaluate: Callable[..., Tensor]
) -> None:
    """Plain and quotient graphs of both descriptions give one output."""
    for model in models:
        plain = evaluate(model, [first], PLAIN)
        assert_close(evaluate(model, [second], PLAIN), plain, ROUNDING)
        quotient = evaluate(model, [first])
        assert_close(evaluate(model, [second]), quotient, ROUNDING)
        assert_close(quotient, plain, MERGED)


@pytest.mark.parametrize("name", CHANGES)
@quick
@given(crystal=crystals, seed=seeds)
def test_output_is_invariant(
    name: str,
    crystal: Crystal,
    seed: int,
    models: tuple[nn.Module, ...],
    evaluate: Callable[..., Tensor],
) -> None:
    changed = CHANGES[name](crystal, np.random.default_rng(seed))
    assert_same_function(models, crystal, changed, evaluate)


@quick
@given(crystal=crystals, seed=seeds)
def test_supercell_has_the_graph_of_its_primitive_cell(crystal: Crystal, seed: int) -> None:
    changed = any_supercell(crystal, np.random.default_rng(seed))
    small, large = (build_store([item]) for item in (crystal, changed))
    for name in ("element", "source", "destination", "node_pointer", "edge_pointer"):
        np.testing.assert_array_equal(getattr(large, name), getattr(small, name), err_msg=name)
    # Distances come from other coordinates: float64 rounding, then one step of float32.
    np.testing.assert_allclose(large.distance, small.distance, rtol=1e-6)
    np.testing.assert_allclose(large.edge_weight, small.edge_weight, rtol=1e-6)


@quick
@given(crystal=symmetric_crystals(), seed=seeds, noise=st.sampled_from((1e-4, 3e-4, 1e-3, 2e-3, 5e-3)))
def test_rattled_crystal_stays_within_the_merging_error(
    crystal: Crystal,
    seed: int,
    noise: float,
    formation_energy_model: FormationEnergyMEGNet,
    evaluate: Callable[..., Tensor],
) -> None:
    # Displacements of the tolerance's own size make chains of close distances, the hardest case for the clusters.
    generator = np.random.default_rng(seed)
    moved = rattled(any_supercell(crystal, generator), noise, generator)
    plain = evaluate(formation_energy_model, [moved], PLAIN)
    assert_close(evaluate(formation_energy_model, [moved]), plain, MERGED)


@quick
@given(crystal=crystals)
def test_truly_equal_distances_merge_without_error(
    crystal: Crystal, formation_energy_model: FormationEnergyMEGNet, evaluate: Callable[..., Tensor]
) -> None:
    # With a tolerance that only takes up float64 rounding nothing is merged but truly equal distances.
    tight = GraphSettings(tolerance_angstrom=1e-8)
    plain = evaluate(formation_energy_model, [crystal], PLAIN)
    assert_close(evaluate(formation_energy_model, [crystal], tight), plain, ROUNDING)


@pytest.mark.parametrize("length", [4.0, 4.0 * np.sqrt(2), 8.0])
def test_pairs_at_the_cutoff_survive_every_description(
    length: float, formation_energy_model: FormationEnergyMEGNet, evaluate: Callable[..., Tensor]
) -> None:
    # In rocksalt atoms stand a, a/sqrt(2) and a/2 apart: each of the three lies at exactly 4 Å once.
    crystal = rocksalt(length)
    for seed in range(5):
        generator = np.random.default_rng(seed)
        changed = turned(shifted(recelled(crystal, generator), generator), generator)
        assert_same_function((formation_energy_model,), crystal, changed, evaluate)


def test_collapse_of_rocksalt() -> None:
    store = build_store([rocksalt(5.69)], DEFAULT_GRAPH_SETTINGS)
    # Na-Na and Cl-Cl at 4.02 Å are beyond the cutoff: one edge each way at 2.845 Å.
    assert (store.n_nodes, store.n_edges) == (2, 2)
    np.testing.assert_allclose(store.distance, 2.845, rtol=1e-6)
    np.testing.assert_array_equal(store.node_weight, [0.5, 0.5])
