"""The potentials by name."""

from __future__ import annotations

from collections.abc import Callable

from paraisite.phonons.potentials.classical import effective_medium_theory, lennard_jones_argon
from paraisite.phonons.potentials.potential import Potential, PotentialError

_CLASSICAL: dict[str, Callable[[], Potential]] = {
    "lennard-jones:argon": lennard_jones_argon,
    "emt": effective_medium_theory,
}


def load_potential(name: str, *, device: str = "auto") -> Potential:
    """Load an interatomic potential by its name.

    Args:
        name: `lennard-jones:argon` or `emt`.
        device: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:1`.

    Raises:
        PotentialError: There is no potential of that name, or it cannot be loaded.
    """
    if name in _CLASSICAL:
        return _CLASSICAL[name]()
    raise PotentialError(f"There is no potential {name!r}: give {', '.join(_CLASSICAL)}.", code="unknown_potential")
