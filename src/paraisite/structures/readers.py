"""One stream of crystals from files of any supported format."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from paraisite.errors import StructureError
from paraisite.structures.ase_database import ase_database_records
from paraisite.structures.checks import one_line, unreadable
from paraisite.structures.cif import cif_records
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.extxyz import extxyz_records
from paraisite.structures.formats import FORMATS, GZIP_START, detect_format, stem_of
from paraisite.structures.json_structures import json_records, jsonl_records
from paraisite.structures.origin import Origin, Record
from paraisite.structures.poscar import poscar_records


def iter_crystals(
    paths: str | Path | Iterable[str | Path],
    *,
    format: str | None = None,  # noqa: A002 - the word that users expect
) -> Iterator[Crystal | ReadFailure]:
    """Crystals of files and directories, one at a time.

    Args:
        paths: Files, directories (every file of a known format in them, by name), or one of either.
        format: One of `FORMATS` for all files; by each file's name, else its content, if not given.

    Returns:
        Crystals, and in the place of each that cannot be read a failure; the rest goes on.

    Raises:
        StructureError: `unsupported_format` for a format that does not exist.
    """
    if format is not None and format not in FORMATS:
        raise StructureError(
            f"format '{format}' is not known; choose one of {', '.join(FORMATS)}.", code="unsupported_format"
        )
    listed = [paths] if isinstance(paths, str | Path) else paths
    return (item for path in listed for item in _read_path(Path(path), format))


def read_crystals(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - as above
) -> list[Crystal]:
    """All crystals of a file or directory.

    Args:
        path: A file or a directory.
        format: As for `iter_crystals`.

    Raises:
        StructureError: The first failure.
    """
    crystals = []
    for item in iter_crystals(path, format=format):
        if isinstance(item, ReadFailure):
            raise StructureError(item.message, code=item.code)
        crystals.append(item)
    return crystals


def _read_path(path: Path, kind: str | None) -> Iterator[Crystal | ReadFailure]:
    """Items of a file, or of the files in a directory."""
    try:
        files = structure_files(path, kind) if path.is_dir() else [path]
    except StructureError as error:
        files = []
        yield _failure(Origin(str(path), path.name), error)
    except (OSError, ValueError) as error:  # not allowed to look, or no path at all
        files = []
        yield _failure(Origin(str(path), path.name), unreadable(path, error))
    for file in files:
        yield from _read_file(file, kind)


def structure_files(directory: Path, kind: str | None) -> list[Path]:
    """Files of a directory by name; those of no known format, such as a README, are passed over.

    Raises:
        StructureError: `unreadable` if there are none.
    """
    files = [child for child in sorted(directory.iterdir()) if child.is_file() and not child.name.startswith(".")]
    readable = [child for child in files if kind is not None or detect_format(child) is not None]
    if not readable:
        raise StructureError(f"{directory}: the directory holds no structure files; name files.", code="unreadable")
    return readable


def _read_file(path: Path, kind: str | None) -> Iterator[Crystal | ReadFailure]:
    """Items of a file, numbered if there are several."""
    stem = stem_of(path)
    with closing(_guarded(path, kind)) as records:
        record, index = next(records, None), 1
        while record is not None:
            following = next(records, None)
            mark = f"#{index}" if index > 1 or following is not None else ""
            yield _parse(record, Origin(f"{path}{mark}", f"{stem}{mark}"))
            record, index = following, index + 1


def _parse(record: Record, origin: Origin) -> Crystal | ReadFailure:
    """The crystal of a record or the reason why there is none."""
    try:
        return record(origin)
    except StructureError as error:
        return _failure(origin, error)


def _failure(origin: Origin, error: StructureError) -> ReadFailure:
    """The failure that stands for an error in the stream."""
    return ReadFailure(origin.material_id, origin.source, error.code, one_line(error, limit=400) + ".")


def _guarded(path: Path, kind: str | None) -> Generator[Record, None, None]:
    """Records of a file; an error of the file as a whole is the last record."""
    try:
        yield from _records(path, kind)
    except StructureError as error:
        yield _raising(error)
    except FileNotFoundError:
        yield _raising(unreadable(path, "there is no such file", "check the path"))
    except (OSError, EOFError, zlib.error) as error:
        yield _raising(unreadable(path, getattr(error, "strerror", None) or error))


def _raising(error: StructureError) -> Record:
    """A record that raises an error which already names the file."""

    def fail(_: Origin) -> Crystal:
        raise error

    return fail


def _records(path: Path, kind: str | None) -> Iterator[Record]:
    """Records of a file by its format.

    Raises:
        StructureError: `empty_file`, `unsupported_format` or what the format's reader finds.
    """
    if path.stat().st_size == 0:
        raise _empty(path)
    kind = kind or detect_format(path)
    if kind is None:
        raise StructureError(
            f"{path}: the format is not known from name or content; use one of {', '.join(FORMATS)}.",
            code="unsupported_format",
        )
    if kind == "ase-db":
        return ase_database_records(path)
    if kind in _STREAMED:
        return _streamed(path, _STREAMED[kind])
    data = _content(path)
    if not data.strip():
        raise _empty(path)
    if kind == "cif":
        return cif_records(data, str(path))
    text = data.decode("utf-8-sig", errors="replace")
    return poscar_records(text) if kind == "poscar" else json_records(text, str(path))


_STREAMED: dict[str, Callable[[Iterable[str]], Iterator[Record]]] = {"extxyz": extxyz_records, "jsonl": jsonl_records}


def _streamed(path: Path, reader: Callable[[Iterable[str]], Iterator[Record]]) -> Iterator[Record]:
    """Records of a text file that is never held in memory as a whole."""
    count = 0
    with path.open("rb") as raw:
        start = raw.read(2)
        raw.seek(0)
        binary = gzip.GzipFile(fileobj=raw) if start == GZIP_START else raw
        for record in reader(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace")):
            count += 1
            yield record
    if count == 0:
        raise _empty(path)


def _content(path: Path) -> bytes:
    """The bytes of a file, decompressed."""
    data = path.read_bytes()
    return gzip.decompress(data) if data.startswith(GZIP_START) else data


def _empty(path: Path) -> StructureError:
    """The error for a file without content."""
    return StructureError(f"{path}: the file is empty; write a structure into it.", code="empty_file")
