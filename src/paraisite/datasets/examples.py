"""Well-known crystals to try a prediction on, made from structure types and published lattice parameters.

Each row of the table names the source of its cell and, where κ at 300 K is well established, of that value.
"""

from __future__ import annotations

from typing import Any

from paraisite.datasets.prototypes import PROTOTYPES, build
from paraisite.datasets.tables import formula_elements, parse_parameters, read_table
from paraisite.structures.crystal import Crystal


def load_examples() -> list[Crystal]:
    """The example crystals.

    Returns:
        Primitive cells with the properties `formula`, `prototype`, `spacegroup`, `note` (a phrase) and
        `structure_source`; for some also `kappa_reference`, a measured or ab initio lattice thermal conductivity at
        300 K in W/(m K), with `kappa_source`.
    """
    return [_example(source, row) for source, row in read_table("examples.csv")]


def _example(source: str, row: dict[str, str]) -> Crystal:
    """The crystal of one row of the table."""
    name = row["prototype"]
    properties: dict[str, Any] = {key: row[key] for key in ("formula", "prototype", "note", "structure_source")}
    properties["spacegroup"] = PROTOTYPES[name].spacegroup
    if row["kappa_reference"]:
        properties["kappa_reference"] = float(row["kappa_reference"])
        properties["kappa_source"] = row["kappa_source"]
    return build(
        name,
        formula_elements(row["formula"]),
        parse_parameters(row["parameters"]),
        material_id=row["material_id"],
        source=source,
        properties=properties,
    )
