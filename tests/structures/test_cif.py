"""CIF: the same crystals as pymatgen, the oddities of files in the wild, and one sentence for what cannot be read."""

from __future__ import annotations

import gzip
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from crystal_comparison import CUBE, FCC, HEXAGON, cif_text, deviation, only, shared_crystals

from paraisite.structures import Crystal, ReadFailure, from_pymatgen, iter_crystals, read_crystals, to_pymatgen
from paraisite.structures.cif import cif_records
from paraisite.structures.origin import Origin

# pymatgen's writer names C2/m here but lists 32 tetragonal operations, and its reader then returns Bi atoms 0.005 Å
# apart; ours merges them.
WRITTEN_WRONGLY = {"mp-866311"}


def read(tmp_path: Path, text: str | bytes, name: str = "x.cif") -> list[Crystal | ReadFailure]:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(iter_crystals(path))


def by_pymatgen(text: str) -> Crystal:
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return from_pymatgen(CifParser.from_str(text).parse_structures(primitive=False, on_error="raise")[0])


def compare_with_pymatgen(crystals: list[Crystal]) -> None:
    from pymatgen.io.cif import CifWriter

    for crystal in crystals:
        for symprec in (None, 0.01):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                text = str(CifWriter(to_pymatgen(crystal), symprec=symprec))
            if symprec is not None and crystal.material_id in WRITTEN_WRONGLY:
                continue
            (record,) = cif_records(text.encode(), crystal.material_id)
            ours = record(Origin(crystal.material_id, crystal.material_id))
            assert deviation(ours, by_pymatgen(text)) < 1e-6, (crystal.material_id, symprec)


def test_a_sample_of_the_shared_crystals_reads_as_pymatgen_reads_it(shared: Path) -> None:
    compare_with_pymatgen(list(shared_crystals(shared, sample=150)))


@pytest.mark.slow
def test_every_shared_crystal_reads_as_pymatgen_reads_it(shared: Path) -> None:
    compare_with_pymatgen(list(shared_crystals(shared)))


@pytest.mark.parametrize(
    "symmetry",
    [
        FCC,
        "_symmetry_Int_Tables_number 225\n",
        "_space_group_IT_number 225\n",
        "_space_group_name_Hall '-F 4 2 3'\n",
        "_space_group_name_H-M_alt 'F m -3 m'\n_symmetry_space_group_name_H-M ?\n",
    ],
)
def test_symmetry_is_taken_from_any_statement(tmp_path: Path, symmetry: str) -> None:
    text = cif_text(symmetry)
    (crystal,) = read(tmp_path, text)
    assert isinstance(crystal, Crystal)
    assert crystal.formula == "NaCl"
    assert crystal.n_atoms == 8
    assert deviation(crystal, by_pymatgen(cif_text())) < 1e-6


@pytest.mark.parametrize("tag", ["_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz"])
def test_listed_operations(tmp_path: Path, tag: str) -> None:
    text = cif_text(f"loop_\n{tag}\n'x, y, z'\nX+1/2,Y+.5,Z\n\"-x,-y,-z\"\n", "Na1 Na 0.1 0.2 0.3\n")
    (crystal,) = read(tmp_path, text)
    assert isinstance(crystal, Crystal)
    assert crystal.n_atoms == 3
    assert deviation(crystal, by_pymatgen(text)) < 1e-9


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: "# caf\xe9\n".encode("latin-1") + text.encode() + "_x 'K\xf6nig'\n".encode("latin-1"),
        lambda text: text.upper().replace("DATA_X", "data_x").replace("CL", "Cl").replace("NA", "Na").encode(),
        lambda text: text.replace("Na+", "Na1+").replace("Cl-", "Cl1-").encode(),
        lambda text: text.replace("Na+", "Na").replace("Cl-", "CL").encode(),
        lambda text: text.replace("0.5 0.5 0.5", "0.5000(3) 1/2 .5").replace("1/2", "+0.5").encode(),
        lambda text: (text + "_publ_section_title\n;\nA title\n;\n").encode(),
    ],
)
def test_files_in_the_wild(tmp_path: Path, change: object) -> None:
    (crystal,) = read(tmp_path, change(cif_text()))  # type: ignore[operator]
    assert isinstance(crystal, Crystal), crystal
    assert crystal.formula == "NaCl"
    assert crystal.n_atoms == 8


def test_labels_stand_in_for_missing_type_symbols(tmp_path: Path) -> None:
    columns = "label fract_x fract_y fract_z"
    for sites in ("Na1 0 0 0\nCl12 .5 .5 .5", "NaM2 0 0 0\nCl1A .5 .5 .5"):
        (crystal,) = read(tmp_path, cif_text(sites=sites, columns=columns))
        assert isinstance(crystal, Crystal)
        assert crystal.formula == "NaCl"


def test_deuterium_is_hydrogen(tmp_path: Path) -> None:
    (crystal,) = read(tmp_path, cif_text(sites="Li1 Li 0 0 0\nD1 D .5 .5 .5"))
    assert isinstance(crystal, Crystal)
    assert crystal.formula == "LiH"


@pytest.mark.parametrize(
    ("position", "n_atoms"),
    [("0.3333 0.6667 0.25", 2), ("0.333 0.667 0.25", 2), ("0.1667 0.3333 0.25", 6), ("0 0 0.0001", 2), ("0 0 0.1", 4)],
)
def test_special_positions_with_few_digits_are_not_duplicated(tmp_path: Path, position: str, n_atoms: int) -> None:
    text = cif_text("_symmetry_space_group_name_H-M 'P 63/m m c'\n", f"Mg1 Mg {position}", cell=HEXAGON)
    (crystal,) = read(tmp_path, text)
    assert isinstance(crystal, Crystal)
    assert crystal.n_atoms == n_atoms


def test_rounded_thirds_become_exact(tmp_path: Path) -> None:
    text = cif_text("_symmetry_space_group_name_H-M 'P 63/m m c'\n", "Mg1 Mg 0.3333 0.6667 0.25", cell=HEXAGON)
    (crystal,) = read(tmp_path, text)
    assert isinstance(crystal, Crystal)
    np.testing.assert_allclose(np.sort(crystal.fractional[:, 0]), [1 / 3, 2 / 3], atol=1e-12)


def test_rhombohedral_setting_follows_the_cell(tmp_path: Path) -> None:
    number = "_space_group_IT_number 166\n"
    rhombohedral = CUBE.replace("90", "60")
    assert read(tmp_path, cif_text(number, "Bi1 Bi 0 0 0", cell=HEXAGON))[0].n_atoms == 3  # type: ignore[union-attr]
    assert read(tmp_path, cif_text(number, "Bi1 Bi 0 0 0", cell=rhombohedral))[0].n_atoms == 1  # type: ignore[union-attr]


def test_open_origin_is_settled_by_the_composition_or_refused(tmp_path: Path) -> None:
    diamond = "_symmetry_space_group_name_H-M 'F d -3 m'\n"
    stated = "_chemical_formula_sum Si\n_cell_formula_units_Z 8\n"
    for position in ("0 0 0", "0.125 0.125 0.125"):
        (crystal,) = read(tmp_path, cif_text(diamond + stated, f"Si1 Si {position}"))
        assert isinstance(crystal, Crystal)
        assert crystal.n_atoms == 8
    (failure,) = read(tmp_path, cif_text(diamond, "Si1 Si 0 0 0"))
    assert isinstance(failure, ReadFailure)
    assert "origin" in failure.message


def test_contradictory_symmetry_is_settled_by_the_composition(tmp_path: Path) -> None:
    identity = FCC + "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n"
    sites = "Na1 Na .25 .25 .25\nO1 O 0 0 0"
    (failure,) = read(tmp_path, cif_text(identity + "_chemical_formula_sum 'Na2 O'\n", sites))
    assert isinstance(failure, ReadFailure)
    assert failure.code == "unreadable"
    assert "contradict" in failure.message
    (crystal,) = read(tmp_path, cif_text(identity + "_chemical_formula_sum 'Na O'\n", sites))
    assert isinstance(crystal, Crystal)
    assert crystal.n_atoms == 2


def test_operations_beyond_gemmi_go_to_pymatgen(tmp_path: Path) -> None:
    text = cif_text("loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'x+1/5,y,z'\n", "Na1 Na 0 0 0")
    (crystal,) = read(tmp_path, text)
    assert isinstance(crystal, Crystal)
    np.testing.assert_allclose(np.sort(crystal.fractional[:, 0]), [0, 0.2], atol=1e-9)


@pytest.mark.parametrize("occupancy", ["0.9995", "1.0", "?", "."])
def test_full_occupancies(tmp_path: Path, occupancy: str) -> None:
    columns = "label type_symbol fract_x fract_y fract_z occupancy"
    sites = f"Na1 Na 0 0 0 {occupancy}\nCl1 Cl .5 .5 .5 1.0000(2)"
    (crystal,) = read(tmp_path, cif_text(sites=sites, columns=columns))
    assert isinstance(crystal, Crystal)
    assert crystal.n_atoms == 8


def test_two_charge_states_of_one_element_fill_a_site(tmp_path: Path) -> None:
    columns = "label type_symbol fract_x fract_y fract_z occupancy"
    (crystal,) = read(tmp_path, cif_text(sites="Fe1 Fe2+ 0 0 0 0.5\nFe2 Fe3+ 0 0 0 0.5", columns=columns))
    assert isinstance(crystal, Crystal)
    assert crystal.n_atoms == 4


PARTIAL = "label type_symbol fract_x fract_y fract_z occupancy"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("partial_occupancy", cif_text(sites="Na1 Na 0 0 0 0.5", columns=PARTIAL)),
        ("partial_occupancy", cif_text(sites="Na1 Na 0 0 0 1.2", columns=PARTIAL)),
        ("partial_occupancy", cif_text(sites="Na1 Na 0 0 0 0.5\nK1 K 0 0 0 0.5", columns=PARTIAL)),
        ("partial_occupancy", cif_text(sites="Na1 Na 0 0 0\nK1 K 0 .5 .5")),
        ("overlapping_atoms", cif_text(sites="Na1 Na 0 0 0\nNa2 Na 0 .5 .5")),
        ("unsupported_element", cif_text(sites="Po1 Po 0 0 0")),
        ("unsupported_element", cif_text(sites="Xx1 Xx 0 0 0")),
        ("no_cell", cif_text(cell="")),
        ("invalid_cell", cif_text(cell=CUBE.replace("5.64(2)", "0"))),
        ("invalid_cell", cif_text("", cell=CUBE.replace("gamma 90", "gamma 180"))),
        ("invalid_cell", cif_text("", cell=CUBE.replace("alpha 90", "alpha 10").replace("beta 90", "beta 20"))),
        ("invalid_cell", cif_text(cell=CUBE.replace("5.64(2)", "nan"))),
        ("invalid_cell", cif_text(cell=CUBE.replace("5.64(2)", "1e999"))),
        ("invalid_cell", cif_text(sites="Na1 Na nan 0 0")),
        ("invalid_cell", cif_text(sites="Na1 Na 0 1e999 0")),
        ("no_atoms", "data_x\n" + CUBE),
        ("unreadable", cif_text(sites="Na1 Na ? ? ?")),
        ("unreadable", cif_text("_symmetry_space_group_name_H-M 'F q 7'\n")),
        ("unreadable", cif_text("_space_group_IT_number 225\n", cell=HEXAGON)),
        ("unreadable", cif_text(sites="Wat1 0 0 0\nNa1 .5 .5 .5", columns="label fract_x fract_y fract_z")),
        (
            "unreadable",
            cif_text(sites="O1 O 0 0 0 2", columns="label type_symbol fract_x fract_y fract_z attached_hydrogens"),
        ),
        ("unreadable", cif_text(sites="Na1 Na 0 0")),
        ("unreadable", "hello"),
        ("empty_file", " \n\n"),
        ("empty_file", ""),
    ],
)
def test_one_sentence_for_each_reason(tmp_path: Path, code: str, text: str) -> None:
    (failure,) = read(tmp_path, text)
    assert isinstance(failure, ReadFailure), failure
    assert failure.code == code
    assert failure.message.startswith(str(tmp_path / "x.cif"))
    assert failure.message.endswith(".")
    assert "\n" not in failure.message


def test_every_block_with_sites_is_a_crystal(tmp_path: Path) -> None:
    text = "data_global\n_publ_x 1\n" + "".join(
        cif_text(sites=sites, head=f"data_{name}\n", columns=PARTIAL)
        for name, sites in (("a", "Na1 Na 0 0 0 1"), ("b", "K1 K 0 0 0 0.3"), ("c", "Rb1 Rb 0 0 0 1"))
    )
    first, second, third = read(tmp_path, text)
    assert (first.material_id, second.material_id, third.material_id) == ("a", "b", "c")
    assert third.source == f"{tmp_path / 'x.cif'}#3"
    assert isinstance(second, ReadFailure)
    assert second.code == "partial_occupancy"


def test_blocks_of_one_name_and_broken_blocks_lose_no_other(tmp_path: Path) -> None:
    text = cif_text(head="data_a\n") + cif_text(head="data_a\n") + cif_text(sites="Na1 Na 0 0", head="data_b\n")
    first, second, third = read(tmp_path, text)
    assert isinstance(first, Crystal)
    assert isinstance(second, Crystal)
    assert isinstance(third, ReadFailure)
    assert [item.material_id for item in (first, second, third)] == ["a", "a", "b"]


def test_one_block_is_named_after_its_file(tmp_path: Path) -> None:
    item = only(iter(read(tmp_path, gzip.compress(cif_text().encode()), "mp-1.cif.gz")))
    assert item.material_id == "mp-1"
    assert item.source == str(tmp_path / "mp-1.cif.gz")


def test_magnetic_cif_goes_to_pymatgen(tmp_path: Path) -> None:
    symmetry = (
        "_space_group_magn.number_BNS 1.1\nloop_\n_space_group_symop_magn_operation.id\n"
        "_space_group_symop_magn_operation.xyz\n1 x,y,z,+1\n"
    )
    moments = "loop_\n_atom_site_moment.label\n" + "".join(f"_atom_site_moment.crystalaxis_{axis}\n" for axis in "xyz")
    (crystal,) = read(tmp_path, cif_text(symmetry) + moments + "Na1 0 0 1\n", "x.mcif")
    assert isinstance(crystal, Crystal), crystal
    assert crystal.n_atoms == 2


def test_ase_writes_what_we_read(tmp_path: Path) -> None:
    from ase.build import bulk

    atoms = bulk("ZnO", "wurtzite", a=3.25, c=5.2)
    atoms.write(tmp_path / "x.cif")
    (crystal,) = read_crystals(tmp_path / "x.cif")
    assert crystal.n_atoms == 4
    assert crystal.volume == pytest.approx(atoms.get_volume())


@pytest.mark.parametrize(
    "more",
    [
        "\n" * 100_000,
        " " * 100_000,
        "# " + "x, y, z " * 20_000,
        "_symmetry_equiv_pos_as_xyz\n" + "'x, y, z'\n" * 50_000,
        "1 1 1 1\n" * 50_000,
    ],
)
def test_what_would_take_the_general_parser_minutes_is_told_at_once(tmp_path: Path, more: str) -> None:
    start = time.monotonic()
    # An unknown symbol leaves the block to the general parser; an open quotation, its text.
    for text in (cif_text(sites="X1 Wat 0 0 0"), cif_text() + "'open\n"):
        assert len(read(tmp_path, f"{text}\nloop_\n{more}")) == 1
    assert time.monotonic() - start < 8  # it was 12 s for each and more


def test_more_atoms_than_can_be_predicted_are_refused(tmp_path: Path) -> None:
    sites = "".join(f"Na{index} Na 0.1{index:06d} 0.2 0.3\n" for index in range(30_000))
    (failure,) = read(tmp_path, cif_text(sites=sites))
    assert isinstance(failure, ReadFailure)
    assert "30000 sites" in failure.message


def test_a_formula_that_no_float_holds_states_nothing(tmp_path: Path) -> None:
    (crystal,) = read(tmp_path, cif_text("", head=f"data_x\n_chemical_formula_sum 'Na{400 * '9'} Cl'\n"))
    assert isinstance(crystal, Crystal)


def test_angles_that_are_all_but_zero(tmp_path: Path) -> None:
    (failure,) = read(tmp_path, cif_text(cell=CUBE.replace("90", "1e-308")))
    assert isinstance(failure, ReadFailure)
    assert failure.code == "invalid_cell"
