"""The columns of a scan: what a crystal is, what the model says of it, and how far it lies from what the model knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from paraisite.elements import atomic_masses
from paraisite.graphs.canonical import graph_hashes
from paraisite.prediction.prepare import Prepared
from paraisite.prediction.table import ESTIMATE_COLUMNS, kappa_columns, member_columns
from paraisite.structures.crystal import Crystal, ReadFailure
from paraisite.structures.space_group import find_symmetry
from paraisite.structures.statements import DALTON_PER_ANGSTROM3
from paraisite.uncertainty.judgement import Judgement


def schema(n_members: int | None = None) -> pa.Schema:
    """Columns of a scan's table.

    Units: κ in W/(m K) at 300 K; volumes in Å³; density in g/cm³; atomic density in 1/Å³.

    Args:
        n_members: Members of the ensemble whose own predictions are asked for; None where they are not.
    """
    number, whole, text = pa.float64(), pa.int32(), pa.string()
    spread: list[tuple[str, pa.DataType]] = []
    if n_members is not None:
        spread = [("kappa_mean", number), ("kappa_std", number)]
        spread += [(name, pa.float32()) for name in member_columns(n_members)]
    columns = [
        ("material_id", text), ("formula", text), ("n_atoms", whole), ("n_elements", whole),
        ("volume", number), ("volume_per_atom", number), ("density", number), ("atomic_density", number),
        ("spacegroup", whole), ("graph_hash", text),
        *((name, number) for name in ESTIMATE_COLUMNS), *spread,
        ("domain", text), ("domain_distance", number), ("domain_reason", text),
        ("status", text), ("error", text), ("source", text),
    ]  # fmt: skip
    return pa.schema(columns)


@dataclass(frozen=True, slots=True)
class Described:
    """What is reported of each structure without a model, one array or list per column.

    Attributes:
        n_elements: Elements; 0 for a failure.
        volume: Cell volume in Å³; NaN for a failure.
        density: In g/cm³; NaN for a failure.
        spacegroup: Number; 0 where it was not looked for.
    """

    n_elements: np.ndarray
    volume: np.ndarray
    density: np.ndarray
    spacegroup: np.ndarray


def describe(items: Sequence[Crystal | ReadFailure], symmetry_atoms: int) -> Described:
    """Describe structures by their cells.

    Args:
        items: Crystals, and failures.
        symmetry_atoms: Atoms of the crystals whose space group is looked for, at most; about a millisecond a small crystal.
    """
    n = len(items)
    described = Described(np.zeros(n, np.int32), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, np.int32))
    for row, item in enumerate(items):
        if isinstance(item, Crystal):
            volume = item.volume
            described.n_elements[row] = len(set(item.numbers.tolist()))
            described.volume[row] = volume
            described.density[row] = float(atomic_masses(item.numbers).sum()) / volume * DALTON_PER_ANGSTROM3
            if item.n_atoms <= symmetry_atoms:
                described.spacegroup[row] = find_symmetry(item).space_group
    return described


def make_rows(
    prepared: Prepared, described: Described, kappa: np.ndarray, judgement: Judgement, *, members: bool = False
) -> pa.Table:
    """Join everything that is known of a chunk of structures.

    Args:
        prepared: Rows and graphs.
        described: What the cells give.
        kappa: κ of each member in W/(m K), [n_members, n_graphs].
        judgement: What the model says of these predictions.
        members: Whether to give each member's κ, their mean and standard deviation too.

    Returns:
        The columns of `schema`, one row per structure; what there is no number or word for is null.
    """
    n_rows = len(prepared.rows.status)
    values = kappa_columns(kappa, judgement, members=members)
    texts = {
        "graph_hash": graph_hashes(prepared.inputs.store),
        "domain": judgement.domain,
        "domain_reason": judgement.domain_reason,
    }
    n_atoms = np.array(prepared.rows.n_atoms, dtype=np.int32)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns: dict[str, object] = {
            "material_id": prepared.rows.material_id,
            "formula": prepared.rows.formula,
            "n_atoms": n_atoms,
            "n_elements": described.n_elements,
            "volume": _or_null(described.volume),
            "volume_per_atom": _or_null(described.volume / n_atoms),
            "density": _or_null(described.density),
            "atomic_density": _or_null(n_atoms / described.volume),
            "spacegroup": pa.array(described.spacegroup, mask=described.spacegroup == 0),
            "status": prepared.rows.status,
            "error": prepared.rows.error,
            "source": prepared.rows.source,
        }
    for name, value in values.items():
        full = np.full(n_rows, np.nan)
        full[prepared.predicted] = value
        columns[name] = _or_null(full)
    for name, words in texts.items():
        said = np.full(n_rows, None, dtype=object)
        said[prepared.predicted] = [word or None for word in words]
        columns[name] = said
    wanted = schema(len(kappa) if members else None)
    return pa.table([pa.array(columns[field.name], type=field.type) for field in wanted], schema=wanted)


def _or_null(values: np.ndarray) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))
