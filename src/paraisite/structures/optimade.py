"""OPTIMADE structure records (specification 1.2, https://schemas.optimade.org)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from paraisite.structures.checks import numbers_of
from paraisite.structures.convert import from_cartesian, site_symbol
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin

STRUCTURE_KEYS = ("lattice_vectors", "cartesian_site_positions", "species_at_sites")
_OWN_KEYS = frozenset({*STRUCTURE_KEYS, "species", "dimension_types", "nperiodic_dimensions", "structure_features"})


def optimade_structure(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The attributes of an OPTIMADE structure, also where they stand without the record around them; else None."""
    attributes = entry.get("attributes", entry)
    return attributes if isinstance(attributes, dict) and all(key in attributes for key in STRUCTURE_KEYS) else None


def optimade_columns(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that are not the structure itself, such as a provider's own properties."""
    return {key: value for key, value in attributes.items() if key not in _OWN_KEYS}


def parse_optimade(attributes: Mapping[str, Any], properties: dict[str, Any], origin: Origin) -> Crystal:
    """Crystal of a record's attributes.

    Args:
        attributes: The structure; a missing `species` means that the sites name elements.
        properties: Columns that go with the crystal.
        origin: Source and identifier.

    Raises:
        StructureError: `partial_occupancy` for a site that is mixed or partly filled, or as `check_crystal` finds.
    """
    contents = {species["name"]: species for species in attributes.get("species") or []}
    symbols = [_symbol(contents.get(name), name, origin) for name in attributes["species_at_sites"]]
    numbers = numbers_of(symbols, name=origin.source)
    cell = np.array(attributes["lattice_vectors"], dtype=np.float64).reshape(3, 3)
    positions = np.array(attributes["cartesian_site_positions"], dtype=np.float64).reshape(-1, 3)
    periodic = [bool(value) for value in attributes.get("dimension_types") or (1, 1, 1)]
    return from_cartesian(numbers, cell, positions, pbc=periodic, origin=origin, properties=properties)


def _symbol(species: Mapping[str, Any] | None, name: str, origin: Origin) -> str:
    if species is None:
        return str(name)
    symbols = [str(symbol) for symbol in species["chemical_symbols"]]
    amounts = dict(zip(symbols, map(float, species.get("concentration") or [1.0]), strict=True))
    return site_symbol(amounts, origin.source)
