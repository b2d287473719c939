"""POSCARs that say another crystal than the symbols of their rows, their counts, or the formula in their comment."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from random import Random

from seeds import seed_crystals
from semantic_format import Format, another

from paraisite.datasets.prototypes import build
from paraisite.readers.poscar import poscar_records
from paraisite.structures import to_pymatgen

_SYMBOLS, _COUNTS, _MODE = 5, 6, 7
"""Lines of a file without selective dynamics."""

Change = Callable[[Random, list[str]], None]


@cache
def poscar_seeds() -> tuple[str, ...]:
    """Files with the formula in the comment, with symbols at their rows, and with both."""
    texts = []
    more = [build("fluorite", ["Ca", "F"], {"a": 5.46}), build("half_heusler", ["Ti", "Ni", "Sn"], {"a": 5.93})]
    for crystal in (*seed_crystals(), *more):
        lines = to_pymatgen(crystal).to(fmt="poscar").splitlines()
        without = [" ".join(line.split()[:3]) if number > _MODE else line for number, line in enumerate(lines)]
        texts += [lines, without, ["a relaxed crystal, by hand", *lines[1:]]]
    return tuple("\n".join(lines) + "\n" for lines in texts)


def _changed(change: Change, random: Random, text: str) -> str:
    lines = text.splitlines()
    change(random, lines)
    return "\n".join(lines) + "\n"


def _first_row(lines: list[str]) -> int:
    return _MODE + 1 + lines[_MODE].startswith("S")


def _named_rows(lines: list[str]) -> bool:
    return len(lines[-1].split()) > 3 and lines[-1].split()[-1].isalpha() and lines[-1].split()[-1] not in ("T", "F")


def _drop_rows(random: Random, lines: list[str]) -> None:
    for _ in range(random.choice((1, 1, 2))):
        del lines[random.randrange(_first_row(lines), len(lines))]


def _drop_site(random: Random, lines: list[str]) -> None:
    """A row and its count; where the file names each atom by its row alone, the count of another element."""
    counts = [int(word) for word in lines[_COUNTS].split()]
    stated = lines[0].split()[0][-1].isdigit()
    place = random.randrange(len(counts))
    row = _first_row(lines) + sum(counts[: place if stated else (place + 1) % len(counts)])
    if counts[place] < 2:
        counts[place] += 1
    else:
        counts[place] -= 1
        del lines[row]
    lines[_COUNTS] = " ".join(map(str, counts))


def _add_row(random: Random, lines: list[str]) -> None:
    place = random.randrange(_first_row(lines), len(lines) + 1)
    words = ["0.123", "0.456", "0.789", *lines[place - 1 if place > _first_row(lines) else place].split()[3:]]
    lines.insert(place, " ".join(words))


def _change_counts(random: Random, lines: list[str]) -> None:
    counts = [int(word) for word in lines[_COUNTS].split()]
    place = random.randrange(len(counts))
    counts[place] += random.choice((-1, 1, 2, 10))
    if random.random() < 0.5:  # the same number of atoms in all
        other = (place + 1) % len(counts)
        counts[other] += len(lines) - _first_row(lines) - sum(counts)
    lines[_COUNTS] = " ".join(str(max(count, 0)) for count in counts)


def _drop_word(random: Random, lines: list[str]) -> None:
    """A symbol or a count, or one more of it."""
    at = random.choice((_SYMBOLS, _COUNTS))
    words = lines[at].split()
    if random.random() < 0.5:
        del words[random.randrange(len(words))]
    else:
        words.insert(random.randrange(len(words) + 1), random.choice(words))
    lines[at] = " ".join(words)


def _change_symbol(random: Random, lines: list[str]) -> None:
    words = lines[_SYMBOLS].split()
    place = random.randrange(len(words))
    words[place] = random.choice((another(random, words[place]), "Xx", "T", "F", words[(place + 1) % len(words)]))
    lines[_SYMBOLS] = " ".join(words)


def _swap_symbols(random: Random, lines: list[str]) -> None:
    """A list of symbols in another order; the same crystal only where both have as many atoms."""
    words = lines[_SYMBOLS].split()
    counts = lines[_COUNTS].split()
    if _named_rows(lines) or len(set(counts)) == len(counts):
        words = [*words[1:], words[0]]
    else:
        words[random.randrange(len(words))] = another(random, "")
    lines[_SYMBOLS] = " ".join(words)


def _change_row_symbol(random: Random, lines: list[str]) -> None:
    if not _named_rows(lines):
        return _change_symbol(random, lines)
    at = random.randrange(_first_row(lines), len(lines))
    words = lines[at].split()
    words[-1] = another(random, words[-1])
    lines[at] = " ".join(words)
    return None


def _change_comment(random: Random, lines: list[str]) -> None:
    words = lines[0].split()
    place = random.randrange(len(words))
    if words[place][-1].isdigit():
        symbol = words[place].rstrip("0123456789")
        count = int(words[place][len(symbol) :])
        words[place] = random.choice((f"{another(random, symbol)}{count}", f"{symbol}{count + random.choice((1, 3))}"))
        lines[0] = " ".join(words)


def _drop_vector(random: Random, lines: list[str]) -> None:
    del lines[random.randrange(2, 5)]


def _shorten_vector(random: Random, lines: list[str]) -> None:
    at = random.randrange(1, 5)
    lines[at] = " ".join(lines[at].split()[:-1])


def _shorten_row(random: Random, lines: list[str]) -> None:
    at = random.randrange(_first_row(lines), len(lines))
    words = lines[at].split()
    del words[random.randrange(3)]
    lines[at] = " ".join(words)


def _without_symbols(random: Random, lines: list[str]) -> None:
    """VASP 4: right only where the rows name the elements."""
    del lines[_SYMBOLS]


def _wrong_order(random: Random, lines: list[str]) -> None:
    """Rows of two elements in each other's place; nothing says so where the rows name no element."""
    if _named_rows(lines):
        first = _first_row(lines)
        rows = lines[first:]
        random.shuffle(rows)
        lines[first:] = rows


def _flags(random: Random, lines: list[str]) -> None:
    """Selective dynamics, with its line or without."""
    first = _first_row(lines)
    if len(lines) <= _COUNTS or first > _MODE + 1 or len(lines) <= first or lines[_MODE][:1].lower() != "d":
        return
    if set(lines[first].split()) & {"T", "F"}:
        return
    for at in range(first, len(lines)):
        words = lines[at].split()
        lines[at] = " ".join([*words[:3], *random.choices("TF", k=3), *words[3:]])
    if random.random() < 0.7:
        lines.insert(_MODE, "Selective dynamics")


def _velocities(random: Random, lines: list[str]) -> None:
    lines += ["", *["0.0 0.1 0.2"] * random.randint(1, 12)]


def _mode(random: Random, lines: list[str]) -> None:
    for at, line in enumerate(lines):
        if line.lower().startswith("direct"):
            lines[at] = random.choice(("Direct", "direct coordinates", "D"))


def _wrapped(random: Random, lines: list[str]) -> None:
    """Blanks as editors leave them."""
    for at in range(2, len(lines)):
        if random.random() < 0.3:
            lines[at] = f"  {lines[at]}  "


CHANGES: dict[str, Change] = {
    "POSCAR: rows dropped": _drop_rows,
    "POSCAR: a site dropped": _drop_site,
    "POSCAR: a row added": _add_row,
    "POSCAR: counts changed": _change_counts,
    "POSCAR: a symbol or count dropped or doubled": _drop_word,
    "POSCAR: a symbol changed": _change_symbol,
    "POSCAR: symbols in another order": _swap_symbols,
    "POSCAR: the symbol of a row changed": _change_row_symbol,
    "POSCAR: comment changed": _change_comment,
    "POSCAR: lattice vector dropped": _drop_vector,
    "POSCAR: lattice vector cut": _shorten_vector,
    "POSCAR: a row cut": _shorten_row,
    "POSCAR: no symbols": _without_symbols,
    "POSCAR: rows in another order": _wrong_order,
}
POSCAR = Format(
    seeds=poscar_seeds,
    records=poscar_records,
    changes={name: partial(_changed, change) for name, change in CHANGES.items()},
    harmless=tuple(partial(_changed, change) for change in (_flags, _velocities, _mode, _wrapped)),
)
