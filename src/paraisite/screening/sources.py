"""Where the crystals of a scan come from: files, folders, globs, lists and archives, cut into pieces in a fixed order."""

from __future__ import annotations

import codecs
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from paraisite.errors import DataError, StructureError
from paraisite.readers.formats import detect_format
from paraisite.readers.stream import file_records
from paraisite.sources.archives import is_tar, is_zip, tar_pieces, zip_pieces
from paraisite.sources.own_output import PARTS, is_scan, of_the_user
from paraisite.sources.parquet import parquet_pieces
from paraisite.sources.pieces import PIECE_CHARACTERS, FilesPiece, Piece, RecordsPiece, batched
from paraisite.sources.walk import files_to_read, is_parquet
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits
from paraisite.structures.origin import characters_of

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

    def size(self) -> int:
        """Bytes of all files."""
        return sum(max(_size(path), 0) for path in self.files)

    def pieces(self, size: int, limits: ReadingLimits = DEFAULT_READING) -> Iterator[Piece]:
        """Cut the source into pieces of up to `size` structures, the same ones every time.

        Short files go together, long ones are cut by records, archives by members. A piece of long content has fewer.
        """
        return (piece for piece, _ in self.cuts(size, limits))

    def cuts(self, size: int, limits: ReadingLimits = DEFAULT_READING) -> Iterator[tuple[Piece, float]]:
        """As `pieces`, each with the bytes of the source up to its end, exact at the end of a file."""
        short: list[str] = []
        until = 0
        for path in self.files:
            long, n_bytes = _long_pieces(path, size, limits), max(_size(path), 0)
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
        limits: What is read at most.
    """

    source: ScanSource
    piece_size: int
    done: frozenset[int] = frozenset()
    limits: ReadingLimits = DEFAULT_READING

    def left(self, meter: Meter | None = None) -> Iterator[tuple[int, Piece]]:
        """Unfinished pieces with their numbers; a meter is given each."""
        for index, (piece, until) in enumerate(self.source.cuts(self.piece_size, self.limits)):
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
        n_pieces: Pieces that were cut, those of earlier attempts too.
    """

    total: int
    until: float = 0.0
    finished: float = 0.0
    at_work: dict[int, float] = field(default_factory=dict)
    n_pieces: int = 0

    def cut(self, index: int, until: float, *, done: bool) -> None:
        """Note a piece that ends at a place of the source."""
        if not done:
            self.at_work[index] = until - self.until
        self.until, self.n_pieces = until, index + 1

    def finish(self, index: int) -> None:
        """Note that a piece is finished."""
        self.finished += self.at_work.pop(index, 0.0)

    @property
    def left(self) -> float:
        """Bytes that are still to be done."""
        return max(self.total - self.until, 0.0) + sum(tuple(self.at_work.values()))


def open_source(source: str | Path | Sequence[str | Path]) -> ScanSource:
    """Find the files of a source.

    What this package wrote, such as the parts of a scan or exported crystals below a folder that is searched, is left out
    with a warning in the log.

    Args:
        source: A file, a folder (searched to any depth), a glob pattern, an archive (zip, tar), a list of files (`.txt`, one
            path a line, relative to the list), or several of these.

    Raises:
        DataError: There is no such file, or nothing that could hold structures; or a part of a scan is named.
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
        return _files_in(path)
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        lines = _list_lines(path.read_bytes())
        listed = [_listed(path.parent, line.strip()) for line in lines if line.strip() and not line.startswith(b"#")]
        return _without_parts(listed)
    if path.is_file():
        return _without_parts([path])
    if glob.has_magic(name):
        # pathlib's own glob takes no absolute pattern.
        found = sorted(Path(item) for item in glob.glob(name, recursive=True) if Path(item).is_file())  # noqa: PTH207
        return of_the_user(next(folder for folder in path.parents if not glob.has_magic(str(folder))), found)
    raise DataError(f"There is no file or folder {name}; check the path.")


def _files_in(folder: Path) -> list[Path]:
    try:
        return files_to_read(folder)
    except StructureError:
        return []


def _without_parts(named: list[Path]) -> list[Path]:
    """Files that the user named one by one, among which no part of a scan must be."""
    for path in named:
        if is_parquet(path) and path.parent.name == PARTS and is_scan(path.parent.parent):
            raise DataError(
                f"{path} is a part of the scan in {path.parent.parent} and no source; ask it by `paraisite query`, or "
                "leave it out."
            )
    return named


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


def _long_pieces(path: Path, size: int, limits: ReadingLimits) -> Iterator[Cut] | None:
    """Pieces of a file that is cut; None for one that is read as a whole."""
    if is_parquet(path):
        return _shared_out(parquet_pieces(path, size, limits))
    if is_zip(path):
        return _shared_out(zip_pieces(path, size))
    if is_tar(path):
        return tar_pieces(path, size, limits)
    if path.is_file() and _format(path) in LONG_FORMATS:
        return _record_pieces(path, size, limits)
    return None


def _shared_out(pieces: Iterable[Piece]) -> Iterator[Cut]:
    """Pieces that hold no data yet, so that they can be counted, each with its share."""
    known = list(pieces)
    return ((piece, number / len(known)) for number, piece in enumerate(known, 1))


def _record_pieces(path: Path, size: int, limits: ReadingLimits) -> Iterator[Cut]:
    with ExitStack() as stack:
        try:
            raw: BinaryIO | None = stack.enter_context(path.open("rb"))
        except OSError:
            raw = None  # the reader says what is wrong with it
        records = file_records(path, raw=raw, limits=limits)
        for cut in batched(records, size, PIECE_CHARACTERS, lambda pair: characters_of(pair[0])):
            yield RecordsPiece(cut), 1.0 if raw is None or raw.closed else raw.tell() / max(_size(path), 1)


def _format(path: Path) -> str | None:
    try:
        return detect_format(path)
    except OSError:
        return None
