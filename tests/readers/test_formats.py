"""The formats of other programs: files by their own writers, and each way in which such a file can say something else."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import json
import lzma
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from test_poscar import SALT

from crystal_comparison import cif_text, deviation
from paraisite.readers import iter_crystals, read_crystals
from paraisite.readers.formats import FORMATS, detect_format, format_table
from paraisite.structures import Crystal, ReadFailure, from_ase, to_pymatgen

PAGE = Path(__file__).parents[2] / "docs" / "usage.md"
POTENTIALS = {"Na": "Na.upf", "Cl": "Cl.upf"}
PHONOPY = """phonopy:
  version: "4.1.0"
physical_unit:
  atomic_mass: "AMU"
  length: "angstrom"
supercell_matrix:
- [ 2, 0, 0 ]
- [ 0, 1, 0 ]
- [ 0, 0, 1 ]
primitive_cell:
  lattice:
  - [ 9.0, 0.0, 0.0 ]
  - [ 0.0, 9.0, 0.0 ]
  - [ 0.0, 0.0, 9.0 ]
  points:
  - symbol: K
    coordinates: [ 0.0, 0.0, 0.0 ]
unit_cell:
  lattice:
  - [ 4.0, 0.0, 0.0 ] # a
  - [ 0.0, 4.0, 0.0 ] # b
  - [ 0.0, 0.0, 4.0 ] # c
  points:
  - symbol: Cs # 1
    coordinates: [ 0.0, 0.0, 0.0 ]
    mass: 132.905
  - symbol: Cl1 # 2
    coordinates: [ 0.5, 0.5, 0.5 ]
    mass: 35.453
supercell:
  lattice:
  - [ 8.0, 0.0, 0.0 ]
  - [ 0.0, 4.0, 0.0 ]
  - [ 0.0, 0.0, 4.0 ]
  points:
  - { symbol: Cs, coordinates: [ 0.0, 0.0, 0.0 ] }
  - { symbol: Cs, coordinates: [ 0.5, 0.0, 0.0 ] }
  - { symbol: Cl, coordinates: [ 0.25, 0.5, 0.5 ] }
  - { symbol: Cl, coordinates: [ 0.75, 0.5, 0.5 ] }
force_constants:
  elements: [ not, parsed
"""


def salt() -> Atoms:
    return bulk("NaCl", "rocksalt", a=5.64, cubic=True)


def written(atoms: Atoms | list[Atoms], kind: str, **options: Any) -> str:
    """What ASE's own writer of a format makes of atoms."""
    from ase.io import write

    text = io.StringIO()
    write(text, atoms, format=kind, **options)
    return text.getvalue()


def aims_text(**options: Any) -> str:
    from ase.io.aims import write_aims

    text = io.StringIO()
    write_aims(text, salt(), **options)
    return text.getvalue()


def res_text() -> str:
    from ase.io.res import Res

    return str(Res(salt(), name="salt", pressure=0.0, energy=-1.0).get_string())


def pymatgen_res_text() -> str:
    from pymatgen.io.res import ResIO

    return str(ResIO.structure_to_str(to_pymatgen(from_ase(salt()))))


def pwscf_text() -> str:
    from pymatgen.io.pwscf import PWInput

    return str(PWInput(to_pymatgen(from_ase(salt())), pseudo=POTENTIALS))


def jarvis_record(**changes: Any) -> dict[str, Any]:
    atoms = {
        "lattice_mat": salt().cell.tolist(),
        "coords": salt().get_scaled_positions().tolist(),
        "elements": [f"{symbol} " for symbol in salt().symbols],
        "abc": [5.64] * 3,
        "angles": [90.0] * 3,
        "cartesian": False,
        "props": [""] * 8,
    }
    return {"jid": "JVASP-23862", "formula": "NaCl", "spg_number": 225, "atoms": {**atoms, **changes}}


WRITERS: dict[str, tuple[str, Callable[[], str]]] = {
    "x.xsf": ("xsf", lambda: written(salt(), "xsf")),
    "geometry.in": ("aims", aims_text),
    "geometry.in.next_step": ("aims", lambda: aims_text(scaled=True)),
    "x.cell": ("castep", lambda: written(salt(), "castep-cell")),
    "fractional.cell": ("castep", lambda: written(salt(), "castep-cell", positions_frac=True)),
    "x.res": ("res", res_text),
    "pymatgen.res": ("res", pymatgen_res_text),
    "x.pwi": ("espresso-in", lambda: written(salt(), "espresso-in", pseudopotentials=POTENTIALS)),
    "scf.in": (
        "espresso-in",
        lambda: written(salt(), "espresso-in", pseudopotentials=POTENTIALS, crystal_coordinates=True),
    ),
    "pymatgen.pwi": ("espresso-in", pwscf_text),
    "dft_3d.json": ("json", lambda: json.dumps([jarvis_record()])),
}


@pytest.mark.filterwarnings("ignore")  # of ASE's writers
@pytest.mark.parametrize("name", WRITERS)
def test_what_other_programs_write(tmp_path: Path, name: str) -> None:
    kind, write = WRITERS[name]
    (tmp_path / name).write_text(write())
    assert detect_format(tmp_path / name) == kind
    (crystal,) = read_crystals(tmp_path / name)
    assert deviation(crystal, from_ase(salt())) < 2e-5
    (tmp_path / "unnamed").write_text(write())
    assert deviation(read_crystals(tmp_path / "unnamed")[0], crystal) == 0


def test_jarvis_records(tmp_path: Path) -> None:
    cartesian = jarvis_record(cartesian=True, coords=salt().positions.tolist())
    wrong = {**jarvis_record(), "formula": "KCl"}
    (tmp_path / "x.json").write_text(json.dumps([jarvis_record(), cartesian, wrong, jarvis_record(elements=["Na"])]))
    first, second, third, fourth = iter_crystals(tmp_path / "x.json")
    for item in (first, second):
        assert isinstance(item, Crystal), item
        assert deviation(item, from_ase(salt())) < 1e-9
        assert item.material_id == "JVASP-23862"
        assert item.properties["spg_number"] == 225
    assert [getattr(item, "code", "ok") for item in (third, fourth)] == ["contradicts_file", "unreadable"]


def ase_test_data(name: str) -> Path:
    """A real output that ASE carries for its own tests."""
    spec = importlib.util.find_spec("ase.test")
    path = Path(str(spec.origin)).parent / "testdata" / "vasp" / name if spec else Path(name)
    if not path.is_file():
        pytest.skip("this ASE was installed without its test data")
    return path


@pytest.mark.parametrize(
    ("name", "kind", "formula", "n_atoms"),
    [("vasprun_pstress.xml", "vasprun", "C", 2), ("OUTCAR_example_1", "outcar", "Ni", 18)],
)
def test_outputs_of_vasp(tmp_path: Path, name: str, kind: str, formula: str, n_atoms: int) -> None:
    data = ase_test_data(name).read_bytes()
    for copy in (name, "without_a_hint"):
        (tmp_path / copy).write_bytes(data)
        assert detect_format(tmp_path / copy) == kind
        (crystal,) = read_crystals(tmp_path / copy)
        assert (crystal.formula, crystal.n_atoms) == (formula, n_atoms)


VASPRUN_CHANGES = [
    (b"<atoms>       2 </atoms>", b"<atoms>       3 </atoms>", "contradicts_file", "3 atoms"),
    (b"</modeling>", b"", "unreadable", "not finished"),
    (b'<i name="volume">     11.37482325 </i>', b'<i name="volume">     14.0 </i>', "contradicts_file", "14 "),
    (b'<v name="VCA">', b'<v name="VCA"> 0.3', "partial_occupancy", "VCA"),
]


@pytest.mark.parametrize(("old", "new", "code", "word"), VASPRUN_CHANGES, ids=[row[3] for row in VASPRUN_CHANGES])
def test_what_a_vasprun_contradicts(tmp_path: Path, old: bytes, new: bytes, code: str, word: str) -> None:
    data = ase_test_data("vasprun_pstress.xml").read_bytes()
    if old not in data:
        old, new = b"<incar>", b'<incar><v name="VCA"> 0.3 1.0</v>'
    assert data != data.replace(old, new)
    (tmp_path / "vasprun.xml").write_bytes(data.replace(old, new))
    (failure,) = iter_crystals(tmp_path / "vasprun.xml")
    assert isinstance(failure, ReadFailure)
    assert (failure.code, word in failure.message) == (code, True), failure


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("General timing and accounting", "", "unreadable"),
        ("NIONS =     18", "NIONS =     19", "contradicts_file"),
        ("VCA    =   1.00", "VCA    =   0.30", "partial_occupancy"),
        ("PAW_PBE Ni ", "PAW_PBE H1.25 ", "unsupported_element"),
    ],
)
def test_what_an_outcar_contradicts(tmp_path: Path, old: str, new: str, code: str) -> None:
    text = ase_test_data("OUTCAR_example_1").read_text()
    assert old in text
    (tmp_path / "OUTCAR").write_text(text.replace(old, new))
    (failure,) = iter_crystals(tmp_path / "OUTCAR")
    assert isinstance(failure, ReadFailure)
    assert failure.code == code, failure


def test_an_outcar_is_read_without_the_files_beside_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "CONTCAR").write_text("broken")
    monkeypatch.chdir(tmp_path)
    assert len(read_crystals(ase_test_data("OUTCAR_example_1"))) == 1


def pw_output(*steps: float) -> str:
    """An output of `pw.x` with a relaxation: the structure at its beginning, then one with each lattice constant."""
    head = """
     Program PWSCF v.7.2 starts on  1Jan2026 at 10: 0: 0
     bravais-lattice index     =            0
     lattice parameter (alat)  =       7.5589  a.u.
     unit-cell volume          =     431.8999 (a.u.)^3
     number of atoms/cell      =            2
     number of atomic types    =            2
     celldm(1)=   7.558904  celldm(2)=   0.000000  celldm(3)=   0.000000
     crystal axes: (cart. coord. in units of alat)
               a(1) = (   1.000000   0.000000   0.000000 )
               a(2) = (   0.000000   1.000000   0.000000 )
               a(3) = (   0.000000   0.000000   1.000000 )
     site n.     atom                  positions (alat units)
         1           Cs  tau(   1) = (   0.0000000   0.0000000   0.0000000  )
         2           Cl  tau(   2) = (   0.5000000   0.5000000   0.5000000  )
"""
    blocks = [
        f"     new unit-cell volume = {a**3 / 0.529177**3:.5f} a.u.^3 ( {a**3:.5f} Ang^3 )\n"
        f"     density = 3.9 g/cm^3\n\nCELL_PARAMETERS (angstrom)\n{a} 0.0 0.0\n0.0 {a} 0.0\n0.0 0.0 {a}\n\n"
        "ATOMIC_POSITIONS (crystal)\nCs 0.0 0.0 0.0\nCl 0.5 0.5 0.5\n\n"
        for a in steps
    ]
    return head + "".join(blocks) + "\n   JOB DONE.\n"


@pytest.mark.parametrize("name", ["relax.out", "x.pwo", "x"])
@pytest.mark.parametrize("steps", [(), (4.1,), (4.1, 4.2)])
def test_the_final_structure_of_an_output_of_pw(tmp_path: Path, name: str, steps: tuple[float, ...]) -> None:
    (tmp_path / name).write_text(pw_output(*steps))
    (crystal,) = read_crystals(tmp_path / name)
    assert crystal.formula == "CsCl"
    assert crystal.volume == pytest.approx((steps[-1] if steps else 4.0) ** 3, rel=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("JOB DONE", "", "unreadable"),
        ("atoms/cell      =            2", "atoms/cell      =            1", "contradicts_file"),
        ("CELL_PARAMETERS (angstrom)", "CELL_PARAMETER (angstrom)", "contradicts_file"),
        ("Cl 0.5", "HO1 0.5", "unsupported_element"),
    ],
)
def test_what_an_output_of_pw_contradicts(tmp_path: Path, old: str, new: str, code: str) -> None:
    text = pw_output(4.2)
    assert old in text
    (tmp_path / "x.pwo").write_text(text.replace(old, new))
    (failure,) = iter_crystals(tmp_path / "x.pwo")
    assert isinstance(failure, ReadFailure), failure
    assert failure.code == code, failure


PWI = """&CONTROL
  prefix = 'x!y'
/
&system
  ibrav = 0, nat = 2, ntyp = 2 ! two kinds
/
ATOMIC_SPECIES
Fe1 55.845 Fe.upf
O_h 15.999 O.upf
cell_parameters {bohr}
8.0 0 0
0 8.0 0
0 0 8.0
atomic_positions (crystal)
Fe1 0 0 0 0 0 0 ! fixed
O_h 1/2 0.5 0.5
K_POINTS gamma
"""


def test_labels_comments_and_fractions_of_an_input_of_pw(tmp_path: Path) -> None:
    (tmp_path / "x.in").write_text(PWI)
    (crystal,) = read_crystals(tmp_path / "x.in")
    assert crystal.formula == "FeO"
    assert crystal.volume == pytest.approx((8 * 0.529177) ** 3, rel=1e-5)
    np.testing.assert_allclose(crystal.fractional[1], 0.5, atol=1e-9)


XSF = "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n2 1\n55 0 0 0\n17 2 2 2\n"
CELL = """%BLOCK LATTICE_CART
4 0 0
0 4 0
0 0 4
%ENDBLOCK LATTICE_CART
%BLOCK POSITIONS_FRAC
Cs 0 0 0
Cl:1 0.5 0.5 0.5 SPIN=1.0
%ENDBLOCK POSITIONS_FRAC
SYMMETRY_GENERATE
"""
AIMS = """lattice_vector 4 0 0
lattice_vector 0 4 0
lattice_vector 0 0 4
atom_frac 0 0 0 Cs # a cation
  constrain_relaxation .true.
atom_frac 0.5 0.5 0.5 Cl
"""
RES = """TITL salt-1 0.0 64.0 -7.1 0 0 2 (Pm-3m) n - 1
REM a remark
CELL 1.54180 4 4 4 90 90 90
LATT -1
SFAC Cs Cl
Cs 1 0 0 0 1.0
Cl 2 0.5 0.5 0.5 11.0
END
"""
TEXTS = {"x.xsf": XSF, "x.cell": CELL, "geometry.in": AIMS, "x.res": RES, "phonopy.yaml": PHONOPY}


@pytest.mark.parametrize("name", TEXTS)
def test_formats_by_hand(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(TEXTS[name])
    (crystal,) = read_crystals(tmp_path / name)
    assert (crystal.formula, crystal.n_atoms) == ("CsCl", 2)
    assert crystal.volume == pytest.approx(64.0)
    (tmp_path / "x").write_text(TEXTS[name])
    assert len(read_crystals(tmp_path / "x")) == 1


@pytest.mark.parametrize(
    ("name", "text", "old", "new", "code"),
    [
        ("x.in", PWI, "ibrav = 0", "ibrav = 2", "unreadable"),
        ("x.in", PWI, "nat = 2", "nat = 1", "contradicts_file"),
        ("x.in", PWI, "Fe1 ", "HO1 ", "unsupported_element"),
        ("x.in", PWI, "(crystal)", "(crystal_sg)", "unreadable"),
        ("x.in", PWI, "nat = 2,", "nat = 2, space_group = 225,", "unreadable"),
        ("x.in", PWI, "1/2", "__import__('os')", "unreadable"),
        ("x.xsf", XSF, "2 1\n", "1 1\n", "contradicts_file"),
        ("x.xsf", XSF, "CRYSTAL", "SLAB", "no_cell"),
        ("x.xsf", XSF, "2 2 2\n", "2 2 2\nPRIMCOORD\n1 1\n17 0 0 0\n", "contradicts_file"),
        ("x.xsf", XSF, "17 2", "0 2", "unsupported_element"),
        ("x.cell", CELL, "SPIN=1.0", "MIXTURE:( 1 0.5)", "partial_occupancy"),
        ("x.cell", CELL, "LATTICE_CART\n4", "LATTICE_CART\nfurlong\n4", "unreadable"),
        ("x.cell", CELL, "SYMMETRY", CELL + "SYMMETRY", "unreadable"),
        ("x.cell", CELL, "Cl:1", "Xx:1", "unsupported_element"),
        ("x.cell", CELL, "0 0 4\n", "", "unreadable"),
        ("geometry.in", AIMS, "lattice_vector 0 0 4\n", "", "no_cell"),
        ("geometry.in", AIMS, "lattice_vector 0 0 4\n", "lattice_vector 0 0 4\n" * 2, "unreadable"),
        ("geometry.in", AIMS, "0.5 Cl", "0.5 Cx", "unreadable"),
        ("x.res", RES, "11.0", "10.5", "partial_occupancy"),
        ("x.res", RES, "LATT -1", "LATT 1", "unreadable"),
        ("x.res", RES, "SFAC", "SYMM -X, -Y, -Z\nSFAC", "unreadable"),
        ("x.res", RES, "Cl 2", "Cl 1", "contradicts_file"),
        ("x.res", RES, " 64.0 ", " 99.0 ", "contradicts_file"),
        ("x.res", RES, "0 0 2 (", "0 0 3 (", "contradicts_file"),
        ("x.res", RES, "END\n", "", "unreadable"),
        ("phonopy.yaml", PHONOPY, '"angstrom"', '"parsec"', "unreadable"),
        ("phonopy.yaml", PHONOPY, "[ 2, 0, 0 ]", "[ 3, 0, 0 ]", "contradicts_file"),
        ("phonopy.yaml", PHONOPY, "symbol: Cl1", "symbol: Zz", "unsupported_element"),
        ("phonopy.yaml", PHONOPY, "coordinates: [ 0.5, 0.5, 0.5 ]", "coordinates: !!python/name:os", "unreadable"),
    ],
)
def test_what_these_files_contradict_or_leave_open(
    tmp_path: Path, name: str, text: str, old: str, new: str, code: str
) -> None:
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new))
    (failure,) = iter_crystals(tmp_path / name)
    assert isinstance(failure, ReadFailure), failure
    assert failure.code == code, failure
    assert failure.message.startswith(str(tmp_path / name))


def test_units_of_phonopy_and_castep(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PHONOPY.replace('"angstrom"', '"au"'))
    (tmp_path / "b.cell").write_text(CELL.replace("LATTICE_CART\n4", "LATTICE_CART\nbohr\n4"))
    for crystal in read_crystals(tmp_path):
        assert crystal.volume == pytest.approx((4 * 0.529177210903) ** 3)


def test_without_a_unit_cell_phonopy_gives_its_primitive_cell(tmp_path: Path) -> None:
    (tmp_path / "phono3py.yaml").write_text(PHONOPY.replace("phonopy:", "phono3py:").replace("unit_cell:", "other:"))
    assert read_crystals(tmp_path)[0].formula == "K"


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), ("", lzma.compress)],
)
@pytest.mark.parametrize(("name", "text"), [("x.cif", cif_text()), ("x.vasp", SALT), ("x.xsf", XSF)])
def test_compressions(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], name: str, text: str) -> None:
    data = compress(text.encode())
    (tmp_path / f"{name}{suffix}").write_bytes(data)
    (crystal,) = read_crystals(tmp_path)
    assert crystal.material_id == "x"
    (tmp_path / f"{name}{suffix}").write_bytes(data[:-8])
    (failure,) = iter_crystals(tmp_path / f"{name}{suffix}")
    assert isinstance(failure, ReadFailure)


def test_compressed_frames_are_streamed(tmp_path: Path) -> None:
    frame = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\nNa 0 0 0\n'
    for suffix, compress in ((".bz2", bz2.compress), (".xz", lzma.compress)):
        (tmp_path / f"x.xyz{suffix}").write_bytes(compress(frame.encode() * 3))
        assert len(read_crystals(tmp_path / f"x.xyz{suffix}")) == 3


def test_the_standard_input() -> None:
    code = "from paraisite.readers import read_crystals; print(read_crystals('-')[0].formula)"
    for data in (SALT.encode(), lzma.compress(cif_text().encode())):
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
        assert done.stdout.decode().strip() == "NaCl"
    code = code.replace("'-'", "'-', format='cif'")
    done = subprocess.run([sys.executable, "-c", code], input=SALT.encode(), capture_output=True, check=False)
    assert b"stdin: the file has no data block" in done.stderr


def test_folders_are_read_at_any_depth(tmp_path: Path) -> None:
    for name in ("a/b/POSCAR", "a/POSCAR", "b/c.cif", ".hidden/POSCAR", "a/.x/POSCAR", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(cif_text() if name.endswith("cif") else "# Notes" if "READ" in name else SALT)
    sources = [Path(item.source).relative_to(tmp_path).as_posix() for item in iter_crystals(tmp_path)]
    assert sources == ["a/POSCAR", "a/b/POSCAR", "b/c.cif"]


def test_the_readme_lists_every_format() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert format_table() in text, "write the table of paraisite.readers.formats.format_table() into docs/usage.md"
    assert all(f"| `{name}` |" in text for name in FORMATS)


def test_brackets_by_the_thousand_are_refused_at_once(tmp_path: Path) -> None:
    text = written(salt(), "espresso-in", pseudopotentials={"Na": "Na.upf", "Cl": "Cl.upf"})
    lines = text.rstrip().splitlines()
    assert len(lines[-1].split()) == 4
    (tmp_path / "x.pwi").write_text("\n".join([*lines[:-1], lines[-1] + "(" * 50_000, ""]))
    (failure,) = iter_crystals(tmp_path / "x.pwi")
    assert getattr(failure, "code", "ok") == "unreadable"
    (tmp_path / "y.pwi").write_text("\n".join([*lines[:-1], lines[-1].rsplit(None, 1)[0] + " " + "(" * 100 + "1", ""]))
    (failure,) = iter_crystals(tmp_path / "y.pwi")
    assert "brackets" in getattr(failure, "message", "")
    output = pw_output(4.0).replace("ATOMIC_POSITIONS", f"{'(' * 50_000}\nATOMIC_POSITIONS", 1)
    (tmp_path / "z.pwo").write_text(output)
    (failure,) = iter_crystals(tmp_path / "z.pwo")
    assert "characters" in getattr(failure, "message", "")


def test_lines_that_a_reader_would_take_minutes_for(tmp_path: Path) -> None:
    (tmp_path / "x.pwi").write_text(PWI.replace("Fe1 0 0 0", "Fe1 " + "(" * 100_000 + " 0 0"))
    (tmp_path / "x.pwo").write_text(pw_output(4.2).replace("Cl 0.5", "Cl " + "(" * 100_000 + "0.5"))
    for item in iter_crystals([tmp_path / "x.pwi", tmp_path / "x.pwo"]):
        assert isinstance(item, ReadFailure)
        assert "a line is longer than 1000 characters" in item.message


def test_an_outcar_of_more_atoms_than_it_has_lines(tmp_path: Path) -> None:
    text = ase_test_data("OUTCAR_example_1").read_text()
    changed = re.sub(r"ions per type =.*", "ions per type =  99999999999", text)
    assert changed != text
    (tmp_path / "OUTCAR").write_text(changed)
    (failure,) = iter_crystals(tmp_path / "OUTCAR")
    assert isinstance(failure, ReadFailure)
    assert "ions per type" in failure.message
