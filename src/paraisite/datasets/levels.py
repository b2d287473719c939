"""Levels of fidelity of κ, and how noisy a data set's values are taken to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from paraisite.errors import DataError


class Level(StrEnum):
    """How κ was found, from the cheapest to the best; a data set may name a level that is not among these."""

    AGL = "agl"
    HARMONIC = "harmonic"
    COMPUTED = "computed"
    FIRST_PRINCIPLES = "first_principles"
    MEASURED = "measured"


NOISE_LOG10 = {
    Level.AGL: 0.3,
    Level.HARMONIC: 0.3,
    Level.COMPUTED: 0.2,
    Level.FIRST_PRINCIPLES: 0.1,
    Level.MEASURED: 0.3,
}
"""Median of the prior of the noise in log10 κ, for a data set that does not say its own. Rough by choice: a quarter
between first-principles values of several recipes, a factor of two for measurements and for what AGL or harmonic models say;
a fit moves each by its own data, as the prior spreads over a factor of two to either side."""
LOW_LEVELS = frozenset({Level.AGL, Level.HARMONIC, Level.COMPUTED})
"""Levels whose values are not κ itself but an estimate to be corrected: a model learns them by surrogates."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where values of κ come from: what a fit knows of a data set besides its crystals.

    Attributes:
        name: Name of the data set.
        level: Level of fidelity, one of `Level` or another name.
        noise_log10: Median of the prior of the noise in log10 κ.
        identity: What makes it this data set and no other of the same name: its name for one of the catalogue, else a hash
            of its crystals and κ; empty where it is not known.
        low: Whether its values are estimates that a model corrects; see `LOW_LEVELS`.
    """

    name: str
    level: str = Level.FIRST_PRINCIPLES
    noise_log10: float = NOISE_LOG10[Level.FIRST_PRINCIPLES]
    identity: str = ""
    low: bool = False


def noise_prior(level: str, noise_log10: float | None = None) -> float:
    """Give the noise prior of a level, or check the one that is given.

    Raises:
        DataError: The level is not known and no prior is given, or the prior is no positive number.
    """
    if noise_log10 is None:
        if level not in NOISE_LOG10:
            raise DataError(
                f"The level {level!r} is none of {', '.join(Level)}; give the noise of its log10 κ too, such as 0.1."
            )
        return NOISE_LOG10[Level(level)]
    if not 0 < noise_log10 < float("inf"):
        raise DataError(f"The noise of log10 κ must be a number above 0, not {noise_log10!r}.")
    return noise_log10


def level_title(level: str) -> str:
    """Name of a level for a reader."""
    return "AGL" if level == Level.AGL else level.replace("_", " ")
