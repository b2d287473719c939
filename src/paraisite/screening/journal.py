"""What is known of a piece whose workers die with it, kept in a file that the next worker finds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from paraisite.errors import ParaisiteError
from paraisite.processes.worker import ATTEMPTS
from paraisite.readers.units import Place
from paraisite.screening.manifest import part_path
from paraisite.screening.scanner import PieceResult, Scanner
from paraisite.sources.pieces import Piece

_BEGUN = None
"""Stands in a journal for the beginning of an attempt."""


def write_part_again(scanner: Scanner, index: int, find: Callable[[], Piece]) -> PieceResult:
    """Scan a piece by a worker that a cluster starts anew, and gives the same piece, as often as it dies.

    After two attempts that ended their workers the piece is done one structure at a time, each step noted before it is taken;
    the step that ends two workers is left out, and its structure gets a row `crashed_reader`.

    Args:
        scanner: What scans.
        index: Number of the piece.
        find: Gives the piece.

    Raises:
        ParaisiteError: Finding the piece ends each worker.
        OSError: The part cannot be written.
    """
    # The name is that of a file half written, which a later attempt at the whole scan removes.
    path = part_path(scanner.settings.out, index)
    journal = path.with_name(f".{path.name}.journal.part")
    attempts = _attempts(journal)
    with journal.open("a", encoding="utf-8") as notes:
        _note(notes, _BEGUN)
        if attempts[-2 * ATTEMPTS :] == [_BEGUN] * 2 * ATTEMPTS:
            raise ParaisiteError(
                f"Piece {index} of the scan ended its worker {len(attempts)} times before it read a structure; leave "
                "out the file that it begins with, or give the workers more memory."
            )
        piece = find()
        if len(attempts) < ATTEMPTS:
            result = scanner.write_part(index, piece)
        else:
            result = _carefully(scanner.write_part_carefully(index, piece, _crashed(attempts)), notes)
    journal.unlink(missing_ok=True)
    return result


def _carefully(steps: Iterator[Place | PieceResult], notes: TextIO) -> PieceResult:
    result: PieceResult | None = None
    for step in steps:
        if isinstance(step, Place):
            _note(notes, step)
        else:
            result = step
    assert result is not None  # noqa: S101 - the last step
    return result


def _note(notes: TextIO, place: Place | None) -> None:
    entry = None if place is None else [place.unit, place.record, place.parsing]
    notes.write(json.dumps(entry) + "\n")
    notes.flush()


def _attempts(journal: Path) -> list[Place | None]:
    """The last step of each attempt that was begun; None for one that noted no step."""
    last: list[Place | None] = []
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off in the middle of its writing
        if entry is None:
            last.append(None)
        elif last:
            last[-1] = Place(*entry)
    return last


def _crashed(attempts: list[Place | None]) -> frozenset[Place]:
    deaths = Counter(place for place in attempts if place is not None)
    return frozenset(place for place, n_deaths in deaths.items() if n_deaths >= ATTEMPTS)
