"""Share of κ that the 90 % intervals of the multi-fidelity model hold, by source, on crystals that it was not fitted to.

Crystals of the shipped sets. New compositions: fitted to four fifths of the compositions of all three sets, tested on the
others, several draws. A new source: fitted to two of the sets, tested on the third without the compositions of those two. The
widths come from the inner folds of each fit alone. Writes the table of docs/accuracy.md, in some minutes on one core:

    python scripts/measure_coverage.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from paraisite.datasets.catalogue import load_data_set
from paraisite.models.files import find_model
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.models.multi_fidelity.model import MultiFidelity, assign_folds
from paraisite.training.multi_fidelity.fit import TrainingCrystals, fit_multi_fidelity

SOURCES = ("togo15", "hh143", "literature")
N_FOLDS = 5
DOCUMENT = Path(__file__).parents[1] / "docs" / "accuracy.md"
BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
NEW_COMPOSITIONS, STATED, NEW_SOURCE = "new composition", "new composition, source stated", "new source"


def main() -> None:
    """Fit, test and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=4, help="draws of the folds")
    parser.add_argument("--out", type=Path, default=DOCUMENT, help="document with the marks of the table")
    arguments = parser.parse_args()
    text = arguments.out.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    table = markdown(pd.concat(measure(arguments.draws)), arguments.draws)
    arguments.out.write_text(f"{before}{BEGIN}\n{table}{END}{after}", encoding="utf-8")


def measure(draws: int) -> Iterator[pd.DataFrame]:
    """Test every crystal once a draw, and once as one of a source that was not fitted to."""
    surrogates = load_multi_fidelity(find_model()).surrogates
    data = [load_data_set(name) for name in SOURCES]
    crystals = TrainingCrystals.describe(
        [crystal for part in data for crystal in part.crystals],
        np.concatenate([part.kappa for part in data]),
        [part.source for part in data for _ in part.crystals],
    )
    for draw in range(draws):
        fold = assign_folds(crystals.composition.tolist(), N_FOLDS, seed=100 + draw)
        for number in range(N_FOLDS):
            model, _ = fit_multi_fidelity(surrogates, crystals.take(fold != number))
            tested = crystals.take(fold == number)
            yield judge(model, tested, NEW_COMPOSITIONS)
            yield judge(model, tested, STATED, tested.source)
    for name in SOURCES:
        known = crystals.take(crystals.source != name)
        model, _ = fit_multi_fidelity(surrogates, known)
        new = (crystals.source == name) & ~np.isin(crystals.composition, known.composition)
        yield judge(model, crystals.take(new), NEW_SOURCE)


def judge(
    model: MultiFidelity, crystals: TrainingCrystals, protocol: str, source: np.ndarray | None = None
) -> pd.DataFrame:
    """Whether each crystal's κ lies in its interval, and the factor from the lower end to the upper."""
    low, high = model.predict(crystals.descriptors, source).interval()
    held = (low <= crystals.log10_kappa) & (crystals.log10_kappa <= high)
    return pd.DataFrame({"protocol": protocol, "source": crystals.source, "held": held, "factor": 10 ** (high - low)})


def markdown(table: pd.DataFrame, draws: int) -> str:
    """The table, its rows in the order of the protocols and sources."""
    lines = [
        "| tested as | data set | crystals | κ in the 90 % interval | median upper / lower end |\n|---|---|---|---|---|"
    ]
    for protocol in (NEW_COMPOSITIONS, STATED, NEW_SOURCE):
        for source in (*SOURCES, "all"):
            rows = table[(table["protocol"] == protocol) & ((table["source"] == source) | (source == "all"))]
            n = len(rows) // (1 if protocol == NEW_SOURCE else draws)
            error = np.sqrt(0.9 * 0.1 / n)
            lines.append(
                f"| {protocol} | {source} | {n} | {100 * rows['held'].mean():.1f} ± {100 * error:.1f} % | "
                f"{rows['factor'].median():.1f} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
