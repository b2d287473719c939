"""Pieces of a source: small enough for one output part, cut out without parsing, and read by whoever gets them."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paraisite.structures.checks import unreadable
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions
from paraisite.structures.origin import Origin, Record
from paraisite.structures.readers import content_records
from paraisite.structures.units import FileUnit, Unit, crystals_of


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

    def records(self) -> Iterator[tuple[Record, Origin]]:
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

    def records(self) -> Iterator[tuple[Record, Origin]]:
        """Records of the file."""
        return content_records(self.name, self.content)


@dataclass(frozen=True, slots=True)
class ContentsPiece(Piece):
    """Files in memory, such as members of a tar archive.

    Attributes:
        contents: Name and content of each.
    """

    contents: tuple[tuple[str, bytes], ...]

    def units(self) -> Iterator[Unit]:
        """The files."""
        return (ContentUnit(name, data) for name, data in self.contents)


@dataclass(frozen=True, slots=True)
class MemberUnit:
    """A member of a zip archive.

    Attributes:
        archive: The archive.
        member: Name inside it.
    """

    archive: zipfile.ZipFile
    member: str

    @property
    def name(self) -> str:
        """Path of the archive and name inside it."""
        return f"{self.archive.filename}/{self.member}"

    def records(self) -> Iterator[tuple[Record, Origin]]:
        """Records of the member."""
        try:
            data = self.archive.read(self.member)
        except Exception as error:
            return iter([failed_record(self.name, error)])
        return content_records(self.name, data)


@dataclass(frozen=True, slots=True)
class ZipPiece(Piece):
    """Members of a zip archive, which are unpacked by whoever reads them.

    Attributes:
        archive: Path of the archive.
        members: Names inside it.
    """

    archive: str
    members: tuple[str, ...]

    def units(self) -> Iterator[Unit]:
        """The members."""
        try:
            opened = zipfile.ZipFile(self.archive)
        except Exception as error:
            yield FailedPiece(self.archive, f"the archive is broken, {error}")
            return
        with opened as archive:
            yield from (MemberUnit(archive, member) for member in self.members)


def failed_record(name: str, reason: object) -> tuple[Record, Origin]:
    """What stands for a file that cannot be read at all."""
    return _Unreadable(name, str(reason) or type(reason).__name__), Origin(name, Path(name).name)


@dataclass(frozen=True, slots=True)
class _Unreadable:
    name: str
    reason: str

    def __call__(self, _: Origin) -> Crystal:
        raise unreadable(self.name, self.reason)


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

    def records(self) -> Iterator[tuple[Record, Origin]]:
        """The failure."""
        yield failed_record(self.name, self.reason)
