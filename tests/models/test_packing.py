"""Weights in fewer bits: close to the originals, and nothing else changes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from paraisite.models.network.packing import pack, unpack

FLOAT16 = 2.0**-11
"""Largest relative rounding error of a normal float16."""
SUBNORMAL_STEP = 2.0**-24
PARTS = 254
WIDE = "head.1.weight"


@given(st.lists(st.floats(-60000, 60000, width=32), min_size=1, max_size=20))
def test_a_packed_weight_is_within_a_254th_of_its_rounding_interval(values: list[float]) -> None:
    value = torch.tensor(values)
    restored = unpack(pack({"body.x": value}))["body.x"]
    # Half a part of the interval, and a float32 rounding of the sum.
    allowed = torch.clamp(value.abs() * 2 * FLOAT16, min=SUBNORMAL_STEP) * (0.51 / PARTS) + value.abs() * 2.0**-23
    assert bool(((restored - value).abs() <= allowed).all())


def test_what_is_packed_how() -> None:
    state = {"body.x": torch.randn(50), WIDE: torch.randn(50), "target.mean": torch.randn(9)}
    packed = pack(state, [WIDE])
    assert {name: value.dtype for name, value in packed.items()} == {
        "body.x": torch.float16,
        "body.x.residual": torch.int8,
        WIDE: torch.float16,
        "target.mean": torch.float32,
    }
    restored = unpack(packed)
    assert restored.keys() == state.keys()
    assert torch.equal(restored["target.mean"], state["target.mean"])
    assert torch.allclose(restored[WIDE], state[WIDE], rtol=FLOAT16)


def test_plain_weights_pass_unchanged() -> None:
    state = {"body.x": torch.randn(50)}
    assert torch.equal(unpack(state)["body.x"], state["body.x"])
