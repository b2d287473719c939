"""Interatomic potentials by name: right forces or one clear sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.constraints import FixAtoms

from paraisite.errors import ParaisiteError
from paraisite.fetch.potentials import NEQUIX_FILES
from paraisite.phonons.potentials.classical import ARGON_EPSILON_EV, ARGON_SIGMA_ANGSTROM
from paraisite.phonons.potentials.potential import Potential, PotentialError
from paraisite.phonons.potentials.registry import POTENTIAL_NAMES, load_potential


def displaced(cell: Atoms, n_cells: int) -> list[Atoms]:
    cells = [cell.copy() for _ in range(n_cells)]
    for seed, copy in enumerate(cells):
        copy.rattle(0.03, seed=seed)
    return cells


ARGON = displaced(bulk("Ar", "fcc", a=5.26, cubic=True).repeat(2), 3)
COPPER = displaced(bulk("Cu", "fcc", a=3.6, cubic=True), 3)
SALT = displaced(bulk("NaCl", "rocksalt", a=5.64, cubic=True), 3)


def energy(potential: Potential, atoms: Atoms) -> float:
    copy = atoms.copy()
    copy.calc = potential.calculator
    return float(copy.get_potential_energy())


@pytest.mark.parametrize(("name", "cells"), [("lennard-jones:argon", ARGON), ("emt", COPPER)])
def test_forces_are_the_slope_of_the_energy(name: str, cells: list[Atoms]) -> None:
    potential = load_potential(name)
    forces = potential.forces(cells)
    assert forces.shape == (3, len(cells[0]), 3)
    for axis in range(3):
        up, down = cells[0].copy(), cells[0].copy()
        up.positions[1, axis] += 1e-4
        down.positions[1, axis] -= 1e-4
        slope = (energy(potential, up) - energy(potential, down)) / 2e-4
        assert forces[0, 1, axis] == pytest.approx(-slope, abs=1e-7)
    assert np.abs(forces.sum(axis=1)).max() < 1e-12


def test_argon_is_the_textbook_pair() -> None:
    potential = load_potential("lennard-jones:argon")
    distance = 1.2 * ARGON_SIGMA_ANGSTROM  # below the onset of the cutoff
    pair = Atoms("Ar2", positions=[[0, 0, 0], [distance, 0, 0]], cell=[40, 40, 40], pbc=True)
    slope = 24 * ARGON_EPSILON_EV / distance * (1.2**-6 - 2 * 1.2**-12)
    assert potential.forces([pair])[0, 1] == pytest.approx([-slope, 0, 0], abs=1e-12)


@pytest.mark.parametrize(("name", "cells"), [("lennard-jones:argon", ARGON), ("emt", COPPER)])
def test_forces_do_not_depend_on_the_cells_before(name: str, cells: list[Atoms]) -> None:
    potential = load_potential(name)
    together = potential.forces(cells)
    assert np.array_equal(potential.forces(cells[::-1])[::-1], together)
    assert np.array_equal(load_potential(name).forces(cells[2:])[0], together[2])


def test_cells_stay_as_they_are_and_constraints_are_not_obeyed() -> None:
    potential = load_potential("emt")
    held = COPPER[0].copy()
    held.set_constraint(FixAtoms([0, 1]))
    before = held.positions.copy()
    assert np.array_equal(potential.forces([held]), potential.forces([COPPER[0]]))
    assert np.array_equal(held.positions, before)
    assert held.calc is None


@pytest.mark.parametrize("name", ["lennard-jones:argon", "emt"])
def test_an_unknown_element_is_refused(name: str) -> None:
    with pytest.raises(PotentialError, match="does not know Na, Cl; choose another potential") as caught:
        load_potential(name).forces(SALT)
    assert caught.value.code == "unsupported_element"


def test_cells_of_different_size_are_refused() -> None:
    for cells in ([], [COPPER[0], COPPER[0].repeat(2)]):
        with pytest.raises(PotentialError, match="equally many atoms"):
            load_potential("emt").forces(cells)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "emt2",
        "sevennet",
        "sevennet:",
        "sevennet:7net-9",
        "chgnet:0.2",
        "nequix:",
        "mace:",
        "LENNARD-JONES:argon",
        "a:b:c",
    ],
)
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(
        PotentialError, match=r"give one of sevennet:7net-0, .*emt, my_package\.my_module:factory\.$"
    ) as caught:
        load_potential(name)
    assert caught.value.code == "unknown_potential"
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ParaisiteError, match="There is no device 'tpu'"):
        load_potential("emt", device="tpu")


PACKAGES = [("sevennet:7net-0", "sevenn"), ("chgnet", "chgnet"), ("mace:{file}", "mace"), ("nequix:{file}", "nequix")]


@pytest.mark.parametrize(("name", "package"), PACKAGES)
def test_a_missing_package_comes_with_the_command(name: str, package: str, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"")
    name = name.format(file=tmp_path / "weights")
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from paraisite.phonons.potentials.registry import load_potential\n"
        f"try: load_potential({name!r})\n"
        "except Exception as error: print(error.code, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"not_installed The potential {name} needs a package")
    assert "pip install" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("family", ["nequix", "mace"])
def test_weights_that_are_not_there_are_named(family: str, tmp_path: Path) -> None:
    with pytest.raises(PotentialError, match=r"needs a file of weights, and .*none\.nqx does not exist") as caught:
        load_potential(f"{family}:{tmp_path / 'none.nqx'}")
    assert caught.value.code == "weights_missing"


def test_published_weights_are_fetched_on_demand_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAISITE_DATA", str(tmp_path))
    with pytest.raises(PotentialError, match="paraisite data fetch nequix-mp-1-pft"):
        load_potential("nequix:mp-1-pft")
    (tmp_path / "nequix-mp-1-pft.nqx").write_bytes(b"another")
    with pytest.raises(PotentialError, match="not the published file") as caught:
        load_potential("nequix:mp-1-pft")
    assert caught.value.code == "invalid_weights"


FACTORIES = """
import numpy as np
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

def emt(): return EMT()

class Own(Calculator):
    implemented_properties = ["energy", "forces"]
    def __init__(self, forces): super().__init__(); self.given = forces
    def calculate(self, *given):
        super().calculate(*given)
        self.results = {"energy": 0.0, "forces": self.given(len(self.atoms))}

def on_device(device):
    own = Own(lambda n: np.zeros((n, 3))); own.device = device; return own
def not_finite(): return Own(lambda n: np.full((n, 3), np.nan))
def infinite(): return Own(lambda n: np.full((n, 3), np.inf))
def too_few(): return Own(lambda n: np.zeros((1, 3)))
def failing(): return Own(lambda n: 1 / 0)
def no_calculator(): return 1
def raising(): raise RuntimeError("no\\nlicence")
number = 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a module of the user's own, in a folder on the path."""
    name = f"own_{tmp_path.name}".replace("-", "_")
    package = tmp_path / "own" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "made.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path / "own")
    return f"{name}.made"


def test_a_factory_of_the_user_makes_a_potential(own_module: str) -> None:
    potential = load_potential(f"{own_module}:emt")
    assert np.array_equal(potential.forces(COPPER), load_potential("emt").forces(COPPER))
    assert potential.elements is None
    assert potential.name == potential.label == f"{own_module}:emt"
    assert "DFT" not in potential.level, "what the user's own potential is, nobody here knows"
    assert len(potential.version.split()[-1]) == 12
    assert load_potential(f"{own_module}:on_device", device="cpu").calculator.device == "cpu"


@pytest.mark.parametrize(
    ("factory", "sentence", "code"),
    [
        ("not_finite", "forces that are not finite", "forces_not_finite"),
        ("infinite", "forces that are not finite", "forces_not_finite"),
        ("too_few", r"forces of shape \(1, 3\) where \(4, 3\) was expected", "potential_failed"),
        ("failing", "gives no forces for Cu4: ZeroDivisionError, division by zero", "potential_failed"),
    ],
)
def test_wrong_forces_are_refused(own_module: str, factory: str, sentence: str, code: str) -> None:
    with pytest.raises(PotentialError, match=sentence) as caught:
        load_potential(f"{own_module}:{factory}").forces(COPPER)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        ("nothing", "has no function nothing"),
        ("number", "has no function number"),
        ("no_calculator", "returned int, and must return an ASE calculator"),
        ("raising", "cannot be made: RuntimeError: no licence"),
    ],
)
def test_a_factory_that_makes_nothing_is_refused(own_module: str, factory: str, sentence: str) -> None:
    with pytest.raises(PotentialError, match=sentence):
        load_potential(f"{own_module}:{factory}")


def test_a_module_that_cannot_be_imported_is_refused(own_module: str) -> None:
    with pytest.raises(PotentialError, match="no module no_such_module is installed"):
        load_potential("no_such_module.at_all:factory")
    with pytest.raises(PotentialError, match=r"importing .* failed with ModuleNotFoundError"):
        load_potential(f"{own_module.partition('.')[0]}.other:factory")


def load_in_process(folder: Path, python_path: str) -> str:
    code = (
        "from paraisite.phonons.potentials.registry import load_potential\n"
        "try: print(load_potential('beside_data:emt').name)\n"
        "except Exception as error: print(error)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    path = os.pathsep.join([*filter(None, [python_path]), str(Path(__file__).parents[2] / "src")])
    environment["PYTHONPATH"] = path
    # -c puts the current folder first on the path, as -m does.
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_a_module_in_the_current_folder_is_imported_only_if_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "beside_data.py").write_text(f"open({str(tmp_path / 'RUN')!r}, 'w')\n{FACTORIES}")
    assert "a folder that may hold data; name that folder in PYTHONPATH" in load_in_process(tmp_path, "")
    assert not (tmp_path / "RUN").exists()
    assert load_in_process(tmp_path, ".") == "beside_data:emt\n"


def test_the_names_are_those_that_load() -> None:
    assert len(set(POTENTIAL_NAMES)) == len(POTENTIAL_NAMES)
    for name in ("lennard-jones:argon", "emt"):
        assert name in POTENTIAL_NAMES
        assert load_potential(name).name == name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "label"), [("sevennet:7net-0", "SevenNet-0"), ("sevennet:7net-mf-0:r2scan", "SevenNet-MF-0 (r2SCAN)")]
)
def test_sevennet(name: str, label: str) -> None:
    pytest.importorskip("sevenn")
    from paraisite.phonons.potentials.sevennet import SevenNetBatches

    potential = load_potential(name)
    assert potential.level == f"{label}, not DFT"
    assert potential.version.startswith("sevenn ")
    assert potential.elements is not None
    assert {11, 17, 89} <= potential.elements
    assert 84 not in potential.elements
    forces = potential.forces(SALT)
    assert np.array_equal(potential.forces(SALT[::-1])[::-1], forces)
    own = SALT[0].copy()
    own.calc = potential.calculator
    assert forces[0] == pytest.approx(own.get_forces(), abs=1e-6)
    # Single precision sums in another order.
    assert SevenNetBatches(potential.calculator, 2 * len(SALT[0]))(SALT) == pytest.approx(forces, abs=1e-5)
    with pytest.raises(PotentialError, match="does not know Po"):
        potential.forces([bulk("Po", "sc", a=3.4)])


@pytest.mark.slow
def test_chgnet(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("chgnet")
    potential = load_potential("chgnet")
    assert capfd.readouterr().out == ""
    assert potential.forces(SALT).shape == (3, 8, 3)
    assert potential.version.startswith("chgnet ")


@pytest.mark.slow
@pytest.mark.parametrize("model", NEQUIX_FILES)
def test_nequix(model: str, shared: Path) -> None:
    if find_spec("nequix") is None:
        pytest.skip("nequix is not installed")
    file = NEQUIX_FILES[model]
    potential = load_potential(f"nequix:{shared / 'pretrained' / 'nequix' / file.file_name}")
    assert potential.label == file.label
    forces = potential.forces(SALT)
    assert np.array_equal(potential.forces(SALT[::-1])[::-1], forces)
    assert isinstance(potential.calculator, Calculator)


def test_a_damaged_file_of_nequix_is_refused(shared: Path, tmp_path: Path) -> None:
    if find_spec("nequix") is None:
        pytest.skip("nequix is not installed")
    whole = (shared / "pretrained" / "nequix" / "nequix-mp-1-pft.nqx").read_bytes()
    for content in (b"", b"{}\n", whole[:100], whole[:100_000], whole + b"more", b"\x80\x04pickle\n" + whole):
        (tmp_path / "own.nqx").write_bytes(content)
        with pytest.raises(PotentialError, match=r"own\.nqx is no file of Nequix weights") as caught:
            load_potential(f"nequix:{tmp_path / 'own.nqx'}")
        assert caught.value.code == "invalid_weights"
