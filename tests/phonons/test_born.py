"""BORN files: what is read, and what is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from phonopy.structure.atoms import PhonopyAtoms

from paraisite.phonons.born import read_born
from paraisite.phonons.cells import to_phonopy
from paraisite.phonons.settings import ComputeError

EPSILON = "2.4 0 0 0 2.4 0 0 0 2.4"
SODIUM, CHLORINE = "1.1 0 0 0 1.1 0 0 0 1.1", "-1.1 0 0 0 -1.1 0 0 0 -1.1"


@pytest.fixture
def salt() -> PhonopyAtoms:
    return to_phonopy(bulk("NaCl", "rocksalt", a=5.64))


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_born_file_is_read(salt: PhonopyAtoms, tmp_path: Path) -> None:
    found = read_born(write(tmp_path / "BORN", "# epsilon and Z* of atoms 1 2", EPSILON, SODIUM, CHLORINE), salt)
    np.testing.assert_allclose(found["born"], [1.1 * np.eye(3), -1.1 * np.eye(3)], atol=1e-12)
    np.testing.assert_allclose(found["dielectric"], 2.4 * np.eye(3), atol=1e-12)
    assert found["factor"] == pytest.approx(14.39965, rel=1e-6)  # e²/(4πε₀) in eV Å


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["14.4", EPSILON, SODIUM, SODIUM], "add up to 2.2 e"),
        (["14.4", EPSILON, SODIUM], "does not fit the 2 atoms"),
        (["14.4", EPSILON, SODIUM, CHLORINE, CHLORINE], "does not fit the 2 atoms"),
        (["14.4", EPSILON, "1.1 0 0", CHLORINE], "does not fit the 2 atoms"),
        (["14.4", EPSILON, "one 0 0 0 1.1 0 0 0 1.1", CHLORINE], "does not fit the 2 atoms"),
        (["14.4", "nan 0 0 0 2.4 0 0 0 2.4", SODIUM, CHLORINE], "not finite"),
        (["14.4", "0.4 0 0 0 2.4 0 0 0 2.4", SODIUM, CHLORINE], "below that of vacuum"),
        (["14.4", EPSILON, "2.1 0 0 0 1.1 0 0 0 0.1", "-2.1 0 0 0 -1.1 0 0 0 -0.1"], "break the symmetry"),
    ],
)
def test_a_born_file_that_does_not_fit_is_refused(
    lines: list[str], reason: str, salt: PhonopyAtoms, tmp_path: Path
) -> None:
    with pytest.raises(ComputeError, match=reason) as caught:
        read_born(write(tmp_path / "BORN", *lines), salt)
    assert caught.value.code == "invalid_born"
    assert str(tmp_path / "BORN") in str(caught.value)


def test_a_born_file_that_is_not_there(salt: PhonopyAtoms, tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match="cannot be read"):
        read_born(tmp_path / "BORN", salt)
