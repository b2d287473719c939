"""Scans that are written as tables, with whatever rows a test needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paraisite.screening.checksums import PartRecord, append_record, sha256_of_part
from paraisite.screening.manifest import Manifest, Progress, part_path, write_scan_manifest
from paraisite.screening.rows import schema

N_MEMBERS = 3


def make_row(material_id: str, formula: str, members: Sequence[float] | None, **columns: Any) -> dict[str, Any]:
    """A row of a scan; without κ of the members it is one of a failure."""
    row: dict[str, Any] = {"material_id": material_id, "formula": formula, "source": f"/gone/{material_id}.cif"}
    row |= {"n_atoms": 2, "n_elements": 2, "error": "", "status": "ok", "graph_hash": material_id}
    if members is None:
        row |= {"status": "unreadable", "error": "it is broken.", "graph_hash": None, "n_atoms": 0}
    else:
        kappa = np.array(members)
        row |= {
            "kappa": np.median(kappa), "kappa_mean": kappa.mean(), "kappa_std": kappa.std(),
            **{f"kappa_{member}": value for member, value in enumerate(kappa, 1)},
        }  # fmt: skip
    return row | columns


def write_scan(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    model: str = "RWTG15",
    more: Mapping[str, pa.DataType] | None = None,
    *,
    members: bool = True,
) -> Path:
    """Write rows as a scan of several parts; columns beside the schema's are named in `more` with their types."""
    columns = schema(N_MEMBERS if members else None)
    for name, kind in (more or {}).items():
        if name not in columns.names:
            columns = columns.append(pa.field(name, kind))
    complete = [{name: row.get(name) for name in columns.names} for row in rows]
    content = {
        "source": "test", "fingerprint": "", "model": model, "model_hash": "", "n_members": N_MEMBERS, "piece_size": 3,
        "symmetry": False, "members": members,
    }  # fmt: skip
    manifest, n_parts = Manifest(**content), 0
    for part, start in enumerate(range(0, len(rows), 3)):
        path = part_path(folder, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(complete[start : start + 3], schema=columns)
        pq.write_table(table, path)
        counts = dict(Counter(table["status"].to_pylist()))
        append_record(folder, PartRecord(part, manifest.identity(), sha256_of_part(folder, part), counts))
        n_parts += 1
    write_scan_manifest(folder, manifest, Progress(complete=True, parts=n_parts, rows=len(rows), share=1.0))
    return folder


def random_rows(n_rows: int, seed: int) -> list[dict[str, Any]]:
    """Rows whose κ falls with the volume, the same crystals for every seed but other members."""
    crystal, member = np.random.default_rng(0), np.random.default_rng(seed)
    volumes = crystal.uniform(20, 200, n_rows)
    atoms = crystal.integers(1, 30, n_rows)
    rows = []
    for index, (volume, n_atoms) in enumerate(zip(volumes, atoms, strict=True)):
        kappa = 1000 / volume * np.exp(0.4 * member.normal(size=N_MEMBERS))
        described = {"volume": volume, "n_atoms": int(n_atoms), "density": 5.0, "spacegroup": 225 - index % 3}
        rows.append(make_row(f"mp-{index}", "NaCl", list(kappa), **described))
    return rows


def write_csv(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    pd.DataFrame(columns).to_csv(path, index=False)
    return path
