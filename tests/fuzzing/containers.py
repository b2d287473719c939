"""What holds structures, intact and damaged: compressed files, archives, Parquet tables and ASE databases."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
from ase.db import connect
from seeds import seed_crystals, seeds

from paraisite.structures import to_ase

N_SEEDS = 6
Member = tuple[str, bytes]
_TEXTS = (("cif", ".cif"), ("poscar", ".vasp"), ("extxyz", ".extxyz"), ("optimade", ".json"), ("xsf", ".xsf"))
_LONG_TEXTS = (("extxyz", ".extxyz"), ("jsonl", ".jsonl"), ("cif", ".cif"), ("pymatgen", ".json"))
_HOSTILE_NAMES = (
    "../outside.cif", "/tmp/outside.cif", "a//b.cif", "line\nbreak.cif", "\x1b[31mred.cif", "é☢.cif", "=1+1.cif",
    "n" * 200 + ".cif", "con.cif", "a b.cif", "inner.zip", "README", "folder.cif/deep.cif", "-rf.cif",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Container:
    """A file that holds structures.

    Attributes:
        name: Name of the file.
        data: Its content.
        guarded: Whether the format carries check sums of the content, so that no damage may change a value.
    """

    name: str
    data: bytes
    guarded: bool


def _compressed(compress: Callable[[bytes], bytes], suffix: str, random: Random) -> Container:
    kind, ending = random.choice(_LONG_TEXTS)
    return Container(f"input{ending}{suffix}", compress(random.choice(seeds()[kind])), guarded=True)


def _members(random: Random) -> list[Member]:
    """Up to eight files; some with a name that no careful program writes."""
    members = []
    for number in range(random.choice((1, 3, 5, 8))):
        kind, ending = random.choice(_TEXTS)
        name = f"{random.choice(('', 'in/', 'in/deep/'))}m{number}{ending}"
        if number and random.random() < 0.15:  # the first is always read
            name = (
                f"{number}{random.choice(_HOSTILE_NAMES)}" if random.random() < 0.5 else random.choice(_HOSTILE_NAMES)
            )
        members.append((name, random.choice(seeds()[kind])))
    return members


def _zip(random: Random) -> Container:
    data = io.BytesIO()
    method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in _members(random):
            archive.writestr(name, content)
    return Container("input.zip", data.getvalue(), guarded=True)


def _tar(mode: str, suffix: str, random: Random) -> Container:
    data = io.BytesIO()
    kind = random.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=data, mode=mode, format=kind) as archive:  # type: ignore[call-overload]
        for name, content in _members(random):
            member = tarfile.TarInfo(name[:90])
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if random.random() < 0.2:
            link = tarfile.TarInfo("link.cif")
            link.type, link.linkname = random.choice((tarfile.SYMTYPE, tarfile.LNKTYPE)), "m0.cif"
            archive.addfile(link)
    return Container(f"input.tar{suffix}", data.getvalue(), guarded=suffix != "")


def _parquet(random: Random) -> Container:
    records = [json.loads(text) for text in seeds()["optimade"][: len(seed_crystals())]]
    chosen = random.choices(records, k=random.choice((1, 4, 12)))
    if random.random() < 0.5:
        table = pa.table({"structure": [json.dumps(record["attributes"]) for record in chosen]})
    else:
        names = ("lattice_vectors", "cartesian_site_positions", "species_at_sites")
        table = pa.Table.from_pylist([{name: record["attributes"][name] for name in names} for record in chosen])
    data, guarded = io.BytesIO(), random.random() < 0.5
    pq.write_table(
        table,
        data,
        row_group_size=random.choice((2, 5, 100)),
        compression=random.choice(("none", "snappy", "zstd", "gzip")),
        use_dictionary=random.random() < 0.5,
        data_page_version=random.choice(("1.0", "2.0")),
        write_page_checksum=guarded,
    )
    return Container("input.parquet", data.getvalue(), guarded=guarded)


def _ase_database(random: Random) -> Container:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        with connect(path, use_lock_file=False) as database:  # type: ignore[no-untyped-call]
            for crystal in random.choices(seed_crystals(), k=random.choice((1, 4, 12))):
                database.write(to_ase(crystal), key_value_pairs={"material_id": crystal.material_id, "kappa": 1.5})
        return Container("input.db", path.read_bytes(), guarded=False)


def _xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


_MAKERS: dict[str, Callable[[Random], Container]] = {
    "gz": lambda random: _compressed(gzip.compress, ".gz", random),
    "bz2": lambda random: _compressed(bz2.compress, ".bz2", random),
    "xz": lambda random: _compressed(_xz, ".xz", random),
    "zip": _zip,
    "tar": lambda random: _tar("w", "", random),
    "tar.gz": lambda random: _tar("w:gz", ".gz", random),
    "tar.bz2": lambda random: _tar("w:bz2", ".bz2", random),
    "tar.xz": lambda random: _tar("w:xz", ".xz", random),
    "parquet": _parquet,
    "ase-db": _ase_database,
}
CONTAINERS = tuple(_MAKERS)
"""Kinds of containers."""


@cache
def intact(kind: str) -> tuple[Container, ...]:
    """Intact containers of a kind."""
    return tuple(_MAKERS[kind](Random(f"{kind} {number}")) for number in range(N_SEEDS))


def flip_bits(random: Random, data: bytes) -> bytes:
    """One bit changed, seldom some."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 16))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def flip_near_an_end(random: Random, data: bytes) -> bytes:
    """One bit changed in the first or last bytes, where headers, directories and check sums are."""
    changed = bytearray(data)
    place = random.randrange(min(600, len(changed)))
    changed[place if random.random() < 0.5 else -1 - place] ^= 1 << random.randrange(8)
    return bytes(changed)


def cut(random: Random, data: bytes) -> bytes:
    """The end lost."""
    return data[: random.randrange(len(data))]


def _cut_out(random: Random, data: bytes) -> bytes:
    start = random.randrange(len(data))
    return data[:start] + data[start + random.choice((1, 7, 512, 4096)) :]


def _overwrite(random: Random, data: bytes) -> bytes:
    """A stretch of zeros, of noise, or of another place of the file, as a bad sector leaves."""
    start, length = random.randrange(len(data)), random.choice((1, 16, 512, 4096))
    length = min(length, len(data) - start)
    other = random.randrange(len(data))
    stretch = random.choice(
        (bytes(length), random.randbytes(length), data[other : other + length].ljust(length, b"\0"))
    )
    return data[:start] + stretch + data[start + length :]


def _insert(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.choice((1, 3, 512))) + data[place:]


def _append(random: Random, data: bytes) -> bytes:
    return data + random.choice((b"\0" * 700, random.randbytes(40), data, data[: len(data) // 2], b"\n"))


DAMAGES: Sequence[Callable[[Random, bytes], bytes]] = (
    flip_bits, flip_bits, flip_bits, flip_near_an_end, flip_near_an_end, cut, cut, _cut_out, _overwrite, _insert, _append,
)  # fmt: skip


def damaged_container(random: Random, kind: str) -> tuple[Container, bytes]:
    """An intact container of a kind, and its damaged content."""
    container = random.choice(intact(kind))
    data = container.data
    for _ in range(random.choice((1, 1, 1, 2))):
        data = random.choice(DAMAGES)(random, data) or data
    return container, data
