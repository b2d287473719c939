"""Damage to input files: what disks, networks, editors and other programs do to them, and worse.

Every mutator takes a source of randomness and content, and gives other content; the same source gives the same.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from seeds import FILE_NAMES, SUFFIXES, seeds

MAX_BYTES = 500_000
_NUMBER = re.compile(rb"(?<![A-Za-z_])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_WHOLE = re.compile(rb"(?<![\w.+-])\d+(?![\w.])")
_LENGTH = re.compile(rb"(?<![\w.])\d{1,2}\.\d+")
_ODD_NUMBERS = (
    "1e308", "-1e308", "1e-308", "5e-324", "1e999", "nan", "-inf", "-0", "-1", "0", "1e5", "1e-5", "0.01",
    "999999999999", "9" * 30, "9" * 5000, "****", "1_0", "0x10", "1e", "--1", "1/3", "1(2)", "٣", "²", "½", "T",
    "null", "?", ".", "", "1,5", "1d3",
)  # fmt: skip
_ODD_COUNTS = ("0", "1", "2", "7", "1000", "99999", "99999999", "99999999999", "9" * 25, "-1", "1.5", "٣", "³")
_SYMBOLS = re.compile(rb"\b(?:Na|Cl|Zn|O|Sr|Ti|Al|Ba|Sb|Ca|F)\b")
_ODD_SYMBOLS = (
    "Xx", "X", "D", "T", "Po", "Og", "na", "NA", "Fe3+", "O2-", "VAC", "Wat", "Qq", "0", "-1", "8", "119", "é", "☢",
    "\\ud800", "", "N" * 3000, "Na0+", "Cl-0", "\x1b[31m", "O.5", "'", '"',
)  # fmt: skip
_MARKS = (
    "'", '"', ";", "\n;\n", "[", "]", "{", "}", "(", ")", ",", ":", "#", "=", "\\", "loop_", "\nloop_\n", "data_",
    "\ndata_x\n", "save_", "stop_", "global_", "Lattice=", "Properties=", '"Lattice="', "VEC1 1 0 0", "_JSON", "\n\n",
    "\t", "\x00", "\x1b[2J", "NaN", "Infinity", "_atom_site_fract_x", "_space_group_magn", "_atom_site_moment_label",
)  # fmt: skip
_ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**18, 10**400, -(10**30), 1e308, float("nan"), float("inf"), "", "x", "Na", "\ud800",
    "\x00", "1e5", [], {}, [[]], [None], {"": None}, [1, 2], [[1, 0, 0], [0, 1, 0]],
    [[1e-3, 0, 0], [0, 1e-3, 0], [0, 0, 1e-3]], {"element": "Na"}, {"sites": []}, {"structure": {}}, ["Na"] * 3, "a" * 10_000,
)  # fmt: skip
_CONTROL_BYTES = (
    b"\x00", b"\x00" * 1000, b"\r", b"\x1a", b"\x0b", b"\x85", b"\xff\xfe", b"\xe2\x80\xa8", b"\xed\xa0\x80",
)  # fmt: skip

Mutator = Callable[[Random, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the fuzzer.

    Attributes:
        name: Name of its file.
        data: Its content.
    """

    name: str
    data: bytes


def mutated_input(random: Random, kind: str) -> Input:
    """A damaged input of a format: one to four mutations of a seed, sometimes under a foreign name."""
    name = FILE_NAMES[kind]
    data = mutated_text(random, random.choice(seeds()[kind]), json_too=".json" in name)
    if random.random() < 0.04:
        name = "input" + random.choice((*SUFFIXES.values(), "", ".db", ".xyz"))
    if random.random() < 0.03:
        data = gzip.compress(data, 1)
        name += random.choice((".gz", ""))
        if random.random() < 0.5:
            data = _truncate(random, data)
    return Input(name, data)


def mutated_text(random: Random, data: bytes, *, json_too: bool) -> bytes:
    """One to four mutations of a text; those of JSON too, where it is."""
    mutators = MUTATORS + (JSON_MUTATORS * 2 if json_too else ())
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        data = random.choice(mutators)(random, data)[:MAX_BYTES]
    return data


def _flip_bytes(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _truncate(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _cut_out(random: Random, data: bytes) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.choice((1, 5, 50, 500)) :]


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True) or [b""]


def _delete_lines(random: Random, data: bytes) -> bytes:
    lines = _lines(data)
    start = random.randrange(len(lines))
    return b"".join(lines[:start] + lines[start + random.choice((1, 1, 2, 5)) :])


def _duplicate_lines(random: Random, data: bytes) -> bytes:
    lines = _lines(data)
    start = random.randrange(len(lines))
    some = lines[start : start + random.choice((1, 1, 2, 5))]
    times = min(random.choice((2, 2, 3, 300)), 1 + MAX_BYTES // (1 + sum(map(len, some))))
    return b"".join(lines[:start] + some * times + lines[start + len(some) :])


def _shuffle_lines(random: Random, data: bytes) -> bytes:
    lines = _lines(data)
    first, second = random.randrange(len(lines)), random.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


def _repeat_all(random: Random, data: bytes) -> bytes:
    return data * random.choice((2, 3, 20))


def _replaced(random: Random, pattern: re.Pattern[bytes], data: bytes, words: Sequence[str]) -> bytes:
    """Some matches of a pattern replaced by words."""
    places = [match.span() for match in pattern.finditer(data[:200_000])]
    chosen = random.sample(places, min(len(places), random.choice((1, 1, 1, 2, 6))))
    for start, end in sorted(chosen, reverse=True):
        data = data[:start] + random.choice(words).encode("utf-8", "surrogatepass") + data[end:]
    return data


def _odd_numbers(random: Random, data: bytes) -> bytes:
    return _replaced(random, _NUMBER, data, _ODD_NUMBERS)


def _odd_counts(random: Random, data: bytes) -> bytes:
    return _replaced(random, _WHOLE, data, _ODD_COUNTS)


def _odd_symbols(random: Random, data: bytes) -> bytes:
    return _replaced(random, _SYMBOLS, data, _ODD_SYMBOLS)


def _crowded_cell(random: Random, data: bytes) -> bytes:
    """Lengths made so short, or so long in one direction, that an atom has thousands to millions of neighbours."""
    factor = random.choice((0.5, 0.1, 0.02, 0.003, 1e-4, 30.0, 1e4))
    share = random.choice((1.0, 1.0, 0.3))

    def scaled(match: re.Match[bytes]) -> bytes:
        return b"%.7f" % (float(match[0]) * factor) if random.random() < share else match[0]

    return _LENGTH.sub(scaled, data)


def _mark(random: Random, data: bytes) -> bytes:
    """A quote, a bracket or a word of a format's grammar that stands alone."""
    for _ in range(random.choice((1, 1, 2, 5))):
        place = random.randrange(len(data) + 1)
        data = data[:place] + random.choice(_MARKS).encode() + data[place + random.choice((0, 0, 1)) :]
    return data


def _foreign(random: Random, data: bytes) -> bytes:
    """A stretch of an input of any format."""
    other = random.choice(seeds()[random.choice(tuple(FILE_NAMES))])
    start, place = random.randrange(len(other)), random.randrange(len(data) + 1)
    return data[:place] + other[start : start + random.choice((5, 50, 500, 5000))] + data[place:]


def _nested(random: Random, data: bytes) -> bytes:
    """Thousands of brackets, closed or not, in one place or around all."""
    depth = random.choice((50, 900, 5000, 50_000))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"), (b'{"structure":', b"}")))
    if random.random() < 0.5:
        return opening * depth + data + closing * depth
    place = random.randrange(len(data) + 1)
    return data[:place] + opening * depth + (closing * depth if random.random() < 0.5 else b"") + data[place:]


def _control_bytes(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice(_CONTROL_BYTES) + data[place:]


def _encoded(random: Random, data: bytes) -> bytes:
    text = data.decode("utf-8", errors="replace")
    encoding = random.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "mac", "dos"))
    if encoding == "mac":
        return data.replace(b"\n", b"\r")
    if encoding == "dos":
        return data.replace(b"\n", b"\r\n")
    return text.replace("a", random.choice("aäα")).encode(encoding, errors="replace")


def _long_line(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    some = random.choice((b" ", b"1 ", b"x", b"'", b"9", b"\n", b"0 0 0\n"))
    return data[:place] + some * random.choice((500, 5000, 50_000)) + data[place:]


def _json_value(random: Random, data: bytes) -> bytes:
    """A value anywhere in a JSON document replaced, removed, or moved into another place."""
    head, line, tail = _json_line(random, data)
    try:
        content = json.loads(line)
        places = list(_places(content))
        for _ in range(random.choice((1, 1, 2, 4))):
            holder, key = random.choice(places)
            action = random.random()
            if action < 0.7:
                holder[key] = random.choice(_ODD_VALUES)
            elif action < 0.85:
                other, other_key = random.choice(places)
                holder[key] = json.loads(json.dumps(other[other_key]))
            else:
                del holder[key]
        return head + json.dumps(content).encode() + tail
    except (ValueError, IndexError, KeyError, RecursionError):
        return _odd_numbers(random, data)


def _json_many_sites(random: Random, data: bytes) -> bytes:
    """A list in a JSON document made long."""
    head, line, tail = _json_line(random, data)
    try:
        content = json.loads(line)
        lists = [holder[key] for holder, key in _places(content) if isinstance(holder[key], list)]
        for chosen in random.sample(lists, min(len(lists), 1)):  # of two lists, one may lie in the other
            times = random.choice((2, 50, 2000))
            chosen.extend(chosen * min(times, MAX_BYTES // len(json.dumps(chosen))))
        return head + json.dumps(content).encode() + tail
    except (ValueError, RecursionError):
        return _duplicate_lines(random, data)


def _json_line(random: Random, data: bytes) -> tuple[bytes, bytes, bytes]:
    """What comes before, in, and after one line."""
    lines = _lines(data)
    index = random.randrange(len(lines))
    return b"".join(lines[:index]), lines[index].rstrip(b"\n"), b"\n" + b"".join(lines[index + 1 :])


def _places(content: Any) -> list[tuple[Any, Any]]:
    """Every place in a document as its holder and key."""
    found: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting and len(found) < 20_000:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else []
        keys += range(len(holder)) if isinstance(holder, list) else []
        found += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys]
    return found


MUTATORS: tuple[Mutator, ...] = (
    _flip_bytes, _truncate, _cut_out, _delete_lines, _duplicate_lines, _shuffle_lines, _repeat_all, _odd_numbers,
    _odd_numbers, _odd_counts, _odd_symbols, _crowded_cell, _mark, _mark, _foreign, _nested, _control_bytes, _encoded,
    _long_line,
)  # fmt: skip
JSON_MUTATORS: tuple[Mutator, ...] = (_json_value, _json_value, _json_value, _json_many_sites)
