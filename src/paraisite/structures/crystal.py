"""A crystal: species, cell, sites, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from paraisite.structures.formula import composition_key, reduced_formula
from paraisite.structures.limits import DEFAULT_READING, ReadingLimits


@dataclass(frozen=True, slots=True)
class ReadWarning:
    """Why a crystal that was read may differ from the one that is meant.

    Attributes:
        code: Short code, the `status` of the row if the crystal is predicted.
        message: One sentence without its full stop.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What readers let pass.

    Attributes:
        allow_missing_hydrogens: Give a crystal whose stated formula has hydrogens that its sites lack, with the warning
            `missing_hydrogens`; without it, such a structure is refused with that code.
        limits: What is read at most.
    """

    allow_missing_hydrogens: bool = False
    limits: ReadingLimits = DEFAULT_READING

    def allows(self, warning: ReadWarning) -> bool:
        """Whether a crystal with this warning is given."""
        return warning.code == "missing_hydrogens" and self.allow_missing_hydrogens


STRICT = ReadOptions()


@dataclass(frozen=True, slots=True, eq=False)
class Crystal:
    """One ordered crystal, already checked by `paraisite.structures.checks`.

    Attributes:
        numbers: Atomic numbers, [n_atoms] int64.
        cell: Lattice vectors as rows in Å, [3, 3] float64.
        fractional: Fractional coordinates, [n_atoms, 3] float64.
        material_id: Identifier shown in every table; from the file where it has one, else from the file's name.
        source: Where the crystal was read: a path, with `#k` appended for crystal k (from 1) of a file that holds many.
        properties: Other columns of the source, such as `kappa` in W/(m K).
        warning: A doubt of the reader about this crystal; readers give such a crystal only if they are asked to.
    """

    numbers: np.ndarray
    cell: np.ndarray
    fractional: np.ndarray
    material_id: str = ""
    source: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    warning: ReadWarning | None = None

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the cell."""
        return len(self.numbers)

    @property
    def volume(self) -> float:
        """Cell volume in Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def positions(self) -> np.ndarray:
        """Cartesian positions in Å, [n_atoms, 3]."""
        return np.asarray(self.fractional @ self.cell)

    @property
    def formula(self) -> str:
        """Reduced formula as chemists write it, such as `BaSb2O6`; see `paraisite.structures.formula`."""
        return reduced_formula(self.numbers)

    @property
    def composition(self) -> str:
        """Reduced formula by rising electronegativity: a key that splits and groups crystals by composition."""
        return composition_key(self.numbers)


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """A structure that could not be read, in place of the crystal in a stream.

    Attributes:
        material_id: Identifier as far as known, else the file's name.
        source: As for `Crystal`.
        code: Short code, the `status` of the error row.
        message: One sentence naming the file and the reason.
    """

    material_id: str
    source: str
    code: str
    message: str
