"""What must hold for a damaged container: nothing is lost without a word, and no value is changed where check sums are."""

from __future__ import annotations

import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from checks import check_sentence
from containers import Container, damaged_container

from paraisite.screening.sources import ScanSource
from paraisite.structures.crystal import Crystal, ReadFailure

Item = Crystal | ReadFailure
Key = tuple[bytes, bytes, bytes]


def check_container(kind: str, folder: Path, random: Random, alive: Callable[[], None] = lambda: None) -> int:
    """Damage a container and read it as a scan does.

    Args:
        kind: One of `containers.CONTAINERS`.
        folder: A folder for the file.
        random: Tells the damage.
        alive: Called after every structure.

    Returns:
        Number of crystals that were still read.

    Raises:
        AssertionError: Crystals are gone and no failure says so; a crystal is another one although the format carries check
            sums; or a failure is no sentence.
        Exception: Whatever the package lets through.
    """
    container, data = damaged_container(random, kind)
    return check_damage(container, data, folder, random.choice((1, 3, 64)), alive)


def check_damage(
    container: Container, data: bytes, folder: Path, piece_size: int, alive: Callable[[], None] = lambda: None
) -> int:
    """Read the damaged content of a container; as `check_container`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)  # for developers of other packages
        items = read_items(folder / container.name, data, piece_size, alive)
    for warning in caught:
        raise AssertionError(f"warning: {warning.category.__name__} {warning.message}")
    assert items, "no item at all"
    before, failures_before = _intact_items(container, str(folder))
    found = Counter(key_of(item) for item in items if isinstance(item, Crystal))
    failures = [item for item in items if isinstance(item, ReadFailure)]
    for failure in failures:
        check_sentence(failure.message)
        assert failure.source, "no source"
    if found.total() < before.total():
        said = [failure for failure in failures if failure.message not in failures_before]
        assert said, f"LOST without a word: {before.total() - found.total()} of {before.total()} crystals"
    if container.guarded:
        changed = set(found) - set(before)
        how = "beside a failure" if failures else "without a word"
        assert not changed, f"CHANGED {how}: {len(changed)} of {before.total()} crystals"
    return found.total()


def read_items(path: Path, data: bytes, piece_size: int, alive: Callable[[], None] = lambda: None) -> list[Item]:
    """Crystals and failures of a file as a scan reads it, with pieces that are sent to another process."""
    path.write_bytes(data)
    items: list[Item] = []
    try:
        for piece in ScanSource(str(path), (path,)).pieces(piece_size):
            for item in pickle.loads(pickle.dumps(piece)).items():
                alive()
                items.append(item)
    finally:
        path.unlink()
    return items


@cache
def _intact_items(container: Container, folder: str) -> tuple[Counter[Key], frozenset[str]]:
    """Crystals of an intact container with how often each is there, and messages of what fails in it already."""
    items = read_items(Path(folder) / container.name, container.data, 64)
    crystals = Counter(key_of(item) for item in items if isinstance(item, Crystal))
    assert crystals, "an intact container gives no crystals"
    return crystals, frozenset(item.message for item in items if isinstance(item, ReadFailure))


def key_of(crystal: Crystal) -> Key:
    """What decides κ: species, cell and positions, bit for bit."""
    return (
        np.asarray(crystal.numbers, np.int64).tobytes(),
        np.asarray(crystal.cell, np.float64).tobytes(),
        np.asarray(crystal.fractional, np.float64).tobytes(),
    )
