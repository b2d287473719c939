"""A cache of built graphs, keyed by the crystals' content and the graph settings, of bounded size."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from paraisite.atomic import atomic_path
from paraisite.errors import ParaisiteError, StructureError
from paraisite.graphs.build import BuiltGraphs, build_graphs
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS, GraphSettings
from paraisite.graphs.store import GraphStore
from paraisite.structures.crystal import Crystal

CACHE_VARIABLE = "PARAISITE_CACHE"
"""Environment variable that names the cache folder; an empty value turns the cache off."""
SIZE_VARIABLE = "PARAISITE_CACHE_GIGABYTES"
"""Environment variable that bounds the graphs in the cache, in 10⁹ bytes."""
DEFAULT_GIGABYTES = 5.0
"""Room for many data sets of some ten thousand crystals."""
STALE_SECONDS = 86_400
"""A half-written file that is older than a day is of a process that was killed."""
MIN_CRYSTALS = 500
"""Fewer crystals are built as quickly as they are looked up."""


def cache_folder() -> Path | None:
    """Folder of the cache: `PARAISITE_CACHE`, or the user's cache folder; None where it is turned off."""
    named = os.environ.get(CACHE_VARIABLE)
    if named is not None:
        return Path(named) if named else None
    from platformdirs import user_cache_path  # noqa: PLC0415 - of no use to most commands

    return user_cache_path("paraisite", appauthor=False, opinion=False)


def cache_bytes() -> int:
    """Bytes of graphs that the cache may hold: `PARAISITE_CACHE_GIGABYTES`, else 5 GB.

    Raises:
        ParaisiteError: The variable is no number of gigabytes.
    """
    named = os.environ.get(SIZE_VARIABLE) or str(DEFAULT_GIGABYTES)
    try:
        gigabytes = float(named)
    except ValueError:
        gigabytes = math.nan
    if not 0 <= gigabytes < math.inf:
        raise ParaisiteError(f"{SIZE_VARIABLE} must be a number of gigabytes, such as 5 or 0.5, not {named!r}.")
    return int(gigabytes * 1e9)


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

    A file that is damaged or cannot be written is no error: the graphs are built. Where the cache exceeds its bound (see
    `cache_bytes`), the files that were used least recently go. Processes may share a cache folder.

    Args:
        crystals: Checked crystals.
        settings: Graph settings.

    Raises:
        ParaisiteError: The bound in the environment is no number.
    """
    folder = cache_folder()
    if folder is None or len(crystals) < MIN_CRYSTALS:
        return build_graphs(crystals, settings)
    bound, path = cache_bytes(), folder / "graphs" / f"{content_key(crystals, settings)}.npz"
    try:
        built = _read(path)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        built = build_graphs(crystals, settings)
    else:
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of its last use, which file systems that are mounted noatime do not keep
        return built
    if _size(built) <= bound:
        with contextlib.suppress(OSError):
            _write(path, built)
            prune(path.parent, bound)
    return built


def prune(folder: Path, bound_bytes: int) -> None:
    """Remove the files that were used least recently until the others fit into a bound.

    A file that another process removes or replaces meanwhile is no error; one that it reads stays readable to it.

    Args:
        folder: Folder of cached graphs.
        bound_bytes: Bytes that may stay.
    """
    total, now = 0, time.time()
    for used, size, path in sorted(_entries(folder), reverse=True):
        half_written = path.suffix == ".part"
        total += 0 if half_written else size
        if (total > bound_bytes and not half_written) or (half_written and now - used > STALE_SECONDS):
            with contextlib.suppress(OSError):  # on Windows a file that is being read cannot be removed
                path.unlink(missing_ok=True)


def _entries(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of last use, bytes and path of every file."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # removed by another process since
            status = path.stat()
            yield status.st_mtime, status.st_size, path


def _size(built: BuiltGraphs) -> int:
    """Bytes of the arrays of a store, which are written as they are."""
    return sum(array.nbytes for array in asdict(built.store).values())


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
