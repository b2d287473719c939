"""CHGNet: the universal potential of Deng et al. (2023), with the weights that its package brings."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from paraisite.phonons.potentials.loading import import_for_potential, torch_device, version_with_weights
from paraisite.phonons.potentials.potential import Potential

CHGNET_WEIGHTS = "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"
MPTRJ_ELEMENTS = frozenset(range(1, 84)) | frozenset(range(89, 95))
"""The 89 elements of MPtrj, which CHGNet was trained on: Deng et al., Nature Machine Intelligence 5, 1031 (2023),
doi 10.1038/s42256-023-00716-3. The model itself takes every number up to 94."""


def load_chgnet(device: str) -> Potential:
    """Load CHGNet 0.3.0.

    Args:
        device: As for `load_potential`.

    Raises:
        PotentialError: `chgnet` is not installed.
    """
    package = import_for_potential("chgnet", "chgnet", "pip install chgnet")
    dynamics: Any = import_for_potential("chgnet.model.dynamics", "chgnet", "pip install chgnet")
    chosen = torch_device(device)
    with redirect_stdout(io.StringIO()):  # it says where it runs, in the middle of what a command writes
        model = dynamics.CHGNet.load(model_name="0.3.0", use_device=chosen, verbose=False)
        calculator = dynamics.CHGNetCalculator(model, use_device=chosen)
    weights = Path(str(package.__file__)).parent / CHGNET_WEIGHTS
    return Potential(
        "chgnet",
        "CHGNet",
        version_with_weights("chgnet", weights),
        "CHGNet, not DFT",
        MPTRJ_ELEMENTS,
        calculator,
    )
