"""Where the crystals of a scan come from: files, folders, globs, lists and archives, cut into pieces in a fixed order."""

from __future__ import annotations

import glob
import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from paraisite.errors import DataError
from paraisite.screening.parquet import is_parquet, parquet_pieces
from paraisite.screening.pieces import ContentsPiece, FailedPiece, FilesPiece, Piece, RecordsPiece, ZipPiece, failure
from paraisite.structures.formats import detect_format
from paraisite.structures.readers import file_records

T = TypeVar("T")

LIST_SUFFIXES = {".txt", ".lst"}
LONG_FORMATS = {"extxyz", "jsonl"}
"""Formats that are read record by record."""
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
FILES_A_PIECE = 512


@dataclass(frozen=True, slots=True)
class Source:
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
            digest.update(f"{path}\0{path.stat().st_size if path.exists() else -1}\n".encode())
        return digest.hexdigest()

    def pieces(self, size: int) -> Iterator[Piece]:
        """Cut the source into pieces of up to `size` structures, the same ones every time.

        Short files go together, long ones are cut by records, archives by members.
        """
        short: list[str] = []
        for path in self.files:
            long = _long_pieces(path, size)
            if long is None:
                short.append(str(path))
            if short and (long is not None or len(short) == min(size, FILES_A_PIECE)):
                yield FilesPiece(tuple(short))
                short = []
            if long is not None:
                yield from long
        if short:
            yield FilesPiece(tuple(short))


@dataclass(frozen=True, slots=True)
class Work:
    """What a scan has to do.

    Attributes:
        source: Where the structures come from.
        piece_size: Structures of a piece, at most.
        done: Numbers of the pieces that are finished.
    """

    source: Source
    piece_size: int
    done: frozenset[int] = frozenset()

    def left(self) -> Iterator[tuple[int, Piece]]:
        """Unfinished pieces with their numbers."""
        return (
            (index, piece) for index, piece in enumerate(self.source.pieces(self.piece_size)) if index not in self.done
        )


def batched(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Tuples of up to `size` values."""
    stream = iter(values)
    while batch := tuple(islice(stream, size)):
        yield batch


def open_source(source: str | Path | Sequence[str | Path]) -> Source:
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
    return Source(", ".join(map(str, given)), files)


def _files_of(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return sorted(item for item in path.rglob("*") if item.is_file() and _is_data(item, path))
    if path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines()
        return [path.parent / line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if path.is_file():
        return [path]
    if glob.has_magic(name):
        # pathlib's own glob takes no absolute pattern.
        return sorted(Path(item) for item in glob.glob(name, recursive=True) if Path(item).is_file())  # noqa: PTH207
    raise DataError(f"There is no file or folder {name}; check the path.")


def _is_data(path: Path, folder: Path) -> bool:
    """Whether a file found in a folder is read: a known format or archive, and not hidden."""
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        return False
    return is_archive(path) or is_parquet(path) or detect_format(path) is not None


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its name."""
    return path.name.lower().endswith((".zip", *TAR_SUFFIXES))


def _long_pieces(path: Path, size: int) -> Iterator[Piece] | None:
    """Pieces of a file that is cut; None for one that is read as a whole."""
    if is_parquet(path):
        return parquet_pieces(path, size)
    if path.name.lower().endswith(".zip"):
        return _zip_pieces(path, size)
    if path.name.lower().endswith(TAR_SUFFIXES):
        return _tar_pieces(path, size)
    if path.is_file() and _format(path) in LONG_FORMATS:
        return (RecordsPiece(records) for records in batched(file_records(path), size))
    return None


def _format(path: Path) -> str | None:
    try:
        return detect_format(path)
    except OSError:
        return None


def _zip_pieces(path: Path, size: int) -> Iterator[Piece]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(name for name in archive.namelist() if _is_member(name))
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        yield FailedPiece((failure(str(path), f"the archive is broken, {error}"),))
        return
    if not members:
        yield FailedPiece((failure(str(path), "the archive holds no files"),))
    for names in batched(members, size):
        yield ZipPiece(str(path), names)


def _tar_pieces(path: Path, size: int) -> Iterator[Piece]:
    """Members in the order of the archive; what comes after damage is lost and told."""
    contents: list[tuple[str, bytes]] = []
    n_members = 0
    problem: object = None
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                if not member.isfile() or not _is_member(member.name):
                    continue
                handle = archive.extractfile(member)
                contents.append((f"{path}/{member.name}", b"" if handle is None else handle.read()))
                n_members += 1
                if len(contents) == size:
                    yield ContentsPiece(tuple(contents))
                    contents = []
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        problem = f"the archive is broken after {n_members} files, {error}"
    if contents:
        yield ContentsPiece(tuple(contents))
    if problem is None and n_members == 0:
        problem = "the archive holds no files"
    if problem is not None:
        yield FailedPiece((failure(str(path), problem),))


def _is_member(name: str) -> bool:
    """Whether an archive's member is read; folders, hidden files and what macOS adds are not."""
    parts = Path(name).parts
    return not name.endswith("/") and not any(part.startswith((".", "__MACOSX")) for part in parts)
