"""CIF: the same crystals as pymatgen, the oddities of files in the wild, and one sentence for what cannot be read."""

from __future__ import annotations

import gzip
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from crystal_comparison import CUBE, FCC, HEXAGON, cif_text, deviation, only, shared_crystals
from paraisite.readers import iter_crystals, read_crystals
from paraisite.readers.cif import cif_records
from paraisite.structures import Crystal, ReadFailure, from_pymatgen, to_pymatgen
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
    text = cif_text(f"loop_\n{tag}\n'x, y, z'\nX+1/2,Y+.5,Z\n\"-x,-y,-z\"\n-x+1/2,-y+1/2,-z\n", "Na1 Na 0.1 0.2 0.3\n")
    (crystal,) = read(tmp_path, text)
    assert isinstance(crystal, Crystal)
    assert crystal.n_atoms == 4
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


def test_few_operations_need_sites_that_are_closed_under_the_named_group(tmp_path: Path) -> None:
    identity = FCC + "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n"
    sites = "Na1 Na .25 .25 .25\nO1 O 0 0 0"
    (failure,) = read(tmp_path, cif_text(identity + "_chemical_formula_sum 'Na2 O'\n", sites))
    assert isinstance(failure, ReadFailure)
    assert failure.code == "contradicts_file"
    (failure,) = read(tmp_path, cif_text(identity + "_chemical_formula_sum 'Na O'\n", sites))
    assert isinstance(failure, ReadFailure)
    assert failure.code == "contradicts_file"
    assert "space group F m -3 m" in failure.message
    everywhere = [f"{x} {y} {z}" for x, y, z in ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))]
    shifted = [f"{x} {y} {z}" for x, y, z in ((0.5, 0.5, 0.5), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5))]
    full = "\n".join([*(f"Na1 Na {place}" for place in everywhere), *(f"Cl1 Cl {place}" for place in shifted)])
    for symmetry in (identity, FCC):  # all sites beside the identity, and beside all operations
        (crystal,) = read(tmp_path, cif_text(symmetry, full))
        assert isinstance(crystal, Crystal), crystal
        assert crystal.n_atoms == 8


@pytest.mark.parametrize(
    ("operations", "word"),
    [
        ("x,y,z x+1/5,y,z", "cannot be read"),
        ("-x,-y,-z", "identity"),
        ("x,y,z x,x,z", "no rotation"),
        ("x,y,z x+y,y,z", "no finite group"),
        ("x,y,z -x,-y,z -x,y,-z", "products"),
        ("x,y,z x,y+1/2,z+1/2 x+1/2,y,z+1/2", "products"),
    ],
)
def test_operations_that_form_no_group_are_refused(tmp_path: Path, operations: str, word: str) -> None:
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\n" + "\n".join(operations.split()) + "\n"
    (failure,) = read(tmp_path, cif_text(listed, "Na1 Na 0.1 0.2 0.3"))
    assert isinstance(failure, ReadFailure)
    assert failure.code == "unreadable"
    assert word in failure.message


def test_an_operation_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,-z\n'1-x,-y,1-z'\nx,y,z\n"
    (crystal,) = read(tmp_path, cif_text(listed, "Na1 Na 0.1 0.2 0.3"))
    assert isinstance(crystal, Crystal), crystal
    assert crystal.n_atoms == 2


@pytest.mark.parametrize(
    ("statements", "word"),
    [
        ("_space_group_IT_number 221\n", "number 225"),
        ("_space_group_name_Hall '-P 4 2 3'\n", "P m -3 m"),
        ("loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,-z\n", "closed"),
        ("_chemical_formula_sum 'Na2 Cl'\n", "Na4 Cl4"),
        ("_chemical_formula_sum 'Na K Cl'\n", "K"),
        ("_chemical_formula_moiety 'Na 1+, 2(Cl 1-)'\n", "Na4 Cl4"),
        ("_chemical_formula_structural 'K Cl'\n", "K Cl"),
        ("_chemical_formula_sum 'Cl Na'\n_cell_formula_units_Z 2\n", "Z = 2"),
        ("_cell_volume 200\n", "200"),
        ("_exptl_crystal_density_diffrn 1.08\n", "1.08"),
        ("_chemical_formula_weight 58.44\n_cell_formula_units_Z 2\n", "58.44"),
        ("_chemical_formula_weight 74.6\n", "74.6"),
    ],
)
def test_what_the_file_states_must_agree_with_what_is_read(tmp_path: Path, statements: str, word: str) -> None:
    (failure,) = read(tmp_path, cif_text(FCC + statements))
    assert isinstance(failure, ReadFailure), failure
    assert failure.code == "contradicts_file"
    assert word in failure.message


@pytest.mark.parametrize(
    "statements",
    [
        "_chemical_formula_sum 'Cl4 Na4'\n_cell_formula_units_Z 4\n",
        "_chemical_formula_sum ClNa\n_chemical_formula_weight 58.4(2)\n_cell_formula_units_Z 4\n",
        "_chemical_formula_sum 'Na0.33 Cl0.33'\n",
        "_chemical_formula_moiety 'Na 1+, Cl 1-'\n_exptl_crystal_density_diffrn 2.16\n_cell_volume 179.4(1)\n",
        "_chemical_formula_structural '(Na Cl)2'\n",
        "_chemical_formula_sum 'rock salt'\n_exptl_crystal_density_meas 1.9\n",
        "_space_group_IT_number 225\n_space_group_name_Hall '-F 4 2 3'\n",
    ],
)
def test_statements_that_agree_are_no_reason_to_refuse(tmp_path: Path, statements: str) -> None:
    (crystal,) = read(tmp_path, cif_text(FCC + statements))
    assert isinstance(crystal, Crystal), crystal
    assert crystal.n_atoms == 8


@pytest.mark.parametrize(
    ("symbol", "position", "n_atoms"),
    [("F d -3 m S", "0 0 0", 8), ("F d -3 m Z", "0 0 0", 16), ("F d -3 m :1", "0 0 0", 8), ("F d -3 m:2", "0 0 0", 16)],
)
def test_suffixes_that_settle_the_origin(tmp_path: Path, symbol: str, position: str, n_atoms: int) -> None:
    (crystal,) = read(tmp_path, cif_text(f"_symmetry_space_group_name_H-M '{symbol}'\n", f"Si1 Si {position}"))
    assert isinstance(crystal, Crystal), crystal
    assert crystal.n_atoms == n_atoms


@pytest.mark.parametrize("symbol", ["R -3 m :H", "R -3 m H", "R -3 m", "R-3m:H"])
def test_suffixes_of_hexagonal_axes(tmp_path: Path, symbol: str) -> None:
    text = cif_text(f"_symmetry_space_group_name_H-M '{symbol}'\n", "Bi1 Bi 0 0 0", cell=HEXAGON)
    (crystal,) = read(tmp_path, text)
    assert isinstance(crystal, Crystal), crystal
    assert crystal.n_atoms == 3


@pytest.mark.parametrize(
    ("labels", "formula", "read_as"),
    [
        ("CA1 O1", "Ca O", "CaO"),
        ("CA1 O1", "C O", "CO"),
        ("CA1 O1", "", None),
        ("HO1 N1", "Ho N", "HoN"),
        ("SiT1 Oc1", "Si O", "SiO"),
        ("Vac1 Cl1", "V Cl", None),
        ("Si(1) O(2)", "", "SiO"),
    ],
)
def test_labels_that_the_formula_must_make_clear(
    tmp_path: Path, labels: str, formula: str, read_as: str | None
) -> None:
    first, second = labels.split()
    stated = f"_chemical_formula_sum '{formula}'\n" if formula else ""
    (item,) = read(
        tmp_path, cif_text(FCC + stated, f"{first} 0 0 0\n{second} .5 .5 .5", columns="label fract_x fract_y fract_z")
    )
    assert (item.formula if isinstance(item, Crystal) else None) == read_as


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
        ("contradicts_file", cif_text("_space_group_IT_number 225\n", cell=HEXAGON)),
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


def test_the_operations_of_a_magnetic_group_count_without_time_reversal(tmp_path: Path) -> None:
    symmetry = (
        "_space_group_magn.number_BNS 1.1\nloop_\n_space_group_symop_magn_operation.id\n"
        "_space_group_symop_magn_operation.xyz\n1 x,y,z,+1\n"
    )
    moments = "loop_\n_atom_site_moment.label\n" + "".join(f"_atom_site_moment.crystalaxis_{axis}\n" for axis in "xyz")
    (crystal,) = read(tmp_path, cif_text(symmetry) + moments + "Na1 0 0 1\n", "x.mcif")
    assert isinstance(crystal, Crystal), crystal
    assert crystal.n_atoms == 2


def test_magnetic_operations_under_the_names_of_drafts(tmp_path: Path) -> None:
    tags = "loop_\n_space_group_symop.magn_id\n_space_group_symop.magn_operation_xyz\n1 x,y,z,+1\n2 -x,-y,-z,-1\n"
    (crystal,) = read(tmp_path, cif_text(tags, "Mn1 Mn 0.1 0.2 0.3"), "x.mcif")
    assert isinstance(crystal, Crystal), crystal
    assert crystal.n_atoms == 2


def test_symmetry_under_unknown_names_is_no_absence_of_symmetry(tmp_path: Path) -> None:
    (failure,) = read(tmp_path, cif_text("_space_group_ssg_name 'P m -3 m'\n"))
    assert isinstance(failure, ReadFailure), failure
    assert "_space_group_ssg_name" in failure.message


def test_a_name_that_stands_twice_must_say_the_same(tmp_path: Path) -> None:
    once = "_chemical_formula_sum 'Cl Na'\n"
    (crystal,) = read(tmp_path, cif_text(FCC + once + "_chemical_formula_sum ''\n"))
    assert isinstance(crystal, Crystal), crystal
    (failure,) = read(tmp_path, cif_text(FCC + once + "_chemical_formula_sum 'K Cl'\n"))
    assert isinstance(failure, ReadFailure), failure
    assert failure.code == "contradicts_file"


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
def test_long_blocks_of_nonsense_are_told_at_once(tmp_path: Path, more: str) -> None:
    start = time.monotonic()
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


def test_a_block_that_has_a_cell_and_no_sites_is_not_passed_over(tmp_path: Path) -> None:
    good = (
        "_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n_cell_angle_alpha 90\n_cell_angle_beta 90\n"
        "_cell_angle_gamma 90\nloop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        "Cs1 0 0 0\nCl1 .5 .5 .5\n"
    )
    remark = "data_publication\n_publ_section_title 'A title'\n"
    path = tmp_path / "x.cif"
    path.write_text(f"{remark}data_one\n{good}data_two\n{good}")
    assert [item.material_id for item in iter_crystals(path)] == ["one", "two"]
    for lost in ("loop_\n_atom_site_label", "_atom_site_fract_x"):  # a file that was cut, and a damaged name
        head, _, tail = f"data_two\n{good}".partition(lost)
        path.write_text(f"{remark}data_one\n{good}{head}" + ("" if "loop_" in lost else f"_atom_site_fract_w{tail}"))
        one, two = iter_crystals(path)
        assert (one.material_id, isinstance(two, ReadFailure)) == ("one", True)
