"""Pieces of a source: small enough for one output part, cut out without parsing, and read by whoever gets them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from paraisite.structures.checks import unreadable
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions
from paraisite.structures.origin import Origin, Record
from paraisite.structures.readers import content_records, failure_of, iter_crystals, parse_record


class Piece(Protocol):
    """A part of a source that can be sent to another process."""

    def items(self, options: ReadOptions = STRICT) -> Iterator[Crystal | ReadFailure]:
        """Crystals, and failures in the place of those that cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class FilesPiece:
    """Whole files.

    Attributes:
        paths: Structure files.
    """

    paths: tuple[str, ...]

    def items(self, options: ReadOptions = STRICT) -> Iterator[Crystal | ReadFailure]:
        """Crystals of the files."""
        return iter_crystals(self.paths, options=options)


@dataclass(frozen=True, slots=True)
class RecordsPiece:
    """Records of a long file, not yet parsed.

    Attributes:
        records: The records with their origins.
    """

    records: tuple[tuple[Record, Origin], ...]

    def items(self, options: ReadOptions = STRICT) -> Iterator[Crystal | ReadFailure]:
        """Crystals of the records."""
        return (parse_record(record, origin, options) for record, origin in self.records)


@dataclass(frozen=True, slots=True)
class ContentsPiece:
    """Files in memory, such as members of a tar archive.

    Attributes:
        contents: Name and content of each.
    """

    contents: tuple[tuple[str, bytes], ...]

    def items(self, options: ReadOptions = STRICT) -> Iterator[Crystal | ReadFailure]:
        """Crystals of the files."""
        for name, data in self.contents:
            yield from (parse_record(record, origin, options) for record, origin in content_records(name, data))


@dataclass(frozen=True, slots=True)
class ZipPiece:
    """Members of a zip archive, which are unpacked by whoever reads them.

    Attributes:
        archive: Path of the archive.
        members: Names inside it.
    """

    archive: str
    members: tuple[str, ...]

    def items(self, options: ReadOptions = STRICT) -> Iterator[Crystal | ReadFailure]:
        """Crystals of the members."""
        with zipfile.ZipFile(self.archive) as archive:
            for member in self.members:
                name = f"{self.archive}/{member}"
                try:
                    data = archive.read(member)
                except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
                    yield failure(name, error)
                    continue
                yield from (parse_record(record, origin, options) for record, origin in content_records(name, data))


def failure(name: str, reason: object) -> ReadFailure:
    """The failure of a file that cannot be read at all."""
    return failure_of(Origin(name, Path(name).name), unreadable(name, reason))


@dataclass(frozen=True, slots=True)
class FailedPiece:
    """What stands for a part of a source that cannot be read.

    Attributes:
        failures: What went wrong.
    """

    failures: tuple[ReadFailure, ...]

    def items(self, options: ReadOptions = STRICT) -> Iterator[Crystal | ReadFailure]:  # noqa: ARG002 - as for all pieces
        """The failures."""
        return iter(self.failures)
