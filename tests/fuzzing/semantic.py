"""Files that are well formed and say another crystal than their own statements: it must never be predicted as if right.

Each mutant changes one thing in a file that states what it holds: formula, counts, symmetry, or the same numbers twice. It
may be read as the crystal that the intact file holds (then the change was harmless), or be refused, or carry a warning;
anything else is a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
from scipy.optimize import linear_sum_assignment
from semantic_cif import CIF
from semantic_extxyz import EXTXYZ
from semantic_format import Format
from semantic_json import OPTIMADE, PYMATGEN
from semantic_poscar import POSCAR

from paraisite.readers.stream import parse_record
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.origin import Origin

SAME_ANGSTROM = 0.05
FORMATS: Mapping[str, Format] = {
    "cif": CIF,
    "poscar": POSCAR,
    "extxyz": EXTXYZ,
    "optimade": OPTIMADE,
    "pymatgen": PYMATGEN,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed file.

    Attributes:
        kind: Its format.
        change: What was changed.
        text: Its content.
        intact: The crystal of the intact file.
    """

    kind: str
    change: str
    text: str
    intact: Crystal


def mutant(random: Random, kind: str) -> Mutant:
    """One mutant of a format."""
    form = FORMATS[kind]
    text, intact = random.choice(_seeds(kind))
    name = random.choice(tuple(form.changes))
    text = form.changes[name](random, text)
    for _ in range(random.choice((0, 0, 1, 2))):
        text = random.choice(form.harmless)(random, text)
    return Mutant(kind, name, text, intact)


def harmless_mutant(random: Random, kind: str) -> Mutant:
    """An intact file with what leaves its crystal as it is."""
    text, intact = random.choice(_seeds(kind))
    for change in FORMATS[kind].harmless:
        text = change(random, text)
    return Mutant(kind, "nothing", text, intact)


def check_mutant(given: Mutant) -> str:
    """How a mutant is read: `same`, or the code with which it is refused.

    Raises:
        AssertionError: A crystal of it is another than that of the intact file.
    """
    items = _read(given.kind, given.text)
    assert items, f"{given.change}: nothing was read"
    for item in items:
        if isinstance(item, ReadFailure):
            continue
        deviation = _deviation(item, given.intact)
        assert deviation < SAME_ANGSTROM, (
            f"{given.change}: read as {item.formula} with {item.n_atoms} atoms, {deviation:.2g} Å from "
            f"{given.intact.formula} with {given.intact.n_atoms}"
        )
    return next((item.code for item in items if isinstance(item, ReadFailure)), "same")


@cache
def _seeds(kind: str) -> tuple[tuple[str, Crystal], ...]:
    return tuple((text, _read_intact(kind, text)) for text in FORMATS[kind].seeds())


def _read(kind: str, text: str) -> list[Crystal | ReadFailure]:
    try:
        records = list(FORMATS[kind].records(text))
    except Exception as error:  # of the file as a whole, which the stream turns into a row
        return [ReadFailure("mutant", "mutant", getattr(error, "code", "") or type(error).__name__, str(error))]
    return [parse_record(record, Origin("mutant", "mutant")) for record in records]


def _read_intact(kind: str, text: str) -> Crystal:
    (item,) = _read(kind, text)
    assert isinstance(item, Crystal), item
    return item


def _deviation(first: Crystal, second: Crystal) -> float:
    """Largest distance in Å of cells and best-matched atoms; infinite for other atoms."""
    if sorted(first.numbers) != sorted(second.numbers):
        return float("inf")
    worst = float(np.abs(first.cell - second.cell).max())
    for number in np.unique(first.numbers):
        shift = first.fractional[first.numbers == number][:, None] - second.fractional[second.numbers == number][None]
        shift -= np.round(shift)
        distances = np.linalg.norm(shift @ first.cell, axis=-1)
        worst = max(worst, float(distances[linear_sum_assignment(distances)].max()))
    return worst
