"""Born effective charges and dielectric tensor from phonopy's BORN file, checked before they are used."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from paraisite.phonons.settings import ComputeError

NEUTRALITY_TOLERANCE = 0.1
"""Largest component of the sum of the charges, in elementary charges; DFT codes leave a few hundredths."""
SYMMETRY_TOLERANCE = 0.1
"""Largest change, in elementary charges (or of the dielectric tensor, in its own units), by which site symmetry may mend
the values; phonopy warns at the same one."""


def read_born(path: Path, primitive: Any) -> dict[str, Any]:
    """Parameters of the non-analytic correction for a primitive cell.

    The file lists the dielectric tensor and the charges of the atoms that symmetry does not relate, in the Cartesian axes
    of the primitive cell that `write_inputs` writes for it.

    Args:
        path: The BORN file (https://phonopy.github.io/phonopy/input-files.html#born-optional).
        primitive: Primitive cell as phonopy's atoms.

    Returns:
        `born` [n_atoms, 3, 3] in elementary charges, `dielectric` [3, 3], and phonopy's unit conversion `factor`.

    Raises:
        ComputeError: `invalid_born`: not readable, not of this crystal, charges that do not add up to zero, tensors that
            break the symmetry, or a dielectric tensor that is not positive.
    """
    found = _parse(path, primitive)
    born, dielectric = found["born"], found["dielectric"]
    if not (np.isfinite(born).all() and np.isfinite(dielectric).all()):
        raise _refused(path, "holds numbers that are not finite")
    if np.linalg.eigvalsh((dielectric + dielectric.T) / 2).min() < 1.0 - 1e-6:
        raise _refused(path, "has a dielectric tensor below that of vacuum")
    excess = float(np.abs(born.sum(axis=0)).max())
    if excess > NEUTRALITY_TOLERANCE:
        raise _refused(path, f"has charges that add up to {excess:.2g} e rather than zero")
    return _symmetrised(path, found, primitive)


def read_born_text(path: Path) -> str:
    """Content of a BORN file, not yet checked.

    Raises:
        ComputeError: `invalid_born`.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ComputeError(f"The BORN file {path} cannot be read ({error}).", code="invalid_born") from error


def _parse(path: Path, primitive: Any) -> dict[str, Any]:
    from phonopy.exception import BORNFileParseError  # noqa: PLC0415
    from phonopy.file_IO import parse_BORN  # noqa: PLC0415

    try:
        return dict(parse_BORN(primitive, filename=path))
    except (BORNFileParseError, ValueError, UnicodeDecodeError) as error:
        atoms = f"the {len(primitive)} atoms of the primitive cell"
        raise _refused(path, f"does not fit {atoms} ({error})") from error
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror or error})") from error


def _symmetrised(path: Path, found: dict[str, Any], primitive: Any) -> dict[str, Any]:
    from phonopy.physical_units import get_physical_units  # noqa: PLC0415
    from phonopy.structure.symmetry import symmetrize_borns_and_epsilon  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what phonopy warns of is refused below
        born, dielectric = symmetrize_borns_and_epsilon(found["born"], found["dielectric"], primitive)
    change = max(np.abs(born - found["born"]).max(), np.abs(dielectric - found["dielectric"]).max())
    if change > SYMMETRY_TOLERANCE:
        raise _refused(path, f"has tensors that break the symmetry of the crystal by {change:.2g}")
    units = get_physical_units()
    return {"factor": units.Hartree * units.Bohr, **found, "born": born, "dielectric": dielectric}


def _refused(path: Path, reason: str) -> ComputeError:
    return ComputeError(
        f"{path} {reason}; compute it for the primitive cell that --write-inputs writes (folder born), by phonopy-vasp-born.",
        code="invalid_born",
    )
