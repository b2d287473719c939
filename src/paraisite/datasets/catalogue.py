"""Data sets by name or path: crystals with κ at 300 K in W/(m K)."""

from __future__ import annotations

import csv
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from pathlib import Path

import numpy as np

from paraisite.datasets.levels import LOW_LEVELS, Level, Source, noise_prior
from paraisite.datasets.prototypes import EXPLICIT
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.errors import DataError
from paraisite.graphs.cache import cache_folder, content_key
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS
from paraisite.html_tables import html_table
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.readers import iter_crystals

DATA_VARIABLE = "PARAISITE_DATA"
"""Environment variable that names the folder of data sets and weights that the package does not ship."""
GROUP = "paraisite.data_sets"
"""Entry points of other packages: the name is that of the data set, the object a function that gives the `DataSet`."""
KAPPA_COLUMNS = ("kappa", "kappa_w_per_mk", "ltc", "thermal_conductivity")
FILE_COLUMNS = ("file", "path", "filename", "structure")


SHOWN_CRYSTALS = 10
"""Crystals that a notebook shows of a data set."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Crystals with reference κ.

    Attributes:
        name: Name of the data set.
        crystals: The crystals, in the order that the splits number.
        kappa: κ at 300 K in W/(m K), [n_crystals] float64, all above zero.
        part_sizes: Sizes of the parts that are split each by itself; one part but for MIX.
        failures: What was left out, and why.
        level: How κ was found: one of `paraisite.datasets.levels.Level`, or another name with a noise of its own.
        noise_log10: Median of the prior of the noise in log10 κ; the level's own without it.
        low: Whether κ is an estimate that a model is to correct, and not κ itself; by the level without it.
        catalogued: Whether the name is that of a catalogue and no other data set can have it.
    """

    name: str
    crystals: tuple[Crystal, ...]
    kappa: np.ndarray
    part_sizes: tuple[int, ...]
    failures: tuple[ReadFailure, ...] = ()
    level: str = Level.FIRST_PRINCIPLES
    noise_log10: float | None = None
    low: bool | None = None
    catalogued: bool = False

    def __post_init__(self) -> None:
        """Refuse a level whose noise nobody knows.

        Raises:
            DataError: The level is not known and there is no prior, or the prior is no positive number.
        """
        noise_prior(self.level, self.noise_log10)

    @property
    def source(self) -> Source:
        """What a fit knows of the data set besides its crystals."""
        identity = self.name
        if not self.catalogued:
            identity = f"{content_key(self.crystals, DEFAULT_GRAPH_SETTINGS)} {hash_of(self.kappa)}"
        low = self.level in LOW_LEVELS if self.low is None else self.low
        return Source(self.name, str(self.level), noise_prior(self.level, self.noise_log10), identity, low)

    def __len__(self) -> int:
        """Number of crystals."""
        return len(self.crystals)

    def __iter__(self) -> Iterator[Crystal]:
        """The crystals, so that `paraisite.predict` takes a data set as it is."""
        return iter(self.crystals)

    def __repr__(self) -> str:
        """Name and counts, instead of all crystals."""
        return f"DataSet({self.name!r}, {len(self)} crystals, {len(self.failures)} left out)"

    def _repr_html_(self) -> str:
        """What a notebook shows: the first crystals with their κ."""
        rows = [
            (crystal.material_id, crystal.formula, crystal.n_atoms, f"{kappa:.3g}")
            for crystal, kappa in zip(self.crystals[:SHOWN_CRYSTALS], self.kappa, strict=False)
        ]
        note = f"{self!r}, κ at 300 K in W/(m K); the first {len(rows)}"
        return html_table(("material_id", "formula", "n_atoms", "κ"), rows, note)


def load_data_set(name: str, data_folder: str | Path | None = None, kappa_column: str | None = None) -> DataSet:
    """Load a data set.

    Args:
        name: `togo15`, `hh143`, `mix` (both), `literature`, `aflow_agl`, a data set that another package brings (see
            `GROUP`), or the path of an extxyz file or a CSV table (see `read_labelled`).
        data_folder: Folder of what the package does not ship (see `chosen_data_folder`).
        kappa_column: Name of the κ column of a file.

    Raises:
        DataError: There is no such data set, or it holds no crystal with κ.
    """
    if name in _EMBEDDED:
        parts = [_LOADERS[part]() for part in _UNIONS.get(name, (name,))]
        crystals = [crystal for part in parts for crystal in part]
        kappa = np.array([float(crystal.properties["kappa"]) for crystal in crystals])
        sizes = tuple(len(part) for part in parts)
        known = _SOURCES[name]
        return DataSet(
            name, tuple(crystals), kappa, sizes, level=known.level, noise_log10=known.noise_log10, catalogued=True
        )
    if name == "aflow_agl":
        data = read_labelled(find_data_file("aflow_agl.extxyz.gz", data_folder))
        return replace(data, name=name, level=_SOURCES[name].level, catalogued=True)
    if name in brought_along():
        return _load_brought_along(name)
    if not Path(name).exists():
        raise DataError(
            f"There is no data set {name!r}: give {', '.join(data_set_names())}, or the path of an extxyz or CSV file."
        )
    return read_labelled(Path(name), kappa_column)


def data_set_names() -> list[str]:
    """Names of the data sets of the package and of other packages."""
    return [*_EMBEDDED, "aflow_agl", *brought_along()]


def parts_of(name: str) -> frozenset[str]:
    """Names of the data sets that a data set is made of; its own where it is no union of others."""
    return frozenset(_UNIONS.get(name, (name,)))


def known_source(name: str) -> Source | None:
    """What is known of a data set of the package without loading it; None for another."""
    return _SOURCES.get(name)


@lru_cache(maxsize=1)
def brought_along() -> dict[str, EntryPoint]:
    """Data sets of other packages by name; none is imported before it is loaded."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {name: entry for name, entry in found.items() if name not in _SOURCES}


def _load_brought_along(name: str) -> DataSet:
    entry = brought_along()[name]
    try:
        data = entry.load()()
    except DataError:
        raise
    except Exception as error:  # whatever a foreign module raises
        raise DataError(f"The data set {name!r} cannot be loaded from {entry.value}: {error}.") from error
    if not isinstance(data, DataSet):
        raise DataError(
            f"{entry.value} gives no data set {name!r} but a {type(data).__name__}; its package must be mended."
        )
    return replace(data, name=name, catalogued=True)


def hash_of(kappa: np.ndarray) -> str:
    """Short hash of values."""
    return hashlib.sha256(np.ascontiguousarray(kappa, dtype=np.float64).tobytes()).hexdigest()[:16]


def prototypes_of(data: DataSet) -> list[str]:
    """Structure type of every crystal of a shipped data set, [n_crystals], to leave out one type at a time.

    The slightly distorted crystals of Togo15 count with their parent type, so that it is left out as a whole.

    Args:
        data: `togo15`, `hh143`, `mix` or `literature`, or a selection of one.

    Raises:
        DataError: A crystal names no structure type.
    """
    return [_prototype(crystal) for crystal in data.crystals]


def _prototype(crystal: Crystal) -> str:
    name = str(crystal.properties.get("prototype", ""))
    if name == EXPLICIT:
        return _PARENT_TYPES[int(crystal.properties["spacegroup"])]
    if not name:
        raise DataError(
            f"{crystal.source} ({crystal.material_id}) names no structure type; take togo15, hh143, mix or literature."
        )
    return name


def chosen_data_folder(data_folder: str | Path | None = None) -> Path | None:
    """Folder of what the package does not ship, whether it exists or not.

    Args:
        data_folder: The folder; without it, the one that `PARAISITE_DATA` names, else `data` in the user's cache folder.

    Returns:
        The folder; None where none is named and the cache is turned off.
    """
    named = data_folder or os.environ.get(DATA_VARIABLE)
    if named:
        return Path(named)
    cache = cache_folder()
    return None if cache is None else cache / "data"


def locate_data_file(file_name: str, data_folder: str | Path | None = None) -> Path | None:
    """Look for a file or folder that the package does not ship.

    Args:
        file_name: Name inside the data folder; its subfolders `data` and `pretrained` are searched too.
        data_folder: As for `chosen_data_folder`.

    Returns:
        Where it is; None where it is not.
    """
    folder = chosen_data_folder(data_folder)
    if folder is None:
        return None
    places = (folder / file_name, folder / "data" / file_name, folder / "pretrained" / file_name)
    return next((place for place in places if place.exists()), None)


def find_data_file(file_name: str, data_folder: str | Path | None = None) -> Path:
    """Find a file or folder that the package does not ship.

    Args:
        file_name: As for `locate_data_file`.
        data_folder: As for `chosen_data_folder`.

    Raises:
        DataError: It is not in the folder.
    """
    found = locate_data_file(file_name, data_folder)
    if found is not None:
        return found
    named = data_folder or os.environ.get(DATA_VARIABLE)
    where = f"is not in the data folder {named}" if named else "is not shipped with the package"
    command = f"paraisite data fetch {file_name.removesuffix('.extxyz.gz')}" + (
        f" --data {data_folder}" if data_folder else ""
    )
    raise DataError(
        f"{file_name} {where}: run `{command}`, or give the folder that holds it with --data DIR or {DATA_VARIABLE}."
    )


def read_labelled(path: Path, kappa_column: str | None = None) -> DataSet:
    """Read crystals with a κ column.

    Args:
        path: A file whose crystals carry κ as a property (extxyz, ASE database, JSON), or a CSV table with a column of
            structure files (`file`, relative to the table) and one of κ.
        kappa_column: Name of the κ column; without it, the first of `KAPPA_COLUMNS` that is there.

    Returns:
        The crystals with a usable κ; the others are in `failures`.

    Raises:
        DataError: No crystal of the file has a usable κ.
    """
    items = _read_table(path, kappa_column) if path.suffix.lower() == ".csv" else iter_crystals([path])
    crystals: list[Crystal] = []
    kappa: list[float] = []
    failures: list[ReadFailure] = []
    for item in items:
        if isinstance(item, ReadFailure):
            failures.append(item)
            continue
        value = _kappa(item, kappa_column)
        if isinstance(value, ReadFailure):
            failures.append(value)
        else:
            crystals.append(item)
            kappa.append(value)
    if not crystals:
        reason = f" The first problem: {failures[0].message}" if failures else ""
        raise DataError(f"{path} holds no crystal with a usable κ.{reason}")
    return DataSet(path.stem, tuple(crystals), np.array(kappa), (len(crystals),), tuple(failures))


def _kappa(crystal: Crystal, column: str | None) -> float | ReadFailure:
    names = [column] if column else [name for name in KAPPA_COLUMNS if name in crystal.properties]
    if not names or names[0] not in crystal.properties:
        wanted = column or " or ".join(KAPPA_COLUMNS)
        return _failure(crystal, "no_kappa", f"{crystal.source} ({crystal.material_id}) has no column {wanted}.")
    value = crystal.properties[names[0]]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        text = f"{crystal.source} ({crystal.material_id}): κ must be a number above 0 W/(m K), not {value!r}."
        return _failure(crystal, "invalid_kappa", text)
    return number


def _failure(crystal: Crystal, code: str, message: str) -> ReadFailure:
    return ReadFailure(crystal.material_id, crystal.source, code, message)


def _read_table(path: Path, kappa_column: str | None) -> Iterator[Crystal | ReadFailure]:
    """Crystals of a CSV table, each with the row's other columns as properties."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The table {path} cannot be read: {error}.") from error
    columns = list(rows[0]) if rows else []
    file_column = next((name for name in FILE_COLUMNS if name in columns), None)
    kappa_names = (kappa_column,) if kappa_column else KAPPA_COLUMNS
    if file_column is None or not any(name in columns for name in kappa_names):
        raise DataError(
            f"The table {path} needs a column of structure files ({', '.join(FILE_COLUMNS)}) and one of κ "
            f"({', '.join(kappa_names)}); it has {', '.join(columns) or 'no row'}."
        )
    for number, row in enumerate(rows, 1):
        yield from _read_row(path, number, row, file_column)


def _read_row(path: Path, number: int, row: dict[str, str], file_column: str) -> Iterator[Crystal | ReadFailure]:
    """The crystal of a row's file; a cell that does not name one file of one crystal labels nothing."""
    cell = (row[file_column] or "").strip()
    items = list(islice(iter_crystals([path.parent / cell]), 2)) if cell and _is_single_file(path.parent / cell) else []
    if len(items) != 1:
        reason = f"the column {file_column} is empty" if not cell else f"'{cell}' is no file"
        reason = f"'{cell}' holds several structures" if items else reason
        yield ReadFailure(
            (row.get("material_id") or "").strip() or f"{path.stem}#{number}", f"{path}#{number}", "unreadable",
            f"{path}: row {number} names no file of one structure, {reason}; write the path of one.",
        )  # fmt: skip
        return
    extra = {key: value for key, value in row.items() if key and key != file_column}
    for item in items:
        if isinstance(item, ReadFailure):
            yield item
        else:
            name = extra.get("material_id") or item.material_id
            yield replace(item, material_id=name, properties={**item.properties, **extra})


def _is_single_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


def select(data: DataSet, indices: Sequence[int], failures: Sequence[ReadFailure]) -> DataSet:
    """Keep some crystals of a data set, and add why the others went."""
    ends = np.cumsum(data.part_sizes)
    part = np.searchsorted(ends, np.asarray(indices), side="right")
    sizes = tuple(int(size) for size in np.bincount(part, minlength=len(ends)))
    return replace(
        data,
        crystals=tuple(data.crystals[index] for index in indices),
        kappa=data.kappa[list(indices)],
        part_sizes=sizes,
        failures=(*data.failures, *failures),
    )


_PARENT_TYPES = {119: "zincblende", 160: "zincblende", 36: "wurtzite", 186: "wurtzite"}
"""Types that the crystals of Togo15 with a cell of their own come from, by the space group under which they are listed."""
_LOADERS: dict[str, Callable[[], list[Crystal]]] = {
    "togo15": load_togo15,
    "hh143": load_hh143,
    "literature": load_literature,
}
NAME_PROTOTYPES = frozenset(("togo15", "hh143", "mix", "literature"))
"""Data sets whose crystals name their structure types."""
_UNIONS = {"mix": ("togo15", "hh143")}
"""Data sets that are others put together, in this order."""
_EMBEDDED = ("togo15", "hh143", "mix", "literature")
_SOURCES = {
    "togo15": Source("togo15", Level.FIRST_PRINCIPLES, 0.03, "togo15"),
    "hh143": Source("hh143", Level.FIRST_PRINCIPLES, 0.1, "hh143"),
    "mix": Source("mix", Level.FIRST_PRINCIPLES, 0.1, "mix"),
    "literature": Source("literature", Level.MEASURED, 0.3, "literature"),
    "aflow_agl": Source("aflow_agl", Level.AGL, noise_prior(Level.AGL), "aflow_agl", low=True),
}
"""Togo15 and HH143 are each calculations by one recipe; `literature` mixes measurements and calculations."""
