"""CIF: a fast path on gemmi's parser, and pymatgen for what it cannot judge.

The fast path follows pymatgen's `CifParser` (MIT licence, https://pymatgen.org) in the lattice orientation, in rounding
0.3333 and 0.6667 to thirds, and in the tolerance at which sites merge, so that both read the same crystal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from math import isfinite, isnan

import gemmi
import numpy as np

from paraisite.errors import StructureError
from paraisite.structures.checks import atomic_number, check_crystal, check_occupancy, one_line, unreadable
from paraisite.structures.cif_fallback import read_block_slowly
from paraisite.structures.cif_symmetry import Doubt, agreeing_choices, block_value, symmetry_of
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin, Record
from paraisite.structures.symmetry import coincident_sites, expand

_CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_SITE_COLUMNS = ["fract_x", "fract_y", "fract_z", "?type_symbol", "?label", "?occupancy", "?attached_hydrogens"]
_MAGNETIC = ("_space_group_magn", "_space_group_symop_magn", "_atom_site_moment", "_magnetic_space_group")

_TYPE_SYMBOL = re.compile(r"([A-Z][a-z]?)(?:\d*\.?\d*[+-]|[+-]\d*\.?\d*|0)?")
_PLAIN_LABEL = re.compile(r"([A-Z][a-z]?)\d*")
_BLOCK_START = re.compile(r"^[ \t]*data_", re.IGNORECASE | re.MULTILINE)

MAX_IMAGES = 1_000_000
"""Sites times symmetry operations, at most; no crystal with so many atoms can be predicted."""
_THIRDS = (1 / 3, 2 / 3)
_THIRD_TOLERANCE = 1e-4


def cif_records(data: bytes, name: str) -> Iterator[Record]:
    """The data blocks of a CIF that hold sites, one record each.

    Args:
        data: The file's bytes; bytes outside ASCII count as unknown characters.
        name: File for the error message.

    Raises:
        StructureError: `no_atoms` if no block holds sites, `unreadable` if there is no block at all.
    """
    text = _as_ascii(data)
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
    # A publication often adds a block without sites; the file's own name then still says which crystal it is.
    use_name = len(with_sites) > 1
    magnetic = any(tag in text for tag in _MAGNETIC)
    for block in with_sites:
        yield partial(_read_block, block, use_name, magnetic)


def read_block(block: gemmi.cif.Block, origin: Origin) -> Crystal:
    """Crystal of one data block, by the fast path where it applies.

    Raises:
        StructureError: A block that neither path can read, or a crystal that fails a check.
    """
    try:
        return read_block_fast(block, origin)
    except Doubt as doubt:
        return read_block_slowly(block.as_string(), origin, str(doubt))


def read_block_fast(block: gemmi.cif.Block, origin: Origin) -> Crystal:
    """Crystal of one data block without pymatgen.

    Raises:
        Doubt: Content that only the general parser can judge.
        StructureError: Content that no parser may accept.
    """
    name = origin.source
    cell, lengths_angles = _cell(block, name)
    numbers, fractional, labels = _sites(block, name)
    symmetry = symmetry_of(block, lengths_angles, name)
    fractional = _snap_thirds(fractional)
    if len(fractional) * max(len(rotations) for rotations, _ in symmetry.choices) > MAX_IMAGES:
        raise unreadable(name, f"{len(fractional)} sites under all symmetry operations are over {MAX_IMAGES} atoms")
    choices = [expand(fractional, cell, operations) for operations in symmetry.choices]
    if symmetry.doubtful:
        choices = agreeing_choices(block, [(numbers[site], (atoms, site)) for atoms, site in choices], symmetry, name)
    atoms, site = choices[0]
    if (pair := coincident_sites(atoms, site)) is not None:
        raise _coincidence(numbers, labels, pair, name)
    return check_crystal(Crystal(numbers[site], cell, atoms, origin.material_id, origin.source), name=name)


def _read_block(block: gemmi.cif.Block | str, use_name: bool, magnetic: bool, origin: Origin) -> Crystal:
    """Crystal of a block that gemmi has parsed, or of the text of one in a file that it refused as a whole."""
    if isinstance(block, str):
        header = block.lstrip()[len("data_") :].split(None, 1)
        if use_name and header:
            origin.material_id = header[0]
        try:
            parsed = gemmi.cif.read_string(block).sole_block()
        except (ValueError, RuntimeError) as error:
            return read_block_slowly(block, origin, one_line(error))
    else:
        parsed = block
        if use_name and parsed.name.strip():
            origin.material_id = parsed.name
    if magnetic:
        return read_block_slowly(parsed.as_string(), origin, "a magnetic structure")
    return read_block(parsed, origin)


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
    if isinstance(block, str):
        return "_atom_site_fract_x" in block.lower()
    return bool(block.find_values("_atom_site_fract_x"))


def _cell(block: gemmi.cif.Block, name: str) -> tuple[np.ndarray, list[float]]:
    """Lattice vectors as rows in Å, [3, 3], and lengths in Å with angles in degrees."""
    raw = [block_value(block, f"_cell_{tag}") for tag in _CELL_TAGS]
    if not any(raw):
        raise StructureError(f"{name}: the block has no cell lengths and angles; add them.", code="no_cell")
    if not all(raw):
        raise Doubt("a cell without all six parameters")
    values = _floats(raw)
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


def _sites(block: gemmi.cif.Block, name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Atomic numbers [n_sites], fractional coordinates [n_sites, 3] and labels of the listed sites."""
    table = block.find("_atom_site_", _SITE_COLUMNS)
    if not table:
        raise Doubt("sites without all three coordinates")
    columns = [list(table.column(i)) if table.has_column(i) else None for i in range(len(_SITE_COLUMNS))]
    x, y, z, symbols, labels, occupancy, hydrogens = columns
    if hydrogens and any(value not in ("0", ".", "?") for value in hydrogens):
        raise unreadable(name, "hydrogen atoms are counted but have no coordinates", "add their sites")
    names = labels or symbols
    if names is None or x is None or y is None or z is None:
        raise Doubt("sites without labels")
    numbers = _numbers(symbols, names)
    fractional = np.array([_coordinates(column, names, name) for column in (x, y, z)]).T
    if occupancy:
        return _fully_occupied(numbers, fractional, names, occupancy, name)
    return numbers, fractional, names


def _numbers(symbols: list[str] | None, labels: list[str]) -> np.ndarray:
    """Atomic numbers, [n_sites], from the type symbols or else the labels."""
    pattern, words = (_PLAIN_LABEL, labels) if symbols is None else (_TYPE_SYMBOL, symbols)
    known: dict[str, int] = {}
    for word in dict.fromkeys(words):
        match = pattern.fullmatch(gemmi.cif.as_string(word))
        number = atomic_number(match[1]) if match else None
        if number is None:
            raise Doubt(f"the site symbol '{word}'")
        known[word] = number
    return np.array([known[word] for word in words], dtype=np.int64)


def _coordinates(column: list[str], labels: list[str], name: str) -> list[float]:
    """Numbers of a coordinate column."""
    for label, word in zip(labels, column, strict=True):
        if word in ("?", "."):
            raise unreadable(name, f"site {label} has no coordinates", "add them or remove the site")
    values = _floats(column)
    for label, value in zip(labels, values, strict=True):
        if not isfinite(value):
            raise StructureError(
                f"{name}: the coordinates of site {label} are not finite numbers; correct them.", code="invalid_cell"
            )
    return values


def _fully_occupied(
    numbers: np.ndarray, fractional: np.ndarray, labels: list[str], occupancy: list[str], name: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Sites without the empty ones, where all others are full."""
    filled = []
    # The dictionary's value for an occupancy that is not given is 1.
    values = _floats(["1" if word in ("?", ".") else word for word in occupancy])
    for index, value in enumerate(values):
        if value == 0.0:
            continue
        if 0.0 < value < 1.0 and _same_element_shares(index, numbers, fractional):
            raise Doubt("one element on one site in parts")
        check_occupancy(value, name=name, site=labels[index])
        filled.append(index)
    if len(filled) == len(labels):
        return numbers, fractional, labels
    return numbers[filled], fractional[filled], [labels[index] for index in filled]


def _same_element_shares(index: int, numbers: np.ndarray, fractional: np.ndarray) -> bool:
    """Whether all sites at the place of one, two or more, hold the same element."""
    here = (np.abs(fractional - fractional[index]) < _THIRD_TOLERANCE).all(axis=1)
    return bool(here.sum() > 1 and (numbers[here] == numbers[index]).all())


def _floats(words: list[str]) -> list[float]:
    """Numbers, with or without an uncertainty in brackets."""
    try:
        return [float(word) for word in words]
    except ValueError:
        values = [gemmi.cif.as_number(word) for word in words]
    for word, value in zip(words, values, strict=True):
        if isnan(value):
            raise Doubt(f"the number '{word}'")
    return values


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
