"""MACE: models in files that the user trained or downloaded."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

from paraisite.phonons.potentials.loading import (
    import_for_potential,
    require_weights,
    torch_device,
    version_with_weights,
)
from paraisite.phonons.potentials.potential import Potential


def load_mace(path: str, device: str) -> Potential:
    """Load a MACE model (Batatia et al. 2022, doi 10.48550/arXiv.2206.07697) in double precision.

    Args:
        path: File of the model; it is a pickle, so take it from a source that you trust with your account.
        device: As for `load_potential`.

    Raises:
        PotentialError: `mace-torch` is not installed, or there is no such file.
    """
    name = f"mace:{path}"
    weights = require_weights(path, name)
    module: Any = import_for_potential("mace.calculators", name, "pip install mace-torch")
    with redirect_stdout(io.StringIO()):
        calculator = module.MACECalculator(
            model_paths=str(weights), device=torch_device(device), default_dtype="float64"
        )
    label = f"MACE ({weights.stem})"
    return Potential(
        name,
        label,
        version_with_weights("mace-torch", weights),
        f"{label}, not DFT",
        frozenset(int(number) for number in calculator.z_table.zs),
        calculator,
    )
