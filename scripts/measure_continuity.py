"""Measure how far κ moves when atoms or the cell hardly do, and write `results/continuity/`.

    python scripts/measure_continuity.py --data DIR --log runs/continuity.jsonl --minutes 80

Rattles: normal noise on each coordinate, in 1×1×1, 2×2×2 and 3×3×3 cells, against the ideal crystal. Strains: the cell is
scaled from -1 to +1 % in steps of 0.05 %; the step is the largest second difference of log10 κ. Every crystal is measured in
its own cell. Then, until the time is over, come larger cells and strains by turns: first of the crystals that moved most,
then of others at random. Each crystal is a line of the log, and the same command goes on where a log ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product, zip_longest
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd

from paraisite import Predictor
from paraisite.atomic import write_text_atomic
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.readers.stream import iter_crystals
from paraisite.structures.crystal import Crystal

REPOSITORY = Path(__file__).parents[1]
FILES = ("aflow_agl", "aflow_unlabelled", "mp_scan", "phonondb_structures")
NOISES_ANGSTROM = (0.001, 0.003, 0.01, 0.03)
GOALS = (0.01, 0.02, 0.04, 0.1)
"""Largest |Δ log10 κ| that each noise may cause."""
STEP_GOAL = 0.002
"""Second difference of log10 κ over steps of 0.05 % of strain, above which a curve counts as having a step."""
STRAINS = np.linspace(-0.01, 0.01, 41)
SEED = 0
CHUNKS = {"1×": 64, "2×": 32, "3×": 8, "strain": 32}
"""Crystals that are measured together, by kind of change: some seconds each."""

Key = tuple[str, int]
"""A crystal: name of its data set, and its place there."""


@dataclass
class Log:
    """What was measured of one model, by kind of change: how far each crystal moved, by noise."""

    path: Path
    model: str
    moved: dict[str, dict[Key, list[float]]] = field(default_factory=lambda: {kind: {} for kind in CHUNKS})

    def read(self) -> None:
        """Take what the file has; a last line that was cut off is left out."""
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            try:
                one = json.loads(line)
            except json.JSONDecodeError:
                continue
            if one["model"] == self.model:
                self.moved[one["kind"]][one["data_set"], one["place"]] = [
                    np.nan if value is None else value for value in one["moved"]
                ]

    def add(self, kind: str, keys: Sequence[Key], moved: np.ndarray) -> None:
        """Write crystals down; `moved` is [n_noises, n_crystals]."""
        with self.path.open("a") as file:
            for (name, place), values in zip(keys, moved.T.tolist(), strict=True):
                self.moved[kind][name, place] = values
                plain = [round(value, 6) if np.isfinite(value) else None for value in values]
                line = {"model": self.model, "kind": kind, "data_set": name, "place": place, "moved": plain}
                file.write(json.dumps(line) + "\n")


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of what the package does not ship")
    parser.add_argument("--model", default="MultiFidelity")
    parser.add_argument("--atoms", type=int, default=3000, help="largest cell, copies included")
    parser.add_argument("--worst", type=int, default=200, help="crystals that come first in larger cells and strains")
    parser.add_argument("--minutes", type=float, default=80, help="time for all; 0 sums up the log alone")
    parser.add_argument("--skip", nargs="*", default=[], help="data sets to leave out")
    parser.add_argument("--log", type=Path, required=True, help="file of what was measured, by crystal")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "results" / "continuity")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    sets = load_sets(arguments.data, arguments.skip)
    log = Log(arguments.log, arguments.model)
    log.path.parent.mkdir(parents=True, exist_ok=True)
    log.read()
    predictor = Predictor(arguments.model, threads=1)
    for kind, keys in work(sets, log, arguments):
        if time.monotonic() > end:
            break
        log.add(kind, keys, measure(predictor, kind, [sets[name][place] for name, place in keys], keys))
    write(table(sets, log), arguments)
    return 0


def load_sets(data: Path, skip: Sequence[str]) -> dict[str, list[Crystal]]:
    """Crystals of the shipped sets and of the files in a folder, but for those to skip."""
    shipped = {"togo15": load_togo15, "hh143": load_hh143, "literature": load_literature}
    sets = {name: load() for name, load in shipped.items() if name not in skip}
    for name in (name for name in FILES if name not in skip):
        sets[name] = [item for item in iter_crystals([data / f"{name}.extxyz.gz"]) if isinstance(item, Crystal)]
    return sets


def work(sets: dict[str, list[Crystal]], log: Log, arguments: argparse.Namespace) -> Iterator[tuple[str, list[Key]]]:
    """What is not in the log, chunk by chunk: all crystals in their cells, then the other changes by turns."""
    everything = [(name, place) for name, crystals in sets.items() for place in range(len(crystals))]
    yield from chunks("1×", everything, log)
    others = []
    for kind in ("2×", "3×", "strain"):
        n_copies = size_of(kind) ** 3
        fits = [key for key in everything if sets[key[0]][key[1]].n_atoms * n_copies <= arguments.atoms]
        first = worst_first(fits, log)[: arguments.worst]
        shuffled = [fits[at] for at in np.random.default_rng(SEED).permutation(len(fits))]
        others.append(chunks(kind, list(dict.fromkeys(first + shuffled)), log))
    for turn in zip_longest(*others):
        yield from (chunk for chunk in turn if chunk is not None)


def chunks(kind: str, keys: list[Key], log: Log) -> Iterator[tuple[str, list[Key]]]:
    """Chunks of the crystals that a log does not have yet."""
    missing = [key for key in keys if key not in log.moved[kind]]
    for start in range(0, len(missing), CHUNKS[kind]):
        yield kind, missing[start : start + CHUNKS[kind]]


def worst_first(keys: list[Key], log: Log) -> list[Key]:
    """Crystals by how near they came to a goal in their own cells, nearest first."""
    share = {key: float(np.nan_to_num(np.divide(log.moved["1×"][key], GOALS)).max()) for key in keys}
    return sorted(keys, key=lambda key: -share[key])


def size_of(kind: str) -> int:
    """Copies of the cell along each vector."""
    return 1 if kind == "strain" else int(kind[0])


def measure(predictor: Predictor, kind: str, crystals: list[Crystal], keys: list[Key]) -> np.ndarray:
    """How far log10 κ of crystals moves, [n_noises, n_crystals]; for strains [1, n_crystals]."""
    if kind == "strain":
        curves = [
            log10_kappa(predictor, [Crystal(one.numbers, one.cell * (1 + strain), one.fractional) for one in crystals])
            for strain in STRAINS
        ]
        return np.abs(np.diff(np.array(curves), n=2, axis=0)).max(axis=0, keepdims=True)
    size = size_of(kind)
    ideal = log10_kappa(predictor, crystals)
    generators = [np.random.default_rng([SEED, size, crc32(name.encode()), place]) for name, place in keys]
    moved = []
    for noise in NOISES_ANGSTROM:
        noisy = [rattled(one, size, noise, by) for one, by in zip(crystals, generators, strict=True)]
        moved.append(np.abs(log10_kappa(predictor, noisy) - ideal))
    return np.array(moved)


def rattled(crystal: Crystal, size: int, noise_angstrom: float, generator: np.random.Generator) -> Crystal:
    """A supercell of size × size × size with normal noise on each coordinate."""
    copies = np.array(list(product(range(size), repeat=3)))
    fractional = (crystal.fractional[None] + copies[:, None]).reshape(-1, 3) / size
    cell = crystal.cell * size
    noise = generator.normal(size=fractional.shape) * noise_angstrom
    return Crystal(np.tile(crystal.numbers, len(copies)), cell, fractional + noise @ np.linalg.inv(cell))


def log10_kappa(predictor: Predictor, crystals: list[Crystal]) -> np.ndarray:
    """log10 of the median over the members, NaN where there is none, [n]."""
    return np.log10(predictor.predict(crystals)["kappa"].to_numpy(float))


def table(sets: dict[str, list[Crystal]], log: Log) -> pd.DataFrame:
    """Rows by change and data set: the distribution of what moved and its worst crystal."""
    rows: list[dict[str, object]] = []
    for kind, moved in log.moved.items():
        goals = (STEP_GOAL,) if kind == "strain" else GOALS
        for number, goal in enumerate(goals):
            rattle = f"rattle {NOISES_ANGSTROM[number]:g} Å, {kind}"
            change = "strain ±1 %, second difference" if kind == "strain" else rattle
            for name, crystals in sets.items():
                places = [place for other, place in moved if other == name]
                if places:
                    values = np.array([moved[name, place][number] for place in places])
                    what = {"model": log.model, "change": change, "data_set": name, "goal": goal}
                    rows.append({**what, **distribution([crystals[place] for place in places], values, goal)})
    return pd.DataFrame(rows)


def distribution(crystals: list[Crystal], moved: np.ndarray, goal: float) -> dict[str, object]:
    """Median, 99 % quantile and largest of what moved, and the crystal that it is."""
    finite = np.isfinite(moved)
    values = np.where(finite, moved, -1.0)
    worst = int(values.argmax())
    return {
        "crystals": int(finite.sum()),
        "median": round(float(np.median(moved[finite])), 6) if finite.any() else np.nan,
        "q99": round(float(np.quantile(moved[finite], 0.99)), 5) if finite.any() else np.nan,
        "largest": round(float(values[worst]), 5),
        "above_goal": int((values > goal).sum()),
        "worst": crystals[worst].material_id,
    }


def write(measured: pd.DataFrame, arguments: argparse.Namespace) -> None:
    """Write the table, its summary and the settings; other models' rows and settings stay."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    csv, settings_file = arguments.out / "continuity.csv", arguments.out / "settings.json"
    if csv.exists():
        before = pd.read_csv(csv)
        measured = pd.concat([measured, before[before.model != arguments.model]])
    settings = json.loads(settings_file.read_text()) if settings_file.exists() else []
    own = {"models": [arguments.model], "atoms": arguments.atoms, "worst": arguments.worst, "seed": SEED}
    settings = [own, *(one for one in settings if one["models"] != [arguments.model])]
    write_text_atomic(csv, measured.to_csv(index=False))
    write_text_atomic(arguments.out / "summary.md", summary(measured))
    write_text_atomic(settings_file, json.dumps(settings, indent=2) + "\n")


def summary(measured: pd.DataFrame) -> str:
    """The table over all data sets, in Markdown."""
    lines = [
        "| model | change | crystals | median, worst set | 99 %, worst set | largest | goal | above the goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (model, change), part in measured.groupby(["model", "change"], sort=False):
        lines.append(
            f"| {model} | {change} | {part.crystals.sum()} | {part['median'].max():.4f} | {part.q99.max():.4f} | "
            f"{part.largest.max():.4f} | {part.goal.iloc[0]:g} | {part.above_goal.sum()} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
