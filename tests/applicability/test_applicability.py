"""Kinds of crystals outside the models' reach, each built from published cells, beside the ordinary ones nearest to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, graphene, make_supercell, molecule, mx2, surface
from ase.spacegroup import crystal as from_space_group

from paraisite import Predictor
from paraisite.applicability import find_concerns
from paraisite.applicability.metals import metal_reason
from paraisite.structures.convert import as_crystal
from paraisite.uncertainty.judgement import Judgement


def codes(atoms: Atoms) -> dict[str, str]:
    atoms = atoms.copy()
    atoms.pbc = True
    return {concern.code: concern.severity for concern in find_concerns(as_crystal(atoms))}


def sheet(vacuum: float) -> Atoms:
    return graphene(vacuum=vacuum / 2)


def molybdenite() -> Atoms:
    return from_space_group(
        ["Mo", "S"], [(1 / 3, 2 / 3, 0.25), (1 / 3, 2 / 3, 0.621)], spacegroup=194,
        cellpar=[3.16, 3.16, 12.29, 90, 90, 120],
    )  # fmt: skip


def graphite() -> Atoms:
    return from_space_group(
        ["C", "C"], [(0, 0, 0.25), (1 / 3, 2 / 3, 0.25)], spacegroup=194, cellpar=[2.46, 2.46, 6.71, 90, 90, 120]
    )


def boron_nitride() -> Atoms:
    return from_space_group(
        ["B", "N"],
        [(1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.25)],
        spacegroup=194,
        cellpar=[2.504, 2.504, 6.661, 90, 90, 120],
    )


def bismuth_telluride() -> Atoms:
    return from_space_group(
        ["Bi", "Te", "Te"], [(0, 0, 0.4), (0, 0, 0), (0, 0, 0.209)], spacegroup=166,
        cellpar=[4.386, 4.386, 30.497, 90, 90, 120],
    )  # fmt: skip


def tin_selenide() -> Atoms:
    return from_space_group(
        ["Sn", "Se"],
        [(0.118, 0.25, 0.103), (0.855, 0.25, 0.479)],
        spacegroup=62,
        cellpar=[11.49, 4.15, 4.44, 90, 90, 90],
    )


def selenium() -> Atoms:
    return from_space_group(["Se"], [(0.225, 0, 1 / 3)], spacegroup=152, cellpar=[4.366, 4.366, 4.954, 90, 90, 120])


def carbon_dioxide() -> Atoms:
    return from_space_group(["C", "O"], [(0, 0, 0), (0.1185,) * 3], spacegroup=205, cellpar=[5.624] * 3 + [90] * 3)


def ice() -> Atoms:
    """Ordered ice XI, space group Cmc2_1 (Leadbetter et al., doi 10.1063/1.448763)."""
    return from_space_group(
        ["O", "O", "H", "H", "H", "H"],
        [(0, 0.665, 0.063), (0.5, 0.833, -0.063), (0, 0.666, 0.199), (0, 0.537, 0.018), (0.5, 0.973, -0.018),
         (0.675, 0.774, -0.018)],
        spacegroup=36, cellpar=[4.465, 7.858, 7.292, 90, 90, 90],
    )  # fmt: skip


def boxed(atoms: Atoms, box: float) -> Atoms:
    atoms.set_cell([box] * 3)
    atoms.center()
    return atoms


def rutile() -> Atoms:
    return from_space_group(
        ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )


def slab(layers: int, vacuum: float) -> Atoms:
    return surface(rutile(), (1, 1, 0), layers, vacuum=vacuum / 2)


def polyethylene(spacing: float) -> Atoms:
    """An all-trans chain along z, alone in its cell."""
    positions = [
        (0, 0.43, 0),
        (0, -0.43, 1.27),
        (0.89, 1.06, 0),
        (-0.89, 1.06, 0),
        (0.89, -1.06, 1.27),
        (-0.89, -1.06, 1.27),
    ]
    return Atoms("C2H4", positions, cell=[spacing, spacing, 2.54])


def half_heusler(a: str, b: str, c: str, cell: float) -> Atoms:
    return from_space_group(
        [a, b, c], [(0, 0, 0), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)], spacegroup=216, cellpar=[cell] * 3 + [90] * 3
    )


def benzene_like() -> Atoms:
    """Benzene molecules in van der Waals contact, one a cell."""
    atoms = molecule("C6H6")
    atoms.set_cell([7.4, 7.4, 3.6])
    return atoms


ORDINARY: dict[str, Callable[[], Atoms]] = {
    "graphite": graphite, "BN": boron_nitride, "MoS2": molybdenite, "Bi2Te3": bismuth_telluride, "SnSe": tin_selenide,
    "Se": selenium, "rutile": rutile, "Si": lambda: bulk("Si"), "PbTe": lambda: bulk("PbTe", "rocksalt", 6.46),
    "HgTe": lambda: bulk("HgTe", "zincblende", 6.46), "SnTe": lambda: bulk("SnTe", "rocksalt", 6.32),
    "NaCl": lambda: bulk("NaCl", "rocksalt", 5.64), "CsI": lambda: bulk("CsI", "cesiumchloride", 4.567),
    "ZrNiSn": lambda: half_heusler("Zr", "Sn", "Ni", 6.11), "TiCoSb": lambda: half_heusler("Ti", "Sb", "Co", 5.88),
    "Mg2Si": lambda: bulk("SiMg2", "fluorite", 6.35),
}  # fmt: skip
CASES: dict[str, tuple[Callable[[], Atoms], str]] = {
    "graphene 10": (lambda: sheet(10), "vacuum"), "graphene 15": (lambda: sheet(15), "vacuum"),
    "graphene 25": (lambda: sheet(25), "vacuum"), "MoS2 monolayer": (lambda: mx2("MoS2", vacuum=7.5), "vacuum"),
    "thin slab": (lambda: slab(2, 12), "vacuum"), "thick slab": (lambda: slab(12, 12), "vacuum"),
    "oblique slab": (lambda: make_supercell(slab(2, 15), [[1, 0, 0], [0, 1, 0], [1, 1, 1]]), "vacuum"),
    "chain": (lambda: polyethylene(12), "vacuum"), "molecule in a box": (lambda: boxed(molecule("H2O"), 10), "vacuum"),
    "atom in a box": (lambda: boxed(Atoms("Si"), 10), "vacuum"),
    "CO2": (carbon_dioxide, "molecular"), "ice": (ice, "molecular"), "benzene": (benzene_like, "molecular"),
    "Ar": (lambda: bulk("Ar", "fcc", 5.31), "noble_gas"), "Ne": (lambda: bulk("Ne", "fcc", 4.46), "noble_gas"),
    "NiAl": (lambda: bulk("NiAl", "cesiumchloride", 2.887), "metal"), "Cu": (lambda: bulk("Cu"), "metal"),
    "Al": (lambda: bulk("Al"), "metal"), "TiC": (lambda: bulk("TiC", "rocksalt", 4.33), "metal"),
    "stretched NaCl": (lambda: bulk("NaCl", "rocksalt", 5.64 * 1.1), "volume"),
    "pressed NaCl": (lambda: bulk("NaCl", "rocksalt", 5.64 * 0.9), "volume"),
    "NaCl taken for bohr": (lambda: bulk("NaCl", "rocksalt", 5.64 * 0.529), "volume"),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_crystals_raise_no_concern(name: str) -> None:
    assert codes(ORDINARY[name]()) == {}


@pytest.mark.parametrize("name", CASES)
def test_each_kind_is_found(name: str) -> None:
    build, code = CASES[name]
    assert code in codes(build())


@pytest.mark.parametrize("vacuum", [4.0, 10.0, 40.0])
def test_a_rotated_slab_in_another_cell_is_found(vacuum: float) -> None:
    atoms = make_supercell(mx2("WSe2", vacuum=(vacuum + 5) / 2), [[2, 1, 0], [0, 1, 0], [0, 0, 1]])
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    assert "vacuum" in codes(atoms)


def test_a_noisy_supercell_nearly_reduces() -> None:
    atoms = bulk("PbTe", "rocksalt", 6.46, cubic=True)
    assert codes(atoms) == {}
    atoms.positions += np.random.default_rng(0).normal(0, 0.01, atoms.positions.shape)
    assert codes(atoms) == {"nearly_reduces": "edge"}


@pytest.mark.parametrize(
    "formula",
    [
        "Na",
        "Ti",
        "As",
        "LaB6",
        "TiN",
        "WC",
        "YBa2Ni5",
        "Nb3Sn",
        "MgB2",
        "CaCu5",
        "NiTi",
        "FeSi",
        "ZrZn2",
        "LaNi5",
        "VSe2",
        "NbS2",
    ],
)
def test_metals(formula: str) -> None:
    assert metal_reason(formula)


@pytest.mark.parametrize(
    "formula",
    ["Si", "C", "S", "Fe3O4", "FeS2", "MoS2", "CoSb3", "BaTiO3", "Mg2Sn", "CuInSe2", "CsAu", "Fe2VAl", "RuAl2", "Ba8Ga16Ge30",
     "NiO", "KNO3", "CaB6", "Ta3N5", "ScN", "EuTe", "CdSb", "Tl2O3", "Bi2Te3", "K2PtCl6", "FeGa3", "CH4", "H2O"],
)  # fmt: skip
def test_semiconductors_and_insulators(formula: str) -> None:
    assert metal_reason(formula) == ""


def test_concerns_worsen_the_domain_and_come_first() -> None:
    concerns = find_concerns(as_crystal(bulk("Cu")))
    nothing = np.zeros(3)
    said = Judgement(nothing, nothing, ["inside", "", "outside"], nothing, ["", "", "far"])
    joined = said.with_concerns([concerns, concerns, ()], "imitates")
    assert joined.domain == ["outside", "outside", "outside"]
    assert joined.domain_reason[0] == f"{concerns[0].sentence}; imitates"
    assert joined.domain_reason[2] == "far; imitates"


def test_predictions_say_so() -> None:
    flat = sheet(15)
    flat.pbc = True
    table = Predictor("FEAF").predict([flat, bulk("NaCl", "rocksalt", 5.64)])
    assert table["domain"][0] == "outside"
    assert table["domain_reason"][0].startswith("the cell holds a layer or slab and an empty layer")
    assert "imitates AFLOW" in table["domain_reason"][1]
    assert Predictor().predict([bulk("NaCl", "rocksalt", 5.64)])["domain_reason"][0] == ""
