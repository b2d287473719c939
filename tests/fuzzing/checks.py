"""What must hold for any input at all: crystals, or one sentence for each that is none, and a row of a scan for both."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from random import Random

import numpy as np
from mutators import Input

from paraisite.models.inputs import Needs
from paraisite.prediction.prepare import CHUNK_CRYSTALS, prepare
from paraisite.readers import iter_crystals
from paraisite.screening.rows import describe, make_rows
from paraisite.screening.sources import ScanSource
from paraisite.sources.pieces import ContentsPiece
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.limits import DEFAULT_READING
from paraisite.uncertainty.judgement import Judgement

LONGEST_SENTENCE = 1000
SYMMETRY_ITEMS = 8
"""Longer lists of crystals are not searched for symmetry, which takes milliseconds each."""
SYMMETRY_SHARE = 0.25
"""Share of the inputs that are searched for it."""
FAILURES_SHARE = 0.1
"""Share of the inputs without a crystal of which the rows are made too: one failure makes a row like another."""
Item = Crystal | ReadFailure
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_input(given: Input, folder: Path, random: Random, alive: Callable[[], None] = lambda: None) -> int:
    """Read an input as a scan or a prediction does, and make the rows of all that is found.

    Args:
        given: The input.
        folder: A folder for its file, which is replaced every time.
        random: Chooses the way of reading: a piece of a scan, a list of files, or a file in an archive.
        alive: Called after every structure.

    Returns:
        Number of crystals.

    Raises:
        AssertionError: An item is no crystal, and no failure with one sentence.
        Exception: Whatever the package lets through.
    """
    path = folder / given.name
    path.write_bytes(given.data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)  # for developers of other packages
        try:
            items = _told(_items(given, path, random.randrange(3)), alive)
            first = list(islice(items, CHUNK_CRYSTALS))
            if any(isinstance(item, Crystal) for item in first) or random.random() < FAILURES_SHARE:
                symmetry = random.random() < SYMMETRY_SHARE
                n_items, n_crystals = _rows(chain(first, items), symmetry=symmetry)
            else:
                n_items, n_crystals = _failures(chain(first, items)), 0
        finally:
            path.unlink()
    assert n_items > 0, "no item at all"
    for warning in caught:
        raise AssertionError(
            f"warning: {warning.category.__name__} {warning.message} ({warning.filename}:{warning.lineno})"
        )
    return n_crystals


def _items(given: Input, path: Path, way: int) -> Iterator[Item]:
    if way == 0:
        return iter_crystals([path])
    if way == 1:
        return ContentsPiece(((str(path), given.data),)).items()
    pieces = ScanSource(str(path), (path,)).pieces(CHUNK_CRYSTALS)
    return (item for piece in pieces for item in pickle.loads(pickle.dumps(piece)).items())


def _told(items: Iterator[Item], alive: Callable[[], None]) -> Iterator[Item]:
    for item in items:
        alive()
        yield item


def _rows(items: Iterator[Item], *, symmetry: bool) -> tuple[int, int]:
    """Numbers of items and of crystals, after making a scan's rows of them without a model's numbers."""
    n_items = n_crystals = 0
    while chunk := list(islice(items, CHUNK_CRYSTALS)):
        prepared = prepare(chunk, Needs())
        described = describe(chunk, DEFAULT_READING.symmetry_atoms if symmetry and len(chunk) <= SYMMETRY_ITEMS else 0)
        n_graphs = len(prepared.inputs)
        rows = make_rows(prepared, described, np.ones((2, n_graphs)), Judgement.unknown(n_graphs)).to_pylist()
        assert len(rows) == len(chunk), "a row is missing"
        for row in rows:
            assert (row["status"] == "ok") == (row["error"] == ""), row
            assert row["source"], "no source"
            assert not _CONTROL.search(row["material_id"]), f"control characters in {row['material_id']!a}"
            check_sentence(row["error"])
        n_items += len(chunk)
        n_crystals += n_graphs
    return n_items, n_crystals


def _failures(items: Iterator[Item]) -> int:
    """Number of items that are failures, for the most part, so that no rows of them need be made."""
    n_items = 0
    for item in items:
        n_items += 1
        if isinstance(item, ReadFailure):
            assert item.source, "no source"
            check_sentence(item.message)
    return n_items


def check_sentence(text: str) -> None:
    """Refuse an error that is not one short line of text, ended by a full stop."""
    assert text == "" or text.endswith("."), f"no sentence: {text!a}"
    assert len(text) <= LONGEST_SENTENCE, f"a sentence of {len(text)} characters: {text[:200]!a}"
    assert "Traceback" not in text, f"a traceback: {text!a}"
    assert "MemoryError" not in text, f"all memory taken: {text!a}"
    assert not _CONTROL.search(text), f"control characters: {text!a}"
