"""Choose crystals whose κ the training sets lack, and compute it by a potential: the table `computed`.

Resumable: the same command goes on where it was stopped. Crystals that the table holds already are not chosen again.

    python scripts/compute_labels.py runs/labels --shared DIR --potential nequix:mp-1-pft --number 300 --max-minutes 90
    python scripts/compute_labels.py runs/labels --publish

The choice takes turns, so that any beginning of it is balanced: crystals of Togo15 and HH143, which calibrate the potential
against DFT, and five kinds of crystals that the training sets lack: the widest intervals, the lowest and the highest
predicted κ, outside of the domain, and farthest from all chosen before in the descriptors of the default model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd

from paraisite import Crystal, load_data_set, predict, read_crystals
from paraisite.applicability.metals import metal_concern
from paraisite.features.descriptors import describe_crystals
from paraisite.phonons.compute import ComputeOptions, compute, run_computation
from paraisite.phonons.label_table import LABELS, computed_labels, write_labels
from paraisite.phonons.queue import COMPUTATION, open_computation
from paraisite.phonons.settings import ComputeSettings
from paraisite.structures import ReadFailure

SOURCES = ("aflow_agl.extxyz.gz", "aflow_unlabelled.extxyz.gz", "mp_scan.extxyz.gz", "phonondb_structures.extxyz.gz")
MAX_ATOMS = 12
N_TOGO15, N_HH143 = 40, 20
SEED = 20261126
SETTINGS = ComputeSettings(mesh_length_angstrom=32.0, max_unknowns=600)
"""Twice as fast as the defaults; the convergence error of each crystal says what that costs."""


def main() -> None:
    """Choose where nothing is chosen yet, then compute what has no record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the computation")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/")
    parser.add_argument("--potential", default="nequix:mp-1-pft")
    parser.add_argument("--number", type=int, default=300, help="crystals beside those of Togo15 and HH143")
    parser.add_argument("--max-minutes", type=float, default=None)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--publish", action="store_true", help="add the finished records to the package's table")
    arguments = parser.parse_args()
    if arguments.publish:
        print(f"{write_labels(arguments.out)} rows in {LABELS}")
        return
    options = ComputeOptions(processes=arguments.processes, max_minutes=arguments.max_minutes, on_answer=_show)
    if (arguments.out / COMPUTATION).exists():
        run_computation(arguments.out, open_computation(arguments.out), options)
        return
    crystals = choose(arguments.shared / "data", arguments.number)
    compute(crystals, output=arguments.out, potential=arguments.potential, settings=SETTINGS, options=options)


def choose(data: Path, number: int) -> list[Crystal]:
    """Crystals in the order in which they are computed."""
    known = set(computed_labels()["material_id"])
    random = np.random.default_rng(SEED)
    calibration = []
    for name, n in (("togo15", N_TOGO15), ("hh143", N_HH143)):
        crystals = load_data_set(name).crystals
        picked = [crystals[index] for index in random.permutation(len(crystals))[:n]]
        calibration.append([crystal for crystal in picked if crystal.material_id not in known])
    labelled = {crystal.formula for name in ("togo15", "hh143") for crystal in load_data_set(name).crystals}
    candidates = list(_candidates(data, known, labelled))
    table = predict(candidates)
    usable = table["status"].eq("ok").to_numpy()
    candidates = [crystal for crystal, keep in zip(candidates, usable, strict=True) if keep]
    others = _take_turns(candidates, table[usable].reset_index(drop=True), number, random)
    turns = zip_longest(_spread(calibration[0], calibration[1]), others[::2], others[1::2])
    return [crystal for crystal in chain.from_iterable(turns) if crystal is not None]


def _candidates(data: Path, known: set[str], labelled: set[str]) -> Iterator[Crystal]:
    """Small crystals that are no metals, one for each formula and number of atoms."""
    seen = set()
    for name in SOURCES:
        for crystal in read_crystals(data / name):
            if isinstance(crystal, ReadFailure) or crystal.n_atoms > MAX_ATOMS or crystal.formula in labelled:
                continue
            key = (crystal.formula, crystal.n_atoms)
            if key in seen or crystal.material_id in known or metal_concern(crystal.formula) is not None:
                continue
            seen.add(key)
            yield crystal


def _spread(first: list[Crystal], second: list[Crystal]) -> list[Crystal]:
    """Two lists in turns of two to one."""
    turns = zip_longest(first[::2], first[1::2], second)
    return [crystal for crystal in chain.from_iterable(turns) if crystal is not None]


def _take_turns(
    candidates: list[Crystal], table: pd.DataFrame, number: int, random: np.random.Generator
) -> list[Crystal]:
    width = np.log10(table["kappa_high"] / table["kappa_low"]).to_numpy()
    kappa, outside = table["kappa"].to_numpy(), table["domain"].eq("outside").to_numpy()
    orders = [
        np.argsort(-width),
        np.argsort(kappa),
        np.argsort(-kappa),
        random.permutation(np.nonzero(outside)[0]),
        _farthest(candidates, number, random),
    ]
    chosen: dict[int, None] = {}
    for turn in zip_longest(*orders):
        for index in turn:
            if index is not None and len(chosen) < number:
                chosen.setdefault(int(index))
    return [candidates[index] for index in chosen]


def _farthest(candidates: list[Crystal], number: int, random: np.random.Generator) -> np.ndarray:
    """Greedy choice of the crystal that is farthest from the training crystals and all chosen before it."""
    training = [crystal for name in ("togo15", "hh143", "literature") for crystal in load_data_set(name).crystals]
    subset = random.permutation(len(candidates))[:3000]
    described = describe_crystals([*training, *(candidates[index] for index in subset)])
    described = (described - described.mean(axis=0)) / np.maximum(described.std(axis=0), 1e-9)
    known, open_ = described[: len(training)], described[len(training) :]
    distance = np.full(len(open_), np.inf)
    for row in known:
        distance = np.minimum(distance, ((open_ - row) ** 2).sum(axis=1))
    order = []
    for _ in range(min(number, len(open_))):
        index = int(distance.argmax())
        order.append(subset[index])
        distance = np.minimum(distance, ((open_ - open_[index]) ** 2).sum(axis=1))
    return np.array(order)


def _show(answer: object) -> None:
    status = getattr(answer, "status", None)
    if status is not None:
        kappa = answer.kappa_at()  # type: ignore[attr-defined]
        seconds = sum(answer.seconds.values())  # type: ignore[attr-defined]
        name = f"{answer.material_id} {answer.formula}"  # type: ignore[attr-defined]
        print(f"{name}: {status}, κ {kappa}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
