"""What the loaders of potentials share: packages that may not be installed, devices, checksums of weights."""

from __future__ import annotations

from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

from paraisite.atomic import sha256_of
from paraisite.phonons.potentials.potential import PotentialError
from paraisite.threads import require_device

SHOWN_DIGITS = 12
"""Digits of a SHA-256 that are enough to recognise a file by."""


def import_for_potential(module: str, name: str, install: str) -> ModuleType:
    """Import a module that a potential needs.

    Args:
        module: The module.
        name: Name of the potential.
        install: Command that installs what is missing.

    Raises:
        PotentialError: It is not installed (`not_installed`).
    """
    try:
        return import_module(module)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise PotentialError(
            f"The potential {name} needs a package that cannot be imported ({reason}): {install}.", code="not_installed"
        ) from error


def torch_device(device: str) -> str:
    """The device to compute on: `auto` becomes the GPU if there is one, else `cpu`.

    Raises:
        ParaisiteError: There is no such device.
    """
    if device != "auto":
        require_device(device)
        return device
    import torch  # noqa: PLC0415 - seconds, and the classical potentials go without

    return "cuda" if torch.cuda.is_available() else "cpu"


def version_with_weights(package: str, weights: Path) -> str:
    """Version of a package, and the first digits of the SHA-256 of a file of weights."""
    return f"{package} {metadata.version(package)}, weights {sha256_of(weights)[:SHOWN_DIGITS]}"


def require_weights(path: str, name: str) -> Path:
    """The file of weights that a user named.

    Raises:
        PotentialError: There is none (`weights_missing`).
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise PotentialError(
            f"The potential {name} needs a file of weights, and {file} does not exist.", code="weights_missing"
        )
    return file
