"""OPTIMADE records and pymatgen structures that say another crystal than what they state beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache, partial, reduce
from math import gcd
from random import Random
from typing import Any

from seeds import seed_crystals, seeds
from semantic_format import Format, another

from paraisite.readers.json_structures import json_records

Change = Callable[[Random, dict[str, Any]], None]
_FACTORS = (0.5, 0.9, 0.97, 1.03, 1.1, 2.0)


@cache
def optimade_seeds() -> tuple[str, ...]:
    """Records with all that the specification has on what a structure is made of."""
    texts = []
    for text in seeds()["optimade"]:
        record = json.loads(text)
        if isinstance(record, dict) and "attributes" in record:
            attributes = record["attributes"]
            symbols = attributes["species_at_sites"]
            elements = sorted(set(symbols))
            counts = [symbols.count(element) for element in elements]
            divisor = reduce(gcd, counts)
            attributes |= {
                "nsites": len(symbols), "nelements": len(elements), "elements": elements,
                "elements_ratios": [count / len(symbols) for count in counts],
                "chemical_formula_reduced": "".join(
                    element + (str(count // divisor) if count > divisor else "")
                    for element, count in zip(elements, counts, strict=True)
                ),
                "nperiodic_dimensions": 3, "structure_features": [],
            }  # fmt: skip
            texts.append(json.dumps(record))
    return tuple(texts)


@cache
def pymatgen_seeds() -> tuple[str, ...]:
    """Structures alone, and in the documents of the Materials Project."""
    texts = []
    for crystal, text in zip(seed_crystals(), seeds()["pymatgen"], strict=False):
        structure = json.loads(text)
        sites = structure["sites"]
        texts.append(text.decode())
        document = {"formula_pretty": crystal.formula, "nsites": len(sites), "structure": structure}
        texts.append(json.dumps(document))
    return tuple(texts)


def _changed(change: Change, random: Random, text: str) -> str:
    content = json.loads(text)
    change(random, content)
    return json.dumps(content)


def _inside(content: dict[str, Any]) -> dict[str, Any]:
    return dict_of(content, "attributes") or dict_of(content, "structure") or content


def dict_of(content: dict[str, Any], key: str) -> dict[str, Any] | None:
    """A map in a map."""
    inner = content.get(key)
    return inner if isinstance(inner, dict) else None


def _within(change: Change) -> Change:
    """A change of the structure inside a record."""
    return lambda random, content: change(random, _inside(content))


# OPTIMADE


def _drop_optimade_site(random: Random, structure: dict[str, Any]) -> None:
    place = random.randrange(len(structure["species_at_sites"]))
    del structure["species_at_sites"][place]
    del structure["cartesian_site_positions"][place]


def _drop_from_a_list(random: Random, structure: dict[str, Any]) -> None:
    key = random.choice(("species_at_sites", "cartesian_site_positions", "lattice_vectors", "species", "elements"))
    del structure[key][random.randrange(len(structure[key]))]


def _change_site_species(random: Random, structure: dict[str, Any]) -> None:
    labels = structure["species_at_sites"]
    place = random.randrange(len(labels))
    labels[place] = random.choice([one for one in (*set(labels), "Fe", "X", "vacancy") if one != labels[place]])


def _change_species(random: Random, structure: dict[str, Any]) -> None:
    species = random.choice(structure["species"])
    change = random.randrange(6)
    if change == 0:
        species["chemical_symbols"] = [another(random, species["name"])]
    elif change == 1:
        species |= {"attached": ["H"], "nattached": [random.choice((1, 3))]}
    elif change == 2:
        species["concentration"] = [random.choice((0.5, 0.98, 0.0, 2.0))]
    elif change == 3:
        species |= {"chemical_symbols": [*species["chemical_symbols"], "vacancy"], "concentration": [0.9, 0.1]}
    elif change == 4:
        species["chemical_symbols"] = [random.choice(("vacancy", "X"))]
    else:
        species["name"] = another(random, species["name"])


def _change_features(random: Random, structure: dict[str, Any]) -> None:
    feature = random.choice(("disorder", "implicit_atoms", "site_attachments", "assemblies", "unknown_positions"))
    structure["structure_features"] = [feature]
    if feature == "assemblies":
        groups = {"sites_in_groups": [[0], [1]], "group_probabilities": [0.5, 0.5]}
        structure["assemblies"] = [groups]


def _change_dimensions(random: Random, structure: dict[str, Any]) -> None:
    flags = random.choice(([1, 1, 0], [0, 0, 0], [1, 0, 1]))
    if random.random() < 0.5:
        structure["dimension_types"] = flags
    else:
        structure["nperiodic_dimensions"] = sum(flags)


def _change_statement(random: Random, structure: dict[str, Any]) -> None:
    key = random.choice(("nsites", "nelements", "elements", "elements_ratios", "chemical_formula_reduced"))
    if key in ("nsites", "nelements"):
        structure[key] += random.choice((-1, 1, 5))
    elif key == "elements":
        place = random.randrange(len(structure[key]))
        structure[key][place] = another(random, structure[key][place])
    elif key == "elements_ratios":
        structure[key] = [ratio * 0.5 if number == 0 else ratio for number, ratio in enumerate(structure[key])]
    else:
        structure[key] += random.choice(("H2", "O9", "U"))


def _shuffle_optimade(random: Random, structure: dict[str, Any]) -> None:
    labels, positions = structure["species_at_sites"], structure["cartesian_site_positions"]
    if len(labels) == len(positions):
        order = random.sample(range(len(labels)), len(labels))
        structure["species_at_sites"] = [labels[at] for at in order]
        structure["cartesian_site_positions"] = [positions[at] for at in order]
    random.shuffle(structure["species"])


def _own_properties(random: Random, structure: dict[str, Any]) -> None:
    structure["_exmpl_band_gap"] = random.random()
    structure["last_modified"] = "2024-01-01T00:00:00Z"


# pymatgen


def _drop_sites(random: Random, content: dict[str, Any]) -> None:
    """Sites; where no formula or number stands beside the structure, what a site needs."""
    sites = _inside(content)["sites"]
    place = random.randrange(len(sites))
    if "nsites" in content:
        del sites[place]
    else:
        del sites[place][random.choice(("species",))]


def _add_site(random: Random, content: dict[str, Any]) -> None:
    sites = _inside(content)["sites"]
    site = json.loads(json.dumps(random.choice(sites)))
    site["abc"] = [random.random() for _ in range(3)]
    sites.append(site)
    if "nsites" not in content:
        site["xyz"] = [value + 1.0 for value in site["xyz"]]


def _change_element(random: Random, content: dict[str, Any]) -> None:
    site = random.choice(_inside(content)["sites"])
    species = site["species"][0]
    if "nsites" in content and random.random() < 0.5:
        species["element"] = another(random, species["element"])
    else:
        change = random.randrange(4)
        if change == 0:
            species["occu"] = random.choice((0.5, 0.9, 0.0, 1.2))
        elif change == 1:
            site["species"] = []
        elif change == 2:
            site["species"].append({"element": another(random, species["element"]), "occu": 0.1})
        else:
            species["element"] = random.choice(("Xx", "vac", "X", "0"))


def _change_coordinates(random: Random, content: dict[str, Any]) -> None:
    site = random.choice(_inside(content)["sites"])
    if random.random() < 0.2:
        del site[random.choice(("abc", "xyz"))][random.randrange(3)]
    else:
        key = random.choice(("abc", "xyz"))
        site[key][random.randrange(3)] += random.choice((0.2, 0.37, -0.11))


def _change_lattice(random: Random, content: dict[str, Any]) -> None:
    lattice = _inside(content)["lattice"]
    change = random.randrange(5)
    if change == 0:
        del lattice["matrix"][random.randrange(3)]
    elif change == 1:
        row, factor = random.choice(lattice["matrix"]), random.choice(_FACTORS)
        row[:] = [value * factor for value in row]
    elif change == 2:
        lattice[random.choice(("a", "b", "c", "volume"))] *= random.choice(_FACTORS)
    elif change == 3:
        lattice[random.choice(("alpha", "beta", "gamma"))] += random.choice((-7.0, 3.0, 30.0))
    else:
        lattice["matrix"][random.randrange(3)][random.randrange(3)] += random.choice((0.5, -0.5))


def _change_flags(random: Random, content: dict[str, Any]) -> None:
    flags = random.choice(([True, True, False], [False] * 3, [], False))
    _inside(content)["lattice"]["pbc"] = flags


def _change_document(random: Random, content: dict[str, Any]) -> None:
    if "nsites" not in content:
        return _change_lattice(random, content)
    if random.random() < 0.5:
        content["nsites"] += random.choice((-1, 1, 7))
    else:
        content["formula_pretty"] += random.choice(("H2", "O9", "U"))
    return None


def _shuffle_pymatgen(random: Random, content: dict[str, Any]) -> None:
    random.shuffle(_inside(content)["sites"])


def _rename(random: Random, content: dict[str, Any]) -> None:
    for number, site in enumerate(_inside(content)["sites"]):
        site["label"] = f"{random.choice('AXM')}{number}"


def _without(random: Random, content: dict[str, Any]) -> None:
    """What pymatgen left out in other years."""
    lattice: dict[str, Any] = _inside(content)["lattice"]
    if lattice.get("pbc") == [True] * 3:
        del lattice["pbc"]
    _inside(content).pop("charge", None)


def _format(
    seeds_of: Callable[[], tuple[str, ...]], name: str, changes: dict[str, Change], harmless: Sequence[Change]
) -> Format:
    return Format(
        seeds=seeds_of,
        records=lambda text: json_records(text, "mutant.json"),
        changes={f"{name}: {what}": partial(_changed, change) for what, change in changes.items()},
        harmless=tuple(partial(_changed, change) for change in harmless),
    )


OPTIMADE = _format(
    optimade_seeds,
    "OPTIMADE",
    {
        "a site dropped": _within(_drop_optimade_site),
        "one of a list dropped": _within(_drop_from_a_list),
        "species of a site changed": _within(_change_site_species),
        "a species changed": _within(_change_species),
        "features": _within(_change_features),
        "dimensions": _within(_change_dimensions),
        "statements changed": _within(_change_statement),
    },
    (_within(_shuffle_optimade), _within(_own_properties)),
)
PYMATGEN = _format(
    pymatgen_seeds,
    "pymatgen",
    {
        "sites dropped": _drop_sites,
        "a site added": _add_site,
        "an element changed": _change_element,
        "coordinates changed": _change_coordinates,
        "lattice changed": _change_lattice,
        "periodic flags": _change_flags,
        "document changed": _change_document,
    },
    (_shuffle_pymatgen, _rename, _without),
)
