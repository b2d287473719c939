"""Read every CIF of a folder, compare with what the files state and with what pymatgen and ASE read, and list disagreements.

    python scripts/check_corpus.py FOLDER [--csv TABLE] [--show 20]

One row a data block that holds sites. `formula` and `Z` say whether a crystal that was read agrees with the file's own sum
formula and number of formula units, counted here anew and without the package's reader; `pymatgen` and `ASE`, whether it has
the elements and counts of what those read. A disagreement with the file is a fault of the package and makes the exit code 1;
one with another reader is listed to be looked at, since either may be wrong.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import gcd
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
from ase.data import atomic_numbers

from paraisite.readers.cif import cif_records
from paraisite.readers.stream import parse_record
from paraisite.structures.crystal import Crystal
from paraisite.structures.origin import Origin

AGREES, DIFFERS, SILENT = "agrees", "differs", "says nothing"
COLUMNS = ("formula", "Z", "pymatgen", "ASE")
_SUFFIXES = (".cif", ".mcif")
_PART = re.compile(r"([A-Z][a-z]?)(\d*\.?\d*)")
_ISOTOPES = {"D": 1, "T": 1}


@dataclass(slots=True)
class Checked:
    """One crystal or refusal of the corpus.

    Attributes:
        source: File, and number of the crystal where it holds several.
        status: `ok`, or the code of the refusal.
        message: Why it was refused.
        formula: Formula that was read.
        comparisons: For each of `COLUMNS`, whether it agrees.
    """

    source: str
    status: str
    message: str = ""
    formula: str = ""
    comparisons: dict[str, str] = field(default_factory=dict)


def check_file(path: Path) -> Iterator[Checked]:
    """Check every crystal of a file."""
    data = path.read_bytes()
    try:
        records = list(cif_records(data, str(path)))
    except Exception as error:  # a file without crystals is a row like any other
        yield Checked(str(path), getattr(error, "code", type(error).__name__), str(error))
        return
    blocks = _blocks_with_sites(data)
    for number, record in enumerate(records):
        source = str(path) if len(records) == 1 else f"{path}#{number + 1}"
        item = parse_record(record, Origin(source, path.stem))
        if not isinstance(item, Crystal):
            yield Checked(source, item.code, item.message)
            continue
        block = blocks[number] if len(blocks) == len(records) else None
        yield Checked(source, "ok", formula=item.formula, comparisons=_compared(item, block))


def _blocks_with_sites(data: bytes) -> list[gemmi.cif.Block]:
    try:
        document = gemmi.cif.read_string(data.decode("ascii", "replace").replace("\ufffd", "_"))
    except (ValueError, RuntimeError):
        return []
    return [block for block in document if block.find_values("_atom_site_fract_x")]


def _compared(crystal: Crystal, block: gemmi.cif.Block | None) -> dict[str, str]:
    if block is None:
        return dict.fromkeys(COLUMNS, SILENT)
    read = Counter(crystal.numbers.tolist())
    formula, units = _sum_formula(block), gemmi.cif.as_string(block.find_value("_cell_formula_units_Z") or "?")
    text = block.as_string()
    found = {"formula": SILENT, "Z": SILENT}
    if formula:
        found["formula"] = AGREES if _reduced(formula) == _reduced(read) else DIFFERS
        if units.isdigit():
            cells = [Counter({key: count * int(units) for key, count in formula.items()}), formula]
            found["Z"] = AGREES if read in cells else DIFFERS
    for name, reader in (("pymatgen", _by_pymatgen), ("ASE", _by_ase)):
        other = _quietly(reader, text)
        found[name] = SILENT if other is None else AGREES if other == read else DIFFERS
    return found


def _sum_formula(block: gemmi.cif.Block) -> Counter[int]:
    """Counts of the sum formula; empty where it is missing, fractional or unclear."""
    words = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "?").split()
    counts: Counter[int] = Counter()
    for word in words:
        match = _PART.fullmatch(word)
        number = match and (_ISOTOPES.get(match[1]) or atomic_numbers.get(match[1]))
        if not match or not number or "." in match[2]:
            return Counter()
        counts[number] += int(match[2] or 1)
    return counts


def _reduced(counts: Counter[int]) -> dict[int, int]:
    divisor = gcd(*counts.values()) or 1
    return {number: count // divisor for number, count in counts.items()}


def _by_pymatgen(text: str) -> Counter[int]:
    from pymatgen.io.cif import CifParser  # noqa: PLC0415 - seconds, which --help need not take

    (structure,) = CifParser.from_str(text).parse_structures(primitive=False)
    return Counter(site.specie.Z for site in structure)


def _by_ase(text: str) -> Counter[int]:
    import ase.io  # noqa: PLC0415 - as above

    return Counter(np.asarray(ase.io.read(io.StringIO(text), format="cif").numbers).tolist())


def _quietly(reader: Callable[[str], Counter[int]], text: str) -> Counter[int] | None:
    """What another reader finds; None where it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return reader(text)
        except Exception:  # whatever it stumbles over
            return None


def check_corpus(folder: Path) -> pd.DataFrame:
    """Check every CIF below a folder: one row per crystal or refusal."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    rows = [checked for path in paths for checked in check_file(path)]
    return pd.DataFrame([{"source": row.source, "status": row.status, "formula_read": row.formula,
                           **{name: row.comparisons.get(name, "") for name in COLUMNS}, "error": row.message}
                          for row in rows])  # fmt: skip


def summary(table: pd.DataFrame) -> str:
    """Counts of the table as text."""
    read = table[table["status"] == "ok"]
    lines = [f"{len(table)} crystals, {len(read)} read", ""]
    lines += [
        f"refused, {status}: {count}" for status, count in table["status"].value_counts().items() if status != "ok"
    ]
    lines += ["", f"{'compared with':16}" + "".join(f"{word:>14}" for word in (AGREES, DIFFERS, SILENT))]
    for name in COLUMNS:
        counts = read[name].value_counts()
        lines.append(f"{name:16}" + "".join(f"{counts.get(word, 0):14}" for word in (AGREES, DIFFERS, SILENT)))
    return "\n".join(lines)


def main() -> int:
    """Check a folder as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--csv", type=Path, help="write the table here")
    parser.add_argument("--show", type=int, default=20, help="disagreements that are listed")
    arguments = parser.parse_args()
    table = check_corpus(arguments.folder)
    if table.empty:
        sys.exit(f"{arguments.folder} holds no CIF.")
    if arguments.csv is not None:
        table.to_csv(arguments.csv, index=False)
    print(summary(table))
    differing = table[(table[list(COLUMNS)] == DIFFERS).any(axis=1)]
    for row in differing.head(arguments.show).to_dict("records"):
        names = ", ".join(name for name in COLUMNS if row[name] == DIFFERS)
        print(f"{row['source']}: read as {row['formula_read']}, differs from {names}")
    return 1 if (table[["formula", "Z"]] == DIFFERS).any(axis=None) else 0


if __name__ == "__main__":
    sys.exit(main())
