"""The table of what was attacked and what held, from the lines of the attacks and of the fuzzer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attacks.base import Attack
from attacks.fuzz_state import counts
from attacks.record import lines

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
RESULTS = ROOT / "results" / "reliability.json"
SHOWN_FAULTS = 20
_HEAD = """# Reliability

What was done to scans, trainings, fetchers and files, and what held. Made by `python scripts/attack.py FOLDER` and
`python scripts/fuzz.py --inputs N --state FOLDER`, written by `python scripts/attack.py FOLDER --report`. An attack is a
function of its name, seed and number; `--only NAME --number N` repeats one.

*Held* means: each input has its row, with crystals or with the reason in one sentence; or the command refuses in one
sentence. *A fault* is a traceback, a crash, a hang, a record without a row, another number where the format carries check
sums, more than 2 GB of memory, or a file of others that is changed or run.
"""


def write_report(attacks: Path, fuzz: Path, kinds: Sequence[Attack], document: Path, results: Path) -> int:
    """Write the document, and the numbers in it; the exit code is 1 where nothing was attacked."""
    summary = {"attacks": summary_of_attacks(list(lines(attacks)), kinds), "fuzz": summary_of_fuzz(fuzz)}
    if not any(summary.values()):
        print(f"{attacks.parent} holds no attacks")
        return 1
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    document.write_text(render(summary), encoding="utf-8")
    print(document)
    return 0


def summary_of_attacks(made: Sequence[dict[str, Any]], kinds: Sequence[Attack]) -> dict[str, Any]:
    """Counts of the attacks on the code that was attacked last."""
    if not made:
        return {}
    code = made[-1]["code"]
    last = {(line["attack"], line["seed"], line["number"]): line for line in made if line["code"] == code}
    faults = [line for line in last.values() if line["fault"]]
    tried, faulty = (Counter(line["attack"] for line in some) for some in (last.values(), faults))
    return {
        "code": code,
        "seeds": sorted({line["seed"] for line in last.values()}),
        "dates": [edge(line["date"][:10] for line in last.values()) for edge in (min, max)],
        "kinds": [
            {"name": kind.name, "title": kind.title, "tried": tried[kind.name], "faults": faulty[kind.name]}
            for kind in kinds
        ],
        "faults": [f"`{line['attack']}` {line['number']}: {_plain(line['fault'])}" for line in faults[:SHOWN_FAULTS]],
    }


def summary_of_fuzz(path: Path) -> dict[str, Any]:
    """Counts of the fuzzer by code and by kind."""
    found = counts(path)
    if not found:
        return {}
    codes = [
        {
            "code": code,
            "seeds": sorted(entry["seeds"]),
            "inputs": entry["inputs"].total(),
            "findings": entry["problems"].total(),
            "slowest_seconds": entry["slowest"],
            "dates": [min(entry["dates"])[:16], max(entry["dates"])[:16]],
        }
        for code, entry in found.items()
    ]
    inputs: Counter[str] = sum((entry["inputs"] for entry in found.values()), Counter())
    problems: Counter[str] = sum((entry["problems"] for entry in found.values()), Counter())
    last = found[list(found)[-1]]
    kinds = [
        {
            "name": kind,
            "inputs": inputs[kind],
            "findings": problems[kind],
            "inputs_last": last["inputs"][kind],
            "findings_last": last["problems"][kind],
        }
        for kind in sorted(inputs)
    ]
    return {"codes": codes, "kinds": kinds}


def render(summary: dict[str, Any]) -> str:
    """The document."""
    text = _HEAD
    if attacks := summary["attacks"]:
        text += _attacks(attacks)
    if fuzz := summary["fuzz"]:
        text += _fuzz(fuzz)
    return text


def _attacks(summary: dict[str, Any]) -> str:
    rows = ["| attack | `--only` | tried | held | faults |", "|---|---|---|---|---|"]
    rows += [
        f"| {kind['title']} | `{kind['name']}` | {_three(kind['tried'], kind['faults'])} |" for kind in summary["kinds"]
    ]
    tried, faults = (sum(kind[key] for kind in summary["kinds"]) for key in ("tried", "faults"))
    rows.append(f"| all | | {_three(tried, faults)} |")
    first, last = summary["dates"]
    span = first if first == last else f"{first} to {last}"
    seeds = ", ".join(map(str, summary["seeds"]))
    said = f"\n## Attacks\n\nCode {summary['code']}, seed {seeds}, {span}.\n\n" + "\n".join(rows) + "\n"
    if summary["faults"]:
        more = faults - len(summary["faults"])
        listed = [*summary["faults"], *([f"and {more} more"] if more else [])]
        said += "\nFaults:\n\n" + "\n".join(f"- {fault}" for fault in listed) + "\n"
    return said


def _three(tried: int, faults: int) -> str:
    return f"{tried} | {tried - faults} | {faults}"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:200]


def _fuzz(summary: dict[str, Any]) -> str:
    total = sum(entry["inputs"] for entry in summary["codes"])
    said = f"\n## Fuzzed inputs\n\n{total} inputs in all. A code is the version with the SHA-256 of the package's files.\n\n"
    rows = [
        "| code | seeds | inputs | findings | slowest, s of processor | from | to |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in summary["codes"]:
        words = [entry["code"], ", ".join(map(str, entry["seeds"])), entry["inputs"], entry["findings"]]
        rows.append(f"| {' | '.join(map(str, [*words, entry['slowest_seconds'], *entry['dates']]))} |")
    rows += ["", "| kind | inputs | findings | inputs with the last code | findings with it |", "|---|---|---|---|---|"]
    rows += [f"| {' | '.join(map(str, kind.values()))} |" for kind in summary["kinds"]]
    return said + "\n".join(rows) + "\n"
