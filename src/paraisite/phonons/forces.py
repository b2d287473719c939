"""Force calls that are made once: every answer of a potential is kept under a key of its cell.

A calculation that is stopped at any moment repeats no call but the one in flight: relaxation and displacements are
deterministic, so they ask for the same cells again and find their answers.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paraisite.atomic import atomic_path
from paraisite.errors import ParaisiteError
from paraisite.phonons.settings import ComputeError

if TYPE_CHECKING:
    from ase import Atoms

    from paraisite.phonons.potentials.potential import Potential


class ForceStore:
    """Forces, energies and stresses of cells in a folder, one file per cell, whole or absent."""

    def __init__(self, folder: Path, potential: Potential | None, on_call: Callable[[int], None] | None = None) -> None:
        """Use a folder.

        Args:
            folder: Where the answers are.
            potential: What answers for a cell that is not in the folder; None where only a user's DFT code can.
            on_call: Called with the number of atoms after every force call that was made.
        """
        self.folder = folder
        self._potential = potential
        self._on_call = on_call or (lambda _: None)
        self.calls = 0
        folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        """Number of answers that are kept."""
        return sum(1 for _ in self.folder.glob("*.npz"))

    def forces(self, cells: Sequence[Atoms]) -> np.ndarray:
        """Forces on the atoms of equally large cells, [n_cells, n_atoms, 3] in eV/Å.

        Raises:
            ComputeError: `forces_missing` where nothing can answer, `forces_not_finite` for forces that are no numbers.
        """
        return np.array([self.answer(atoms)["forces"] for atoms in cells])

    def answer(self, atoms: Atoms) -> dict[str, np.ndarray]:
        """Energy (eV), forces (eV/Å) and stress (eV/Å³, Voigt) of one cell.

        Raises:
            ComputeError: As for `forces`.
        """
        path = self.folder / f"{cell_key(atoms)}.npz"
        if (found := _read(path)) is not None:
            return found
        if self._potential is None:
            raise ComputeError(f"no forces for a displaced cell of {len(atoms)} atoms.", code="forces_missing")
        answer = _evaluate(atoms, self._potential)
        self.put(atoms, answer)
        self.calls += 1
        self._on_call(len(atoms))
        return answer

    def put(self, atoms: Atoms, answer: dict[str, np.ndarray]) -> None:
        """Keep an answer."""
        with atomic_path(self.folder / f"{cell_key(atoms)}.npz") as temporary, temporary.open("wb") as handle:
            np.savez(handle, **answer)  # type: ignore[arg-type]


def cell_key(atoms: Atoms) -> str:
    """Name of a cell: SHA-256 of elements, lattice and positions to the last bit."""
    return arrays_key(atoms.numbers.astype(np.int64), atoms.cell[:], atoms.positions)[:32]


def arrays_key(*arrays: np.ndarray) -> str:
    """SHA-256 of the bytes of arrays, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read(path: Path) -> dict[str, np.ndarray] | None:
    """A kept answer; a damaged file (its CRC is checked) counts as absent."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _evaluate(atoms: Atoms, potential: Potential) -> dict[str, np.ndarray]:
    copy = atoms.copy()
    copy.calc = potential.calculator
    # What a calculator keeps of the cell before, such as neighbours, would change the order of its sums.
    potential.calculator.reset()
    try:
        answer = {"forces": copy.get_forces(), "energy": copy.get_potential_energy(), "stress": _stress(copy)}
    except ParaisiteError:
        raise
    except Exception as error:
        raise ComputeError(
            f"{potential.label} fails on a cell of {len(atoms)} atoms: {type(error).__name__}, {error}.",
            code="potential_failed",
        ) from error
    answer = {name: np.asarray(value, dtype=np.float64) for name, value in answer.items()}
    if answer["forces"].shape != (len(atoms), 3) or not np.isfinite(answer["forces"]).all():
        raise ComputeError(
            f"{potential.label} gives forces that are not finite on a cell of {len(atoms)} atoms; try another potential.",
            code="forces_not_finite",
        )
    return answer


def _stress(atoms: Atoms) -> np.ndarray:
    """Stress in eV/Å³; NaN from a potential that has none."""
    try:
        return np.asarray(atoms.get_stress(), dtype=np.float64)
    except NotImplementedError:
        return np.full(6, np.nan)


def stored_calculator(store: ForceStore) -> Any:
    """An ASE calculator that answers from a store, for ASE's optimisers."""
    from ase.calculators.calculator import Calculator, all_changes  # noqa: PLC0415

    class StoredCalculator(Calculator):
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.implemented_properties = ["energy", "forces", "stress"]

        def calculate(
            self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
        ) -> None:
            super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
            answer = store.answer(atoms)
            self.results = {"energy": float(answer["energy"]), "forces": answer["forces"], "stress": answer["stress"]}

    return StoredCalculator()
