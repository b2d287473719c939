"""Cuts and flipped bits in every format and in what holds them: each input has its rows, or one that says why not."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from random import Random

from attacks import bench  # noqa: F401 - the path to the modules beside the tests
from attacks.base import Attack, FaultError

from checks import check_input  # isort: skip - beside the tests
from containers import CONTAINERS, Container, cut, flip_bits, flip_near_an_end, intact  # isort: skip
from losses import check_damage  # isort: skip
from mutators import Input  # isort: skip
from seeds import FILE_NAMES, seeds  # isort: skip

EACH = 220
"""Inputs of a kind: 5 500 of all 25."""
LONG = {"extxyz": 5, "jsonl": 5, "cif": 3}
"""Text formats of which a file holds many records, and how many the attacked ones hold."""


def _damage_text(kind: str, random: Random, folder: Path) -> str:
    data = random.choice(seeds()[kind])
    data = flip_bits(random, data) if random.random() < 0.5 else cut(random, data)
    n_crystals = check_input(Input(FILE_NAMES[kind], data), folder, random)
    return "read" if n_crystals else "a row with its reason"


def _damage_long_text(kind: str, random: Random, folder: Path) -> str:
    """Of a file of many records none may go without a word."""
    records = _records(kind)
    container = Container(FILE_NAMES[kind], b"".join(records), guarded=False)
    if random.random() < 0.5:
        data = flip_bits(random, container.data)
    else:
        # Not behind a record, where the rest is a whole file, nor in its last line, whose loss of digits no reader can see.
        number = random.randrange(len(records))
        inside = records[number].rstrip()
        # A block of a CIF without its cell is taken for a remark of the publication.
        start = inside.find(b"_cell_length_a") + len(b"_cell_length_a 1") if kind == "cif" else 1
        end = inside.rfind(b"\n") if b"\n" in inside else len(inside) - 1
        data = b"".join(records[:number]) + inside[: random.randrange(start, end)]
    return _held(check_damage(container, data, folder, random.choice((1, 3, 64))))


@cache
def _records(kind: str) -> list[bytes]:
    if kind == "jsonl":
        return max(seeds()[kind], key=len).splitlines(keepends=True)
    return [text if text.endswith(b"\n") else text + b"\n" for text in seeds()[kind][: LONG[kind]]]


def _damage_container(kind: str, random: Random, folder: Path) -> str:
    container = random.choice(intact(kind))
    data = random.choice((flip_bits, flip_bits, flip_near_an_end, cut))(random, container.data)
    return _held(check_damage(container, data, folder, random.choice((1, 3, 64))))


def _held(n_crystals: int) -> str:
    return "read" if n_crystals else "a row with its reason"


def _as_fault(check: partial[str], random: Random, folder: Path) -> str:
    try:
        return check(random, folder)
    except AssertionError as error:
        raise FaultError(str(error)) from error


def _attack(kind: str) -> Attack:
    if kind in CONTAINERS:
        check = partial(_damage_container, kind)
    else:
        check = partial(_damage_long_text if kind in LONG else _damage_text, kind)
    return Attack(f"damage-{kind}", f"cuts and flipped bits: {kind}", EACH, partial(_as_fault, check), quick=True)


ATTACKS = tuple(_attack(kind) for kind in (*FILE_NAMES, *CONTAINERS))
