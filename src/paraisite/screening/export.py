"""Crystals of a scan, read again from where it found them, and written as CIF files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.outputs import output_folder
from paraisite.readers.stream import file_records
from paraisite.reporting.csv_files import write_csv
from paraisite.screening.identity import identify, read_inventory
from paraisite.screening.manifest import read_manifest
from paraisite.screening.selection import Selection, stream_rows
from paraisite.screening.sources import ScanSource
from paraisite.sources.parquet import ParquetPiece
from paraisite.sources.pieces import ContentsPiece, FilesPiece, Piece, RecordsPiece, ZipPiece
from paraisite.structures.convert import to_pymatgen
from paraisite.structures.crystal import Crystal, ReadFailure, ReadOptions
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits

GONE = "source_gone"
CHANGED = "source_changed"
EXPORTED = "ok"
STRUCTURES_TABLE = "structures.csv"
LONGEST_NAME = 100
"""Characters of an identifier that name its file; file systems take 255 with what stands around them."""
_DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}
"""Names that Windows keeps for itself, whatever their suffix."""
_NUMBER = re.compile(r"#\d+$")
_PIECE_SIZE = 64
_COLUMNS = ["material_id", "formula", "kappa", "n_atoms", "source"]


def read_sources(
    sources: Iterable[str], out: str | Path | None = None, limits: ReadingLimits = DEFAULT_READING
) -> Iterator[Crystal | ReadFailure]:
    """Read the crystals of some rows again, each file once and only the wanted crystals of it.

    Args:
        sources: Values of the column `source`: a path, `path#k`, `archive/member` or `archive/member#k`.
        out: Folder of the scan that read them before: files that were changed since are not read.
        limits: What is read at most.

    Returns:
        A crystal for each, or a failure in the order in which they are found, with code `source_gone` where the source holds
        it no longer, and `source_changed` where the file is another; the attribute `source` tells which is which.
    """
    by_file: dict[Path | None, set[str]] = defaultdict(set)
    for source in sources:
        by_file[_file_of(source)].add(source)
    scanned = {one.path: one for one in (read_inventory(Path(out)) if out is not None else None) or ()}
    for path, wanted in by_file.items():
        if str(path) in scanned and identify(Path(str(path))).content() != scanned[str(path)].content():
            message = f"{path} was changed since it was scanned; put the file back, or scan it again."
            yield from (ReadFailure("", source, CHANGED, message) for source in sorted(wanted))
            continue
        if path is not None:
            yield from _read_wanted(path, wanted, limits)
        for source in sorted(wanted):
            message = f"{source} is no longer there; put the file back, or scan again where the structures are now."
            yield ReadFailure("", source, GONE, message)


def _file_of(source: str) -> Path | None:
    """The file that a source names, an archive for its member; None where there is none."""
    places = [Path(source), Path(_NUMBER.sub("", source))]
    return next((path for path in (*places, *places[1].parents) if path.is_file()), None)


def _read_wanted(path: Path, wanted: set[str], limits: ReadingLimits) -> Iterator[Crystal | ReadFailure]:
    """Items of a file that are wanted; each is taken off the set."""
    names = wanted | {_NUMBER.sub("", source) for source in wanted}
    reading = ReadOptions(allow_missing_hydrogens=True, limits=limits)
    for piece in ScanSource(str(path), (path,)).pieces(_PIECE_SIZE, limits):
        for item in _without_unwanted(piece, wanted, names, limits).items(reading):
            if item.source in wanted:
                wanted.discard(item.source)
                yield item
        if not wanted:
            return


def _without_unwanted(piece: Piece, wanted: set[str], names: set[str], limits: ReadingLimits) -> Piece:
    """The piece without what can be seen, before it is parsed, to be unwanted."""
    if isinstance(piece, FilesPiece):
        records = (pair for path in piece.paths for pair in file_records(Path(path), limits=limits))
        return RecordsPiece(tuple(pair for pair in records if pair[1].source in wanted))
    if isinstance(piece, RecordsPiece):
        return RecordsPiece(tuple(pair for pair in piece.cut if pair[1].source in wanted))
    if isinstance(piece, ContentsPiece):
        return ContentsPiece(tuple(pair for pair in piece.contents if pair[0] in names))
    if isinstance(piece, ZipPiece):
        return replace(piece, members=tuple(pair for pair in piece.members if f"{piece.archive}/{pair[1]}" in names))
    if isinstance(piece, ParquetPiece):
        rows = range(piece.first + 1, piece.first + 1 + piece.stop - piece.start)
        return piece if any(f"{piece.path}#{row}" in wanted for row in rows) else RecordsPiece(())
    return piece


def export_structures(
    out: str | Path,
    folder: str | Path,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    features: str | Path | None = None,
    *,
    force: bool = False,
) -> pd.DataFrame:
    """Write chosen crystals of a scan as CIF files (P1, all sites), and `structures.csv`, which lists them.

    Args:
        out: The scan's folder.
        folder: Folder to write into.
        selection: Which rows.
        features: A CSV table to join by `material_id`.
        force: Overwrite what is in the way in a folder that holds other files.

    Returns:
        Columns `material_id`, `formula`, `kappa` in W/(m K), `file`, `status`, `error`, `source`, one row each in the
        order of the selection. `status` is `ok`, `source_gone`, `source_changed` where the file was changed since or holds
        another crystal now, or the code of a reader's error.

    Raises:
        OutputError: The folder holds other files than an export.
        QueryError: As for `select_rows`.
        RunError: As for `select_rows`.
        DataError: As for `select_rows`.
    """
    with output_folder(folder, "export", force=force) as new:
        return _export(out, new, selection, features)


def _export(out: str | Path, folder: Path, selection: Selection, features: str | Path | None) -> pd.DataFrame:
    chosen = pd.concat([chunk[_COLUMNS] for chunk in stream_rows(out, selection, features)], ignore_index=True)
    rows = chosen.drop_duplicates("source").set_index("source", drop=False).assign(file="", status="", error="")
    taken: set[str] = set()
    for item in read_sources(rows["source"], out, ReadingLimits(**read_manifest(out).limits)):
        row = rows.loc[item.source]
        if isinstance(item, ReadFailure):
            status, error, name = item.code, item.message, ""
        elif (item.formula, item.n_atoms) != (row["formula"], row["n_atoms"]):
            status, name = CHANGED, ""
            error = f"{item.source} now holds {item.formula} with {item.n_atoms} atoms; scan the source again."
        else:
            status, error, name = EXPORTED, "", _file_name(str(row["material_id"]), taken)
            write_text_atomic(folder / name, str(to_pymatgen(item).to(fmt="cif")))
        rows.loc[item.source, ["file", "status", "error"]] = [name, status, error]
    table = rows.reset_index(drop=True)[["material_id", "formula", "kappa", "file", "status", "error", "source"]]
    text = StringIO()
    write_csv(table, text, header=True)
    write_text_atomic(folder / STRUCTURES_TABLE, text.getvalue())
    return table


def _file_name(material_id: str, taken: set[str]) -> str:
    """A file name that every system takes, and no other crystal has."""
    stem = re.sub(r"[^A-Za-z0-9._+-]+", "_", material_id[:LONGEST_NAME]).strip("._") or "crystal"
    if stem.partition(".")[0].lower() in _DEVICES:
        stem = f"_{stem}"
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name.lower())
    return f"{name}.cif"
