"""The folder of a computation of many crystals: each in a folder of its own, with its input, its lock and its record.

computation.json   potential, settings, and the crystals in their order
computed.csv       one row per crystal that has a record; made from the records, so it may be deleted
crystals/ID-KEY/   input.json, the stages (see `calculation.py`), record.json
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from paraisite.errors import OutputError
from paraisite.outputs import MARKER
from paraisite.phonons.calculation import crystal_key
from paraisite.phonons.record import ComputeRecord, read_record, read_struct, write_struct
from paraisite.phonons.settings import ComputeError, ComputeSettings
from paraisite.structures import Crystal

COMPUTATION = "computation.json"
_CRYSTALS = "crystals"
_INPUT = "input.json"
GIVEN_BORN = "BORN.given"
"""A BORN file that was given for the only crystal of a computation."""
_UNSAFE = re.compile(r"[^A-Za-z0-9.+-]+")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One crystal of a computation.

    Attributes:
        folder: Name of its folder.
        material_id: Identifier.
        formula: Reduced formula.
        kappa: κ at 300 K by the fast model in W/(m K), None where it gives none.
        kappa_low: Lower end of its 90 % interval.
        kappa_high: Upper end.
        domain: Place in the fast model's domain.
        warnings: What a reader of κ should know beforehand, such as that the crystal is a metal.
    """

    folder: str
    material_id: str
    formula: str
    kappa: float | None = None
    kappa_low: float | None = None
    kappa_high: float | None = None
    domain: str = ""
    warnings: list[str] = []


class Computation(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder computes."""

    potential: str
    settings: ComputeSettings
    entries: list[Entry]


class CrystalInput(msgspec.Struct, frozen=True, kw_only=True):
    """A crystal as it was given."""

    material_id: str
    source: str
    numbers: list[int]
    cell: list[list[float]]
    fractional: list[list[float]]


def folder_name(crystal: Crystal) -> str:
    """Name of a crystal's folder: its identifier as far as a file system takes it, and eight digits of its content."""
    name = _UNSAFE.sub("_", crystal.material_id or crystal.formula).strip("._")[:60]
    return f"{name or 'crystal'}-{crystal_key(crystal)[:8]}"


def create_computation(out: Path, computation: Computation, crystals: Iterable[Crystal]) -> None:
    """Write a new computation; its folder must be new, empty or unfinished in this very step.

    Raises:
        OutputError: The folder holds something else, or a computation already.
    """
    if (out / COMPUTATION).exists():
        raise OutputError(
            f"{out} holds a computation already; give --resume to go on with it, or choose another folder."
        )
    foreign = (
        sorted(path.name for path in out.iterdir() if path.name not in {MARKER, _CRYSTALS}) if out.is_dir() else []
    )
    if out.exists() and (foreign or not out.is_dir()):
        raise OutputError(f"{out} is not an empty folder ({', '.join(foreign[:5]) or 'a file'}); choose a new one.")
    for entry, crystal in zip(computation.entries, crystals, strict=True):
        write_struct(
            crystal_folder(out, entry) / _INPUT,
            CrystalInput(
                material_id=crystal.material_id,
                source=crystal.source,
                numbers=[int(number) for number in crystal.numbers],
                cell=crystal.cell.tolist(),
                fractional=crystal.fractional.tolist(),
            ),
        )
    write_struct(out / COMPUTATION, computation)


def open_computation(out: Path) -> Computation:
    """Read a computation.

    Raises:
        ComputeError: The folder holds none, or a damaged one.
    """
    found = read_struct(out / COMPUTATION, Computation)
    if found is None:
        raise ComputeError(
            f"{out} holds no computation that can be read; start one without --resume.", code="invalid_run"
        )
    return found


def crystal_folder(out: Path, entry: Entry) -> Path:
    """Folder of one crystal."""
    return out / _CRYSTALS / entry.folder


def read_input(folder: Path) -> Crystal:
    """The crystal of a folder as it was given.

    Raises:
        ComputeError: The file is missing or damaged.
    """
    found = read_struct(folder / _INPUT, CrystalInput)
    if found is None:
        raise ComputeError(f"{folder / _INPUT} cannot be read; start the computation again.", code="invalid_run")
    return Crystal(
        numbers=np.array(found.numbers, dtype=np.int64),
        cell=np.array(found.cell),
        fractional=np.array(found.fractional),
        material_id=found.material_id,
        source=found.source,
    )


def computed_records(out: Path, computation: Computation) -> Iterator[tuple[Entry, ComputeRecord]]:
    """The records that are there, in the order of the computation."""
    for entry in computation.entries:
        if (record := read_record(crystal_folder(out, entry))) is not None:
            yield entry, record
