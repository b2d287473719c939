"""Weights on disk in 16 or 24 bits instead of 32.

A weight is a float16; where 11 significant bits are too few, an int8 beside it says where inside the float16's rounding
interval the weight lies, which makes 19. Names that the caller chooses do without: wide layers move κ least.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

RESIDUAL = ".residual"
_STEPS = 254
"""Parts of a rounding interval that an int8 tells apart."""
_EXACT = "target."


_INTERVALS = torch.tensor([2.0 ** (max(exponent, 1) - 25) for exponent in range(32)])
"""Distance of neighbouring float16 numbers by the five exponent bits; constant where the number is not normal."""


def pack(state: dict[str, Tensor], sixteen_bits: Collection[str] = ()) -> dict[str, Tensor]:
    """Pack the float32 tensors of a model.

    Args:
        state: The tensors by name.
        sixteen_bits: Names that stay without a second tensor, `name.residual`.
    """
    packed: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith(_EXACT):
            packed[name] = value
            continue
        rounded = value.half()
        packed[name] = rounded
        if name not in sixteen_bits:
            packed[name + RESIDUAL] = torch.round((value - rounded.float()) / _interval(rounded) * _STEPS).to(
                torch.int8
            )
    return packed


def unpack(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give back float32 tensors by name, of packed or of plain ones."""
    state = {}
    for name, value in packed.items():
        if name.endswith(RESIDUAL):
            continue
        state[name] = value.float()
        if name + RESIDUAL in packed:
            state[name] += packed[name + RESIDUAL].float().mul_(_interval(value)).div_(_STEPS)
    return state


def _interval(rounded: Tensor) -> Tensor:
    """Distance of neighbouring float16 numbers around each value, in the shape of the float16 tensor."""
    exponent = (rounded.view(torch.int16).int() >> 10) & 31
    return _INTERVALS.index_select(0, exponent.flatten()).view(rounded.shape)
