"""Archives as sources: each member once, and an error row for whatever of an archive is lost, doubtful or refused."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from paraisite.errors import StructureError
from paraisite.readers.compression import open_decompressed, read_bounded
from paraisite.readers.stream import as_structure_error
from paraisite.sources.pieces import (
    PIECE_CHARACTERS,
    ContentsPiece,
    FailedPiece,
    Lost,
    Piece,
    ZipPiece,
    batched,
)
from paraisite.structures.checks import unreadable
from paraisite.structures.limits import ReadingLimits, too_large

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_BLOCK = tarfile.BLOCKSIZE
_ZEROS = bytes(_BLOCK)
_HEADER_BYTES = 1 << 24
"""Bytes of a member's headers, which hold its name and what POSIX adds to it."""
_SKIP_BYTES = 1 << 20
_REMEDY = "check the archive"
_UP_TO_NEXT = "is damaged; what lies between it and the next is lost"


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its name."""
    return is_zip(path) or is_tar(path)


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, by its name."""
    return path.name.lower().endswith(".zip")


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, by its name."""
    return path.name.lower().endswith(TAR_SUFFIXES)


def zip_pieces(path: Path, size: int) -> Iterator[Piece]:
    """Members of a zip archive by name; each is unpacked, and its checksum compared, by whoever reads it."""
    try:
        with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
            listed = list(enumerate(archive.infolist()))
            lost = [_passed_over(path, archive, info) for _, info in listed if not _is_read(info)]
            if (before := _unlisted_bytes(raw, archive)) > 0:
                reason = f"{before} bytes before the first member that it lists, perhaps another archive, are not read"
                lost.append((str(path), unreadable(path, reason, _REMEDY)))
    except FileNotFoundError as error:
        yield ContentsPiece(((str(path), as_structure_error(path, error)),))
        return
    except Exception as error:
        yield FailedPiece(str(path), f"the archive is broken, {error}")
        return
    members = sorted((info.filename, number) for number, info in listed if _is_read(info))
    if not members:
        yield FailedPiece(str(path), "the archive holds no files")
    for chosen in batched(members, size):
        yield ZipPiece(str(path), tuple((number, name) for name, number in chosen))
    for failures in batched((failure for failure in lost if failure is not None), size):
        yield ContentsPiece(failures)


def _is_read(info: zipfile.ZipInfo) -> bool:
    return is_member(info.filename) or (info.filename.endswith("/") and info.file_size > 0)


def _passed_over(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[str, Lost] | None:
    """A folder or hidden file whose name is another one in its own header, as one flipped bit makes it; else None."""
    try:
        archive.open(info).close()
    except (RuntimeError, NotImplementedError):  # encrypted, or packed in a way that is not known: as it is meant
        return None
    except Exception as error:
        name = f"{path}/{info.filename}"
        return name, as_structure_error(name, error)
    return None


def _unlisted_bytes(raw: BinaryIO, archive: zipfile.ZipFile) -> int:
    """Bytes before the first member that is listed, where they begin as those of a member do."""
    first = min((info.header_offset for info in archive.infolist()), default=0)
    raw.seek(0)
    return first if raw.read(4) == b"PK\x03\x04" else 0


def tar_pieces(path: Path, size: int, limits: ReadingLimits) -> Iterator[tuple[Piece, float]]:
    """Members of a tar archive in its order, each piece with the share of the file that ends with it."""
    try:
        raw, n_bytes = path.open("rb"), max(path.stat().st_size, 1)
    except OSError as error:
        yield ContentsPiece(((str(path), as_structure_error(path, error)),)), 1.0
        return
    with raw:
        contents = _tar_contents(path, raw, limits)
        for chosen in batched(contents, size, PIECE_CHARACTERS, _n_bytes):
            yield ContentsPiece(chosen), 1.0 if raw.closed else raw.tell() / n_bytes


def _n_bytes(item: tuple[str, bytes | Lost]) -> int:
    return len(item[1]) if isinstance(item[1], bytes) else 0


def _tar_contents(path: Path, raw: BinaryIO, limits: ReadingLimits) -> Iterator[tuple[str, bytes | Lost]]:
    """Name and content of each member, and failures in the place of what is lost."""
    n_members = n_lost = 0
    try:
        reader = _TarReader(path, open_decompressed(raw, path, limits), limits)
        for name, content in reader.contents():
            n_members += isinstance(content, bytes)
            n_lost += not isinstance(content, bytes)
            yield name, content
    except StructureError as error:
        yield str(path), StructureError(f"{error} What comes after {n_members} files is lost.", code=error.code)
    except Exception as error:
        reason = f"the archive is broken after {n_members} files, {error}"
        yield str(path), unreadable(path, reason, f"what comes after them is lost; {_REMEDY}")
    else:
        if n_members + n_lost == 0:
            yield str(path), unreadable(path, "the archive holds no files", _REMEDY)


@dataclass(slots=True)
class _Forward:
    """A stream that can be searched forwards, as tarfile needs it, and gives no more than is allowed at a time.

    Attributes:
        stream: The stream.
        limits: What is read at most.
        position: Bytes that were read.
        back: Bytes that were put back.
        allowed: Bytes that may be read until more are allowed.
    """

    stream: IO[bytes]
    limits: ReadingLimits
    position: int = 0
    back: bytes = b""
    allowed: int = 0

    def tell(self) -> int:
        """The position."""
        return self.position

    def read(self, size: int) -> bytes:
        """The next bytes, fewer at the end alone.

        Raises:
            ReadError: They are more than is allowed.
        """
        if size > self.allowed:
            raise tarfile.ReadError("a header is far longer than a name can be")
        self.allowed -= size
        return self.take(size)

    def take(self, size: int) -> bytes:
        """As `read`, whatever is allowed."""
        data, self.back = self.back[:size], self.back[size:]
        if len(data) < size:
            data += self.stream.read(size - len(data))
        self.position += len(data)
        return data

    def put_back(self, data: bytes) -> None:
        """Make these the next bytes."""
        self.back = data + self.back
        self.position -= len(data)

    def seek(self, position: int, _: int = 0) -> int:
        """Pass over bytes.

        Raises:
            ReadError: The position lies before the present one, or behind the end.
        """
        if position < self.position:
            raise tarfile.ReadError("it leads back to a place before")
        while self.position < position:
            if not self.take(min(_SKIP_BYTES, position - self.position)):
                raise tarfile.ReadError("it ends inside a member")
        return self.position


class _TarReader:
    """The members of a tar archive, from any stream.

    `tarfile` parses the headers of one member at a time. By itself it takes a damaged header, a missing end mark and a cut
    between two members for the end of the archive.
    """

    def __init__(self, path: Path, stream: IO[bytes], limits: ReadingLimits) -> None:
        self._path, self._limits = path, limits
        self._forward = _Forward(stream, limits)

    def contents(self) -> Iterator[tuple[str, bytes | Lost]]:
        """Name and content of each member, and failures in the place of those that are lost.

        Raises:
            Exception: Nothing after it can be read.
        """
        while True:
            start = self._forward.position
            n_zero, block = self._skip_zeros()
            if not block:
                if n_zero < 2:
                    yield self._lost("it lacks its end mark; if it was cut off, members are missing")
                return
            if n_zero:
                yield self._lost(
                    f"members follow zeros at byte {start}; unless it is several archives in one, some are lost"
                )
            if not _is_header(block):
                yield self._lost(f"the header at byte {self._forward.position - len(block)} {_UP_TO_NEXT}")
                if not self._skip_to_header():
                    return
                continue
            self._forward.put_back(block)
            yield from self._member()

    def _member(self) -> Iterator[tuple[str, bytes | Lost]]:
        """The member that begins here."""
        start = self._forward.position
        self._forward.allowed = _HEADER_BYTES
        try:
            stream: Any = self._forward
            archive = tarfile.TarFile(fileobj=stream, mode="r", errors="surrogateescape")
            member = archive.next()
            if member is None or archive.offset < self._forward.position:
                raise tarfile.ReadError("its header is followed by a damaged one")
        except (tarfile.TarError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            yield self._lost(f"the header at byte {start} {_UP_TO_NEXT} ({error})")
            self._skip_to_header()
            return
        end = archive.offset
        if is_member(member.name) and not member.isdir():
            name = f"{self._path}/{member.name}"
            yield name, self._content(archive, member, name)
        self._forward.seek(end)

    def _content(self, archive: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> bytes | Lost:
        if member.islnk() or member.issym():
            return unreadable(name, f"it is a link to {member.linkname}, which is not followed", "pack the file itself")
        if not member.isfile():
            return unreadable(name, "it is no file but a device, a pipe or of a kind that is not known", "leave it out")
        stored = archive.offset - member.offset_data
        if member.size > self._limits.content_bytes:
            return too_large(name, "its content has more than {} bytes", "content_bytes", self._limits)
        if member.size > self._limits.decompressed_bytes(stored):  # a file with holes
            return too_large(name, "it grows to more than {} times its size", "expansion", self._limits)
        self._forward.allowed = stored + _BLOCK
        opened = archive.extractfile(member)
        assert opened is not None  # noqa: S101 - a file
        content = read_bounded(opened, name, self._limits)
        if len(content) < member.size:
            raise tarfile.ReadError(f"it ends inside {member.name}")
        return content

    def _lost(self, reason: str) -> tuple[str, Lost]:
        return str(self._path), unreadable(self._path, f"the archive is damaged, {reason}", _REMEDY)

    def _skip_zeros(self) -> tuple[int, bytes]:
        """Blocks of zeros that were passed over, and the block after them; none at the end."""
        n_zero = 0
        while (block := self._forward.take(_BLOCK)) == _ZEROS:
            n_zero += 1
        return n_zero, block if block.strip(b"\0") else b""

    def _skip_to_header(self) -> bool:
        """Pass over blocks that begin no member; whether there is one that does, or that may end the archive."""
        while block := self._forward.take(_BLOCK):
            if _is_header(block) or block == _ZEROS:
                self._forward.put_back(block)
                return True
        return False


def _is_header(block: bytes) -> bool:
    """Whether a block has the checksum of a member's header."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").size >= 0
    except (tarfile.TarError, ValueError):
        return False


def is_member(name: str) -> bool:
    """Whether an archive's member is read; folders, hidden files and what macOS adds are not."""
    parts = [part for part in Path(name).parts if part not in {".", ".."}]
    return not name.endswith("/") and not any(part.startswith((".", "__MACOSX")) for part in parts)
