"""What is attacked, intact: a source with its scan, trainings with their files, a server; each made once."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attacks.base import TESTS, run, succeeded

sys.path += [str(TESTS / name) for name in ("screening", "training", "fetch", "fuzzing")]

import databases
import pyarrow as pa
import tiny_runs

PIECE = 16
SCAN_WORDS = ("--piece-size", PIECE, "-p", 1)
TRAINED_FILES = ("predictions.csv", "metrics.csv", "model.safetensors", "errors.json")


@cache
def bench() -> Path:
    """Folder of what is attacked, for this process."""
    return Path(tempfile.mkdtemp(prefix="paraisite-attack-"))


def clean_up() -> None:
    """Remove it."""
    if bench.cache_info().currsize:
        shutil.rmtree(bench(), ignore_errors=True)


def fresh(name: str) -> Path:
    """A new folder in the bench, with nothing beside it."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=bench()))


@dataclass(frozen=True, slots=True)
class Scanned:
    """A source and its scan.

    Attributes:
        source: The source.
        out: The scan's folder.
        rows: Its rows by source.
        seconds: How long it took.
    """

    source: Path
    out: Path
    rows: pa.Table
    seconds: float


@cache
def scanned() -> Scanned:
    """A folder of CIF files, a long extxyz file, JSON lines, a zip and a tar archive with two broken files, scanned."""
    folder = fresh("scanned")
    source = folder / "source"
    cifs = databases.write_cifs(source / "cifs", 30)
    databases.write_extxyz(source / "long.extxyz", 90)
    databases.write_jsonl(source / "records.jsonl", 60)
    databases.write_zip(source / "all.zip", cifs)
    databases.write_tar(source / "all.tar.gz", cifs)
    (source / "broken.cif").write_text("data_broken\n_cell_length_a what\n")
    (source / "empty.cif").write_text("")
    run("scan", source, "-o", folder / "warm", *SCAN_WORDS, cwd=folder)  # what is loaded first comes from the disk
    start = time.monotonic()
    succeeded(run("scan", source, "-o", folder / "out", *SCAN_WORDS, cwd=folder), (3,))
    seconds = time.monotonic() - start
    return Scanned(source, folder / "out", rows_by_source(folder / "out"), seconds)


def rows_by_source(out: Path) -> pa.Table:
    """Rows of a scan, in the order of their sources."""
    return databases.rows_of(out).sort_by("source")


@cache
def small_data() -> Path:
    """Thirty crystals with κ."""
    path = fresh("data") / "thirty.extxyz"
    tiny_runs.write_data(path, 30)
    return path


@cache
def recipe_file() -> Path:
    """A recipe of two small stages."""
    folder = fresh("recipe")
    recipe = tiny_runs.two_stages(tiny_runs.write_data(folder / "tiny.extxyz"))
    (folder / "tiny.toml").write_text(recipe.to_toml(), encoding="utf-8")
    return folder / "tiny.toml"


def trained_files(folder: Path) -> dict[str, bytes]:
    """What must be the same after a training that was stopped: predictions, errors and weights."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name in TRAINED_FILES and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            content = path.read_bytes()
            if path.name == "errors.json":
                content = json.dumps(_without_times(json.loads(content)), sort_keys=True).encode()
            found[str(path.relative_to(folder))] = content
    return found


def _without_times(content: object) -> object:
    """A document without what differs from run to run for good reasons: times and paths."""
    if isinstance(content, dict):
        kept = {key: value for key, value in content.items() if "seconds" not in key and key not in {"date", "folder"}}
        return {key: _without_times(value) for key, value in kept.items()}
    return [_without_times(item) for item in content] if isinstance(content, list) else content
