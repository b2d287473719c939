"""Fitting of the multi-fidelity model to data whose law is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from paraisite.errors import DataError
from paraisite.models.multi_fidelity.model import (
    N_CORRECTION,
    NORMAL_90,
    CorrectionParameters,
    MultiFidelity,
    Surrogate,
    cautious_shift,
    correction_covariance,
    prior_mean,
)
from paraisite.training.multi_fidelity.fit import (
    CAUTIONS,
    FitReport,
    SurrogateSettings,
    TrainingCrystals,
    describe_fit,
    domain_of,
    fit_domains,
    fit_multi_fidelity,
    round_surrogate,
    train_surrogate,
)

N_KNOWN, N_NEW, N_LATENT = 150, 400, 5
TRUTH = CorrectionParameters(amplitude=0.5, length=8.0, rho=(0.6,), noise={"clean": 0.03, "rough": 0.3})
QUICK = SurrogateSettings(n_networks=3, width=48, epochs=60, batch_size=64)


def linear_surrogate() -> Surrogate:
    weight = np.random.default_rng(0).normal(size=(1, 65, 1)).astype(np.float32) / 8
    return Surrogate(np.zeros(65), np.ones(65), (weight,), (np.zeros((1, 1, 1), dtype=np.float32),), (1.0, 0.3))


def some_descriptors(n: int, generator: np.random.Generator) -> np.ndarray:
    """Descriptors of crystals that differ in a few ways."""
    mixing = np.random.default_rng(1).normal(size=(N_LATENT, 65)) / np.sqrt(N_LATENT)
    return np.asarray(generator.normal(size=(n, N_LATENT)) @ mixing)


def training_crystals(descriptors: np.ndarray, log10_kappa: np.ndarray, source: np.ndarray) -> TrainingCrystals:
    # Two crystals a composition.
    composition = np.array([f"A{number // 2 + 2}B" for number in range(len(descriptors))])
    names = np.array([f"crystal-{number}" for number in range(len(descriptors))])
    return TrainingCrystals(names, composition, source, descriptors, log10_kappa)


@pytest.fixture(scope="module")
def drawn() -> tuple[TrainingCrystals, np.ndarray, np.ndarray]:
    """Crystals with κ drawn from a known process, and new ones with their true log10 κ."""
    generator = np.random.default_rng(2)
    descriptors = some_descriptors(N_KNOWN + N_NEW, generator)
    inputs = descriptors[:, :N_CORRECTION] / np.sqrt(descriptors[:N_KNOWN, :N_CORRECTION].std(axis=0))
    covariance = correction_covariance(TRUTH, inputs, inputs)
    correction = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance))) @ generator.normal(size=len(inputs))
    truth = prior_mean(TRUTH.rho, linear_surrogate().predict(descriptors)[None]) + correction
    source = np.where(np.arange(N_KNOWN) % 2 == 0, "clean", "rough")
    noise = np.array([TRUTH.noise[name] for name in source])
    measured = truth[:N_KNOWN] + noise * generator.normal(size=N_KNOWN)
    return training_crystals(descriptors[:N_KNOWN], measured, source), descriptors[N_KNOWN:], truth[N_KNOWN:]


@pytest.fixture(scope="module")
def fitted(drawn: tuple[TrainingCrystals, np.ndarray, np.ndarray]) -> tuple[MultiFidelity, FitReport]:
    return fit_multi_fidelity([linear_surrogate()], drawn[0])


def test_the_law_is_recovered(fitted: tuple[MultiFidelity, FitReport]) -> None:
    model, _ = fitted
    parameters = [member.parameters for member in model.members]
    assert len(parameters) == 9
    for one in parameters:
        # Both noises have the same prior, a median of 0.1.
        assert 0.01 < one.noise["clean"] < 0.09
        assert 0.2 < one.noise["rough"] < 0.45
        assert one.rho == pytest.approx(TRUTH.rho, abs=0.3)
        assert TRUTH.amplitude / 2 < one.amplitude < TRUTH.amplitude * 2
        assert TRUTH.length / 2 < one.length < TRUTH.length * 2


def test_new_crystals_lie_in_nine_of_ten_intervals(
    fitted: tuple[MultiFidelity, FitReport], drawn: tuple[TrainingCrystals, np.ndarray, np.ndarray]
) -> None:
    _, descriptors, truth = drawn
    prediction = fitted[0].predict(descriptors)
    # Of either source, as often.
    noise = np.where(np.arange(N_NEW) % 2 == 0, TRUTH.noise["clean"], TRUTH.noise["rough"])
    observed = truth + noise * np.random.default_rng(3).normal(size=N_NEW)
    low, high = prediction.interval()
    # ± 1.5 % by the 400 new crystals, ± 2.5 % by the 150 that the width is from.
    assert ((low < observed) & (observed < high)).mean() == pytest.approx(0.9, abs=0.07)
    assert (high - low).max() > 1.5 * (high - low).min()
    prior = prior_mean(TRUTH.rho, prediction.low)
    assert np.abs(prediction.log10_median - truth).mean() < 0.6 * np.abs(prior - truth).mean()


def test_held_out_crystals_lie_in_nine_of_ten_intervals(fitted: tuple[MultiFidelity, FitReport]) -> None:
    model, report = fitted
    score = np.abs(report.log10_mean - model.data.log10_kappa) / report.log10_std
    assert (score <= NORMAL_90).mean() == pytest.approx(0.9, abs=0.03)
    assert set(model.widths) == {"clean", "rough"}
    # Nothing but noise tells the sources apart here, and a crystal's own is not known: both widths are nearly the pooled one.
    for width in model.widths.values():
        assert width == pytest.approx(1.645, abs=0.5)


def test_caution_is_one_of_those_tried_and_costs_next_to_nothing(fitted: tuple[MultiFidelity, FitReport]) -> None:
    model, report = fitted
    assert model.caution in CAUTIONS
    assert report.n_tried == len(CAUTIONS)
    shift = cautious_shift(report.log10_std, model.caution)
    plain = report.log10_mean - model.data.log10_kappa
    assert np.abs(plain + shift).mean() <= 1.02 * np.abs(plain).mean()
    assert np.abs(10 ** (plain + shift) - 1).mean() <= np.abs(10**plain - 1).mean()


def test_a_prediction_does_not_see_its_own_composition(
    fitted: tuple[MultiFidelity, FitReport], drawn: tuple[TrainingCrystals, np.ndarray, np.ndarray]
) -> None:
    crystals = drawn[0]
    same = crystals.composition == crystals.composition[20]
    assert same.sum() == 2
    changed = replace(crystals, log10_kappa=np.where(same, crystals.log10_kappa + 2, crystals.log10_kappa))
    _, report = fit_multi_fidelity([linear_surrogate()], changed)
    np.testing.assert_allclose(report.log10_mean[same], fitted[1].log10_mean[same], rtol=1e-9)
    assert (np.abs(report.log10_mean - fitted[1].log10_mean)[~same] > 1e-3).any()


def test_a_second_fit_gives_the_same_bits(
    fitted: tuple[MultiFidelity, FitReport], drawn: tuple[TrainingCrystals, np.ndarray, np.ndarray]
) -> None:
    model, report = fitted
    torch.manual_seed(123)
    again, second = fit_multi_fidelity([linear_surrogate()], TrainingCrystals.of(model))
    assert (again.widths, again.caution) == (model.widths, model.caution)
    assert describe_fit(again, second) == describe_fit(model, report)
    first, other = (each.predict(drawn[1]) for each in (model, again))
    np.testing.assert_array_equal(other.members, first.members)
    np.testing.assert_array_equal(other.log10_std, first.log10_std)


def test_a_descriptor_that_is_constant_in_training_does_no_harm() -> None:
    generator = np.random.default_rng(4)
    descriptors = some_descriptors(24, generator)
    descriptors[:, :30] = 1.0
    model, _ = fit_multi_fidelity(
        [linear_surrogate()], training_crystals(descriptors, generator.normal(1, 0.3, 24), np.full(24, "mine"))
    )
    other = descriptors.copy()
    other[:, :30] += 0.1
    for each in (descriptors, other):
        prediction = model.predict(each)
        assert np.isfinite(prediction.members).all()
        assert np.isfinite(prediction.log10_std).all()


def test_two_compositions_are_enough_and_one_is_refused() -> None:
    descriptors = some_descriptors(4, np.random.default_rng(5))
    crystals = training_crystals(descriptors, np.array([0.5, 0.6, 1.5, 1.4]), np.full(4, "mine"))
    model, _ = fit_multi_fidelity([linear_surrogate()], crystals)
    assert len(model.members) == 2
    assert np.isfinite(model.predict(descriptors).log10_std).all()
    with pytest.raises(DataError, match="1 composition") as caught:
        fit_multi_fidelity([linear_surrogate()], replace(crystals, composition=np.full(4, "AB")))
    assert "\n" not in str(caught.value)


def test_sets_are_joined_in_order(drawn: tuple[TrainingCrystals, np.ndarray, np.ndarray]) -> None:
    crystals = drawn[0]
    joined = crystals + replace(crystals, source=np.full(N_KNOWN, "mine"))
    assert joined.descriptors.shape == (2 * N_KNOWN, 65)
    assert joined.source[: N_KNOWN + 1].tolist() == [*crystals.source.tolist(), "mine"]


# The surrogate


@pytest.fixture(scope="module")
def smooth() -> tuple[np.ndarray, np.ndarray]:
    """Descriptors and a smooth function of them."""
    descriptors = some_descriptors(900, np.random.default_rng(6))
    descriptors[:, 50] = 7.0
    return descriptors, 1 + 0.5 * np.sin(2 * descriptors[:, 0]) + 0.3 * descriptors[:, 1] * descriptors[:, 2]


def test_the_surrogate_learns_a_smooth_function(smooth: tuple[np.ndarray, np.ndarray]) -> None:
    descriptors, values = smooth
    surrogate = train_surrogate(descriptors[:700], values[:700], QUICK)
    error = surrogate.predict(descriptors[700:]) - values[700:]
    assert np.abs(error).mean() < 0.15 * np.abs(values[700:] - np.median(values)).mean()


def test_training_the_surrogate_is_repeatable_and_leaves_no_trace(smooth: tuple[np.ndarray, np.ndarray]) -> None:
    descriptors, values = smooth
    few = replace(QUICK, epochs=2)
    torch.manual_seed(7)
    before = torch.get_rng_state(), torch.get_num_threads()
    first = train_surrogate(descriptors, values, few).predict(descriptors)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    torch.manual_seed(8)
    np.testing.assert_array_equal(train_surrogate(descriptors, values, few).predict(descriptors), first)
    assert (train_surrogate(descriptors, values, replace(few, seed=1)).predict(descriptors) != first).any()


def test_a_surrogate_of_fewer_crystals_than_a_batch(smooth: tuple[np.ndarray, np.ndarray]) -> None:
    descriptors, values = smooth
    surrogate = train_surrogate(descriptors[:10], values[:10], replace(QUICK, epochs=3))
    assert np.isfinite(surrogate.predict(descriptors)).all()


def test_rounding_is_that_of_the_file_and_hardly_shows(smooth: tuple[np.ndarray, np.ndarray]) -> None:
    descriptors, values = smooth
    surrogate = train_surrogate(descriptors, values, replace(QUICK, epochs=5))
    rounded = round_surrogate(surrogate)
    for weight, again in zip(rounded.weights, round_surrogate(rounded).weights, strict=True):
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(again, weight)
        np.testing.assert_array_equal(weight.astype(np.float16).astype(np.float32), weight)
    # 11 bits a weight, and some hundred of them with errors of either sign.
    np.testing.assert_allclose(rounded.predict(descriptors), surrogate.predict(descriptors), atol=5e-3)


# What is known of the training crystals


def test_the_domain_is_that_of_the_crystals(
    fitted: tuple[MultiFidelity, FitReport], drawn: tuple[TrainingCrystals, np.ndarray, np.ndarray]
) -> None:
    crystals = drawn[0]
    formulas = ["NaCl", "MgO", "GaAs"] * (N_KNOWN // 3)
    data = replace(fitted[0].data, composition=np.array(formulas))
    earlier = domain_of(crystals.descriptors, formulas, "AGL")
    found = fit_domains(replace(fitted[0], data=data), "mine", earlier)
    assert found.residuals is None
    assert found.earlier is earlier
    assert found.domain.name == "mine"
    assert found.domain.elements.sum() == 6
    assert found.domain.formula_types == {"AB"}
    usual = found.domain.distances(drawn[1][None])
    assert (usual <= found.domain.limits[1]).mean() > 0.98
    far = found.domain.distances(np.full((1, 3, 65), 30.0))
    assert (far > found.domain.limits[1]).all()
