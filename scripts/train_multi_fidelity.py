"""Train the default model, MultiFidelity, and write it with its card into the package.

Needs the AFLOW data (`--data DIR`), and about two minutes on one core:

    python scripts/train_multi_fidelity.py --data DIR

The card's errors are those of `results/comparison`, which `scripts/publish_comparison.py` writes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paraisite.comparison.card import card_errors
from paraisite.datasets.catalogue import load_data_set
from paraisite.features.descriptors import DESCRIPTOR_GRAPHS, describe_crystals
from paraisite.graphs.build import build_graphs
from paraisite.models.multi_fidelity.files import save_multi_fidelity
from paraisite.training.multi_fidelity.fit import (
    TrainingCrystals,
    describe_fit,
    domain_of,
    fit_domains,
    fit_multi_fidelity,
    round_surrogate,
    train_surrogate,
)
from paraisite.uncertainty.files import save_uncertainty
from paraisite.version import __version__

NAME = "MultiFidelity"
SOURCES = ("togo15", "hh143", "literature")
REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "src" / "paraisite" / "data" / "models" / NAME
SCORES = REPOSITORY / "results" / "comparison" / "table.csv"
CARD = {
    "name": NAME,
    "description": "AGL surrogate and Gaussian processes on first-principles and measured κ: the most accurate here",
    "intended_domain": (
        "ordered semiconductors and insulators; best near its 345 crystals (rocksalt, zinc blende, wurtzite, half-Heusler "
        "and 41 other structure types), elsewhere an extrapolation that the domain column names"
    ),
    "not_for": (
        "metals (lattice part only), disordered crystals, molecules, other temperatures, tensors of anisotropic crystals"
    ),
    "licence": "BSD-3-Clause (the model; the data have their own, below)",
    "training_data": [
        "AFLOW AGL κ of 4 399 ICSD crystals (aflow.org, free for academic use with citation, doi 10.1103/PhysRevB.90.174107)",
        "Togo15, κ of 95 binary crystals (PhononDB, CC BY 4.0, doi 10.1103/PhysRevB.91.094306; cells: Materials Project)",
        "HH143, κ of 143 half-Heuslers (doi 10.1103/PhysRevX.4.011019; cells: Materials Project, CC BY 4.0)",
        "literature, κ of 107 crystals, restated from published sources (see the data set's own table)",
    ],
}


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of what the package does not ship")
    parser.add_argument("--out", type=Path, default=FOLDER, help="model folder")
    arguments = parser.parse_args()
    aflow = load_data_set("aflow_agl", arguments.data)
    kept = build_graphs(aflow.crystals, DESCRIPTOR_GRAPHS).kept
    agl_crystals = [aflow.crystals[index] for index in kept]
    agl = describe_crystals(agl_crystals)
    surrogate = round_surrogate(train_surrogate(agl, np.log10(aflow.kappa[kept]), source=aflow.source))

    data = [load_data_set(name) for name in SOURCES]
    crystals = [crystal for part in data for crystal in part.crystals]
    sources = [part.source for part in data for _ in part.crystals]
    training = TrainingCrystals.describe(crystals, np.concatenate([part.kappa for part in data]), sources)
    model, report = fit_multi_fidelity([surrogate], training)
    card = {
        **CARD,
        "version": __version__,
        "fit": describe_fit(model, report),
        "command": "scripts/train_multi_fidelity.py",
        **published_errors(),
    }
    save_multi_fidelity(model, arguments.out, card)

    earlier = domain_of(agl, [crystal.formula for crystal in agl_crystals], "AFLOW")
    save_uncertainty(fit_domains(model, "the first-principles and measured crystals", earlier), arguments.out)


def published_errors() -> dict[str, Any]:
    """The published comparison's errors, for the card; nothing where none is published."""
    return {"errors": card_errors(pd.read_csv(SCORES))} if SCORES.exists() else {}


if __name__ == "__main__":
    main()
