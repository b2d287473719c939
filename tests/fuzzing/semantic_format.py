"""What `semantic` asks of each format: intact files, what can be changed in them, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from paraisite.structures.origin import Record

ELEMENTS = (
    "H", "Li", "C", "O", "F", "Na", "Mg", "Al", "Si", "Cl", "K", "Ca", "Ti", "Fe", "Cu", "Zn", "Sr", "Cd", "Ba", "Pb",
)  # fmt: skip

Change = Callable[[Random, str], str]
"""Gives the text of a changed file."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format whose files state something.

    Attributes:
        seeds: Texts of intact files with one crystal each.
        records: The records of a text.
        changes: By name, what makes a file say another crystal than it states, or states another than it holds. It may also
            leave the crystal as it is.
        harmless: What leaves the crystal as it is.
    """

    seeds: Callable[[], tuple[str, ...]]
    records: Callable[[str], Iterator[Record]]
    changes: Mapping[str, Change]
    harmless: tuple[Change, ...]


def another(random: Random, symbol: str) -> str:
    """An element other than this one."""
    return random.choice([element for element in ELEMENTS if element != symbol])
