"""One record of AFLOW as a crystal. Numbers may be texts, and lists may be texts with commas and semicolons."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.structures.checks import check_crystal, numbers_of, one_line
from paraisite.structures.cif import lattice_vectors
from paraisite.structures.crystal import Crystal
from paraisite.structures.formula import reduced_formula

_SEPARATORS = re.compile(r"[\s,;:\[\]\"']+")
MAX_ATOMS = 100_000
MAX_NAME_LENGTH = 200


def crystal_of_record(record: dict[str, Any], auid: str) -> Crystal:
    """Make the crystal of a record.

    Args:
        record: Fields `agl_thermal_conductivity_300K` in W/(m K), `species`, `composition` (atoms of each species),
            `geometry` (a, b, c in Å, α, β, γ in degrees), `positions_fractional` (species by species) and `aurl`.
        auid: AFLOW's identifier of the entry.

    Returns:
        The crystal, with `formula`, `auid` and `kappa` as properties; its identifier is the last part of the AURL, such as
        `Be1O1_ICSD_15620`.

    Raises:
        StructureError: A field is missing, unreadable or at odds with another.
    """
    if not auid:
        raise StructureError("a record has no auid.")
    name = one_line(auid, 60)
    kappa = _kappa(record.get("agl_thermal_conductivity_300K"), name)
    numbers = _species(record, name)
    geometry = _numbers(record.get("geometry"), "geometry", name)
    if len(geometry) != 6:
        raise StructureError(f"{name}: geometry has {len(geometry)} numbers, not 6.")
    if not ((geometry > 0).all() and (geometry[3:] < 180).all()):
        raise StructureError(f"{name}: geometry {geometry.tolist()} is no cell.")
    positions = _numbers(record.get("positions_fractional"), "positions_fractional", name)
    if len(positions) != 3 * len(numbers):
        raise StructureError(f"{name}: {len(positions)} coordinates do not belong to {len(numbers)} atoms.")
    material_id = _last_part(record.get("aurl")) or auid
    for text in (material_id, auid):
        if len(text) > MAX_NAME_LENGTH or not text.isprintable() or '"' in text or " " in text:
            raise StructureError(f"{name}: {one_line(text, 60)!r} cannot be the name of a crystal.")
    crystal = Crystal(
        numbers=numbers,
        cell=lattice_vectors(geometry.tolist(), name),
        fractional=positions.reshape(-1, 3),
        material_id=material_id,
        properties={"formula": reduced_formula(numbers), "auid": auid, "kappa": kappa},
    )
    return check_crystal(crystal, name=name)


def _last_part(aurl: Any) -> str:
    return aurl.strip().rstrip("/").rpartition("/")[2] if isinstance(aurl, str) else ""


def _kappa(value: Any, name: str) -> float:
    try:
        kappa = float(value)
    except (TypeError, ValueError, OverflowError):
        kappa = math.nan
    if not 0 < kappa < math.inf:
        raise StructureError(f"{name}: κ must be a number above 0 W/(m K), not {one_line(repr(value)[:200], 60)}.")
    return kappa


def _species(record: dict[str, Any], name: str) -> np.ndarray:
    """Atomic number of every atom, [n_atoms]."""
    symbols = [str(word) for word in _flat(record.get("species"))]
    counts = _numbers(record.get("composition"), "composition", name)
    if len(symbols) != len(counts) or not symbols:
        raise StructureError(f"{name}: {len(symbols)} species do not belong to {len(counts)} counts of atoms.")
    if not ((counts >= 1) & (counts == np.floor(counts))).all() or counts.sum() > MAX_ATOMS:
        raise StructureError(
            f"{name}: composition must hold whole numbers of atoms, not {one_line(counts.tolist(), 80)}."
        )
    return np.repeat(numbers_of(symbols, name=name), counts.astype(np.int64))


def _numbers(value: Any, what: str, name: str) -> np.ndarray:
    """All numbers of a field, [n] float64."""
    try:
        numbers = np.array([float(item) for item in _flat(value)])
    except (TypeError, ValueError, OverflowError) as error:
        raise StructureError(f"{name}: {what} holds something that is no number.") from error
    if not np.isfinite(numbers).all():
        raise StructureError(f"{name}: {what} holds a number that is not finite.")
    return numbers


def _flat(value: Any) -> list[Any]:
    """Items of a list of any depth, or of a text that stands for one."""
    if value is None:
        return []
    if isinstance(value, str):
        return [word for word in _SEPARATORS.split(value) if word]
    if isinstance(value, list):
        return [item for part in value for item in _flat(part)]
    return [value]
