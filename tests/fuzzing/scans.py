"""Scans of damaged inputs, in a folder, in archives and in one long file: every input must have a row."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
from checks import check_sentence
from mutators import Input, mutated_input
from seeds import SUFFIXES

from paraisite.prediction.prepare import predicted_statuses
from paraisite.readers.formats import detect_format_of
from paraisite.screening.scan import ScanOptions, scan
from paraisite.screening.state import usable_parts

Write = Callable[[Path, Sequence[Input]], list[str]]


def check_scan(folder: Path, *, seed: int, n_inputs: int) -> int:
    """Scan damaged inputs in every form.

    Args:
        folder: Gets the inputs and the scan.
        seed: Tells the inputs.
        n_inputs: Inputs in all.

    Returns:
        Number of rows.

    Raises:
        AssertionError: An input has no row, or a row has an error that is no sentence.
        Exception: Whatever ends the scan.
    """
    source, expected = folder / "source", []
    source.mkdir()
    for number, write in enumerate(FORMS):
        expected += write(source, [_named(seed, number, index) for index in range(-(-n_inputs // len(FORMS)))])
    scan(source, folder / "out", ScanOptions(processes=1, piece_size=64, symmetry=True))
    rows = pa.concat_tables([pq.read_table(path) for path in usable_parts(folder / "out")]).to_pylist()
    without = set(expected) - {row["source"].partition("#")[0] for row in rows}
    assert not without, f"{len(without)} inputs have no row, among them {min(without)}"
    for row in rows:
        check_sentence(row["error"])
        assert (row["kappa"] is None) == (row["status"] not in predicted_statuses()), row
    return len(rows)


def _named(seed: int, form: int, index: int) -> Input:
    """A damaged input with a name of its own."""
    kind = tuple(SUFFIXES)[index % len(SUFFIXES)]
    given = mutated_input(Random(f"{seed} scan {form} {index}"), kind)
    return Input(f"{index:06d}-{given.name}", given.data)


def _write_files(source: Path, inputs: Sequence[Input]) -> list[str]:
    for given in inputs:
        (source / given.name).write_bytes(given.data)
    # A file of no known format is passed over in a folder: only a name tells what it should be.
    return [str(source / given.name) for given in inputs if detect_format_of(given.name, b"") is not None]


def _write_zip(source: Path, inputs: Sequence[Input]) -> list[str]:
    path = source / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for given in inputs:
            archive.writestr(given.name, given.data)
    return [f"{path}/{given.name}" for given in inputs]


def _write_tar(source: Path, inputs: Sequence[Input]) -> list[str]:
    path = source / "all.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for given in inputs:
            member = tarfile.TarInfo(given.name)
            member.size = len(given.data)
            archive.addfile(member, io.BytesIO(given.data))
    return [f"{path}/{given.name}" for given in inputs]


def _write_long_files(source: Path, inputs: Sequence[Input]) -> list[str]:
    """Everything that is read by lines, one after the other in one file of its format, and in a compressed one."""
    paths = []
    for suffix in (".extxyz", ".jsonl"):
        data = b"\n".join(given.data for given in inputs if given.name.endswith(suffix))
        for path, content in ((source / f"all{suffix}", data), (source / f"packed{suffix}.gz", gzip.compress(data, 1))):
            path.write_bytes(content)
            paths.append(str(path))
    return paths


def _write_parquet(source: Path, inputs: Sequence[Input]) -> list[str]:
    """Rows whose structure is a damaged JSON text."""
    texts = [given.data.decode("utf-8", "replace") for given in inputs]
    pq.write_table(pa.table({"structure": texts}), source / "all.parquet", row_group_size=50)
    return [str(source / "all.parquet")]


FORMS: tuple[Write, ...] = (_write_files, _write_zip, _write_tar, _write_long_files, _write_parquet)
