"""What a potential is to the rest of the package: its label, the elements that it knows, and checked forces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from paraisite.errors import ParaisiteError

BatchForces = Callable[[Sequence[Atoms]], NDArray[np.float64]]


class PotentialError(ParaisiteError):
    """A potential that is unknown, not installed, or gives no usable forces."""

    code = "potential_failed"


@dataclass(frozen=True, slots=True)
class Potential:
    """An interatomic potential.

    Attributes:
        name: The name that `load_potential` takes, such as `sevennet:7net-l3i5`.
        label: The name to print, such as `SevenNet-l3i5`.
        version: Version of the package, and the first 12 digits of the SHA-256 of the weights where there are any.
        level: What every number that comes of it is marked with, such as `SevenNet-l3i5, not DFT`.
        elements: Atomic numbers that it was made for; None where it does not say.
        calculator: The ASE calculator, for relaxations; its units are eV and Å.
        batch_forces: Forces of several cells at once, where that is faster than one by one; otherwise None.
    """

    name: str
    label: str
    version: str
    level: str
    elements: frozenset[int] | None
    calculator: Any = field(repr=False)
    batch_forces: BatchForces | None = field(default=None, repr=False)

    def check_elements(self, atomic_numbers: Iterable[int]) -> None:
        """Refuse a crystal with an element that the potential was not made for.

        Raises:
            PotentialError: An element is unknown to it (code `unsupported_element`).
        """
        unknown = sorted({int(number) for number in atomic_numbers} - (self.elements or set()))
        if self.elements is not None and unknown:
            symbols = ", ".join(_symbol(number) for number in unknown)
            raise PotentialError(
                f"{self.label} does not know {symbols}; choose another potential for this crystal.",
                code="unsupported_element",
            )

    def forces(self, cells: Sequence[Atoms]) -> NDArray[np.float64]:
        """Forces on the atoms of cells that hold equally many atoms, such as displaced supercells of one crystal.

        No cell's forces depend on the cells before it, to the last bit, unless they are computed in batches (on a GPU).

        Args:
            cells: Cells in Å; they are not changed, and a calculator or constraints that they have are not used.

        Returns:
            Forces in eV/Å, [n_cells, n_atoms, 3].

        Raises:
            PotentialError: An element is unknown to the potential (`unsupported_element`, before any force call), the
                numbers of atoms differ, the calculation fails, or a force is not finite (`forces_not_finite`).
        """
        if len({len(cell) for cell in cells}) != 1:
            raise PotentialError(f"{self.label} needs at least one cell, and cells that hold equally many atoms.")
        self.check_elements(number for cell in cells for number in cell.numbers)
        if self.batch_forces is None:
            return np.stack([self._forces_of_one(cell) for cell in cells])
        return self._checked(self.batch_forces(cells), (len(cells), len(cells[0]), 3))

    def _forces_of_one(self, cell: Atoms) -> NDArray[np.float64]:
        atoms = Atoms(cell.numbers, positions=cell.positions, cell=cell.cell, pbc=cell.pbc)
        atoms.calc = self.calculator
        # What a calculator keeps of the cell before, such as neighbours, would change the order of its sums.
        self.calculator.reset()
        try:
            forces = atoms.get_forces()
        except ParaisiteError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or "no reason given"
            raise PotentialError(
                f"{self.label} gives no forces for {cell.get_chemical_formula()}: {type(error).__name__}, {reason}."
            ) from error
        return self._checked(forces, (len(cell), 3))

    def _checked(self, forces: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
        array = np.asarray(forces, dtype=np.float64)
        if array.shape != shape:
            raise PotentialError(f"{self.label} gives forces of shape {array.shape} where {shape} was expected.")
        if not np.isfinite(array).all():
            raise PotentialError(
                f"{self.label} gives forces that are not finite, so the cell is far from what it was made for; "
                "check the structure, or choose another potential.",
                code="forces_not_finite",
            )
        return array


def _symbol(number: int) -> str:
    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else f"element {number}"
