"""Data sets by name or path: crystals with κ at 300 K in W/(m K)."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from paraisite.datasets.prototypes import EXPLICIT
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.errors import DataError
from paraisite.graphs.cache import cache_folder
from paraisite.html_tables import html_table
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.readers import iter_crystals

DATA_VARIABLE = "PARAISITE_DATA"
"""Environment variable that names the folder of data sets and weights that the package does not ship."""
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
    """

    name: str
    crystals: tuple[Crystal, ...]
    kappa: np.ndarray
    part_sizes: tuple[int, ...]
    failures: tuple[ReadFailure, ...] = ()

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
        name: `togo15`, `hh143`, `mix` (both), `literature`, `aflow_agl`, or the path of an extxyz file or a CSV table
            (see `read_labelled`).
        data_folder: Folder of what the package does not ship (see `chosen_data_folder`).
        kappa_column: Name of the κ column of a file.

    Raises:
        DataError: There is no such data set, or it holds no crystal with κ.
    """
    if name in _EMBEDDED:
        parts = [loader() for loader in _EMBEDDED[name]]
        crystals = [crystal for part in parts for crystal in part]
        kappa = np.array([float(crystal.properties["kappa"]) for crystal in crystals])
        return DataSet(name, tuple(crystals), kappa, tuple(len(part) for part in parts))
    if name == "aflow_agl":
        return replace(read_labelled(find_data_file("aflow_agl.extxyz.gz", data_folder)), name=name)
    if not Path(name).exists():
        raise DataError(
            f"There is no data set {name!r}: give {', '.join(_EMBEDDED)}, aflow_agl, or the path of an extxyz or CSV file."
        )
    return read_labelled(Path(name), kappa_column)


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
    for row in rows:
        yield from _read_row(path, row, file_column)


def _read_row(path: Path, row: dict[str, str], file_column: str) -> Iterator[Crystal | ReadFailure]:
    extra = {key: value for key, value in row.items() if key and key != file_column}
    for item in iter_crystals([path.parent / row[file_column]]):
        if isinstance(item, ReadFailure):
            yield item
        else:
            name = extra.get("material_id") or item.material_id
            yield replace(item, material_id=name, properties={**item.properties, **extra})


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
_EMBEDDED: dict[str, tuple[Callable[[], list[Crystal]], ...]] = {
    "togo15": (load_togo15,),
    "hh143": (load_hh143,),
    "mix": (load_togo15, load_hh143),
    "literature": (load_literature,),
}
