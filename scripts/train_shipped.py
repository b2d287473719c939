"""Write the networks that the package ships, with their cards, uncertainty, errors and curves, from the study's trainings.

Needs the AFLOW data and the formation-energy weights (`--data DIR`); the trainings take about an hour on two cores, the rest
a minute. The study may also be the whole one:

    paraisite reproduce -o study --data DIR --only 'paper/*AF' --only 'paper/*TG15' --only 'held_out/*TG15'
    python scripts/train_shipped.py study --data DIR
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from paraisite.datasets.catalogue import load_data_set
from paraisite.models.files import read_card
from paraisite.models.network.files import load_network, save_network
from paraisite.models.network.packing import pack as pack_weights
from paraisite.models.network.packing import unpack
from paraisite.reporting.plots import summarise_epochs
from paraisite.training.network.data import prepare_data
from paraisite.training.network.loop import predict_store
from paraisite.training.network.recalibrate import add_uncertainty
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.results import read_metrics

PACKAGE_DATA = Path(__file__).parents[1] / "src" / "paraisite" / "data"
AFLOW_FAMILIES = ("RWAF", "FEAF")
TOGO15_FAMILIES = ("RWTG15", "FETG15", "RWAFTG15", "FEAFTG15")
LICENCES = [
    "MatGL's MEGNet-MP-2018.6.1-Eform weights (BSD-3-Clause, doi 10.1021/acs.chemmater.9b01294)",
    "AFLOW AGL κ of 4 399 ICSD crystals (aflow.org, free for academic use with citation, doi 10.1103/PhysRevB.90.174107)",
    "Togo15, κ of 95 binary crystals (PhononDB, CC BY 4.0, doi 10.1103/PhysRevB.91.094306; cells: Materials Project)",
]
CARDS: dict[str, dict[str, Any]] = {
    "FEAF": {
        "description": "formation energies → AFLOW AGL: the start of a fine-tuning, not a predictor of first-principles κ",
        "caution": "this model imitates AFLOW's quasi-harmonic AGL values, which lie far from first-principles κ",
        "intended_domain": "start of a fine-tuning; its own κ imitates AFLOW's quasi-harmonic Debye-Grüneisen values",
        "training_data": LICENCES[:2],
    },
    "FEAFTG15": {
        "description": "formation energies → AFLOW AGL → Togo15, the paper's step 3: κ as by first principles",
        "intended_domain": (
            "ordered binary semiconductors and insulators in the rocksalt, zinc-blende and wurtzite structures; all else is "
            "an extrapolation"
        ),
        "training_data": LICENCES,
    },
}
SIXTEEN_BITS = ("head.1.weight",)
"""Weights that are stored in 16 bits, so that all shipped models together stay below 25 MB."""
LEAST_KAPPA_W_PER_MK = 0.1
"""Below this a member's κ is far from any crystal's, and what packing changes is compared with this instead."""
NOT_FOR = (
    "metals (lattice part only), disordered crystals, molecules, other temperatures, tensors of anisotropic crystals; "
    "rattled, rounded or strained cells with neighbours at 4 Å, where κ jumps (docs/continuity.md)"
)


def packing_effect(folder: Path) -> float:
    """Largest relative change of any member's κ over Togo15 and HH143 when the weights are packed."""
    model = load_network(folder)
    _, store = prepare_data(load_data_set("mix"))
    before = model.target.inverse(predict_store(model, store))
    model.load_state_dict(unpack(pack_weights(model.state_dict(), SIXTEEN_BITS)))
    after = model.target.inverse(predict_store(model, store))
    return float(((after - before).abs() / before.abs().clamp(min=LEAST_KAPPA_W_PER_MK)).max())


def pack_model(
    name: str, stage_folder: Path, errors: dict[str, Any], *, data: Path, residuals_from: Path | None = None
) -> None:
    """Write a shipped model with its card and its uncertainty.

    Args:
        name: Name of the model.
        stage_folder: Folder of the stage that trained it.
        errors: Summary of its errors, for the card.
        data: Folder of what the package does not ship.
        residuals_from: Folder of the stage that held its validation parts out; without it the model has no intervals.
    """
    source, target = stage_folder / "model", PACKAGE_DATA / "models" / name
    card = {
        "name": name,
        **CARDS[name],
        "not_for": NOT_FOR,
        "licence": "BSD-3-Clause (the weights; the data have their own, above)",
        "version": read_card(source)["version"],
        "recipe": asdict(Recipe.from_toml(stage_folder.parent / "recipe.toml")),
        "graph": read_card(source)["graph"],
        "errors": errors,
        "precision": {
            "stored": "16 to 24 bits",
            "largest_relative_change_of_kappa": packing_effect(source),
            "least_kappa_w_per_mk": LEAST_KAPPA_W_PER_MK,
        },
        "command": "paraisite reproduce -o study && python scripts/train_shipped.py study",
    }
    save_network(load_network(source), target, card, packed=True, sixteen_bits=SIXTEEN_BITS)
    add_uncertainty(stage_folder, target, residuals_from=residuals_from, data_folder=data)


def read_errors(stage_folder: Path) -> dict[str, Any]:
    """Errors of a trained stage."""
    content: dict[str, Any] = json.loads((stage_folder / "errors.json").read_text(encoding="utf-8"))
    return content


def togo15_errors(paper: Path, held_out: Path) -> dict[str, Any]:
    """Errors of a Togo15 stage by the paper's protocol, with those of the held-out one beside them."""
    content, other = read_errors(paper), read_errors(held_out)
    content["summary"]["held_out"] = other["summary"]["held_out"]
    for entry, other_entry in zip(content["by_run"], other["by_run"], strict=True):
        entry["held_out"] = other_entry["held_out"]
    return content


def pack(study: Path, data: Path) -> None:
    """Write the models, and the errors and curves of all families."""
    paper, held_out = study / "runs" / "paper", study / "runs" / "held_out"
    errors = {family: read_errors(paper / family / "aflow") for family in AFLOW_FAMILIES}
    curves = []
    for family in TOGO15_FAMILIES:
        stage = paper / family / "togo15"
        errors[family] = togo15_errors(stage, held_out / family / "togo15")
        curves.append(summarise_epochs(read_metrics(stage)).assign(family=family))
    # FEAF's own κ is no first-principles one, and intervals of it would not be either: it gets its domain alone.
    pack_model("FEAF", paper / "FEAF" / "aflow", errors["FEAF"]["summary"], data=data)
    pack_model(
        "FEAFTG15",
        paper / "FEAFTG15" / "togo15",
        errors["FEAFTG15"]["summary"],
        data=data,
        residuals_from=held_out / "FEAFTG15" / "togo15",
    )
    (PACKAGE_DATA / "errors.json").write_text(json.dumps(errors, indent=1) + "\n", encoding="utf-8")
    table = pd.concat(curves)[["family", "epoch", "mean", "standard_deviation"]]
    table.to_csv(PACKAGE_DATA / "curves.csv", index=False, float_format="%.4f")


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="folder of a study that `paraisite reproduce` made")
    parser.add_argument("--data", type=Path, required=True, help="folder of what the package does not ship")
    arguments = parser.parse_args()
    pack(arguments.study, arguments.data)


if __name__ == "__main__":
    main()
