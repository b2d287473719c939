"""CPU time of a force call, per atom and on one thread, of potentials on displaced cells of 64 atoms.

    OMP_NUM_THREADS=1 python benchmarks/force_calls.py sevennet:7net-0 chgnet --batches

Prints a row of a Markdown table per potential, as soon as it is measured. Processor time rather than wall time, so that
other processes on the machine disturb it less; the least of a few calls, after one that is not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from ase import Atoms
from ase.build import bulk

from paraisite.phonons.potentials.registry import load_potential
from paraisite.threads import torch_settings

LATTICES_ANGSTROM = {"NaCl": 5.64, "MgO": 4.21}
"""Conventional rocksalt cells, doubled along each axis: 64 atoms."""
DISPLACEMENT_ANGSTROM = 0.03
N_CALLS = 3
CELLS_PER_BATCH = 4


def displaced_cells(formula: str) -> list[Atoms]:
    cells = []
    for seed in range(CELLS_PER_BATCH):
        cell = bulk(formula, "rocksalt", a=LATTICES_ANGSTROM[formula], cubic=True).repeat(2)
        cell.rattle(DISPLACEMENT_ANGSTROM, seed=seed)
        cells.append(cell)
    return cells


def least_cpu_seconds_per_atom(call: Callable[[], object], n_atoms: int) -> float:
    call()
    seconds = []
    for _ in range(N_CALLS):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds) / n_atoms


def measure(name: str, batches: bool) -> str:
    potential = load_potential(name, device="cpu")
    found = []
    for formula in LATTICES_ANGSTROM:
        cells = displaced_cells(formula)
        n_atoms = len(cells[0])
        found.append(least_cpu_seconds_per_atom(lambda cells=cells: potential.forces(cells[:1]), n_atoms))
        if batches:
            from paraisite.phonons.potentials.sevennet import SevenNetBatches

            together = SevenNetBatches(potential.calculator, CELLS_PER_BATCH * n_atoms)
            found.append(least_cpu_seconds_per_atom(lambda cells=cells, run=together: run(cells), n_atoms * len(cells)))
    return f"| {potential.label} | {potential.version} | " + " | ".join(f"{value:.4f}" for value in found) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="potentials")
    parser.add_argument("--batches", action="store_true", help="also SevenNet in batches of 4 cells")
    arguments = parser.parse_args()
    kinds = ("one by one", f"{CELLS_PER_BATCH} at once") if arguments.batches else ("one by one",)
    heads = [f"{formula}, {kind}, s/atom" for formula in LATTICES_ANGSTROM for kind in kinds]
    print("| potential | version |", " | ".join(heads), "|")
    print("|---|---|" + "---|" * len(heads), flush=True)
    with torch_settings(1):
        for name in arguments.names:
            print(measure(name, arguments.batches), flush=True)


if __name__ == "__main__":
    main()
