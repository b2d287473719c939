"""Measure how far κ moves when atoms or the cell hardly do, and write `results/continuity/`.

    python scripts/measure_continuity.py --data DIR

Rattles: normal noise on each coordinate, in 1×1×1, 2×2×2 and 3×3×3 cells, against the ideal crystal. Strains: the cell is
scaled from -1 to +1 % in steps of 0.05 %; the step is the largest second difference of log10 κ. A data set is every
crystal whose cell has at most `--atoms` atoms, thinned evenly to `--most` where there are more: the table gives the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from paraisite import Predictor
from paraisite.atomic import write_text_atomic
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.structures.crystal import Crystal
from paraisite.structures.readers import iter_crystals

REPOSITORY = Path(__file__).parents[1]
FILES = ("aflow_agl", "aflow_unlabelled", "mp_scan", "phonondb_structures")
MODELS = ("MultiFidelity", "FEAFTG15")
NOISES_ANGSTROM = (0.001, 0.003, 0.01, 0.03)
GOALS = dict(zip(NOISES_ANGSTROM, (0.01, 0.02, 0.04, 0.1), strict=True))
STEP_GOAL = 0.002
"""Second difference of log10 κ over steps of 0.05 % of strain, above which a curve counts as having a step."""
SIZES = (1, 2, 3)
STRAINS = np.linspace(-0.01, 0.01, 41)
SEED = 0
CHUNK = 256


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of what the package does not ship")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument(
        "--most", type=int, nargs=3, default=[100_000, 400, 100], help="crystals a set, by size of cell"
    )
    parser.add_argument("--atoms", type=int, default=1000, help="largest cell, copies included")
    parser.add_argument("--skip", nargs="*", default=[], help="data sets to leave out")
    parser.add_argument("--strained", type=int, default=100, help="crystals a set that are strained")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "results" / "continuity")
    arguments = parser.parse_args()
    sets = load_sets(arguments.data, arguments.skip)
    rows: list[dict[str, object]] = []
    for model, (name, crystals) in product(arguments.models, sets.items()):
        predictor = Predictor(model)
        for size, most in zip(SIZES, arguments.most, strict=True):
            chosen = thinned([one for one in crystals if one.n_atoms * size**3 <= arguments.atoms], most)
            rows += rattled_rows(predictor, model, name, chosen, size)
        rows += strained_rows(predictor, model, name, thinned(crystals, arguments.strained))
        write(pd.DataFrame(rows), arguments)  # after each set: a run that is stopped leaves what it has
        print(f"{model} {name}: done", file=sys.stderr, flush=True)
    return 0


def write(table: pd.DataFrame, arguments: argparse.Namespace) -> None:
    """Write the table, its summary and the settings."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_text_atomic(arguments.out / "continuity.csv", table.to_csv(index=False))
    write_text_atomic(arguments.out / "summary.md", summary(table))
    settings = {"most": arguments.most, "atoms": arguments.atoms, "strained": arguments.strained, "seed": SEED}
    write_text_atomic(arguments.out / "settings.json", json.dumps(settings, indent=2) + "\n")


def load_sets(data: Path, skip: Sequence[str]) -> dict[str, list[Crystal]]:
    """Crystals of the shipped sets and of the files in a folder, but for those to skip."""
    shipped = {"togo15": load_togo15, "hh143": load_hh143, "literature": load_literature}
    sets = {name: load() for name, load in shipped.items() if name not in skip}
    for name in (name for name in FILES if name not in skip):
        sets[name] = [item for item in iter_crystals([data / f"{name}.extxyz.gz"]) if isinstance(item, Crystal)]
    return sets


def thinned(crystals: Sequence[Crystal], most: int) -> list[Crystal]:
    """At most `most` crystals, evenly spaced."""
    if len(crystals) <= most:
        return list(crystals)
    return [crystals[index] for index in np.linspace(0, len(crystals) - 1, most).astype(int)]


def rattled(crystal: Crystal, size: int, noise_angstrom: float, generator: np.random.Generator) -> Crystal:
    """A supercell of size × size × size with normal noise on each coordinate."""
    copies = np.array(list(product(range(size), repeat=3)))
    fractional = (crystal.fractional[None] + copies[:, None]).reshape(-1, 3) / size
    cell = crystal.cell * size
    noise = generator.normal(size=fractional.shape) * noise_angstrom
    return Crystal(np.tile(crystal.numbers, len(copies)), cell, fractional + noise @ np.linalg.inv(cell))


def rattled_rows(
    predictor: Predictor, model: str, name: str, crystals: list[Crystal], size: int
) -> Iterator[dict[str, object]]:
    """Rows of the table for one size of cell: the distribution of |Δ log10 κ| and its worst crystal, by noise."""
    ideal = log10_kappa(predictor, crystals)
    for noise in NOISES_ANGSTROM:
        generator = np.random.default_rng(SEED)
        moved = log10_kappa(predictor, [rattled(one, size, noise, generator) for one in crystals])
        what = {"model": model, "change": f"rattle {noise:g} Å, {size}×", "data_set": name, "goal": GOALS[noise]}
        yield {**what, **distribution(crystals, np.abs(moved - ideal), GOALS[noise])}


def strained_rows(predictor: Predictor, model: str, name: str, crystals: list[Crystal]) -> Iterator[dict[str, object]]:
    """One row: the largest second difference of log10 κ over the strains."""
    curves = [
        log10_kappa(predictor, [Crystal(one.numbers, one.cell * (1 + strain), one.fractional) for one in crystals])
        for strain in STRAINS
    ]
    step = np.abs(np.diff(np.array(curves), n=2, axis=0)).max(axis=0)
    what = {"model": model, "change": "strain ±1 %, second difference", "data_set": name, "goal": STEP_GOAL}
    yield {**what, **distribution(crystals, step, STEP_GOAL)}


def log10_kappa(predictor: Predictor, crystals: list[Crystal]) -> np.ndarray:
    """log10 of the median over the members, NaN where there is none, [n]."""
    parts = [
        predictor.predict(crystals[start : start + CHUNK])["kappa"].to_numpy(float)
        for start in range(0, len(crystals), CHUNK)
    ]
    return np.log10(np.concatenate(parts)) if parts else np.zeros(0)


def distribution(crystals: list[Crystal], moved: np.ndarray, goal: float) -> dict[str, object]:
    """Median, 99 % quantile and largest of what moved, and the crystal that it is."""
    finite = np.isfinite(moved)
    values = np.where(finite, moved, -1.0)
    worst = int(values.argmax())
    return {
        "crystals": int(finite.sum()),
        "median": round(float(np.median(moved[finite])), 6),
        "q99": round(float(np.quantile(moved[finite], 0.99)), 5),
        "largest": round(float(values[worst]), 5),
        "above_goal": int((values > goal).sum()),
        "worst": crystals[worst].material_id,
    }


def summary(table: pd.DataFrame) -> str:
    """The table over all data sets, in Markdown."""
    lines = [
        "| model | change | crystals | median, worst set | 99 %, worst set | largest | goal | above the goal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (model, change), part in table.groupby(["model", "change"], sort=False):
        lines.append(
            f"| {model} | {change} | {part.crystals.sum()} | {part['median'].max():.4f} | {part.q99.max():.4f} | "
            f"{part.largest.max():.4f} | {part.goal.iloc[0]:g} | {part.above_goal.sum()} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
