"""Which format a file has, from its name or else its first bytes."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from paraisite.structures.ase_database import SQLITE_START
from paraisite.structures.poscar import looks_like_poscar

FORMATS = ("cif", "poscar", "extxyz", "ase-db", "json", "jsonl")
"""Names of the formats that can be read."""

GZIP_START = b"\x1f\x8b"

_HEAD_BYTES = 8192
_BY_SUFFIX = {
    ".cif": "cif",
    ".mcif": "cif",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".contcar": "poscar",
    ".xyz": "extxyz",
    ".extxyz": "extxyz",
    ".db": "ase-db",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_CIF_BLOCK = re.compile(r"^\s*data_\S*\s", re.MULTILINE | re.IGNORECASE)


def detect_format(path: Path) -> str | None:
    """Format by name, else by content; None if neither tells."""
    return _by_name(path) or _by_content(_head(path))


def detect_format_of(name: str, data: bytes) -> str | None:
    """Format of decompressed content in memory by its name, else by its first bytes; None if neither tells."""
    return _by_name(Path(name)) or _by_content(data[:_HEAD_BYTES])


def stem_of(path: Path) -> str:
    """File name without `.gz` and without the suffix of a known format."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    suffix = Path(name).suffix
    return name[: -len(suffix)] if suffix.lower() in _BY_SUFFIX and len(name) > len(suffix) else name


def _by_name(path: Path) -> str | None:
    """Format by the file's name, apart from `.gz`."""
    name = path.name.lower().removesuffix(".gz")
    if by_suffix := _BY_SUFFIX.get(Path(name).suffix):
        return by_suffix
    return "poscar" if name.startswith(("poscar", "contcar")) else None


def _by_content(head: bytes) -> str | None:
    """Format by the first bytes of the decompressed content."""
    if head.startswith(SQLITE_START):
        return "ase-db"
    text = head.decode("utf-8-sig", errors="replace")
    lines = text.splitlines()
    if text.lstrip()[:1] in ("{", "["):
        return "json"
    if len(lines) > 1 and lines[0].strip().isdecimal() and "Lattice=" in lines[1]:
        return "extxyz"
    if _CIF_BLOCK.search(text) and re.search(r"^\s*(_|loop_)", text, re.MULTILINE):
        return "cif"
    return "poscar" if looks_like_poscar(lines) else None


def _head(path: Path) -> bytes:
    """The first bytes of the decompressed content; fewer if the compression is broken."""
    with path.open("rb") as stream:
        start = stream.read(_HEAD_BYTES)
        if not start.startswith(GZIP_START):
            return start
        stream.seek(0)
        try:
            with gzip.GzipFile(fileobj=stream) as unpacked:
                return unpacked.read(_HEAD_BYTES)
        except (OSError, EOFError, zlib.error):
            return b""
