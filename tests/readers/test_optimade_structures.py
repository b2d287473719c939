"""What an OPTIMADE record says besides its sites is obeyed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paraisite.fetch.optimade import RESPONSE_FIELDS
from paraisite.readers import iter_crystals
from paraisite.structures import Crystal, ReadFailure, ReadOptions


def record(**changes: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "lattice_vectors": [[4.2, 0, 0], [0, 4.2, 0], [0, 0, 4.2]],
        "cartesian_site_positions": [[0, 0, 0], [2.1, 2.1, 2.1]],
        "species_at_sites": ["Mg", "O1"],
        "species": [
            {"name": "Mg", "chemical_symbols": ["Mg"], "concentration": [1.0], "attached": None, "nattached": None},
            {"name": "O1", "chemical_symbols": ["O"], "concentration": [1.0]},
        ],
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "structure_features": [],
        "assemblies": None,
        "nsites": 2,
        "nelements": 2,
        "elements": ["Mg", "O"],
        "elements_ratios": [0.5, 0.5],
        "chemical_formula_reduced": "MgO",
    }
    return {"id": "x", "type": "structures", "attributes": {**attributes, **changes}}


def read(tmp_path: Path, options: ReadOptions = ReadOptions(), **changes: Any) -> Crystal | ReadFailure:  # noqa: B008
    (tmp_path / "x.json").write_text(json.dumps(record(**changes)))
    (item,) = iter_crystals(tmp_path / "x.json", options=options)
    return item


def species(**changes: Any) -> list[dict[str, Any]]:
    oxygen = {"name": "O1", "chemical_symbols": ["O"], "concentration": [1.0], **changes}
    return [{"name": "Mg", "chemical_symbols": ["Mg"], "concentration": [1.0]}, oxygen]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"chemical_formula_reduced": None, "nsites": None, "elements": None, "structure_features": None},
        {"species": species(attached=["H"], nattached=[0])[:1] + species()[1:]},
        {"species": species(chemical_symbols=["O", "O"], concentration=[0.5, 0.5])},
        {"species": None, "species_at_sites": ["Mg", "O"]},
        {"chemical_formula_reduced": "Mg4O4"},
    ],
)
def test_a_record_that_agrees_with_itself(tmp_path: Path, changes: dict[str, Any]) -> None:
    crystal = read(tmp_path, **changes)
    assert isinstance(crystal, Crystal), crystal
    assert (crystal.formula, crystal.n_atoms, crystal.material_id) == ("MgO", 2, "x")
    assert dict(crystal.properties) == {"type": "structures"}


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("partial_occupancy", {"structure_features": ["disorder"]}),
        ("partial_occupancy", {"structure_features": ["assemblies"]}),
        ("partial_occupancy", {"assemblies": [{"sites_in_groups": [[0], [1]], "group_probabilities": [0.5, 0.5]}]}),
        ("partial_occupancy", {"species": species(chemical_symbols=["O", "S"], concentration=[0.5, 0.5])}),
        ("partial_occupancy", {"species": species(chemical_symbols=["O", "vacancy"], concentration=[0.9, 0.1])}),
        ("partial_occupancy", {"species": species(concentration=[0.9])}),
        ("unsupported_element", {"species": species(chemical_symbols=["vacancy"])}),
        ("unsupported_element", {"species": species(chemical_symbols=["X"])}),
        ("unreadable", {"structure_features": ["implicit_atoms"]}),
        ("unreadable", {"structure_features": ["site_attachments"]}),
        ("unreadable", {"structure_features": ["something_new"]}),
        ("unreadable", {"implicit_atoms": ["H"]}),
        ("unreadable", {"species": species(attached=["H"], nattached=[1])}),
        ("unreadable", {"species": [*species(), {"name": "H", "chemical_symbols": ["H"], "concentration": [1.0]}]}),
        ("unreadable", {"species": species()[:1]}),
        ("unreadable", {"species": [*species(), *species(chemical_symbols=["S"])]}),
        ("unreadable", {"species": species(chemical_symbols=["O", "S"], concentration=[1.0])}),
        ("no_cell", {"dimension_types": [1, 1, 0]}),
        ("no_cell", {"nperiodic_dimensions": 2}),
        ("contradicts_file", {"nsites": 3}),
        ("contradicts_file", {"nelements": 3}),
        ("contradicts_file", {"elements": ["Mg", "S"]}),
        ("contradicts_file", {"elements_ratios": [0.333, 0.667]}),
        ("contradicts_file", {"elements_ratios": [1.0]}),
        ("contradicts_file", {"chemical_formula_reduced": "MgO2"}),
        ("contradicts_file", {"chemical_formula_reduced": "CaO"}),
        ("missing_hydrogens", {"chemical_formula_reduced": "H2MgO", "elements": ["H", "Mg", "O"], "nelements": 3}),
    ],
)
def test_what_the_sites_do_not_say_is_obeyed(tmp_path: Path, code: str, changes: dict[str, Any]) -> None:
    failure = read(tmp_path, **changes)
    assert isinstance(failure, ReadFailure), failure
    assert failure.code == code, failure
    assert failure.message.startswith(str(tmp_path / "x.json"))


def test_hydrogens_that_only_the_formula_has_are_a_warning_where_asked_for(tmp_path: Path) -> None:
    changes = {"chemical_formula_reduced": "H2MgO", "elements": ["H", "Mg", "O"], "nelements": 3}
    crystal = read(tmp_path, ReadOptions(allow_missing_hydrogens=True), **changes)
    assert isinstance(crystal, Crystal), crystal
    assert crystal.warning is not None


def test_everything_that_is_obeyed_is_asked_for() -> None:
    # implicit_atoms and site_attachments are words of structure_features, no fields of their own.
    assert set(RESPONSE_FIELDS) == set(record()["attributes"])


def test_formulas_beside_a_structure(tmp_path: Path) -> None:
    frame = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 formula={}\nNa 0 0 0\n'
    (tmp_path / "x.xyz").write_text("".join(frame.format(word) for word in ("Na", "Na2", "rocksalt", "NaCl", '"K"')))
    items = list(iter_crystals(tmp_path / "x.xyz"))
    assert [getattr(item, "code", "ok") for item in items] == ["ok", "ok", "ok", "contradicts_file", "contradicts_file"]
    assert "the file states the formula Na Cl" in getattr(items[3], "message", "")
