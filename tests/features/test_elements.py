"""The package's own table of elements against ASE's."""

from __future__ import annotations

import numpy as np
from ase import data

from paraisite.elements import ATOMIC_NUMBERS, ELEMENTS, SYMBOLS, atomic_masses, covalent_radii


def test_symbols_and_numbers_are_ases() -> None:
    assert list(SYMBOLS) == data.chemical_symbols
    assert data.atomic_numbers == {**ATOMIC_NUMBERS, "X": 0}


def test_masses_and_radii_are_ases() -> None:
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in ELEMENTS])
    np.testing.assert_array_equal(atomic_masses(numbers), data.atomic_masses[numbers])
    np.testing.assert_array_equal(covalent_radii(numbers), data.covalent_radii[numbers])
