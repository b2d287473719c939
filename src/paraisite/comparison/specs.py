"""What is compared: a candidate and the further data that it trains on, written `candidate+data`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paraisite.comparison.candidates.registry import factories
from paraisite.datasets.catalogue import brought_along
from paraisite.errors import ParaisiteError


def further_data() -> tuple[str, ...]:
    """Data sets that a candidate can be given beside a protocol's own, always in one order: those of other packages last."""
    return ("hh143", "literature", "aflow_agl", *brought_along())


@dataclass(frozen=True, slots=True)
class CandidateSpec:
    """A row of the comparison.

    Attributes:
        name: Name of the candidate.
        further: Names of the data sets that it trains on beside the protocol's own, in the order of `further_data`.
    """

    name: str
    further: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write it as it is typed, `knn+hh143+literature`; also the name of its folder."""
        return "+".join((self.name, *self.further))


def parse_spec(text: str) -> CandidateSpec:
    """Read a candidate with its further data, such as `knn+hh143`.

    Raises:
        ParaisiteError: There is no such candidate or no such data set.
    """
    name, *further = (part.strip() for part in text.split("+"))
    known = factories()
    if name not in known:
        raise ParaisiteError(f"There is no candidate {name!r}; choose among {', '.join(known)}.")
    for data in further:
        if data not in further_data():
            raise ParaisiteError(
                f"{data!r} cannot be given to {name} as further training data; choose among {', '.join(further_data())}."
            )
    return CandidateSpec(name, tuple(data for data in further_data() if data in further))


def parse_specs(texts: Sequence[str], further: Sequence[str] = ()) -> list[CandidateSpec]:
    """Read candidates, each once, and give all of them the same further data on top of their own.

    Raises:
        ParaisiteError: As for `parse_spec`, or none is given.
    """
    if not texts:
        raise ParaisiteError("No candidate is named; give one at least, such as knn.")
    return list(dict.fromkeys(parse_spec("+".join((text, *further))) for text in texts))
