"""What the children of these tests do; they import this file by its name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from paraisite import errors
from paraisite.screening.journal import write_part_again
from paraisite.screening.scanner import PieceResult, Scanner, ScannerSettings
from paraisite.sources.pieces import Piece
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin


def echo() -> Callable[[Any], Iterator[Any]]:
    return lambda task: iter([task])


def process_number() -> Callable[[Any], Iterator[int]]:
    return lambda _: iter([os.getpid()])


def slow() -> Callable[[Any], Iterator[int]]:
    def answers(task: Any) -> Iterator[int]:
        time.sleep(1)
        yield len(task)

    return answers


def count_or_die() -> Callable[[int], Iterator[int]]:
    """Three answers to each task; task 5 kills its process after the first."""

    def answers(task: int) -> Iterator[int]:
        for number in range(3):
            if task == 5 and number == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            yield 10 * task + number

    return answers


def die_once(mark: Path) -> Callable[[int], Iterator[int]]:
    """Two answers to each task; the first process that comes to task 2 dies between them."""

    def answers(task: int) -> Iterator[int]:
        yield 10 * task
        if task == 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield 10 * task + 1

    return answers


def write_for_ever() -> Callable[[str], Iterator[None]]:
    def answers(path: str) -> Iterator[None]:
        while True:
            with Path(path).open("a") as file:
                file.write(f"{os.getpid()}\n")
            time.sleep(0.01)
        yield

    return answers


class OddError(Exception):
    """One that cannot be made again from its message."""

    def __init__(self, *, number: int) -> None:
        super().__init__(f"odd {number}")


RAISED: list[Exception] = [
    errors.ParaisiteError("It is wrong.", code="its_own"),
    errors.ModelFileError("It is missing.", code="no_model"),
    errors.StructureError("Another."),
    FileNotFoundError(2, "No such file or directory", "x.cif"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    MemoryError(),
]


def raising() -> Callable[[int], Iterator[None]]:
    def answers(number: int) -> Iterator[None]:
        raise RAISED[number] if number < len(RAISED) else OddError(number=number)
        yield

    return answers


def unready() -> Callable[[Any], Iterator[None]]:
    raise errors.ModelFileError("There is no model.", code="no_model")


def print_much() -> Callable[[str], Iterator[str]]:
    def answers(task: str) -> Iterator[str]:
        print("printed", flush=True)
        os.write(1, b"written\n")
        yield task

    return answers


def import_module() -> Callable[[str], Iterator[str | None]]:
    def answers(name: str) -> Iterator[str | None]:
        try:
            yield __import__(name).__file__
        except ImportError:
            yield None

    return answers


def killing_record(origin: Origin) -> Crystal:
    """A record whose parsing ends the process, as a fault in a library written in C would."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError(origin)


def raising_record(kind: type[Exception], origin: Origin) -> Crystal:
    raise kind(f"{origin.material_id} is odd")


def slow_record(origin: Origin) -> Crystal:
    """A record that takes longer than it may, whatever Python's interpreter does meanwhile."""
    time.sleep(600)
    raise AssertionError(origin)


class WriteAgain:
    """Scans pieces as an actor of Ray does, which is started anew as often as it dies."""

    def __init__(self, settings: ScannerSettings) -> None:
        self.settings = settings

    def __call__(self) -> Callable[[tuple[int, Piece]], Iterator[PieceResult]]:
        scanner = Scanner(self.settings)

        def answers(task: tuple[int, Piece]) -> Iterator[PieceResult]:
            index, piece = task
            yield write_part_again(scanner, index, lambda: piece)

        return answers
