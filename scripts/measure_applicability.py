"""Rates of the concerns of `paraisite.applicability`, and their time.

    python scripts/measure_applicability.py ../shared/data [--metals matbench_expt_is_metal.csv]

The first argument is a folder of extxyz sets; every crystal of each is judged.
`--metals` is a CSV of `formula,target` with the
measured metallicity of compositions (Zhuo, Mansouri Tehrani, Brgoch, doi 10.1021/acs.jpclett.8b00124), as matminer's data set
`matbench_expt_is_metal` has it. The rules were designed on the half whose formulas hash to even numbers, and the error counts
on the other half.
"""

from __future__ import annotations

import argparse
import csv
import re
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from pymatgen.core import Composition

from paraisite.applicability import find_all_concerns
from paraisite.applicability.features import find_features
from paraisite.applicability.find import SCREEN_GRAPHS
from paraisite.applicability.metals import GROUP_OF_ELEMENT, metal_reason
from paraisite.applicability.volume import log_volume_ratios, volume_model
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.graphs.build import build_graphs
from paraisite.readers.stream import iter_crystals
from paraisite.structures.crystal import Crystal

CODES = ("vacuum", "molecular", "noble_gas", "metal", "volume", "nearly_reduces")
CHUNK = 256
STRETCHES = (0.9, 0.95, 1.05, 1.1)


def measure_crystals(name: str, crystals: list[Crystal]) -> None:
    """Print the share of crystals with each concern, the time, and the share found after a change of all lengths."""
    counts: Counter[str] = Counter()
    found = dict.fromkeys(STRETCHES, 0)
    seconds, n = 0.0, 0
    for start in range(0, len(crystals), CHUNK):
        built = build_graphs(crystals[start : start + CHUNK], SCREEN_GRAPHS)
        kept = [crystals[start + row] for row in built.kept]
        begun = time.process_time()
        concerns = find_all_concerns(kept, built.store, [crystal.formula for crystal in kept])
        seconds += time.process_time() - begun
        n += len(kept)
        counts.update(f"{concern.code} {concern.severity}" for items in concerns for concern in items)
        features = find_features(built.store)
        volume = np.array([crystal.volume / crystal.n_atoms for crystal in kept])
        ratio = log_volume_ratios(features, volume)
        # Lengths change by one factor, and nothing else that the model sees does.
        for stretch in STRETCHES:
            found[stretch] += int((np.abs(ratio + 3 * np.log(stretch)) > volume_model().edge).sum())
    shares = {key: f"{100 * counts[key] / n:.2f} %" for key in sorted(counts)}
    stretched = {stretch: f"{100 * count / n:.0f} %" for stretch, count in found.items()}
    print(
        f"{name}: {n} crystals, {1e3 * seconds / n:.3f} ms per crystal; {shares}; volume found when stretched: {stretched}"
    )


def measure_metals(path: Path) -> None:
    """Print how many metals are found, and how many others are taken for metals, in each half of a table."""
    halves: dict[int, Counter[tuple[bool, bool]]] = {0: Counter(), 1: Counter()}
    with path.open(encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            amounts = Composition(row["formula"]).get_el_amt_dict()
            formula = "".join(f"{symbol}{amount:g}" for symbol, amount in amounts.items())
            if set(amounts) <= set(GROUP_OF_ELEMENT):
                metal = row["target"] in {"1", "1.0", "True"}
                half = zlib.crc32(formula.encode()) % 2
                halves[half][metal, bool(metal_reason(re.sub(r"(?<=[a-zA-Z])1(?=[A-Z]|$)", "", formula)))] += 1
    for half, count in halves.items():
        metals, others = (count[kind, True] + count[kind, False] for kind in (True, False))
        print(
            f"{'held-out' if half else 'design'} half: {metals} metals, {100 * count[True, True] / metals:.1f} % found; "
            f"{others} others, {100 * count[False, True] / others:.1f} % taken for metals"
        )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--metals", type=Path)
    options = parser.parse_args()
    for name, load in (("togo15", load_togo15), ("hh143", load_hh143), ("literature", load_literature)):
        measure_crystals(name, list(load()))
    for path in sorted(options.data.glob("*.extxyz.gz")):
        measure_crystals(path.name, [item for item in iter_crystals([path]) if isinstance(item, Crystal)])
    if options.metals:
        measure_metals(options.metals)


if __name__ == "__main__":
    main()
