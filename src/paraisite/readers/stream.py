"""One stream of crystals from files of any supported format."""

from __future__ import annotations

import io
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.compression import DECOMPRESSION_ERRORS, decompressed, open_decompressed, read_bounded
from paraisite.readers.formats import BY_NAME, FORMATS, Format, detect_format, detect_format_of, stem_of
from paraisite.readers.lines import bounded_lines
from paraisite.structures.checks import one_line, printable, unreadable
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions
from paraisite.structures.limits import DEFAULT_READING, TOO_LARGE, ReadingLimits, too_large
from paraisite.structures.origin import Origin, Record

STANDARD_INPUT = "-"
"""Stands for the standard input where a path is asked for."""
_SHOWN_ID = 200


def iter_crystals(
    paths: str | Path | Iterable[str | Path],
    *,
    format: str | None = None,  # noqa: A002 - the word that users expect
    options: ReadOptions = STRICT,
) -> Iterator[Crystal | ReadFailure]:
    """Crystals of files and directories, one at a time.

    Args:
        paths: Files, directories (every file of a known format in them, at any depth), `-` for the standard input, or one
            of these.
        format: One of `FORMATS` for all files; by each file's name, else its content, if not given.
        options: What to let pass.

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
    found = (pair for path in listed for pair in path_records(Path(path), format, options.limits))
    return (parse_record(record, origin, options) for record, origin in found)


def read_crystals(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - as above
    options: ReadOptions = STRICT,
) -> list[Crystal]:
    """All crystals of a file or directory.

    Args:
        path: A file or a directory.
        format: As for `iter_crystals`.
        options: As for `iter_crystals`.

    Raises:
        StructureError: The first failure.
    """
    crystals = []
    for item in iter_crystals(path, format=format, options=options):
        if isinstance(item, ReadFailure):
            raise StructureError(item.message, code=item.code)
        crystals.append(item)
    return crystals


def path_records(
    path: Path, kind: str | None = None, limits: ReadingLimits = DEFAULT_READING
) -> Iterator[tuple[Record, Origin]]:
    """Records of a file, of the files in a directory, or of the standard input; as `file_records`."""
    if str(path) == STANDARD_INPUT:
        yield from _standard_input(kind, limits)
        return
    try:
        files = structure_files(path, kind) if path.is_dir() else [path]
    except Exception as error:
        files = []
        yield failing_record(as_structure_error(path, error)), Origin(_as_text(str(path)), path.name)
    for file in files:
        yield from file_records(file, kind, limits=limits)


def _standard_input(kind: str | None, limits: ReadingLimits) -> Iterator[tuple[Record, Origin]]:
    try:
        data = read_bounded(sys.stdin.buffer, "stdin", limits)
    except Exception as error:
        yield failing_record(as_structure_error("stdin", error)), Origin("stdin", "stdin")
    else:
        yield from content_records("stdin", data, kind, limits)


def structure_files(directory: Path, kind: str | None) -> list[Path]:
    """Files of a directory at any depth, by path; those of no known format, such as a README, are passed over.

    Raises:
        StructureError: `unreadable` if there are none.
    """
    readable = [path for path in files_below(directory) if kind is not None or _may_be_structure(path)]
    if not readable:
        raise StructureError(f"{directory}: the directory holds no structure files; name files.", code="unreadable")
    return readable


def files_below(directory: Path) -> list[Path]:
    """Files of a directory at any depth, sorted by path, without hidden ones and those in hidden directories."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )


def _may_be_structure(path: Path) -> bool:
    """Whether a file is of a known format or cannot be looked into, which the reader then says."""
    try:
        return detect_format(path) is not None
    except OSError:
        return True


def file_records(
    path: Path,
    format: str | None = None,  # noqa: A002 - as above
    raw: BinaryIO | None = None,
    limits: ReadingLimits = DEFAULT_READING,
) -> Iterator[tuple[Record, Origin]]:
    """Records of a file, cut out but not parsed, so that others can parse them; numbered if there are several.

    An error of the file as a whole is a record that fails.

    Args:
        path: The file.
        format: As for `iter_crystals`.
        raw: The file opened, whose position then tells how far the reading is where that goes record by record.
        limits: What is read at most.
    """
    with closing(_guarded(path, format, raw, limits)) as records:
        yield from _numbered(records, str(path), stem_of(path))


def content_records(
    name: str,
    data: bytes,
    format: str | None = None,  # noqa: A002 - as above
    limits: ReadingLimits = DEFAULT_READING,
) -> Iterator[tuple[Record, Origin]]:
    """Records of a file's content, such as that of an archive's member; as `file_records`.

    Args:
        name: Name of the file, which tells its format and stands in every error.
        data: Its content, perhaps compressed.
        format: As for `iter_crystals`.
        limits: What is read at most.
    """
    return _numbered(_content_guarded(name, data, format, limits), name, stem_of(Path(name)))


def _numbered(records: Iterator[Record], source: str, stem: str) -> Iterator[tuple[Record, Origin]]:
    source = _as_text(source)
    record, index = next(records, None), 1
    while record is not None:
        following = next(records, None)
        mark = f"#{index}" if index > 1 or following is not None else ""
        yield record, Origin(f"{source}{mark}", f"{stem}{mark}")
        record, index = following, index + 1


def parse_record(record: Record, origin: Origin, options: ReadOptions = STRICT) -> Crystal | ReadFailure:
    """The crystal of a record or the reason why there is none.

    Args:
        record: A record.
        origin: Its source and identifier.
        options: What to let pass.
    """
    try:
        # Numbers of a broken file may overflow; the checks refuse what comes of it.
        with np.errstate(all="ignore"):
            crystal = record(origin)
    except Exception as error:
        return failure_of(origin, as_structure_error(origin.source, error))
    warning = crystal.warning
    if (excess := _over_limit(crystal, origin, options.limits)) is not None:
        return failure_of(origin, excess)
    if warning is not None and not options.allows(warning):
        return failure_of(origin, StructureError(f"{warning.message}; add their sites.", code=warning.code))
    if crystal.material_id.isprintable():
        return crystal
    return replace(crystal, material_id=printable(crystal.material_id))


def _over_limit(crystal: Crystal, origin: Origin, limits: ReadingLimits) -> StructureError | None:
    """What makes a crystal larger than is allowed."""
    if crystal.n_atoms > limits.atoms:
        return too_large(origin.source, "the crystal has more than {} atoms", "atoms", limits)
    if len(crystal.material_id) > limits.id_characters:
        return too_large(origin.source, "its identifier has more than {} characters", "id_characters", limits)
    return None


def failure_of(origin: Origin, error: StructureError) -> ReadFailure:
    """The failure that stands for an error in the stream."""
    return ReadFailure(
        printable(_shortened(origin.material_id)), _as_text(origin.source), error.code, one_line(error, limit=400) + "."
    )


def _shortened(material_id: str) -> str:
    """An identifier as an error row can hold it, whatever the file says."""
    return material_id if len(material_id) <= _SHOWN_ID else material_id[: _SHOWN_ID - 1] + "…"


def _as_text(name: str) -> str:
    """The name of a file that need not be text in any encoding, as text that tables can hold."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")


def _guarded(
    path: Path, kind: str | None, raw: BinaryIO | None, limits: ReadingLimits
) -> Generator[Record, None, None]:
    """Records of a file; an error of the file as a whole is the last record."""
    try:
        yield from _records(path, kind, raw, limits)
    except Exception as error:
        yield failing_record(as_structure_error(path, error))


def _content_guarded(name: str, data: bytes, kind: str | None, limits: ReadingLimits) -> Iterator[Record]:
    """As `_guarded`, for content in memory."""
    try:
        yield from _unpacked_records(name, data, kind, limits)
    except Exception as error:
        yield failing_record(as_structure_error(name, error))


def as_structure_error(name: str | Path, error: Exception) -> StructureError:
    """What stands in the row of a record, file or member whose reading raised an exception of any kind."""
    if isinstance(error, StructureError):
        return error
    if isinstance(error, FileNotFoundError):
        return unreadable(name, "there is no such file", "check the path")
    if isinstance(error, MemoryError):
        return StructureError(
            f"{name}: reading it needs more memory than there is; give more, or leave it out.", code=TOO_LARGE
        )
    if isinstance(error, (*DECOMPRESSION_ERRORS, ValueError)):
        return unreadable(name, getattr(error, "strerror", None) or error)
    return unreadable(name, f"{type(error).__name__}, {error}")


def failing_record(error: StructureError) -> Record:
    """A record that raises an error which already names the file."""
    return partial(_raise, str(error), error.code)


def _raise(message: str, code: str, _: Origin) -> Crystal:
    raise StructureError(message, code=code)


def _records(path: Path, kind: str | None, raw: BinaryIO | None, limits: ReadingLimits) -> Iterator[Record]:
    """Records of a file by its format.

    Raises:
        StructureError: `empty_file`, `unsupported_format` or what the format's reader finds.
    """
    if path.stat().st_size == 0:
        raise _empty(path)
    found = BY_NAME.get(kind or detect_format(path) or "")
    if found is not None and found.reads == "path":
        return found.records(path, limits)
    if found is not None and found.reads == "lines":
        return _streamed(path, raw, found, limits)
    with path.open("rb") as opened:
        data = read_bounded(open_decompressed(opened, path, limits), path, limits)
    return _data_records(str(path), data, found.name if found else None, limits)


def _unpacked_records(name: str, data: bytes, kind: str | None, limits: ReadingLimits) -> Iterator[Record]:
    """As `_records`, for content in memory, perhaps compressed."""
    if not data:
        raise _empty(name)
    known = BY_NAME.get(kind or detect_format_of(name, data) or "")
    if known is not None and known.reads == "lines":
        return _lines_of(name, io.BytesIO(data), known, limits)
    unpacked = decompressed(data, name, limits)
    return _data_records(name, unpacked, kind or detect_format_of(name, unpacked), limits)


def _data_records(name: str, data: bytes, kind: str | None, limits: ReadingLimits) -> Iterator[Record]:
    """Records of content in memory, without a compression.

    Raises:
        StructureError: As `_records`; ASE's SQLite databases are read from files alone.
    """
    if not data.strip():
        raise _empty(name)
    if kind is None:
        raise StructureError(
            f"{name}: the format is not known from name or content; use one of {', '.join(FORMATS)}.",
            code="unsupported_format",
        )
    found = BY_NAME[kind]
    if found.reads == "path":
        raise StructureError(
            f"{name}: an ASE database can only be read from a file of its own; unpack it.", code="unreadable"
        )
    if found.reads == "lines":
        return _lines_of(name, io.BytesIO(data), found, limits)
    if found.reads == "bytes":
        return found.records(data, name)
    text = data.decode("utf-8-sig", errors="replace")
    if not text.strip():  # a text has more white space than bytes do
        raise _empty(name)
    return found.records(text, name, limits)


def _streamed(path: Path, raw: BinaryIO | None, found: Format, limits: ReadingLimits) -> Iterator[Record]:
    """Records of a text file that is never held in memory as a whole."""
    with raw or path.open("rb") as opened:
        yield from _lines_of(path, opened, found, limits)


def _lines_of(name: Path | str, opened: BinaryIO, found: Format, limits: ReadingLimits) -> Iterator[Record]:
    """Records of a stream, perhaps compressed, that is read line by line."""
    count = 0
    binary = open_decompressed(opened, name, limits)
    with binary:
        for record in found.records(bounded_lines(binary, limits), limits):
            count += 1
            yield record
    if count == 0:
        raise _empty(name)


def _empty(path: Path | str) -> StructureError:
    """The error for a file without content."""
    return StructureError(f"{path}: the file is empty; write a structure into it.", code="empty_file")
