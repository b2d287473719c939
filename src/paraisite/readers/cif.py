"""CIF, read by gemmi's parser, and never read other than the file's own statements say.

Follows pymatgen's `CifParser` (MIT licence, https://pymatgen.org) in the lattice orientation, in rounding 0.3333 and 0.6667
to thirds, and in the tolerance at which sites merge, so that both read the same crystal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from math import isfinite
from typing import Any

import gemmi
import numpy as np

from paraisite.errors import StructureError
from paraisite.readers.cif_operations import Group, coincident_sites, expand, first_of_each_place
from paraisite.readers.cif_sites import CifSites, floats, sites_of
from paraisite.readers.cif_statements import block_value, statements_of
from paraisite.readers.cif_symmetry import check_closed, one_choice, symmetry_of
from paraisite.structures.checks import check_crystal, one_line, unreadable
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record
from paraisite.structures.statements import Statements, check_statements, contradiction

_CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_BLOCK_START = re.compile(r"^[ \t]*data_", re.IGNORECASE | re.MULTILINE)

MAX_IMAGES = 1_000_000
"""Sites times symmetry operations, at most; no crystal with so many atoms can be predicted."""
_DOTTED = re.compile(r"^([ \t]*_(?:cell|atom_site|space_group|symmetry|chemical|exptl_crystal))\.", re.MULTILINE)
_THIRDS = (1 / 3, 2 / 3)
_THIRD_TOLERANCE = 1e-4


def cif_records(data: bytes, name: str) -> Iterator[Record]:
    """The data blocks of a CIF that hold sites, one record each; a block with a cell alone is a record that fails.

    Args:
        data: The file's bytes; bytes outside ASCII count as unknown characters.
        name: File for the error message.

    Raises:
        StructureError: `no_atoms` if no block holds sites, `unreadable` if there is no block at all.
    """
    text = _as_ascii(data)
    if "_atom_site.fract_x" in text:  # the names of the dictionary's later versions
        text = _DOTTED.sub(r"\1_", text)
    try:
        blocks: list[gemmi.cif.Block | str] = list(gemmi.cif.read_string(text))
    except (ValueError, RuntimeError):  # syntax, or two blocks of one name
        blocks = _split_blocks(text)
        if not blocks:
            raise unreadable(name, "the file has no data block (data_…)", "check that it is a CIF") from None
    with_sites = [block for block in blocks if _may_hold_sites(block)]
    if not with_sites:
        raise StructureError(
            f"{name}: the file lists no atom sites with fractional coordinates; add them.", code="no_atoms"
        )
    # A publication often adds a block without sites; the file's own name then still says which crystal it is. One that has
    # a cell was meant to have sites.
    crystals = [block for block in blocks if _may_hold_sites(block) or _has(block, "_cell_length_a")]
    for block in crystals:
        yield partial(_read_block, block, len(crystals) > 1)


def read_block(block: gemmi.cif.Block, origin: Origin) -> Crystal:
    """Crystal of one data block.

    Raises:
        StructureError: `contradicts_file` where the crystal, or one statement, contradicts another; `unreadable` for what
            cannot be understood; or what a check finds.
    """
    name = origin.source
    cell, lengths_angles = _cell(block, name)
    statements = statements_of(block)
    sites = sites_of(block, statements, name)
    symmetry = symmetry_of(block, cell, (lengths_angles[3], lengths_angles[5]), name)
    n_images = len(sites.numbers) * max(group.order for group in symmetry.choices)
    if n_images > MAX_IMAGES:
        raise unreadable(name, f"{len(sites.numbers)} sites under all symmetry operations are over {MAX_IMAGES} atoms")
    if len(symmetry.choices) > 1:
        return one_choice([_attempt(sites, cell, group, statements, origin) for group in symmetry.choices], name)
    crystal = _crystal(sites, cell, symmetry.choices[0], statements, origin)
    check_closed(crystal, symmetry, name)
    if symmetry.confirm and (statements.formula is None or statements.formula_units is None):
        raise contradiction(
            name, f"its symmetry {symmetry.confirm}", "it gives no formula and number of formula units that settle it"
        )
    return crystal


def _attempt(
    sites: CifSites, cell: np.ndarray, group: Group, statements: Statements, origin: Origin
) -> tuple[Crystal, StructureError | None]:
    """Crystal of one choice of operations, and what speaks against it."""
    try:
        return _crystal(sites, cell, group, statements, origin), None
    except StructureError as error:
        return Crystal(sites.numbers, cell, sites.fractional), error


def _crystal(sites: CifSites, cell: np.ndarray, group: Group, statements: Statements, origin: Origin) -> Crystal:
    """Checked crystal of some operations."""
    name = origin.source
    atoms, site = expand(_snap_thirds(sites.fractional), cell, group.operations)
    numbers = sites.numbers[site]
    repeated = coincident_sites(atoms, site)
    if repeated is not None:
        if sites.numbers[repeated[0]] == sites.numbers[repeated[1]]:
            kept = first_of_each_place(atoms, numbers)
            atoms, numbers = atoms[kept], numbers[kept]
            repeated = None if _lists_all(sites, numbers, statements) else repeated
            repeated = repeated or coincident_sites(atoms, site[kept])
        if repeated is not None:
            raise _coincidence(sites.numbers, sites.labels, repeated, name)
    crystal = check_crystal(Crystal(numbers, cell, atoms, origin.material_id, name), name=name)
    return check_statements(crystal, statements, name=name)


def _lists_all(sites: CifSites, numbers: np.ndarray, statements: Statements) -> bool:
    """Whether sites that are listed twice by symmetry are a full list of atoms beside the operations, or are checked."""
    confirmed = statements.formula is not None and statements.formula_units is not None
    return confirmed or len(sites.numbers) == len(numbers)


def _read_block(block: gemmi.cif.Block | str, use_name: bool, origin: Origin) -> Crystal:
    """Crystal of a block that gemmi has parsed, or of the text of one in a file that it refused as a whole."""
    if isinstance(block, str):
        header = block.lstrip()[len("data_") :].split(None, 1)
        if use_name and header:
            origin.material_id = header[0]
        try:
            parsed = _without_repeats(gemmi.cif.read_string(block, check_level=0).sole_block(), origin.source)
        except (ValueError, RuntimeError) as error:
            raise unreadable(origin.source, f"the block is no CIF, {one_line(error)}", "correct it") from error
    else:
        parsed = block
        if use_name and parsed.name.strip():
            origin.material_id = parsed.name
    return read_block(parsed, origin)


def _without_repeats(block: gemmi.cif.Block, name: str) -> gemmi.cif.Block:
    """The block, where a name that stands in it twice has the same value both times or none the second time."""
    values: dict[str, str] = {}
    for item in block:
        pair: Any = item.pair
        tags = [] if item.loop is None else [tag.lower() for tag in item.loop.tags]
        if any(tag in values for tag in tags):
            raise StructureError(f"{name}: the block has two lists of one name; keep one of them.", code="unreadable")
        values.update(dict.fromkeys(tags, ""))
        if pair is None:
            continue
        tag, value = pair[0].lower(), gemmi.cif.as_string(pair[1]).strip()
        if tag in values and value not in ("", "?", ".", values[tag]):
            raise contradiction(name, f"'{values[tag]}' as {pair[0]}", f"it says '{value}' too")
        values.setdefault(tag, value)
    return block


def _as_ascii(data: bytes) -> str:
    """Text for gemmi, which takes no byte order mark and no bytes outside ASCII in comments."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    return text if text.isascii() else "".join(char if char.isascii() else "_" for char in text)


def _split_blocks(text: str) -> list[gemmi.cif.Block | str]:
    """Texts of the data blocks of a file that gemmi refuses as a whole."""
    starts = [match.start() for match in _BLOCK_START.finditer(text)]
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]


def _may_hold_sites(block: gemmi.cif.Block | str) -> bool:
    """Whether the block has columns of fractional coordinates."""
    return _has(block, "_atom_site_fract_x")


def _has(block: gemmi.cif.Block | str, tag: str) -> bool:
    """Whether the block has a name with a value."""
    return tag in block.lower() if isinstance(block, str) else bool(block.find_values(tag))


def _cell(block: gemmi.cif.Block, name: str) -> tuple[np.ndarray, list[float]]:
    """Lattice vectors as rows in Å, [3, 3], and lengths in Å with angles in degrees."""
    raw = [block_value(block, f"_cell_{tag}") for tag in _CELL_TAGS]
    if not any(raw):
        raise StructureError(f"{name}: the block has no cell lengths and angles; add them.", code="no_cell")
    if not all(raw):
        missing = ", ".join(f"_cell_{tag}" for tag, word in zip(_CELL_TAGS, raw, strict=True) if not word)
        raise StructureError(f"{name}: the cell lacks {missing}; add what lacks.", code="no_cell")
    values = floats(raw, name)
    if not all(map(isfinite, values)):
        raise StructureError(
            f"{name}: the cell {' '.join(raw)} holds numbers that are not finite; correct it.", code="invalid_cell"
        )
    if min(values[:3]) <= 0.0 or min(values[3:]) <= 0.0 or max(values[3:]) >= 180.0:
        raise StructureError(
            f"{name}: the cell {' '.join(raw)} has no volume; correct its lengths and angles.", code="invalid_cell"
        )
    return lattice_vectors(values, name), values


def lattice_vectors(values: list[float], name: str) -> np.ndarray:
    """Lattice vectors as rows in Å, [3, 3], with c along z and a in the xz plane.

    Args:
        values: Lengths in Å and angles in degrees.
        name: File or identifier for the error message.

    Raises:
        StructureError: `invalid_cell` for angles that no cell has.
    """
    a, b, c = values[:3]
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(values[3:])).tolist()
    sin_alpha, sin_beta = np.sin(np.radians(values[3:5])).tolist()
    sines = sin_alpha * sin_beta  # 0 for angles that are all but 0
    cosine = (cos_alpha * cos_beta - cos_gamma) / sines if sines else 1.0
    if abs(cosine) >= 1.0:
        raise StructureError(
            f"{name}: no cell has the angles {values[3]:g}, {values[4]:g}, {values[5]:g} degrees; correct them.",
            code="invalid_cell",
        )
    sine = (1.0 - cosine * cosine) ** 0.5
    return np.array(
        [
            [a * sin_beta, 0.0, a * cos_beta],
            [-b * sin_alpha * cosine, b * sin_alpha * sine, b * cos_alpha],
            [0.0, 0.0, c],
        ]
    )


def _snap_thirds(fractional: np.ndarray) -> np.ndarray:
    """Coordinates with 0.3333 and 0.6667 made exact thirds, as special positions need."""
    for third in _THIRDS:
        near = np.abs(fractional / third - 1.0) <= _THIRD_TOLERANCE
        if near.any():
            fractional = np.where(near, third, fractional)
    return fractional


def _coincidence(numbers: np.ndarray, labels: list[str], pair: tuple[int, int], name: str) -> StructureError:
    """The error for two listed sites at one place."""
    first, second = pair
    sites = f"sites {labels[first]} and {labels[second]}"
    if numbers[first] != numbers[second]:
        return StructureError(
            f"{name}: {sites} share one place; only ordered crystals can be used, so replace them by an ordered cell.",
            code="partial_occupancy",
        )
    return StructureError(
        f"{name}: {sites} are the same atom by symmetry; list each site once.", code="overlapping_atoms"
    )
