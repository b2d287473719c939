"""The files below a path, archives and tables opened: what a prediction reads, and what a scan cuts into pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from paraisite.errors import StructureError
from paraisite.readers.stream import as_structure_error, files_below, iter_crystals, structure_files
from paraisite.readers.units import FileUnit, Unit, crystals_of
from paraisite.sources.archives import is_archive, is_zip, tar_pieces, zip_pieces
from paraisite.sources.own_output import of_the_user
from paraisite.sources.pieces import LostUnit, Piece
from paraisite.structures.crystal import STRICT, Crystal, ReadFailure, ReadOptions
from paraisite.structures.limits import ReadingLimits

_PIECE_SIZE = 1024


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its name."""
    return path.suffix.lower() in {".parquet", ".pq"}


def files_to_read(directory: Path, kind: str | None = None) -> list[Path]:
    """Files of a directory at any depth, by path: of a known format, archives and tables; with a format given, all.

    What this package wrote, such as the parts of a scan or exported crystals, is left out with a warning in the log.

    Raises:
        StructureError: `unreadable` if there are none.
    """
    opened = [path for path in files_below(directory) if kind is None and (is_archive(path) or is_parquet(path))]
    try:
        others = structure_files(directory, kind)
    except StructureError:
        if not opened:
            raise
        others = []
    kept = of_the_user(directory, sorted({*opened, *others}))
    if not kept:
        raise StructureError(
            f"{directory}: the directory holds only what paraisite wrote; name files.", code="unreadable"
        )
    return kept


def path_units(path: Path, kind: str | None, limits: ReadingLimits) -> Iterator[Unit]:
    """What a path consists of: the members of an archive, the rows of a table, or the file itself.

    Args:
        path: A file, a directory, or the standard input.
        kind: Format of the file, as for `iter_crystals`; then it is no archive and no table.
        limits: What is read at most.
    """
    if path.is_dir():
        try:
            files = files_to_read(path, kind)
        except (StructureError, OSError) as error:
            yield LostUnit(str(path), as_structure_error(path, error))
            return
        for file in files:
            yield from path_units(file, kind, limits)
    elif kind is None and path.is_file() and (is_archive(path) or is_parquet(path)):
        for piece in _pieces(path, limits):
            yield from piece.units()
    else:
        yield FileUnit(str(path), kind)


def _pieces(path: Path, limits: ReadingLimits) -> Iterator[Piece]:
    if is_zip(path):
        return zip_pieces(path, _PIECE_SIZE)
    if is_archive(path):
        return (piece for piece, _ in tar_pieces(path, _PIECE_SIZE, limits))
    from paraisite.sources.parquet import parquet_pieces  # noqa: PLC0415 - half a second, for Parquet alone

    return parquet_pieces(path, _PIECE_SIZE, limits)


def crystals_below(
    paths: Iterable[str | Path], kind: str | None = None, options: ReadOptions = STRICT
) -> Iterator[Crystal | ReadFailure]:
    """As `iter_crystals`, with archives and tables opened.

    Raises:
        StructureError: `unsupported_format` for a format that does not exist.
    """
    iter_crystals([], format=kind)  # refuses an unknown format
    units = (unit for path in paths for unit in path_units(Path(path), kind, options.limits))
    return crystals_of(units, options)
