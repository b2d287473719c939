"""OPTIMADE structure records (specification 1.2, https://schemas.optimade.org)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.stated_columns import check_columns
from paraisite.structures.checks import check_periodic, numbers_of, unreadable
from paraisite.structures.convert import from_cartesian, site_symbol
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin
from paraisite.structures.statements import Statements, check_statements

STRUCTURE_KEYS = ("lattice_vectors", "cartesian_site_positions", "species_at_sites")
STATEMENT_KEYS = (
    "species", "dimension_types", "nperiodic_dimensions", "structure_features", "assemblies", "nsites", "nelements",
    "elements", "elements_ratios", "chemical_formula_reduced",
)  # fmt: skip
"""What else says which crystal it is; asked for from every provider, and obeyed."""

_OWN_KEYS = frozenset({*STRUCTURE_KEYS, *STATEMENT_KEYS})
_PARTIAL = frozenset({"disorder", "assemblies"})


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
        StructureError: `partial_occupancy` for a site that is mixed or partly filled and for assemblies, `unreadable` for
            atoms that are implied or attached to a site, `contradicts_file`, or as `check_crystal` finds.
    """
    name = origin.source
    _check_features(attributes, name)
    contents = _contents(attributes, name)
    symbols = [_symbol(contents, str(label), name) for label in attributes["species_at_sites"]]
    numbers = numbers_of(symbols, name=name)
    cell = np.array(attributes["lattice_vectors"], dtype=np.float64).reshape(3, 3)
    positions = np.array(attributes["cartesian_site_positions"], dtype=np.float64).reshape(-1, 3)
    periodic = [bool(value) for value in attributes.get("dimension_types") or (1, 1, 1)]
    if (n_periodic := attributes.get("nperiodic_dimensions")) is not None:
        check_periodic(n_periodic == 3, name=name)
    crystal = from_cartesian(numbers, cell, positions, pbc=periodic, origin=origin, properties=properties)
    return _check_statements(crystal, attributes, name)


def _check_features(attributes: Mapping[str, Any], name: str) -> None:
    """Refuse what the sites alone do not describe."""
    features = {str(feature) for feature in attributes.get("structure_features") or []}
    if attributes.get("assemblies") or features & _PARTIAL:
        raise StructureError(
            f"{name}: the sites are alternatives or partly filled (assemblies, disorder); only ordered crystals can be "
            "used, so replace it by an ordered cell.",
            code="partial_occupancy",
        )
    if "implicit_atoms" in features or attributes.get("implicit_atoms"):
        raise unreadable(name, "it has atoms without sites (implicit_atoms)", "add their sites")
    if "site_attachments" in features or attributes.get("site_attachments"):
        raise unreadable(name, "atoms are attached to sites without coordinates (site_attachments)", "add their sites")
    if features:
        raise unreadable(name, f"it has the structure feature {min(features)}, which is not known")


def _contents(attributes: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """Species by their name; refuse those that are named twice, or stand at no site."""
    species = attributes.get("species") or []
    contents = {str(one["name"]): one for one in species}
    if len(contents) < len(species):
        raise unreadable(name, "two species have the same name")
    if unplaced := set(contents) - {str(label) for label in attributes["species_at_sites"]}:
        raise unreadable(name, f"the species {min(unplaced)} stands at no site", "add its sites or remove it")
    return contents


def _symbol(contents: Mapping[str, Mapping[str, Any]], label: str, name: str) -> str:
    """The element that fills a site; without any species, the site names it."""
    if not contents:
        return label
    if label not in contents:
        raise unreadable(name, f"the species {label} of a site is not listed")
    species = contents[label]
    if species.get("attached") or any(species.get("nattached") or ()):
        raise unreadable(name, f"atoms are attached to the species {label} without coordinates", "add their sites")
    amounts: dict[str, float] = {}
    symbols = [str(symbol) for symbol in species["chemical_symbols"]]
    for symbol, amount in zip(symbols, species.get("concentration") or [1.0] * len(symbols), strict=True):
        amounts[symbol] = amounts.get(symbol, 0.0) + float(amount)
    return site_symbol(amounts, name)


def _check_statements(crystal: Crystal, attributes: Mapping[str, Any], name: str) -> Crystal:
    """Compare with the formula, the elements, their shares and the number of sites."""
    formula = attributes.get("chemical_formula_reduced")
    # The formula says better than a list what is missing, which may be hydrogens alone.
    crystal = check_columns(crystal, {"chemical_formula_reduced": formula})
    n_sites, n_elements = attributes.get("nsites"), attributes.get("nelements")
    crystal = check_statements(crystal, Statements(n_atoms=None if n_sites is None else int(n_sites)), name=name)
    if crystal.warning is not None:
        return crystal
    elements, ratios = attributes.get("elements"), attributes.get("elements_ratios")
    return check_statements(
        crystal,
        Statements(
            elements=[str(symbol) for symbol in elements] if elements else None,
            n_elements=None if n_elements is None else int(n_elements),
            ratios=[float(ratio) for ratio in ratios] if ratios else None,
        ),
        name=name,
    )
