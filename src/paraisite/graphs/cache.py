"""A cache of built graphs, keyed by the crystals' content and the graph settings."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from paraisite.atomic import atomic_path
from paraisite.errors import StructureError
from paraisite.graphs.build import BuiltGraphs, build_graphs
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal

CACHE_VARIABLE = "PARAISITE_CACHE"
"""Environment variable that names the cache folder; an empty value turns the cache off."""
MIN_CRYSTALS = 500
"""Fewer crystals are built as quickly as they are looked up."""


def cache_folder() -> Path | None:
    """Folder of the cache: `PARAISITE_CACHE`, or the user's cache folder; None where it is turned off."""
    named = os.environ.get(CACHE_VARIABLE)
    if named is not None:
        return Path(named) if named else None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "paraisite"


def content_key(crystals: Sequence[Crystal], settings: GraphSettings) -> str:
    """Hash of species, cells, positions and graph settings."""
    content = hashlib.sha256(settings.digest().encode())
    for crystal in crystals:
        for array in (crystal.numbers, crystal.cell, crystal.fractional):
            content.update(str(array.shape).encode())
            content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()


def cached_graphs(crystals: Sequence[Crystal], settings: GraphSettings = DEFAULT_GRAPH_SETTINGS) -> BuiltGraphs:
    """Build graphs as `build_graphs` does, or take them from the cache.

    A file that is damaged or cannot be written is no error: the graphs are built.

    Args:
        crystals: Checked crystals.
        settings: Graph settings.
    """
    folder = cache_folder()
    if folder is None or len(crystals) < MIN_CRYSTALS:
        return build_graphs(crystals, settings)
    path = folder / "graphs" / f"{content_key(crystals, settings)}.npz"
    try:
        return _read(path)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        built = build_graphs(crystals, settings)
    try:
        _write(path, built)
    except OSError:
        return built
    return built


def _read(path: Path) -> BuiltGraphs:
    with np.load(path, allow_pickle=False) as content:
        failures = [
            (int(index), StructureError(message, code=code))
            for index, code, message in json.loads(str(content["failures"]))
        ]
        store = GraphStore(**{name[6:]: content[name] for name in content.files if name.startswith("store_")})
        return BuiltGraphs(store, content["kept"], failures, int(content["n_pairs"]))


def _write(path: Path, built: BuiltGraphs) -> None:
    failures = json.dumps([(index, error.code, str(error)) for index, error in built.failures])
    arrays = {f"store_{name}": array for name, array in asdict(built.store).items()}
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, kept=built.kept, n_pairs=built.n_pairs, failures=failures, **arrays)
