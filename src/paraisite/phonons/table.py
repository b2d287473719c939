"""One row per computed crystal, and the crystals themselves as a data set that can be trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from paraisite.atomic import atomic_path
from paraisite.phonons.queue import Computation, Entry, computed_records, open_computation
from paraisite.phonons.record import RECORD_OK, ComputeRecord

if TYPE_CHECKING:
    import pandas as pd

COMPUTED_TABLE = "computed.csv"
COMPUTED_CRYSTALS = "computed.extxyz"
COMPUTED_COLUMNS = (
    "material_id", "formula", "computed_kappa", "computed_kappa_xx", "computed_kappa_yy", "computed_kappa_zz",
    "computed_kappa_coherence", "convergence_error", "predicted_kappa", "predicted_kappa_low", "predicted_kappa_high",
    "lowest_frequency_thz", "highest_frequency_thz", "debye_temperature_k", "space_group", "volume_change", "level",
    "potential_version", "force_calls", "computed_status", "computed_message", "computed_warnings",
)  # fmt: skip
"""κ in W/(m K) at 300 K, by the relaxation-time approximation; `convergence_error` and `volume_change` are shares."""
_ROOM_K = 300.0


def computed_table(out: str | Path) -> pd.DataFrame:
    """The records of a computation as a table, columns `COMPUTED_COLUMNS`.

    Args:
        out: Folder of the computation.

    Raises:
        ComputeError: The folder holds no computation.
    """
    folder = Path(out)
    return _table(computed_records(folder, open_computation(folder)))


def _table(found: Iterable[tuple[Entry, ComputeRecord]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame([_row(entry, record) for entry, record in found], columns=list(COMPUTED_COLUMNS))


def _row(entry: Entry, record: ComputeRecord) -> dict[str, object]:
    row: dict[str, object] = {
        "material_id": entry.material_id, "formula": entry.formula, "level": record.level,
        "predicted_kappa": entry.kappa, "predicted_kappa_low": entry.kappa_low, "predicted_kappa_high": entry.kappa_high,
        "potential_version": record.potential_version, "force_calls": record.force_calls,
        "computed_status": record.status, "computed_message": record.message,
        "computed_warnings": " ".join(record.warnings),
    }  # fmt: skip
    row |= structure_columns(record)
    if record.transport is not None and _ROOM_K in record.transport.temperatures_k:
        index = record.transport.temperatures_k.index(_ROOM_K)
        tensor, coherence = record.transport.kappa_tensor[index], record.transport.kappa_coherence
        row |= {
            "computed_kappa": record.transport.kappa[index], "computed_kappa_xx": tensor[0],
            "computed_kappa_yy": tensor[1], "computed_kappa_zz": tensor[2],
            "computed_kappa_coherence": coherence[index] if coherence else None,
            "convergence_error": record.convergence_error,
        }  # fmt: skip
    return row


def structure_columns(record: ComputeRecord) -> dict[str, object]:
    """What the relaxation and the harmonic phonons of a record give to a table, as far as it came."""
    row: dict[str, object] = {}
    if record.relaxed is not None:
        row |= {"space_group": record.relaxed.space_group, "volume_change": record.relaxed.volume_change}
    if record.phonons is not None:
        row |= {
            "lowest_frequency_thz": record.phonons.lowest_frequency,
            "highest_frequency_thz": record.phonons.highest_frequency,
            "debye_temperature_k": record.phonons.debye_temperature_k,
        }
    return row


def write_tables(out: Path, computation: Computation) -> None:
    """Write `computed.csv`, and `computed.extxyz`: the relaxed crystals that have a κ, for `paraisite finetune`."""
    from ase.io import write  # noqa: PLC0415

    found = list(computed_records(out, computation))
    with atomic_path(out / COMPUTED_TABLE) as temporary:
        _table(found).to_csv(temporary, index=False)
    relaxed = []
    for _, record in found:
        kappa = record.kappa_at(_ROOM_K)
        if record.status == RECORD_OK and record.relaxed is not None and kappa is not None:
            atoms = record.relaxed.atoms()
            atoms.info = {"material_id": record.material_id, "kappa": kappa, "level": record.level}
            relaxed.append(atoms)
    if relaxed:
        with atomic_path(out / COMPUTED_CRYSTALS) as temporary:
            write(temporary, relaxed, format="extxyz")
