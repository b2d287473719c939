"""What a calculation found for one crystal, as a file of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from paraisite.atomic import write_text_atomic
from paraisite.phonons.anharmonic import AnharmonicPlan
from paraisite.phonons.harmonic import Phonons
from paraisite.phonons.relax import RelaxedCell
from paraisite.phonons.settings import ComputeSettings
from paraisite.phonons.transport import ModeTable, Transport

RECORD = "record.json"
RECORD_OK = "ok"
READ_FORCES = "forces read from files"
BORN_FILE = "BORN"
_SOURCE = "source.json"

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class ForceSource(msgspec.Struct, frozen=True, kw_only=True):
    """What gave forces that were read from files, in place of a potential.

    Attributes:
        name: The program: `VASP`, `Quantum ESPRESSO`, or `FORCES_FC2 and FORCES_FC3`.
        version: Its version, functional, cutoff and potentials, as far as its output states them.
        level: What every number that comes of it is marked with, such as `DFT (PBE) by VASP`.
        warnings: What a reader of κ should know.
    """

    name: str
    version: str
    level: str
    warnings: list[str] = []


class ComputeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One crystal: its conductivity, or the reason why there is none.

    Attributes:
        material_id: Identifier of the crystal.
        formula: Reduced formula.
        status: `ok`, or the code of the reason.
        message: The reason in one sentence.
        potential: Name of the potential.
        potential_version: Its version and the hash of its weights.
        level: What κ is, in words: "SevenNet-l3i5, not DFT".
        settings: All settings.
        relaxed: The relaxed cell, as far as the calculation came.
        phonons: Harmonic phonons.
        plan: How third-order force constants were found.
        transport: κ.
        modes: Cumulative κ and lifetimes.
        warnings: What a reader of κ should know.
        force_calls: Cells whose forces this record rests on.
        seconds: Wall time of each stage; of the last run where it was resumed.
    """

    material_id: str
    formula: str
    status: str
    message: str = ""
    potential: str
    potential_version: str
    level: str
    settings: ComputeSettings
    relaxed: RelaxedCell | None = None
    phonons: Phonons | None = None
    plan: AnharmonicPlan | None = None
    transport: Transport | None = None
    modes: ModeTable | None = None
    warnings: list[str] = []
    force_calls: int = 0
    seconds: dict[str, float] = {}

    def kappa_at(self, temperature_k: float = 300.0) -> float | None:
        """κ (a third of the trace, relaxation-time approximation) in W/(m K) at a temperature that was computed."""
        if self.transport is None or temperature_k not in self.transport.temperatures_k:
            return None
        return self.transport.kappa[self.transport.temperatures_k.index(temperature_k)]

    @property
    def convergence_error(self) -> float | None:
        """Relative change of κ at 300 K with the mesh and with the cutoff, added in squares; None where not checked."""
        found = self.transport
        if found is None or found.mesh_change is None or found.cutoff_change is None:
            return None
        return float((found.mesh_change**2 + found.cutoff_change**2) ** 0.5)


def write_source(folder: Path, source: ForceSource) -> None:
    """Keep what gave the forces of a folder."""
    write_struct(folder / _SOURCE, source)


def read_source(folder: Path) -> ForceSource:
    """What gave the forces of a folder that no potential did; without a name where nothing has been read yet."""
    found = read_struct(folder / _SOURCE, ForceSource)
    return found or ForceSource(name=READ_FORCES, version="", level=READ_FORCES)


def write_record(folder: Path, record: ComputeRecord) -> None:
    """Write the record of a folder, whole or not at all; numbers that are not finite become null."""
    write_struct(folder / RECORD, record)


def read_record(folder: Path) -> ComputeRecord | None:
    """The record of a folder; None where there is none yet, or a damaged one."""
    return read_struct(folder / RECORD, ComputeRecord)


def write_struct(path: Path, value: msgspec.Struct) -> None:
    """Write a struct as JSON, whole or not at all."""
    write_text_atomic(path, msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n")


def read_struct(path: Path, kind: type[_Struct]) -> _Struct | None:
    """A struct from JSON; None where the file is missing or does not fit."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
