"""Small files that grow: each is refused with `too_large` within 2 GB of memory, and the files beside it keep their rows."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from attacks import bench
from attacks.base import MEMORY_BYTES, Attack, FaultError, numbered, run, succeeded

GROWN_BYTES = 4 * 1024**3
_BLOCK = bytes(1 << 20)
SALT = b'2\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nNa 0 0 0\nCl 2 2 2\n'
TOO_LARGE = "too_large"
_REFUSALS = {TOO_LARGE, "unreadable", "invalid_cell", "unsupported_format"}
"""What else may be said of a file that is large and damaged too."""


def _grown(open_stream: Callable[[io.BytesIO], io.BufferedIOBase], head: bytes = b"") -> bytes:
    data = io.BytesIO()
    with open_stream(data) as stream:
        stream.write(head)
        for _ in range(GROWN_BYTES // len(_BLOCK)):
            stream.write(_BLOCK)
    return data.getvalue()


def _gzip(head: bytes = b"") -> bytes:
    return _grown(lambda data: gzip.GzipFile(fileobj=data, mode="wb", compresslevel=9), head)  # type: ignore[arg-type, return-value]


def _zip(method: int) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        archive.writestr("good.extxyz", SALT)
        with archive.open("bomb.cif", "w", force_zip64=True) as member:
            for _ in range(GROWN_BYTES // len(_BLOCK)):
                member.write(_BLOCK)
    return data.getvalue()


def _tar(mode: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:  # type: ignore[call-overload]
        for name, size, stream in (("good.extxyz", len(SALT), io.BytesIO(SALT)), ("bomb.cif", GROWN_BYTES, _Zeros())):
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, stream)
    return data.getvalue()


class _Zeros(io.RawIOBase):
    """A stream of zeros without an end."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def _parquet() -> bytes:
    """Hundreds of thousands of times the same long text, which a dictionary holds once."""
    data = io.BytesIO()
    text = pa.DictionaryArray.from_arrays(np.zeros(200_000, np.int32), pa.array(["[" * 100_000]))
    pq.write_table(pa.table({"structure": text}), data, compression="zstd")
    return data.getvalue()


def _json_numbers() -> bytes:
    site = {"species": [{"element": "Na", "occu": 1}], "abc": [0, 0, 0]}
    sites = ",".join([json.dumps(site)] * 3_000_000)
    return f'{{"lattice": {{"matrix": [[4,0,0],[0,4,0],[0,0,4]]}}, "sites": [{sites}]}}'.encode()


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "gzip": ("bomb.cif.gz", _gzip),
    "gzip, one line": ("bomb.extxyz.gz", lambda: _gzip(b"2\n")),
    "gzip, JSON lines": ("bomb.jsonl.gz", lambda: _gzip(b"[")),
    "bzip2": ("bomb.vasp.bz2", lambda: _grown(partial(bz2.BZ2File, mode="wb"))),
    "xz": ("bomb.cif.xz", lambda: _grown(partial(lzma.LZMAFile, mode="wb", preset=1))),
    "gzip in gzip": ("bomb.cif.gz", lambda: gzip.compress(_gzip())),
    "zip": ("bomb.zip", lambda: _zip(zipfile.ZIP_DEFLATED)),
    "zip, bzip2": ("bomb.zip", lambda: _zip(zipfile.ZIP_BZIP2)),
    "tar.gz": ("bomb.tar.gz", lambda: _tar("w:gz")),
    "tar.xz": ("bomb.tar.xz", lambda: _tar("w:xz")),
    "Parquet": ("bomb.parquet", _parquet),
    "deep JSON": ("bomb.json", lambda: b"[" * 20_000_000),
    "deep objects": ("bomb.json", lambda: b'{"a":' * 10_000_000),
    "three million sites": ("bomb.json", _json_numbers),
    "a huge line": ("bomb.extxyz", lambda: b"2\n" + b"x" * 700_000_000),
    "a huge count": ("bomb.extxyz", lambda: SALT.replace(b"2\n", b"999999999999\n", 1)),
    "a huge count of columns": ("bomb.extxyz", lambda: SALT.replace(b"pos:R:3", b"pos:R:999999999")),
    "a huge count in POSCAR": ("bomb.vasp", lambda: b"x\n1\n4 0 0\n0 4 0\n0 0 4\nNa\n99999999999\nDirect\n0 0 0\n"),
    "a crowded cell": ("bomb.extxyz", lambda: SALT.replace(b"4 0 0 0 4 0 0 0 4", b"1e-3 0 0 0 1e-3 0 0 0 1e-3")),
    "a huge list": ("bomb.txt", lambda: b"x" * 500_000_000),
}


@cache
def _bomb(name: str) -> Path:
    file, make = BOMBS[name]
    path = bench.fresh("bomb") / file
    path.write_bytes(make())
    return path


def _throw(random: Random, folder: Path) -> str:
    """Predict and scan a folder with a bomb between two good files."""
    names = tuple(BOMBS)
    name = names[numbered(random) % len(names)]
    try:
        return f"{name}: {_thrown(name, folder)}"
    except FaultError as fault:
        raise FaultError(f"{name}: {fault}") from fault


def _thrown(name: str, folder: Path) -> str:
    source = folder / "source"
    source.mkdir()
    for good in ("a.extxyz", "z.extxyz"):
        (source / good).write_bytes(SALT)
    bomb = _bomb(name)
    listed = bomb.suffix == ".txt"
    if not listed:
        (source / bomb.name).symlink_to(bomb)
    given = [source, bomb] if listed else [source]
    scanned = run("scan", *given, "-o", folder / "out", "-p", 1, cwd=folder)
    if listed and scanned.code == 1:
        return "refused"
    succeeded(scanned, (3,))
    _check_memory(scanned.peak, "scan")
    rows = bench.databases.rows_of(folder / "out").to_pylist()
    good_rows = [row for row in rows if Path(row["source"]).name in {"a.extxyz", "z.extxyz"} and row["status"] == "ok"]
    if len(good_rows) != 2:
        raise FaultError(f"{len(good_rows)} of the 2 good files have a row")
    said = {row["status"] for row in rows if row["status"] != "ok"}
    if not said:
        raise FaultError("no row says so")
    if not archive_like(bomb):
        predicted = succeeded(run("predict", source, "--csv", folder / "kappa.csv", cwd=folder), (3,))
        _check_memory(predicted.peak, "predict")
    if said - _REFUSALS or (
        bomb.stat().st_size * 100 < GROWN_BYTES and name.startswith(_GROWING) and TOO_LARGE not in said
    ):
        raise FaultError(f"said {', '.join(sorted(said))}")
    return ", ".join(sorted(said))


_GROWING = ("gzip", "bzip2", "xz", "zip", "tar")


def archive_like(path: Path) -> bool:
    """Whether only a scan reads it."""
    return path.name.endswith((".zip", ".tar.gz", ".tar.xz", ".parquet"))


def _check_memory(peak: int, what: str) -> None:
    if peak > MEMORY_BYTES:
        raise FaultError(f"{what} took {peak / 1e9:.1f} GB")


ATTACKS = (Attack("bomb", "bombs", len(BOMBS), _throw),)
