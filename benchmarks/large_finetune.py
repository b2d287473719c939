"""Measure fine-tuning the default model on many crystals: time, memory, speed of prediction, error of the sparse posterior.

    python benchmarks/large_finetune.py time --shared ../shared -n 500 1000 2000 3000 10000
    python benchmarks/large_finetune.py errors --shared ../shared

Crystals are PhononDB's (`phonondb_structures.extxyz.gz`). `errors` takes those that are stable in the harmonic approximation,
with κ/τ times a relaxation time of 10 ps as their κ (`phonondb_harmonic.csv`): no thermal conductivity, but a quantity of its
kind that the shipped model does not know. 3 000 are fitted, and the same 1 000 others are predicted exactly and by each
number of inducing points. `time` wants 10 000 crystals, of which not enough have that value, so it gives all a made-up
smooth κ, ten times what the shipped model predicts: its times mean something, its errors nothing. Each fit is a process of
its own on one thread. Rates are by time of the CPU, as those by the clock say how busy a shared machine was.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.levels import Source
from paraisite.features.descriptors import DESCRIPTOR_GRAPHS
from paraisite.graphs.build import build_graphs
from paraisite.models.files import find_model
from paraisite.models.interface import FitProgress
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.models.multi_fidelity.model import MultiFidelity
from paraisite.prediction.predict import Predictor
from paraisite.readers.stream import iter_crystals
from paraisite.structures.crystal import Crystal
from paraisite.training.finetune import finetune
from paraisite.training.multi_fidelity.fit import TrainingCrystals, fit_multi_fidelity
from paraisite.training.multi_fidelity.shared import condition_shared

RELAXATION_TIME_PS = 10.0
UNSTABLE_THZ = -0.15
N_ERRORS, N_HELD_OUT = 3000, 1000
INDUCING = (250, 500, 1000, 2000)
PREDICTED = 1000


def read_crystals(shared: Path) -> list[Crystal]:
    """Crystals of PhononDB that have a graph, in an order that means nothing."""
    found = [
        item for item in iter_crystals([shared / "data" / "phonondb_structures.extxyz.gz"]) if isinstance(item, Crystal)
    ]
    return [found[row] for row in np.random.default_rng(0).permutation(len(found))]


def read_values(shared: Path) -> dict[str, float]:
    """κ/τ times the relaxation time of stable crystals, in W/(m K), by identifier."""
    values = {}
    with (shared / "data" / "phonondb_harmonic.csv").open(encoding="utf-8") as handle:
        for row in csv.DictReader(line for line in handle if not line.startswith("#")):
            if row["f_min"] and row["kappa_over_tau"] and float(row["f_min"]) > UNSTABLE_THZ:
                values[row["material_id"]] = RELAXATION_TIME_PS * float(row["kappa_over_tau"])
    return {name: value for name, value in values.items() if value > 0}


def measure_time(shared: Path, n_crystals: int) -> dict[str, float]:
    """Fine-tune on so many crystals, and predict some with the model, in this process."""
    crystals = read_crystals(shared)[: n_crystals + PREDICTED]
    kappa = 10 * Predictor().predict(crystals)["kappa"].to_numpy(float)
    good = np.flatnonzero(np.isfinite(kappa))
    mine = [crystals[row] for row in good[:n_crystals]]
    data = DataSet("phonondb", tuple(mine), kappa[good[:n_crystals]], (len(mine),))
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        finetune(data, Path(folder) / "model")
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        size = sum(path.stat().st_size for path in (Path(folder) / "model").iterdir())
        begun = time.process_time()
        predictor = Predictor(Path(folder) / "model")
        load = time.process_time() - begun
        rate, shipped = (_rate(each, crystals[-PREDICTED:]) for each in (predictor, Predictor()))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "crystals": len(mine), "s": seconds, "s of CPU": cpu, "GB at most": memory, "MB on disk": size / 1e6,
        "s of CPU to load": load, "crystals per s of CPU": rate, "shipped model": shipped,
    }  # fmt: skip


def _rate(predictor: Predictor, crystals: list[Crystal]) -> float:
    """Crystals per second of CPU, from structure to table; of the second time, when tables of elements are there."""
    predictor.predict(crystals)
    start = time.process_time()
    predictor.predict(crystals)
    return len(crystals) / (time.process_time() - start)


def measure_errors(shared: Path) -> list[dict[str, float | str]]:
    """Errors of the exact and the sparse posterior on the same held-out crystals."""
    values = read_values(shared)
    crystals = [crystal for crystal in read_crystals(shared) if crystal.material_id in values]
    crystals = crystals[: N_ERRORS + N_HELD_OUT + 200]  # a few have no graph
    crystals = [crystals[row] for row in build_graphs(crystals, DESCRIPTOR_GRAPHS).kept[: N_ERRORS + N_HELD_OUT]]
    kappa = np.array([values[crystal.material_id] for crystal in crystals])
    everything = TrainingCrystals.describe(crystals, kappa, [Source("phonondb")] * len(crystals))
    start = load_multi_fidelity(find_model())
    known = TrainingCrystals.of(start) + everything.take(np.arange(N_ERRORS))
    new = everything.take(np.arange(N_ERRORS, len(crystals)))
    exact, _ = fit_multi_fidelity(start.surrogates, known)
    rows = [_errors("exact", exact, exact, new)]
    for n_inducing in INDUCING:
        sparse = _sparse(exact, n_inducing)
        rows.append(_errors(f"{n_inducing} inducing points", sparse, exact, new))
    return rows


def _sparse(model: MultiFidelity, n_inducing: int) -> MultiFidelity:
    """The model with the same hyperparameters by inducing points."""
    processes, _, several = condition_shared(
        model.parameters[0], model.data, _quiet, max_exact=0, n_inducing=n_inducing
    )
    widths, stated = (one.widths(model.data.log10_kappa) for one in several)
    return replace(model, shared=processes, widths=widths, stated_widths=stated)


def _errors(name: str, model: MultiFidelity, exact: MultiFidelity, new: TrainingCrystals) -> dict[str, float | str]:
    said, wanted = model.predict(new.descriptors), exact.predict(new.descriptors)
    low, high = said.interval()
    start = time.process_time()
    for rows in np.array_split(np.arange(len(new.log10_kappa)), 4):
        model.predict(new.descriptors[rows])
    seconds = time.process_time() - start
    difference = said.log10_median - wanted.log10_median
    return {
        "posterior": name,
        "MAE of log10 κ": float(np.abs(said.log10_median - new.log10_kappa).mean()),
        "in the 90 % interval": float(((low <= new.log10_kappa) & (new.log10_kappa <= high)).mean()),
        "median width of it, log10": float(np.median(high - low)),
        "rms difference to the exact median": float(np.sqrt((difference**2).mean())),
        "ms of CPU per prediction": 1e3 * seconds / len(new.log10_kappa),
    }


def _quiet(_: FitProgress) -> None:
    pass


def show(rows: list[dict[str, float | str]] | list[dict[str, float]]) -> None:
    """Print a table in Markdown."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows:
        cells = [
            value if isinstance(value, str) else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
            for value in row.values()
        ]
        lines.append("| " + " | ".join(cells) + " |")
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("time", "errors", "one"))
    parser.add_argument("--shared", type=Path, required=True, help="folder that holds data/phonondb_*")
    parser.add_argument("-n", type=int, nargs="+", default=[500, 1000, 2000, 3000, 10000], help="crystals")
    arguments = parser.parse_args()
    if arguments.what == "errors":
        show(measure_errors(arguments.shared))
    elif arguments.what == "one":
        sys.stdout.write(json.dumps(measure_time(arguments.shared, arguments.n[0])) + "\n")
    else:
        rows = []
        for n_crystals in arguments.n:
            command = [sys.executable, __file__, "one", "--shared", str(arguments.shared), "-n", str(n_crystals)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            sys.stderr.write(f"{rows[-1]}\n")
        show(rows)


if __name__ == "__main__":
    main()
