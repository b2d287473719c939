"""The potentials by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from paraisite.fetch.potentials import NEQUIX_FILES
from paraisite.phonons.potentials.classical import effective_medium_theory, lennard_jones_argon
from paraisite.phonons.potentials.potential import Potential, PotentialError
from paraisite.phonons.potentials.sevennet import SEVENNET_LABELS
from paraisite.phonons.potentials.user_factory import FACTORY_NAME, load_user_potential
from paraisite.threads import require_device

_CLASSICAL: dict[str, Callable[[], Potential]] = {
    "lennard-jones:argon": lennard_jones_argon,
    "emt": effective_medium_theory,
}
POTENTIAL_NAMES = (
    *(f"sevennet:{model}" for model in SEVENNET_LABELS),
    "chgnet",
    *(f"nequix:{model}" for model in NEQUIX_FILES),
    "nequix:FILE.nqx",
    "mace:FILE.model",
    *_CLASSICAL,
    "my_package.my_module:factory",
)
"""What `load_potential` takes; capitals stand for a file, the last one for a function of the user's own."""
_FAMILIES = frozenset(name.partition(":")[0] for name in POTENTIAL_NAMES[:-1])


def load_potential(name: str, *, device: str = "auto") -> Potential:
    """Load an interatomic potential by its name.

    Args:
        name: One of `POTENTIAL_NAMES`. `my_package.my_module:factory` is a function of the user's own that returns an ASE
            calculator; its module must be installed or lie in a folder of `PYTHONPATH`.
        device: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:1`; potentials without PyTorch use the CPU anyway.

    Raises:
        PotentialError: There is no potential of that name (`unknown_potential`), its package is not installed
            (`not_installed`), or its weights are missing (`weights_missing`) or damaged (`invalid_weights`).
        ParaisiteError: There is no such device.
    """
    if device != "auto":
        require_device(device)
    if name in _CLASSICAL:
        return _CLASSICAL[name]()
    family, _, rest = name.partition(":")
    if family == "sevennet" and rest in SEVENNET_LABELS:
        return _load("sevennet", "load_sevennet", rest, device)
    if name == "chgnet":
        return _load("chgnet", "load_chgnet", device)
    if family in {"nequix", "mace"} and rest:
        return _load(family, f"load_{family}", rest, device)
    if family not in _FAMILIES and FACTORY_NAME.fullmatch(name):
        return load_user_potential(name, device)
    raise PotentialError(
        f"There is no potential {name[:80]!r}: give one of {', '.join(POTENTIAL_NAMES)}.", code="unknown_potential"
    )


def _load(module: str, function: str, *arguments: str) -> Potential:
    """Call a loader, whose module is imported only now: some take seconds."""
    loader: Any = getattr(import_module(f"paraisite.phonons.potentials.{module}"), function)
    potential: Potential = loader(*arguments)
    return potential
