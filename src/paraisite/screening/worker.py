"""What a working process of a scan does: a piece with its number goes in, what was counted comes out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paraisite.processes.search import At
from paraisite.readers.units import Place
from paraisite.screening.scanner import PieceResult, Scanner, ScannerSettings
from paraisite.sources.pieces import Piece


@dataclass(frozen=True, slots=True)
class PieceTask:
    """A piece to scan.

    Attributes:
        index: Its number.
        piece: The piece.
        crashed: Places in it to leave out; None before it ended a process, which allows the quick way.
    """

    index: int
    piece: Piece
    crashed: frozenset[Place] | None = None


READY = "ready"
"""The task that has no answer: it fails where the model cannot be loaded."""


@dataclass(frozen=True, slots=True)
class ScanService:
    """What a working process does.

    Attributes:
        settings: What it needs to know.
    """

    settings: ScannerSettings

    def __call__(self) -> Callable[[PieceTask | str], Iterator[PieceResult | At]]:
        """Load the model, in the working process."""
        scanner = Scanner(self.settings)
        # What the libraries made stays to the end: looking through it again and again took 4 % of a scan's time.
        gc.freeze()

        def answers(task: PieceTask | str) -> Iterator[PieceResult | At]:
            if isinstance(task, str):
                return
            if task.crashed is None:
                yield scanner.write_part(task.index, task.piece)
                return
            for step in scanner.write_part_carefully(task.index, task.piece, task.crashed):
                yield At(step) if isinstance(step, Place) else step

        return answers
