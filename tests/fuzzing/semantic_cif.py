"""CIFs that say another crystal than their own formula, formula units, symmetry or cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from random import Random

import gemmi
from pymatgen.io.cif import CifWriter
from seeds import seed_crystals
from semantic_format import ELEMENTS, Format

from paraisite.datasets.prototypes import build
from paraisite.readers.cif import cif_records
from paraisite.structures import to_pymatgen

_OPERATIONS = "_symmetry_equiv_pos_as_xyz"
_SYMBOLS = (
    "P 1",
    "P -1",
    "P m -3 m",
    "F m -3 m",
    "F d -3 m",
    "R -3 c",
    "P 63 m c",
    "P 1 21/c 1",
    "I 4/m m m",
    "F -4 3 m",
)
_OPS = ("x,y,z", "-x,-y,-z", "-y,x,z", "x+1/2,y+1/2,z", "x,y+1/2,z+1/2", "z,x,y", "-x,y,-z+1/2", "y,x,z", "x,-y,z")


Change = Callable[[Random, gemmi.cif.Block], None]


@cache
def cif_seeds() -> tuple[str, ...]:
    """CIFs with all sites, with all operations, and with a symbol alone."""
    more = [
        build("fluorite", ["Ca", "F"], {"a": 5.46}, material_id="fluorite"),
        build("diamond", ["Si"], {"a": 5.43}, material_id="silicon"),
    ]
    texts = []
    for crystal in (*seed_crystals(), *more):
        structure = to_pymatgen(crystal)
        written = CifWriter(structure, symprec=0.01)
        texts += [str(structure.to(fmt="cif")), str(written), _without_operations(str(written))]
    return (*texts, *_BY_HAND)


def _changed(change: Change, random: Random, text: str) -> str:
    document = gemmi.cif.read_string(text)
    change(random, document.sole_block())
    return document.as_string()


def _without_operations(text: str) -> str:
    document = gemmi.cif.read_string(text)
    loop = document.sole_block().find_loop(_OPERATIONS).get_loop()
    _set_rows(loop, [])
    block = document.sole_block()
    block.find_loop(_OPERATIONS).erase()
    return document.as_string()


def _rows(loop: gemmi.cif.Loop) -> list[list[str]]:
    width = loop.width()
    return [list(loop.values[start : start + width]) for start in range(0, len(loop.values), width)]


def _set_rows(loop: gemmi.cif.Loop, rows: list[list[str]]) -> None:
    loop.set_all_values([list(column) for column in zip(*rows, strict=True)] if rows else [["?"]] * loop.width())


def _sites(block: gemmi.cif.Block) -> gemmi.cif.Loop:
    return block.find_loop("_atom_site_fract_x").get_loop()


def _column(loop: gemmi.cif.Loop, name: str) -> int:
    return list(loop.tags).index(name)


def _drop_sites(random: Random, block: gemmi.cif.Block) -> None:
    loop = _sites(block)
    rows = _rows(loop)
    for _ in range(random.choice((1, 1, 2))):
        if len(rows) > 1:
            del rows[random.randrange(len(rows))]
    _set_rows(loop, rows)


def _add_site(random: Random, block: gemmi.cif.Block) -> None:
    loop = _sites(block)
    rows = _rows(loop)
    row = list(random.choice(rows))
    for axis in "xyz":
        row[_column(loop, f"_atom_site_fract_{axis}")] = random.choice(("0", "0.25", "0.5", f"{random.random():.4f}"))
    _set_rows(loop, [*rows, row])


def _change_symbol(random: Random, block: gemmi.cif.Block) -> None:
    loop = _sites(block)
    rows = _rows(loop)
    for row in random.sample(rows, random.randint(1, len(rows))):
        element = random.choice(ELEMENTS)
        row[_column(loop, "_atom_site_type_symbol")] = random.choice((element, element, "Xx", "?", "Wat", "OH", "Vac"))
        row[_column(loop, "_atom_site_label")] = element + random.choice(("1", "M1", "(1)", "h"))
    _set_rows(loop, rows)


def _change_operations(random: Random, block: gemmi.cif.Block) -> None:
    column = block.find_loop(_OPERATIONS)
    if not column:
        return
    loop = column.get_loop()
    rows = _rows(loop)
    at = _column(loop, _OPERATIONS)
    for _ in range(random.choice((1, 1, 2, 5))):
        action = random.random()
        if action < 0.4 and len(rows) > 1:
            start = random.randrange(len(rows))
            del rows[start : start + random.choice((1, 1, len(rows) // 2))]
        elif action < 0.6:
            rows.append(list(random.choice(rows)))
        elif rows:
            row = random.choice(rows)
            row[at] = f"'{random.choice(_OPS)}'"
    _set_rows(loop, rows or [["1", "'x, y, z'"][: loop.width()]])


def _keep_few_operations(random: Random, block: gemmi.cif.Block) -> None:
    """A list that is a group again, such as the identity alone or with the inversion."""
    column = block.find_loop(_OPERATIONS)
    if column:
        chosen = random.choice((("x,y,z",), ("x,y,z", "-x,-y,-z"), ("x,y,z", "-x,-y,z"), ("x,y,z", "x,y+1/2,z+1/2")))
        loop = column.get_loop()
        _set_rows(loop, [([str(number)] * (loop.width() - 1)) + [f"'{op}'"] for number, op in enumerate(chosen, 1)])


def _change_formula(random: Random, block: gemmi.cif.Block) -> None:
    words = gemmi.cif.as_string(block.find_value("_chemical_formula_sum")).split()
    place = random.randrange(len(words))
    symbol = words[place].rstrip("0123456789")
    count = int(words[place][len(symbol) :] or 1)
    words[place] = random.choice((f"{random.choice(ELEMENTS)}{count}", f"{symbol}{count + random.choice((1, 2))}"))
    block.set_pair("_chemical_formula_sum", f"'{' '.join(words)}'")


def _change_units(random: Random, block: gemmi.cif.Block) -> None:
    block.set_pair("_cell_formula_units_Z", str(random.choice((1, 2, 3, 4, 6, 8, 12, 16))))


def _change_symbol_of_group(random: Random, block: gemmi.cif.Block) -> None:
    block.set_pair("_symmetry_space_group_name_H-M", f"'{random.choice(_SYMBOLS)}'")


def _change_number(random: Random, block: gemmi.cif.Block) -> None:
    block.set_pair("_symmetry_Int_Tables_number", str(random.randint(1, 230)))


def _change_hall(random: Random, block: gemmi.cif.Block) -> None:
    halls = ("P 1", "-P 1", "-F 4 2 3", "F 4d 2 3 -1d", "-P 4 2 3", '-R 3 2"c', "P 6c -2c")
    block.set_pair("_symmetry_space_group_name_Hall", gemmi.cif.quote(random.choice(halls)))


def _change_cell(random: Random, block: gemmi.cif.Block) -> None:
    tag = f"_cell_length_{random.choice('abc')}"
    length = gemmi.cif.as_number(block.find_value(tag)) * random.choice((0.5, 0.9, 0.97, 1.03, 1.1, 2.0))
    block.set_pair(tag, f"{length:.5f}")


def _change_occupancy(random: Random, block: gemmi.cif.Block) -> None:
    loop = _sites(block)
    rows = _rows(loop)
    row = random.choice(rows)
    row[_column(loop, "_atom_site_occupancy")] = random.choice(("0.5", "0", "0.98", "2", "0.33333"))
    _set_rows(loop, rows)


def _rename_labels(random: Random, block: gemmi.cif.Block) -> None:
    loop = _sites(block)
    rows = _rows(loop)
    for number, row in enumerate(rows):
        row[_column(loop, "_atom_site_label")] = f"{random.choice(ELEMENTS)}{number}"
    if all(row[_column(loop, "_atom_site_type_symbol")] not in ("?", "Xx") for row in rows):
        _set_rows(loop, rows)


def _shuffle_sites(random: Random, block: gemmi.cif.Block) -> None:
    loop = _sites(block)
    rows = _rows(loop)
    random.shuffle(rows)
    _set_rows(loop, rows)


def _round_positions(random: Random, block: gemmi.cif.Block) -> None:
    loop = _sites(block)
    rows = _rows(loop)
    digits = random.choice((4, 5))
    for row in rows:
        for axis in "xyz":
            at = _column(loop, f"_atom_site_fract_{axis}")
            row[at] = f"{gemmi.cif.as_number(row[at]):.{digits}f}"
    _set_rows(loop, rows)


CIF_CHANGES: dict[str, Change] = {
    "sites dropped": _drop_sites,
    "a site added": _add_site,
    "symbols changed": _change_symbol,
    "operations changed": _change_operations,
    "few operations": _keep_few_operations,
    "formula changed": _change_formula,
    "Z changed": _change_units,
    "symbol of the group changed": _change_symbol_of_group,
    "number of the group changed": _change_number,
    "Hall symbol changed": _change_hall,
    "cell changed": _change_cell,
    "occupancy changed": _change_occupancy,
}
HARMLESS: tuple[Change, ...] = (_rename_labels, _shuffle_sites, _round_positions)

_BY_HAND = (
    """data_brucite
_chemical_formula_sum 'H2 Mg O2'
_cell_formula_units_Z 1
_symmetry_Int_Tables_number 164
_symmetry_space_group_name_H-M 'P -3 m 1'
_cell_length_a 3.148
_cell_length_b 3.148
_cell_length_c 4.779
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_cell_volume 41.02
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Mg Mg1 0 0 0 1
O O1 0.33333 0.66667 0.2216 1
H H1 0.33333 0.66667 0.4303 1
""",
)

CIF = Format(
    seeds=cif_seeds,
    records=lambda text: cif_records(text.encode(), "mutant.cif"),
    changes={name: partial(_changed, change) for name, change in CIF_CHANGES.items()},
    harmless=tuple(partial(_changed, change) for change in HARMLESS),
)
