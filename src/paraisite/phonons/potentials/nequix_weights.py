"""Files of Nequix weights, read without JAX's packages: a line of settings in JSON, then one NumPy array after the other.

The arrays stand in the order in which Equinox walks through the model, which is that of `nequix` 0.4.5: the energies of the
isolated atoms, the layers, the readout. Every shape is compared with that of the model that gets them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from paraisite.phonons.potentials.potential import PotentialError

Arrays = Iterator[NDArray[np.float32]]


def build_nequix(path: Path) -> tuple[Any, dict[str, Any]]:
    """Build the PyTorch model of a file `.nqx`, on the CPU.

    Args:
        path: The file. It holds numbers alone: reading it runs no code of the file.

    Returns:
        The model, and its settings.

    Raises:
        PotentialError: The file is damaged, or of another kind (`invalid_weights`).
    """
    try:
        with path.open("rb") as handle:
            settings = json.loads(handle.readline())
            model = _empty_model(settings)
            _fill(model, _arrays(handle))
            if handle.read(1):
                raise ValueError("it holds more arrays than the model")
    except (ValueError, KeyError, TypeError, EOFError, StopIteration) as error:
        reason = " ".join(str(error).split())[:120] or "it ends early"
        raise PotentialError(
            f"{path} is no file of Nequix weights that nequix 0.4.5 knows ({reason}); take a .nqx file of its repository.",
            code="invalid_weights",
        ) from error
    return model.eval(), settings


def _arrays(handle: BinaryIO) -> Arrays:
    while True:
        yield np.load(handle, allow_pickle=False)


def _empty_model(settings: dict[str, Any]) -> Any:
    from nequix.torch_impl.model import NequixTorch  # noqa: PLC0415 - optional; the loader has checked that it is there

    given = (
        "hidden_irreps", "lmax", "cutoff", "n_layers", "radial_basis_size", "radial_mlp_size", "radial_mlp_layers",
        "radial_polynomial_p", "index_weights", "layer_norm", "shift", "scale", "avg_n_neighbors",
    )  # fmt: skip
    return NequixTorch(
        n_species=len(settings["atomic_numbers"]), kernel=False, **{name: settings[name] for name in given}
    )


def _fill(model: Any, arrays: Arrays) -> None:
    _copy(model.atom_energies, arrays)
    for layer in model.layers:
        for dense in layer.radial_mlp.layers:
            _copy(dense.weights, arrays)
        for linear in (layer.linear_1, layer.linear_2, layer.skip):
            _fill_linear(linear, arrays)
        for weight in layer.layer_norm.affine_weight if layer.layer_norm is not None else ():
            _copy(weight, arrays)
    _fill_linear(model.readout, arrays)


def _fill_linear(linear: Any, arrays: Arrays) -> None:
    """An equivariant linear layer holds the matrices of all its paths in one row."""
    for span, shape in linear.weight_index_slices:
        _copy(linear.weight[span].view(shape), arrays)


def _copy(target: Any, arrays: Arrays) -> None:
    import torch  # noqa: PLC0415 - seconds, and most potentials are listed without it

    array = next(arrays)
    if array.shape != tuple(target.shape) or array.dtype.kind != "f":
        raise ValueError(f"an array of shape {array.shape} where {tuple(target.shape)} was expected")
    with torch.no_grad():
        target.copy_(torch.from_numpy(array))
