"""What a long run of the fuzzer has done: counts by kind and code, findings, and where it goes on."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attacks.record import append, lines

KEPT_EACH = 5
"""Findings of a kind and wording that are kept with each line; the others are counted."""


class State:
    """Counts since the last line of the file."""

    def __init__(self, path: Path, seed: int) -> None:
        """Find where the runs with this seed have ended."""
        self._path, self._seed = path, seed
        self.next = (0, 0)
        for line in lines(path):
            if line["seed"] == seed:
                self.next = tuple(line["next"])
        self._clear()

    def _clear(self) -> None:
        self._inputs: Counter[str] = Counter()
        self._crystals: Counter[str] = Counter()
        self._problems: Counter[str] = Counter()
        self._findings: list[dict[str, Any]] = []
        self._slowest = (0.0, "", 0)
        self._start = time.monotonic()

    def take(self, kind: str, number: int, answer: dict[str, Any]) -> None:
        """Count an input and what came of it."""
        self._inputs[kind] += 1
        self._crystals[kind] += bool(answer.get("crystals"))
        self._slowest = max(self._slowest, (round(float(answer.get("seconds", 0)), 2), kind, number))
        if problem := answer.get("problem"):
            self._problems[kind] += 1
            key = str(problem)[:30]
            if sum(item["problem"][:30] == key and item["kind"] == kind for item in self._findings) < KEPT_EACH:
                self._findings.append({"kind": kind, "number": number, "problem": str(problem)})

    def write(self, following: tuple[int, int]) -> None:
        """Append what was counted, with the place to go on at."""
        if not self._inputs:
            return
        append(
            self._path,
            seed=self._seed,
            next=following,
            inputs=dict(self._inputs),
            crystals=dict(self._crystals),
            problems=dict(self._problems),
            findings=self._findings,
            slowest=self._slowest,
            seconds=round(time.monotonic() - self._start, 1),
        )
        self._clear()


def counts(path: Path) -> dict[str, dict[str, Any]]:
    """Inputs and findings by kind, seconds, seeds and dates, for each code."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines(path):
        entry = found.setdefault(
            line["code"],
            {"inputs": Counter(), "problems": Counter(), "seconds": 0.0, "seeds": set(), "dates": [], "slowest": 0.0},
        )
        entry["inputs"].update(line["inputs"])
        entry["problems"].update(line["problems"])
        entry["seconds"] += line["seconds"]
        entry["seeds"].add(line["seed"])
        entry["dates"].append(line["date"])
        entry["slowest"] = max(entry["slowest"], line["slowest"][0])
    return found


def summary(path: Path) -> int:
    """Print what was done with each code; the exit code."""
    for code, entry in counts(path).items():
        n_inputs, rate = entry["inputs"].total(), entry["inputs"].total() / max(entry["seconds"], 1e-9)
        print(f"{code}: {n_inputs} inputs, seeds {sorted(entry['seeds'])}, {rate:.0f}/s, slowest {entry['slowest']} s")
        for kind, count in entry["inputs"].most_common():
            print(f"  {kind}: {count}, {entry['problems'][kind]} findings")
    total = sum(entry["inputs"].total() for entry in counts(path).values())
    print(f"{total} inputs in all")
    return 0


def findings(path: Path) -> Iterator[tuple[int, str, int, str]]:
    """Seed, kind, number and wording of the findings that were kept."""
    for line in lines(path):
        for item in line["findings"]:
            yield line["seed"], item["kind"], item["number"], item["problem"]


def again(path: Path, check: Callable[[int, str, int, Path], int]) -> int:
    """Check the findings once more; the exit code is 1 where some are still there."""
    left: dict[str, list[str]] = defaultdict(list)
    n_findings = 0
    for seed, kind, number, problem in findings(path):
        n_findings += 1
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(seed, kind, number, Path(folder))
            except Exception as error:  # whatever it is, it is still there
                left[f"{type(error).__name__} {ascii(str(error))[:60]}"].append(f"{kind} {number} (seed {seed})")
            else:
                print(f"mended: {kind} {number} {problem[:80]}")
    for key, places in left.items():
        print(f"{len(places)} times {key}: {', '.join(places[:5])}")
    print(f"{n_findings} findings, {sum(map(len, left.values()))} still there")
    return 1 if left else 0
