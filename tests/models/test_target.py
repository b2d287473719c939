"""The target transform against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paraisite.models.network.target import TargetTransform

KAPPA = np.array([0.02, 0.5, 1.2, 14.7, 419.73, 3000.0])
FLOAT32 = 1e-6
"""Relative: a few float32 steps of 1.2e-7."""


def fitted(mask: list[list[bool]]) -> TargetTransform:
    target = TargetTransform(len(mask))
    target.fit(torch.tensor(KAPPA, dtype=torch.float32), torch.tensor(mask))
    return target


def test_fit_takes_each_members_own_crystals() -> None:
    mask = [[True] * 6, [True, False, True, True, False, False]]
    target = fitted(mask)
    for member, chosen in enumerate(mask):
        logarithm = np.log10(KAPPA[chosen] + 1)
        assert float(target.mean[member]) == pytest.approx(logarithm.mean(), rel=FLOAT32)
        assert float(target.standard_deviation[member]) == pytest.approx(logarithm.std(), rel=FLOAT32)


def test_standardised_values_equal_numpy() -> None:
    logarithm = np.log10(KAPPA + 1)
    expected = (logarithm - logarithm.mean()) / logarithm.std()
    found = fitted([[True] * 6])(torch.tensor(KAPPA, dtype=torch.float32))
    # log10(1.02) = 0.0086 is taken of a float32 sum with 1: absolute rounding of 5e-8, some 1e-7 once standardised.
    np.testing.assert_allclose(found.numpy(), expected[None], rtol=FLOAT32, atol=1e-6)


def test_scale_does_not_lose_digits_where_the_values_are_alike() -> None:
    kappa = torch.tensor([1000.0, 1001.0, 1002.0])
    target = TargetTransform(1)
    target.fit(kappa, torch.ones(1, 3, dtype=torch.bool))
    expected = np.log10(kappa.double().numpy() + 1).std()
    assert float(target.standard_deviation) == pytest.approx(expected, rel=FLOAT32)


def test_inverse_equals_numpy() -> None:
    target = fitted([[True] * 6])
    standardised = np.linspace(-2, 3, 11)
    mean, deviation = float(target.mean), float(target.standard_deviation)
    expected = 10 ** (standardised * deviation + mean) - 1
    found = target.inverse(torch.tensor(standardised, dtype=torch.float32)[None])
    # A logarithm of up to 5 carries 2.4e-7 of rounding, which is 5e-7 ln 10 of the power.
    np.testing.assert_allclose(found.numpy()[0], expected, rtol=5e-6, atol=1e-6)


def test_identity_before_it_is_fitted() -> None:
    value = TargetTransform(1).inverse(torch.tensor([[0.0, 1.0, -1.0]]))
    np.testing.assert_allclose(value.numpy(), [[0.0, 9.0, -0.9]], rtol=FLOAT32)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(kappa=st.floats(1e-3, 1e4))
def test_round_trip(kappa: float) -> None:
    target = fitted([[True] * 6, [True, True, False, False, True, True]])
    back = target.inverse(target(torch.tensor([kappa])))
    # κ + 1 is rounded to 6e-8 (κ + 1), and the exponent's rounding of 1e-7 per unit comes back tenfold.
    np.testing.assert_allclose(back.numpy(), np.full((2, 1), kappa), rtol=5e-6, atol=5e-7)


def test_scale_is_part_of_the_state() -> None:
    assert set(TargetTransform(2).state_dict()) == {"mean", "standard_deviation"}


def test_a_wild_standardised_value_stays_finite_in_value_and_gradient() -> None:
    transform = TargetTransform(1)
    wild = torch.tensor([[1e3, 0.5]], requires_grad=True)
    kappa = transform.inverse(wild)
    # The wild value is masked out of the loss, as a validation crystal is.
    (kappa * torch.tensor([[False, True]])).sum().backward()
    assert torch.isfinite(kappa).all()
    assert wild.grad is not None
    assert torch.isfinite(wild.grad).all()
