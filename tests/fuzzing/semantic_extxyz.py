"""Extended XYZ that says another crystal than its formula, its number of sites, or its atomic numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache, partial
from random import Random

from ase.data import chemical_symbols
from seeds import seed_crystals
from semantic_format import Format, another

from paraisite.elements import ATOMIC_NUMBERS
from paraisite.readers.extxyz import extxyz_records
from paraisite.structures.crystal import Crystal

Change = Callable[[Random, list[str]], None]


@cache
def extxyz_seeds() -> tuple[str, ...]:
    """Frames with symbols and atomic numbers, and with a formula and the number of sites in their header."""
    texts = []
    for crystal in seed_crystals():
        texts += [
            _frame(crystal, "", numbers=True),
            _frame(crystal, f" formula={_full_formula(crystal)} nsites={crystal.n_atoms}", numbers=False),
            _frame(crystal, f" formula={_full_formula(crystal)} kappa=1.5", numbers=True),
        ]
    return tuple(texts)


def _frame(crystal: Crystal, more: str, *, numbers: bool) -> str:
    lattice = " ".join(f"{value:.9f}" for value in crystal.cell.ravel())
    columns = "species:S:1:Z:I:1:pos:R:3" if numbers else "species:S:1:pos:R:3"
    lines = [str(crystal.n_atoms), f'Lattice="{lattice}" Properties={columns} pbc="T T T" material_id=x{more}']
    for number, position in zip(crystal.numbers.tolist(), crystal.positions.tolist(), strict=True):
        words = [chemical_symbols[number], *([str(number)] if numbers else []), *(f"{value:.9f}" for value in position)]
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"


def _full_formula(crystal: Crystal) -> str:
    counts: dict[str, int] = {}
    for number in crystal.numbers.tolist():
        counts[chemical_symbols[number]] = counts.get(chemical_symbols[number], 0) + 1
    return "".join(f"{symbol}{count}" for symbol, count in counts.items())


def _changed(change: Change, random: Random, text: str) -> str:
    lines = text.splitlines()
    change(random, lines)
    return "\n".join(lines) + "\n"


def _has(lines: list[str], word: str) -> bool:
    return word in lines[1]


def _drop_rows(random: Random, lines: list[str]) -> None:
    for _ in range(random.choice((1, 1, 2))):
        if len(lines) > 2:
            del lines[random.randrange(2, len(lines))]


def _drop_site(random: Random, lines: list[str]) -> None:
    """A row and the count; nothing says so where no formula is stated."""
    if _has(lines, "formula="):
        del lines[random.randrange(2, len(lines))]
        lines[0] = str(len(lines) - 2)
    else:
        _drop_rows(random, lines)


def _add_row(random: Random, lines: list[str]) -> None:
    words = random.choice(lines[2:]).split()
    lines.insert(random.randrange(2, len(lines) + 1), " ".join([*words[:-3], "0.3", "0.6", f"{random.random():.4f}"]))
    if _has(lines, "formula=") and random.random() < 0.5:
        lines[0] = str(len(lines) - 2)


def _change_count(random: Random, lines: list[str]) -> None:
    lines[0] = str(max(0, int(lines[0]) + random.choice((-2, -1, 1, 2, 100))))


def _change_species(random: Random, lines: list[str]) -> None:
    at = random.randrange(2, len(lines))
    words = lines[at].split()
    words[0] = random.choice((another(random, words[0]), another(random, words[0]), "Xx", "0", "Wat"))
    lines[at] = " ".join(words)


def _change_number(random: Random, lines: list[str]) -> None:
    if not _has(lines, ":Z:I:1"):
        return _change_species(random, lines)
    at = random.randrange(2, len(lines))
    words = lines[at].split()
    words[1] = random.choice((str(ATOMIC_NUMBERS[another(random, words[0])]), "0", "-1", "1.5"))
    lines[at] = " ".join(words)
    return None


def _change_formula(random: Random, lines: list[str]) -> None:
    before = lines[1]
    for symbol in random.sample(chemical_symbols[1:90], 89):
        if f"{symbol}" in before.partition(" formula=")[2].partition(" ")[0]:
            head, _, tail = before.partition(" formula=")
            formula, blank, rest = tail.partition(" ")
            lines[1] = f"{head} formula={formula}{random.choice(('H2', 'Fe', 'O7'))}{blank}{rest}"
            return


def _change_n_sites(random: Random, lines: list[str]) -> None:
    lines[1] = lines[1].replace("nsites=", f"nsites={random.choice((1, 2, 9))}")


def _cut_lattice(random: Random, lines: list[str]) -> None:
    head, _, tail = lines[1].partition('Lattice="')
    words, _, rest = tail.partition('"')
    numbers = words.split()
    start = random.randrange(len(numbers))
    del numbers[start : start + random.choice((1, 3))]
    lines[1] = f'{head}Lattice="{" ".join(numbers)}"{rest}'


def _change_periodic(random: Random, lines: list[str]) -> None:
    lines[1] = lines[1].replace('pbc="T T T"', f'pbc="{random.choice(("T T F", "F F F", "F T T", "T F T"))}"')


def _change_columns(random: Random, lines: list[str]) -> None:
    replaced = random.choice(
        (("species:S:1", "species:S:2"), ("pos:R:3", "pos:R:4"), ("pos:R:3", "pos:R:2"), ("pos:", "positions:"),
         ("species:", "symbol:"), ("species:S:1:", ""), ("Properties=", "properties="), (":pos:R:3", ""))
    )  # fmt: skip
    lines[1] = lines[1].replace(*replaced)


def _cut_row(random: Random, lines: list[str]) -> None:
    at = random.randrange(2, len(lines))
    words = lines[at].split()
    del words[random.randrange(len(words))]
    lines[at] = " ".join(words)


def _shuffle(random: Random, lines: list[str]) -> None:
    rows = lines[2:]
    random.shuffle(rows)
    lines[2:] = rows


def _blanks(random: Random, lines: list[str]) -> None:
    for at in range(2, len(lines)):
        if random.random() < 0.3:
            lines[at] = f"  {lines[at]}  "


def _more_columns(random: Random, lines: list[str]) -> None:
    lines[1] = lines[1].replace(" pbc=", random.choice((" energy=-1.5 pbc=", " note=relaxed pbc=", " pbc=")))


CHANGES: dict[str, Change] = {
    "extxyz: rows dropped": _drop_rows,
    "extxyz: a site dropped": _drop_site,
    "extxyz: a row added": _add_row,
    "extxyz: count changed": _change_count,
    "extxyz: symbol changed": _change_species,
    "extxyz: atomic number changed": _change_number,
    "extxyz: formula changed": _change_formula,
    "extxyz: number of sites changed": _change_n_sites,
    "extxyz: lattice cut": _cut_lattice,
    "extxyz: periodic flags": _change_periodic,
    "extxyz: columns renamed": _change_columns,
    "extxyz: a row cut": _cut_row,
}
EXTXYZ = Format(
    seeds=extxyz_seeds,
    records=lambda text: extxyz_records(io.StringIO(text)),
    changes={name: partial(_changed, change) for name, change in CHANGES.items()},
    harmless=tuple(partial(_changed, change) for change in (_shuffle, _blanks, _more_columns)),
)
