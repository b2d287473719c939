"""The table of what was attacked and what held, from the lines of the attacks and of the fuzzer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attacks.base import Attack
from attacks.fuzz_state import counts
from attacks.record import lines

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
SHOWN_FAULTS = 20
_HEAD = """# Reliability

What was done to scans, trainings, fetchers and files, and what held. Made by `python scripts/attack.py FOLDER` and
`python scripts/fuzz.py --inputs N --state FOLDER`, written by `python scripts/attack.py FOLDER --report`. An attack is a
function of its name, seed and number; `--only NAME --number N` repeats one.

*Held* means: each input has its row, with crystals or with the reason in one sentence; or the command refuses in one
sentence. *A fault* is a traceback, a crash, a hang, a record without a row, another number where the format carries check
sums, more than 2 GB of memory, or a file of others that is changed or run.
"""


def write_report(attacks: Path, fuzz: Path, kinds: Sequence[Attack]) -> int:
    """Write the document; the exit code is 1 where nothing was attacked."""
    made = list(lines(attacks))
    if not made and not fuzz.exists():
        print(f"{attacks.parent} holds no attacks")
        return 1
    text = _HEAD
    if made:
        text += _attacks(made, kinds)
    if fuzz.exists():
        text += _fuzz(fuzz)
    DOCUMENT.write_text(text, encoding="utf-8")
    print(DOCUMENT)
    return 0


def _attacks(made: list[dict[str, Any]], kinds: Sequence[Attack]) -> str:
    code = made[-1]["code"]
    now = {(line["attack"], line["seed"], line["number"]): line for line in made if line["code"] == code}
    dates = sorted(line["date"][:10] for line in now.values())
    seeds = sorted({line["seed"] for line in now.values()})
    rows = ["| attack | `--only` | tried | held | faults |", "|---|---|---|---|---|"]
    total: Counter[str] = Counter()
    for kind in kinds:
        tried = [line for line in now.values() if line["attack"] == kind.name]
        faults = sum(bool(line["fault"]) for line in tried)
        total.update(tried=len(tried), faults=faults)
        rows.append(f"| {kind.title} | `{kind.name}` | {len(tried)} | {len(tried) - faults} | {faults} |")
    rows.append(f"| all | | {total['tried']} | {total['tried'] - total['faults']} | {total['faults']} |")
    span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    said = f"\n## Attacks\n\nVersion {code}, seed {', '.join(map(str, seeds))}, {span}.\n\n" + "\n".join(rows) + "\n"
    faults_now = [line for line in now.values() if line["fault"]]
    if faults_now:
        shown = [
            f"- `{line['attack']}` {line['number']}: {_plain(line['fault'])}" for line in faults_now[:SHOWN_FAULTS]
        ]
        more = len(faults_now) - len(shown)
        said += "\nFaults:\n\n" + "\n".join(shown) + (f"\n- and {more} more\n" if more > 0 else "\n")
    return said


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]


def _fuzz(path: Path) -> str:
    found = counts(path)
    every = sum(entry["inputs"].total() for entry in found.values())
    said = f"\n## Fuzzed inputs\n\n{every} inputs in all. A code is the version with the SHA-256 of the package's files.\n\n"
    rows = [
        "| code | seeds | inputs | findings | slowest, s of processor | from | to |",
        "|---|---|---|---|---|---|---|",
    ]
    for code, entry in found.items():
        seeds = ", ".join(map(str, sorted(entry["seeds"])))
        first, last = min(entry["dates"])[:16], max(entry["dates"])[:16]
        numbers = f"{entry['inputs'].total()} | {entry['problems'].total()} | {entry['slowest']}"
        rows.append(f"| {code} | {seeds} | {numbers} | {first} | {last} |")
    kinds: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for entry in found.values():
        kinds.update(entry["inputs"])
        problems.update(entry["problems"])
    last = found[list(found)[-1]]
    rows += ["", "| kind | inputs | findings | findings with the last code |", "|---|---|---|---|"]
    rows += [f"| {kind} | {kinds[kind]} | {problems[kind]} | {last['problems'][kind]} |" for kind in sorted(kinds)]
    return said + "\n".join(rows) + "\n"
