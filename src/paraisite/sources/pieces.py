"""Pieces of a source: small enough for one output part, cut out without parsing, and read by whoever gets them."""

from __future__ import annotations

import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from paraisite.errors import StructureError
from paraisite.readers.compression import read_bounded
from paraisite.readers.stream import as_structure_error, content_records, failing_record
from paraisite.readers.units import FileUnit, Unit, crystals_of
from paraisite.structures.checks import unreadable
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions
from paraisite.structures.limits import ReadingLimits, too_large
from paraisite.structures.origin import Origin, Record

_T = TypeVar("_T")

Lost = StructureError
"""Why there is no content."""
PIECE_CHARACTERS = 1 << 26
"""Content of a piece that is sent to a worker, after which no more is added to it."""


def batched(
    values: Iterable[_T], size: int, weight: int = 0, weigh: Callable[[_T], int] = lambda _: 0
) -> Iterator[tuple[_T, ...]]:
    """Tuples of up to `size` values, which end with the value that makes them as heavy as `weight`."""
    batch: list[_T] = []
    total = 0
    for value in values:
        batch.append(value)
        total += weigh(value)
        if len(batch) == size or total > weight:
            yield tuple(batch)
            batch, total = [], 0
    if batch:
        yield tuple(batch)


class Piece(ABC):
    """A part of a source that can be sent to another process."""

    __slots__ = ()

    @abstractmethod
    def units(self) -> Iterator[Unit]:
        """What it consists of: files, members of an archive, rows."""

    def items(self, options: ReadOptions = STRICT) -> Iterator[Crystal | ReadFailure]:
        """Crystals, and failures in the place of those that cannot be read."""
        return crystals_of(self.units(), options)


@dataclass(frozen=True, slots=True)
class FilesPiece(Piece):
    """Whole files.

    Attributes:
        paths: Structure files.
    """

    paths: tuple[str, ...]

    def units(self) -> Iterator[Unit]:
        """The files."""
        return (FileUnit(path) for path in self.paths)


@dataclass(frozen=True, slots=True)
class RecordsPiece(Piece):
    """Records of a long file, not yet parsed.

    Attributes:
        cut: The records with their origins.
    """

    cut: tuple[tuple[Record, Origin], ...]

    @property
    def name(self) -> str:
        """Name of the first record."""
        return self.cut[0][1].source

    def units(self) -> Iterator[Unit]:
        """Itself."""
        yield self

    def records(self, _: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
        """The records."""
        return iter(self.cut)


@dataclass(frozen=True, slots=True)
class ContentUnit:
    """A file in memory.

    Attributes:
        name: Its name.
        content: Its bytes.
    """

    name: str
    content: bytes

    def records(self, limits: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
        """Records of the file."""
        return content_records(self.name, self.content, limits=limits)


@dataclass(frozen=True, slots=True)
class ContentsPiece(Piece):
    """Files in memory, such as members of a tar archive.

    Attributes:
        contents: Name and content of each, or the reason why there is none.
    """

    contents: tuple[tuple[str, bytes | Lost], ...]

    def units(self) -> Iterator[Unit]:
        """The files."""
        for name, content in self.contents:
            yield ContentUnit(name, content) if isinstance(content, bytes) else LostUnit(name, content)


@dataclass(frozen=True, slots=True)
class LostUnit:
    """What cannot be had.

    Attributes:
        name: Its name.
        reason: What went wrong.
    """

    name: str
    reason: Lost

    def records(self, _: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
        """The failure."""
        yield failed_record(self.name, self.reason)


@dataclass(frozen=True, slots=True)
class MemberUnit:
    """A member of a zip archive.

    Attributes:
        archive: The archive.
        number: Its place in the archive's list; two members may have one name.
        member: Name inside it.
    """

    archive: zipfile.ZipFile
    number: int
    member: str

    @property
    def name(self) -> str:
        """Path of the archive and name inside it."""
        return f"{self.archive.filename}/{self.member}"

    def records(self, limits: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
        """Records of the member."""
        try:
            data = _content(self.archive, self.archive.infolist()[self.number], self.name, limits)
        except Exception as error:
            return iter([failed_record(self.name, error)])
        return content_records(self.name, data, limits=limits)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, limits: ReadingLimits) -> bytes:
    """Content of a member whose size and checksum are those that the archive states."""
    if stat.S_ISLNK(info.external_attr >> 16):
        raise unreadable(name, "it is a link, which is not followed", "pack the file itself")
    if info.file_size > limits.content_bytes:
        raise too_large(name, "its content has more than {} bytes", "content_bytes", limits)
    if info.file_size > limits.decompressed_bytes(info.compress_size):
        raise too_large(name, "it grows to more than {} times its size", "expansion", limits)
    with archive.open(info) as opened:
        return read_bounded(opened, name, limits)


@dataclass(frozen=True, slots=True)
class ZipPiece(Piece):
    """Members of a zip archive, which are unpacked by whoever reads them.

    Attributes:
        archive: Path of the archive.
        members: Their places in the archive's list and their names.
    """

    archive: str
    members: tuple[tuple[int, str], ...]

    def units(self) -> Iterator[Unit]:
        """The members."""
        try:
            opened = zipfile.ZipFile(self.archive)
        except Exception as error:
            yield FailedPiece(self.archive, f"the archive is broken, {error}")
            return
        with opened as archive:
            yield from (MemberUnit(archive, number, member) for number, member in self.members)


def failed_record(name: str, reason: object) -> tuple[Record, Origin]:
    """What stands for a file that cannot be read at all.

    Args:
        name: The file.
        reason: What went wrong, an exception or its text.
    """
    error = as_structure_error(name, reason) if isinstance(reason, Exception) else unreadable(name, reason)
    return failing_record(error), Origin(name, Path(name).name)


@dataclass(frozen=True, slots=True)
class FailedPiece(Piece):
    """What stands for a part of a source that cannot be read.

    Attributes:
        name: The part.
        reason: What went wrong.
    """

    name: str
    reason: str

    def units(self) -> Iterator[Unit]:
        """Itself."""
        yield self

    def records(self, _: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
        """The failure."""
        yield failed_record(self.name, self.reason)
