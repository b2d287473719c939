"""Every kind of input that the fuzzer damages, under one name and one function."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from containers import CONTAINERS
from mutators import Input, mutated_input
from seeds import FILE_NAMES

KINDS = (*FILE_NAMES, *CONTAINERS, "card", "optimade-answer")
"""Text formats, what holds them, cards of models, and pages of an OPTIMADE provider."""

EVERY = {"outcar": 5, "vasprun": 3, "jsonl": 3, "card": 3, "optimade-answer": 25}
"""Kinds of which an input takes long: only every so many numbers has one."""


def is_due(kind: str, number: int) -> bool:
    """Whether a number has an input of a kind."""
    return number % EVERY.get(kind, 1) == 0


def numbered_input(seed: int, kind: str, number: int) -> tuple[Input, Random]:
    """Text input of a number, and what is left of its randomness."""
    random = Random(f"{seed} {kind} {number}")
    return mutated_input(random, kind), random


def check_number(seed: int, kind: str, number: int, folder: Path, alive: Callable[[], None] = lambda: None) -> int:
    """Make an input of a kind by its number, and check what comes of it.

    Args:
        seed: Seed of the run.
        kind: One of `KINDS`.
        number: Number of the input.
        folder: An empty folder for files.
        alive: Called after every structure.

    Returns:
        Number of crystals, or records, that were still read.

    Raises:
        AssertionError: What must hold does not.
        Exception: Whatever the package lets through.
    """
    random = Random(f"{seed} {kind} {number}")
    if kind in CONTAINERS:
        from losses import check_container

        return check_container(kind, folder, random, alive)
    if kind == "card":
        from cards import check_card_damage

        return check_card_damage(folder, random)
    if kind == "optimade-answer":
        from answers import check_answer

        return check_answer(folder, random)
    from checks import check_input

    given, random = numbered_input(seed, kind, number)
    return check_input(given, folder, random, alive)


def warm_up(kinds: Sequence[str], folder: Path) -> None:
    """Import what kinds need, and make their intact inputs, so that it does not count as time of the first input."""
    for kind in kinds:
        with contextlib.suppress(Exception):  # a finding, when its turn comes
            check_number(0, kind, 0, folder)
