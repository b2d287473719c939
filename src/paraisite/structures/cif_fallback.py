"""CIF blocks that only pymatgen's tolerant parser can read."""

from __future__ import annotations

import warnings
from typing import Any

from paraisite.errors import StructureError
from paraisite.structures.checks import OCCUPANCY_TOLERANCE, unreadable
from paraisite.structures.convert import from_pymatgen
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin

MAX_LINES = 20_000
MAX_IMAGES = 50_000
"""Lines, and lines times symmetry operations, that the parser reads in some seconds."""
MAX_LINE_CHARACTERS = 4096
"""Twice what the CIF standard allows; the parser takes time by the square of a line's length."""
_AXES = frozenset("xyz")


def read_block_slowly(text: str, origin: Origin, reason: str) -> Crystal:
    """Crystal of one data block by pymatgen.

    Args:
        text: The block, from `data_` on.
        origin: Source and identifier.
        reason: Why the fast path left it, for the error message.

    Raises:
        StructureError: `unreadable` with pymatgen's reason, or a crystal that fails a check.
    """
    # Lines of white space make the parser's expressions take time by the square of their number.
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    _check_length(lines, origin, reason)
    from pymatgen.io.cif import CifParser  # noqa: PLC0415 - slow to import and seldom needed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parser: Any = CifParser.from_str(
                "\n".join(lines), occupancy_tolerance=1.0 + OCCUPANCY_TOLERANCE, check_cif=False
            )
            structures = parser.parse_structures(primitive=False, on_error="raise")
        except Exception as error:  # any failure of the general parser on this block is the block's own
            raise unreadable(origin.source, f"{_first_reason(error)} (found {reason})") from error
    if any("Defaulting to P1" in warning for warning in parser.warnings) and "space group" in reason:
        raise unreadable(origin.source, f"{reason} is not known", "list the symmetry operations")
    structure = structures[0]
    if "implicit_hydrogens" in structure.site_properties:
        raise StructureError(
            f"{origin.source}: hydrogen atoms are implied but have no coordinates; add their sites.", code="unreadable"
        )
    return from_pymatgen(structure, origin.material_id, origin.source, properties={})


def _check_length(lines: list[str], origin: Origin, reason: str) -> None:
    """Refuse a block over which the parser would sit for minutes to hours."""
    long = len(lines) > MAX_LINES or max(map(len, lines), default=0) > MAX_LINE_CHARACTERS
    if long or len(lines) * sum(map(_is_operation, lines)) > MAX_IMAGES:
        raise unreadable(origin.source, f"{reason}, and the block is too long for the general reader", "correct this")


def _is_operation(line: str) -> bool:
    """Whether a line may hold a symmetry operation such as `-x, y+1/2, z`."""
    parts = line.lower().split(",", 3)
    return len(parts) >= 3 and all(not _AXES.isdisjoint(part) for part in parts[:3])


def _first_reason(error: Exception) -> str:
    """The parser's own reason, without its heading."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("No structure parsed"):
        return " ".join(lines[1:])
    return " ".join(lines) or type(error).__name__
