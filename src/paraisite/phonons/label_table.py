"""The table `computed`: κ of crystals that this project computed by potentials, shipped with the package.

It is this project's own work, under its licence. Failures are kept as facts: a crystal with imaginary modes has its lowest
frequency and no κ.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from paraisite.atomic import atomic_path
from paraisite.phonons.queue import computed_records, open_computation
from paraisite.phonons.record import ComputeRecord
from paraisite.phonons.settings import ComputeSettings
from paraisite.phonons.table import structure_columns

LABELS = Path(__file__).parents[1] / "data" / "computed.csv"
LABEL_COLUMNS = (
    "material_id", "formula", "status", "kappa", "kappa_xx", "kappa_yy", "kappa_zz", "kappa_yz", "kappa_xz", "kappa_xy",
    "kappa_coherence", "convergence_error", "lowest_frequency_thz", "highest_frequency_thz", "debye_temperature_k",
    "space_group", "volume_change", "potential_version", "level", "settings", "cell", "numbers", "fractional",
)  # fmt: skip
"""κ in W/(m K) at 300 K by the relaxation-time approximation; `cell` in Å, of the relaxed conventional cell; `settings`
holds those that differ from the defaults."""
_FAILURES_KEPT = frozenset({"imaginary_modes", "broken_symmetry", "not_converged"})
_ROOM_K = 300.0
_COMMENT = """# Lattice thermal conductivity in W/(m K) at 300 K that paraisite computed by interatomic potentials: not DFT.
# Made by scripts/compute_labels.py; see docs/computing.md.
"""


def computed_labels() -> pd.DataFrame:
    """The shipped table, columns `LABEL_COLUMNS`; empty where none is shipped."""
    if not LABELS.is_file():
        return pd.DataFrame(columns=list(LABEL_COLUMNS))
    return pd.read_csv(LABELS, comment="#")


def write_labels(out: Path) -> int:
    """Add the finished records of a computation to the table; a crystal that is there already gets the new row.

    Args:
        out: Folder of the computation.

    Returns:
        Number of rows.
    """
    rows = [
        _label(record)
        for _, record in computed_records(out, open_computation(out))
        if record.transport is not None or record.status in _FAILURES_KEPT
    ]
    new = pd.DataFrame(rows, columns=list(LABEL_COLUMNS))
    old = computed_labels()
    key = ["material_id", "potential_version"]
    merged = new if old.empty else pd.concat([old, new]).drop_duplicates(key, keep="last")
    with atomic_path(LABELS) as temporary, temporary.open("w", encoding="utf-8") as handle:
        handle.write(_COMMENT)
        merged.to_csv(handle, index=False, float_format="%.8g")
    return len(merged)


def _label(record: ComputeRecord) -> dict[str, object]:
    row: dict[str, object] = {
        "material_id": record.material_id, "formula": record.formula, "status": record.status, "level": record.level,
        "potential_version": record.potential_version, "settings": _changed(record.settings),
    }  # fmt: skip
    row |= structure_columns(record)
    if (relaxed := record.relaxed) is not None:
        row |= {
            "cell": _numbers(relaxed.cell),
            "numbers": json.dumps(relaxed.numbers, separators=(",", ":")),
            "fractional": _numbers(relaxed.fractional),
        }
    if record.transport is not None:
        index = record.transport.temperatures_k.index(_ROOM_K)
        tensor = record.transport.kappa_tensor[index]
        row |= {
            f"kappa_{name}": value for name, value in zip(("xx", "yy", "zz", "yz", "xz", "xy"), tensor, strict=True)
        }
        coherence = record.transport.kappa_coherence
        row |= {
            "kappa": record.transport.kappa[index],
            "kappa_coherence": coherence[index] if coherence else None,
            "convergence_error": record.convergence_error,
        }
    return row


def _numbers(rows: list[list[float]]) -> str:
    return json.dumps([[round(value, 6) for value in row] for row in rows], separators=(",", ":"))


def _changed(settings: ComputeSettings) -> str:
    default = ComputeSettings()
    names = ComputeSettings.__struct_fields__
    return json.dumps(
        {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(default, name)}
    )
