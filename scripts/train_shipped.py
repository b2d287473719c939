"""Train the models that the package ships, and write them with their cards, errors and curves into the package.

Needs the AFLOW data and the formation-energy weights (`--data DIR`), and about an hour for each AFLOW family on one core.
A stopped run goes on where it was:

    python scripts/train_shipped.py aflow FEAF --data DIR --runs runs     # one process a core: FEAF and RWAF
    python scripts/train_shipped.py togo15 --data DIR --runs runs         # packs FEAF, then trains everything on Togo15
    python scripts/train_shipped.py pack --runs runs                      # writes src/paraisite/data
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from paraisite.datasets.catalogue import load_data_set
from paraisite.models.files import load_model, read_card, save_model
from paraisite.models.packing import pack as pack_weights
from paraisite.models.packing import unpack
from paraisite.plots import summarise_epochs
from paraisite.training.loop import predict_store
from paraisite.training.recipe import Recipe, family_recipe
from paraisite.training.run import RunOptions, StageProgress, prepare_data, read_metrics, train

PACKAGE_DATA = Path(__file__).parents[1] / "src" / "paraisite" / "data"
TOGO15_FAMILIES = ("RWTG15", "FETG15", "RWAFTG15", "FEAFTG15")
HELD_OUT = "-held-out"
LICENCES = [
    "MatGL's MEGNet-MP-2018.6.1-Eform weights (BSD-3-Clause, doi 10.1021/acs.chemmater.9b01294)",
    "AFLOW AGL κ of 4 399 ICSD crystals (aflow.org, free for academic use with citation, doi 10.1103/PhysRevB.90.174107)",
    "Togo15, κ of 95 binary crystals (PhononDB, CC BY 4.0, doi 10.1103/PhysRevB.91.094306; cells: Materials Project)",
]
CARDS: dict[str, dict[str, Any]] = {
    "FEAF": {
        "description": "formation energies → AFLOW AGL: the start of a fine-tuning, not a predictor of first-principles κ",
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
SIXTEEN_BITS: dict[str, tuple[str, ...]] = {"FEAF": ("head.1.weight",), "FEAFTG15": ()}
"""Weights that are stored in 16 bits, so that both models together stay below 25 MB."""
NOT_FOR = (
    "metals (lattice part only), disordered crystals, molecules, other temperatures, tensors of anisotropic crystals"
)


def togo15_recipe(family: str, runs: Path, selection: str) -> Recipe:
    """Recipe of a Togo15 family; a family with an AFLOW stage starts from the run or model that holds it."""
    recipe = family_recipe(family)
    initial = {"RWAFTG15": str(runs / "RWAF" / "aflow" / "model"), "FEAFTG15": "FEAF"}.get(family, recipe.initial)
    stage = replace(recipe.stages[-1], selection=selection)
    return replace(recipe, initial=initial, stages=(stage,))


def packing_effect(folder: Path, sixteen_bits: tuple[str, ...]) -> float:
    """Largest relative change of any member's κ over Togo15 and HH143 when the weights are packed."""
    model = load_model(folder)
    _, store = prepare_data(load_data_set("mix"))
    before = model.target.inverse(predict_store(model, store))
    model.load_state_dict(unpack(pack_weights(model.state_dict(), sixteen_bits)))
    after = model.target.inverse(predict_store(model, store))
    return float(((after - before).abs() / before.abs()).max())


def pack_model(name: str, stage_folder: Path, errors: dict[str, Any]) -> None:
    """Write a shipped model with its card."""
    source = stage_folder / "model"
    recipe = read_card(source)["recipe"]
    card = {
        "name": name,
        **CARDS[name],
        "not_for": NOT_FOR,
        "licence": "BSD-3-Clause (the weights; the data have their own, above)",
        "version": read_card(source)["version"],
        "recipe": recipe,
        "graph": read_card(source)["graph"],
        "errors": errors,
        "precision": {
            "stored": "16 to 24 bits",
            "largest_relative_change_of_kappa": packing_effect(source, SIXTEEN_BITS[name]),
        },
        "command": "python scripts/train_shipped.py",
    }
    save_model(load_model(source), PACKAGE_DATA / "models" / name, card, packed=True, sixteen_bits=SIXTEEN_BITS[name])


def read_errors(stage_folder: Path) -> dict[str, Any]:
    """Errors of a trained stage."""
    content: dict[str, Any] = json.loads((stage_folder / "errors.json").read_text(encoding="utf-8"))
    return content


def train_togo15(runs: Path, data: Path) -> None:
    """Pack FEAF, and train the Togo15 families by the paper's protocol and by the held-out one."""
    pack_model("FEAF", runs / "FEAF" / "aflow", read_errors(runs / "FEAF" / "aflow")["summary"])
    for selection, suffix in (("validation", ""), ("inner", HELD_OUT)):
        for family in TOGO15_FAMILIES:
            train(togo15_recipe(family, runs, selection), runs / (family + suffix), RunOptions(data, report=_report))


def pack(runs: Path) -> None:
    """Write the default model, the errors and the curves of all families."""
    errors = {family: read_errors(runs / family / "aflow") for family in ("RWAF", "FEAF")}
    curves = []
    for family in TOGO15_FAMILIES:
        content = read_errors(runs / family / "togo15")
        held_out = read_errors(runs / (family + HELD_OUT) / "togo15")
        content["summary"]["held_out"] = held_out["summary"]["held_out"]
        for entry, other in zip(content["by_run"], held_out["by_run"], strict=True):
            entry["held_out"] = other["held_out"]
        errors[family] = content
        curves.append(summarise_epochs(read_metrics(runs / family / "togo15")).assign(family=family))
    pack_model("FEAFTG15", runs / "FEAFTG15" / "togo15", errors["FEAFTG15"]["summary"])
    (PACKAGE_DATA / "errors.json").write_text(json.dumps(errors, indent=1) + "\n", encoding="utf-8")
    table = pd.concat(curves)[["family", "epoch", "mean", "standard_deviation"]]
    table.to_csv(PACKAGE_DATA / "curves.csv", index=False, float_format="%.4f")


def _report(progress: StageProgress) -> None:
    if progress.epoch % 10 == 0:
        done = f"{progress.run} {progress.stage} {progress.epoch}/{progress.epochs}"
        print(f"{done} loss {progress.train_loss:.4f} validation {progress.validation_mape:.4f}", flush=True)


def main() -> None:
    """Do the part that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("aflow", "togo15", "pack"))
    parser.add_argument("family", nargs="?", choices=("FEAF", "RWAF"), default="FEAF")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    if arguments.part == "aflow":
        train(
            family_recipe(arguments.family),
            arguments.runs / arguments.family,
            RunOptions(arguments.data, report=_report),
        )
    elif arguments.part == "togo15":
        train_togo15(arguments.runs, arguments.data)
    else:
        pack(arguments.runs)


if __name__ == "__main__":
    main()
