"""Where the crystals of a scan come from: files, folders, globs, lists and archives, cut into pieces in a fixed order."""

from __future__ import annotations

import codecs
import glob
import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from paraisite.errors import DataError
from paraisite.readers.archives import TAR_SUFFIXES, is_member
from paraisite.readers.formats import detect_format
from paraisite.readers.parquet_rows import is_parquet
from paraisite.readers.stream import file_records, files_to_read
from paraisite.screening.parquet import parquet_pieces
from paraisite.screening.pieces import ContentsPiece, FailedPiece, FilesPiece, Piece, RecordsPiece, ZipPiece

_T = TypeVar("_T")

LIST_SUFFIXES = {".txt", ".lst"}
LONG_FORMATS = {"extxyz", "jsonl"}
"""Formats that are read record by record."""
FILES_A_PIECE = 512

Cut = tuple[Piece, float]
"""A piece, and the share of its file that ends with it."""


@dataclass(frozen=True, slots=True)
class ScanSource:
    """Files of a scan, in a fixed order.

    Attributes:
        name: The source as the user gave it.
        files: Its files.
    """

    name: str
    files: tuple[Path, ...]

    def fingerprint(self) -> str:
        """Hash of the names and sizes of all files: a scan goes on only with the source that it began with."""
        digest = hashlib.sha256()
        for path in self.files:
            # Names need not be text on every system.
            digest.update(f"{path}\0{_size(path)}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def size(self) -> int:
        """Bytes of all files."""
        return sum(max(_size(path), 0) for path in self.files)

    def pieces(self, size: int) -> Iterator[Piece]:
        """Cut the source into pieces of up to `size` structures, the same ones every time.

        Short files go together, long ones are cut by records, archives by members.
        """
        return (piece for piece, _ in self.cuts(size))

    def cuts(self, size: int) -> Iterator[tuple[Piece, float]]:
        """As `pieces`, each with the bytes of the source up to its end, exact at the end of a file."""
        short: list[str] = []
        until = 0
        for path in self.files:
            long, n_bytes = _long_pieces(path, size), max(_size(path), 0)
            if long is None:
                short.append(str(path))
                until += n_bytes
            if short and (long is not None or len(short) == min(size, FILES_A_PIECE)):
                yield FilesPiece(tuple(short)), until
                short = []
            if long is not None:
                for piece, share in long:
                    yield piece, until + share * n_bytes
                until += n_bytes
        if short:
            yield FilesPiece(tuple(short)), until


@dataclass(frozen=True, slots=True)
class Work:
    """What a scan has to do.

    Attributes:
        source: Where the structures come from.
        piece_size: Structures of a piece, at most.
        done: Numbers of the pieces that are finished.
    """

    source: ScanSource
    piece_size: int
    done: frozenset[int] = frozenset()

    def left(self, meter: Meter | None = None) -> Iterator[tuple[int, Piece]]:
        """Unfinished pieces with their numbers; a meter is given each."""
        for index, (piece, until) in enumerate(self.source.cuts(self.piece_size)):
            if meter is not None:
                meter.cut(index, until, done=index in self.done)
            if index not in self.done:
                yield index, piece


@dataclass(slots=True)
class Meter:
    """How much of a source is done, in bytes of its files; written by the thread that cuts, and by the one that collects.

    Attributes:
        total: Bytes of the source.
        until: Bytes up to the end of the last piece that was cut.
        finished: Bytes of the pieces that were finished now, without those of earlier attempts.
        at_work: Bytes of the pieces that are not yet finished, by number.
    """

    total: int
    until: float = 0.0
    finished: float = 0.0
    at_work: dict[int, float] = field(default_factory=dict)

    def cut(self, index: int, until: float, *, done: bool) -> None:
        """Note a piece that ends at a place of the source."""
        if not done:
            self.at_work[index] = until - self.until
        self.until = until

    def finish(self, index: int) -> None:
        """Note that a piece is finished."""
        self.finished += self.at_work.pop(index, 0.0)

    @property
    def left(self) -> float:
        """Bytes that are still to be done."""
        return max(self.total - self.until, 0.0) + sum(tuple(self.at_work.values()))


def batched(values: Iterable[_T], size: int) -> Iterator[tuple[_T, ...]]:
    """Tuples of up to `size` values."""
    stream = iter(values)
    while batch := tuple(islice(stream, size)):
        yield batch


def open_source(source: str | Path | Sequence[str | Path]) -> ScanSource:
    """Find the files of a source.

    Args:
        source: A file, a folder (searched to any depth), a glob pattern, an archive (zip, tar), a list of files (`.txt`, one
            path a line, relative to the list), or several of these.

    Raises:
        DataError: There is no such file, or nothing that could hold structures.
    """
    given = [source] if isinstance(source, str | Path) else list(source)
    files = tuple(path for item in given for path in _files_of(str(item)))
    if not files:
        raise DataError(
            f"{', '.join(map(str, given))} holds no files of structures; give files, a folder, an archive or a list."
        )
    return ScanSource(", ".join(map(str, given)), files)


def _files_of(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return files_to_read(path)
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        lines = _list_lines(path.read_bytes())
        return [_listed(path.parent, line.strip()) for line in lines if line.strip() and not line.startswith(b"#")]
    if path.is_file():
        return [path]
    if glob.has_magic(name):
        # pathlib's own glob takes no absolute pattern.
        return sorted(Path(item) for item in glob.glob(name, recursive=True) if Path(item).is_file())  # noqa: PTH207
    raise DataError(f"There is no file or folder {name}; check the path.")


def _list_lines(content: bytes) -> list[bytes]:
    """Lines of a list of files in UTF-8 or of bytes as they are, without the mark that Windows' editors begin a file with."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", errors="surrogatepass").encode("utf-8", errors="surrogatepass")
    return content.removeprefix(codecs.BOM_UTF8).splitlines()


def _listed(folder: Path, name: bytes) -> Path:
    """A file of a list: by the name's own bytes, or by those of a list in latin-1 where that file is there."""
    path = folder / os.fsdecode(name)
    latin = folder / name.decode("latin-1")
    return latin if not path.exists() and latin.exists() else path


def _size(path: Path) -> int:
    """Bytes of a file; -1 where there is none."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return -1


def _long_pieces(path: Path, size: int) -> Iterator[Cut] | None:
    """Pieces of a file that is cut; None for one that is read as a whole."""
    if is_parquet(path):
        return _shared_out(parquet_pieces(path, size))
    if path.name.lower().endswith(".zip"):
        return _shared_out(_zip_pieces(path, size))
    if path.name.lower().endswith(TAR_SUFFIXES):
        return _tar_pieces(path, size)
    if path.is_file() and _format(path) in LONG_FORMATS:
        return _record_pieces(path, size)
    return None


def _shared_out(pieces: Iterable[Piece]) -> Iterator[Cut]:
    """Pieces that hold no data yet, so that they can be counted, each with its share."""
    known = list(pieces)
    return ((piece, number / len(known)) for number, piece in enumerate(known, 1))


def _record_pieces(path: Path, size: int) -> Iterator[Cut]:
    with ExitStack() as stack:
        try:
            raw: BinaryIO | None = stack.enter_context(path.open("rb"))
        except OSError:
            raw = None  # the reader says what is wrong with it
        for records in batched(file_records(path, raw=raw), size):
            yield RecordsPiece(records), 1.0 if raw is None or raw.closed else raw.tell() / max(_size(path), 1)


def _format(path: Path) -> str | None:
    try:
        return detect_format(path)
    except OSError:
        return None


def _zip_pieces(path: Path, size: int) -> Iterator[Piece]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(name for name in archive.namelist() if is_member(name))
    except Exception as error:
        yield FailedPiece(str(path), f"the archive is broken, {error}")
        return
    if not members:
        yield FailedPiece(str(path), "the archive holds no files")
    for names in batched(members, size):
        yield ZipPiece(str(path), names)


def _tar_pieces(path: Path, size: int) -> Iterator[Cut]:
    """Members in the order of the archive; what comes after damage is lost and reported."""
    contents: list[tuple[str, bytes]] = []
    n_members = 0
    problem: str | None = None
    try:
        with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
            for member in archive:
                if not member.isfile() or not is_member(member.name):
                    continue
                handle = archive.extractfile(member)
                contents.append((f"{path}/{member.name}", b"" if handle is None else handle.read()))
                n_members += 1
                if len(contents) == size:
                    yield ContentsPiece(tuple(contents)), raw.tell() / max(_size(path), 1)
                    contents = []
    except Exception as error:
        problem = f"the archive is broken after {n_members} files, {error}"
    if contents:
        yield ContentsPiece(tuple(contents)), 1.0
    if problem is None and n_members == 0:
        problem = "the archive holds no files"
    if problem is not None:
        yield FailedPiece(str(path), problem), 1.0
