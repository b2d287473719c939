"""The formats that are read, in one list: how each is told, and what reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from paraisite.readers import espresso, simulation_inputs, vasp_outputs
from paraisite.readers.ase_database import SQLITE_START, ase_database_records
from paraisite.readers.cif import cif_records
from paraisite.readers.compression import (
    COMPRESSED_SUFFIXES,
    DECOMPRESSION_ERRORS,
    decompressed_name,
    open_decompressed,
)
from paraisite.readers.extxyz import extxyz_records
from paraisite.readers.json_structures import json_records, jsonl_records
from paraisite.readers.phonopy_yaml import looks_like_phonopy, phonopy_records
from paraisite.readers.poscar import looks_like_poscar, poscar_records
from paraisite.structures.limits import ReadingLimits
from paraisite.structures.origin import Record

_HEAD_BYTES = 8192
_CIF_BLOCK = re.compile(r"^\s*data_\S*\s", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: What `--format` takes.
        title: What users call it.
        patterns: File names in lower case, without the suffix of a compression; those that begin with `*` count first.
        reads: What `records` takes first: the file's bytes or its text, followed by its name, its lines, or its path.
        records: The structures of a file, one record each; all but readers of bytes take the limits last.
        looks: Whether the first characters of a file are of this format; None where a name alone tells it.
        content: Which structures of a file are read.
    """

    name: str
    title: str
    patterns: tuple[str, ...]
    reads: Literal["bytes", "text", "lines", "path"]
    records: Callable[..., Iterator[Record]]
    looks: Callable[[str], bool] | None
    content: str


def _of_text(records: Callable[[str], Iterator[Record]]) -> Callable[[str, str, ReadingLimits], Iterator[Record]]:
    """A reader of one structure that needs neither the file's name nor further limits, called with them."""

    def named(text: str, _: str, __: ReadingLimits) -> Iterator[Record]:
        return records(text)

    return named


def _looks_like_extxyz(text: str) -> bool:
    lines = text.splitlines()
    return len(lines) > 1 and lines[0].strip().isdecimal() and "Lattice=" in lines[1]


def _looks_like_cif(text: str) -> bool:
    return _CIF_BLOCK.search(text) is not None and re.search(r"^\s*(_|loop_)", text, re.MULTILINE) is not None


_ONE = "its structure"
_FINAL = "the final structure"
_FORMATS = (
    Format(
        "ase-db", "ASE database (SQLite)", ("*.db",), "path", ase_database_records,
        lambda text: text.startswith(SQLITE_START.decode()), "every row",
    ),
    Format(
        "json", "JSON: pymatgen, OPTIMADE, JARVIS, ASE", ("*.json",), "text", json_records,
        lambda text: text.lstrip()[:1] in ("{", "["), "every structure",
    ),
    Format(
        "jsonl", "JSON lines of the same", ("*.jsonl", "*.ndjson"), "lines", jsonl_records, None, "every line",
    ),
    Format(
        "extxyz", "extended XYZ", ("*.xyz", "*.extxyz"), "lines", extxyz_records, _looks_like_extxyz, "every frame",
    ),
    Format("cif", "CIF", ("*.cif", "*.mcif"), "bytes", cif_records, _looks_like_cif, "every block with sites"),
    Format(
        "vasprun", "VASP `vasprun.xml`", ("vasprun*.xml",), "text", _of_text(vasp_outputs.vasprun_records),
        vasp_outputs.looks_like_vasprun, _FINAL,
    ),
    Format(
        "outcar", "VASP OUTCAR", ("outcar*", "*.outcar"), "text", _of_text(vasp_outputs.outcar_records),
        vasp_outputs.looks_like_outcar, _FINAL,
    ),
    Format(
        "espresso-out", "Quantum ESPRESSO output (`pw.x`)", ("*.pwo",), "text",
        _of_text(espresso.espresso_output_records), espresso.looks_like_espresso_output, _FINAL,
    ),
    Format(
        "espresso-in", "Quantum ESPRESSO input, `ibrav = 0`", ("*.pwi",), "text",
        _of_text(espresso.espresso_input_records), espresso.looks_like_espresso_input, _ONE,
    ),
    Format(
        "phonopy", "phonopy and phono3py YAML", ("phonopy*.yaml", "phono3py*.yaml"), "text", _of_text(phonopy_records),
        looks_like_phonopy, "the unit cell, not the supercell",
    ),
    Format(
        "castep", "CASTEP `.cell`", ("*.cell",), "text", _of_text(simulation_inputs.castep_records),
        simulation_inputs.looks_like_castep, _ONE,
    ),
    Format(
        "res", "`.res` of AIRSS, without symmetry", ("*.res",), "text", _of_text(simulation_inputs.res_records),
        simulation_inputs.looks_like_res, _ONE,
    ),
    Format(
        "xsf", "XSF", ("*.xsf", "*.axsf"), "text", _of_text(simulation_inputs.xsf_records),
        simulation_inputs.looks_like_xsf, "the last structure",
    ),
    Format(
        "aims", "FHI-aims `geometry.in`", ("geometry.in*",), "text", _of_text(simulation_inputs.aims_records),
        simulation_inputs.looks_like_aims, _ONE,
    ),
    Format(
        "poscar", "VASP POSCAR, CONTCAR", ("poscar*", "contcar*", "*.vasp", "*.poscar", "*.contcar"), "text",
        _of_text(poscar_records), lambda text: looks_like_poscar(text.splitlines()), _ONE,
    ),
)  # fmt: skip
"""In the order in which contents are tried: POSCAR says the least of itself."""

BY_NAME = {item.name: item for item in _FORMATS}
FORMATS = tuple(BY_NAME)
"""Names of the formats that can be read."""

_SUFFIXES = frozenset(
    suffix for item in _FORMATS for pattern in item.patterns if (suffix := Path(pattern).suffix) and "*" not in suffix
)


def detect_format(path: Path) -> str | None:
    """Format by name, else by content; None if neither tells."""
    return _by_name(path.name) or _by_content(_head(path))


def detect_format_of(name: str, data: bytes) -> str | None:
    """Format of decompressed content in memory by its name, else by its first bytes; None if neither tells."""
    return _by_name(Path(name).name) or _by_content(data[:_HEAD_BYTES])


def stem_of(path: Path) -> str:
    """File name without the suffixes of a compression and of a known format."""
    name = decompressed_name(path.name)
    suffix = Path(name).suffix
    return name[: -len(suffix)] if suffix.lower() in _SUFFIXES and len(name) > len(suffix) else name


def format_table() -> str:
    """The formats as a table in Markdown, as docs/usage.md shows it."""
    ordered = sorted(_FORMATS, key=lambda item: item.title.replace("`", "").lower())
    rows = [f"| {item.title} | {_told_by(item)} | {item.content} | `{item.name}` |" for item in ordered]
    compressed = ", ".join(f"`{suffix}`" for suffix in COMPRESSED_SUFFIXES)
    head = ["| format | told by | what is read | `--format` |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, "", f"Each may be compressed ({compressed}), apart from ASE's SQLite databases."])


def _told_by(item: Format) -> str:
    return ", ".join([f"`{pattern}`" for pattern in item.patterns] + (["content"] if item.looks else []))


def _by_name(file_name: str) -> str | None:
    """Format by a file's name, apart from its compression."""
    name = decompressed_name(file_name).lower()
    for by_suffix in (True, False):
        for item in _FORMATS:
            if any(pattern.startswith("*") == by_suffix and fnmatch(name, pattern) for pattern in item.patterns):
                return item.name
    return None


def _by_content(head: bytes) -> str | None:
    """Format by the first bytes of the decompressed content."""
    text = head.decode("utf-8-sig", errors="replace")
    return next((item.name for item in _FORMATS if item.looks is not None and item.looks(text)), None)


def _head(path: Path) -> bytes:
    """The first bytes of the decompressed content; fewer if the compression is broken."""
    with path.open("rb") as raw:
        try:
            stream: Any = open_decompressed(raw)
            return bytes(stream.read(_HEAD_BYTES))
        except DECOMPRESSION_ERRORS:
            return b""
