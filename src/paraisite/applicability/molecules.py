"""Crystals of noble-gas atoms or of molecules, which weak forces hold together."""

from __future__ import annotations

from paraisite.applicability.components import is_molecular
from paraisite.applicability.concern import Concern
from paraisite.structures.crystal import Crystal

MIN_FORMERS, MAX_BONDS_PER_ATOM = 0.6, 3.05
"""Only a crystal with such a share of molecule formers and so few bonds can be of molecules: C60 and P4 have three bonds an
atom, SiF4 and its like fewer."""


def noble_gas_concern(share: float) -> Concern:
    """Say that a crystal is of noble gases, wholly or in part.

    Args:
        share: Share of the atoms that are noble gases.
    """
    return Concern(
        "noble_gas",
        "noble-gas atoms, held by van der Waals forces alone, are like nothing that the model was fitted to",
        "outside" if share > 0.5 else "edge",
    )


def molecular_concern(crystal: Crystal, formers: float) -> Concern | None:
    """Say that a crystal is built of molecules, if it is.

    Args:
        crystal: A checked crystal.
        formers: Share of its atoms that are molecule formers; with metals too, the molecules may be ions such as hydrated
            ones, which hold together more firmly.
    """
    if not is_molecular(crystal):
        return None
    return Concern(
        "molecular",
        "the crystal is built of separate molecules or molecular ions, and a model of bonded networks misses the weak forces "
        "between them, so that κ comes out far too high",
        "outside" if formers > 0.999 else "edge",
    )
