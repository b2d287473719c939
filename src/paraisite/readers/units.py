"""Reading in steps that are announced before they are taken, so that those which end the process can be left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

from paraisite.errors import StructureError
from paraisite.readers.stream import failure_of, parse_record, path_records
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions
from paraisite.structures.limits import ReadingLimits
from paraisite.structures.origin import Origin, Record


class Unit(Protocol):
    """Something that holds records, such as a file or a member of an archive."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        ...

    def records(self, limits: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
        """Its records, cut out but not parsed; those that cannot be had are records that fail."""
        ...


@dataclass(frozen=True, slots=True)
class FileUnit:
    """A file, or a directory of files.

    Attributes:
        name: Its path.
        format: Its format, as for `iter_crystals`; None where it says its own.
    """

    name: str
    format: str | None = None

    def records(self, limits: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
        """Records of the file."""
        return path_records(Path(self.name), self.format, limits)


@dataclass(frozen=True, slots=True)
class Place:
    """A step of reading.

    Attributes:
        unit: Number of the unit.
        record: Number of the record in it.
        parsing: Whether the record is parsed and used; else it is cut out, which reads on in the unit.
    """

    unit: int
    record: int
    parsing: bool


def crystals_of(units: Iterable[Unit], options: ReadOptions = STRICT) -> Iterator[Crystal | ReadFailure]:
    """Crystals of units, and failures in the place of those that cannot be read."""
    for unit in units:
        for record, origin in unit.records(options.limits):
            yield parse_record(record, origin, options)


def steps_without(
    units: Iterable[Unit], crashed: frozenset[Place], n_skipped: int = 0, options: ReadOptions = STRICT
) -> Iterator[Place | Crystal | ReadFailure]:
    """As `crystals_of`, each step announced by its place, with a failure for each step that ended a process before.

    Args:
        units: What is read.
        crashed: Steps to leave out.
        n_skipped: Items at the beginning that are not wanted, nor parsed.
        options: What readers let pass.
    """
    n_items = 0
    for number, unit in enumerate(units):
        records = unit.records(options.limits)
        for index in count():
            cut, parse = Place(number, index, parsing=False), Place(number, index, parsing=True)
            yield cut
            found = None if cut in crashed else next(records, None)
            if found is None and cut not in crashed:
                break  # the unit has no more
            n_items += 1
            if n_items > n_skipped:
                if found is not None and parse not in crashed:
                    yield parse
                    yield parse_record(*found, options)
                else:
                    yield _crashed(
                        Origin(unit.name, Path(unit.name).name) if found is None else found[1], index, options
                    )
            if found is None:
                break


def _crashed(origin: Origin, index: int, options: ReadOptions) -> ReadFailure:
    """The failure of a record that ends processes, or of all from it on where the unit cannot be read further."""
    what = "reading it" if "#" in origin.source or index == 0 else f"reading it from record {index + 1} on"
    return failure_of(
        origin,
        StructureError(
            f"{origin.source}: {what} ended the working process, several times, perhaps for want of memory, or as it took "
            f"over {options.limits.record_seconds} s (--limit record_seconds=NUMBER); check the file, or leave it out.",
            code="crashed_reader",
        ),
    )
