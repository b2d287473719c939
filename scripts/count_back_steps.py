"""Count how often a tiny training run and a tiny study go back between the package's files.

    python scripts/count_back_steps.py

A call goes *up* when a function of one file calls one of another file that imports the first (directly or by way of
others, imports inside functions counted) and is not imported by it: a reader who follows the run must then turn back to a
file that was left. A file is *entered* by a call from another file, or from outside the package. Calls are counted once
for each pair of caller and called function, so that the number of epochs does not matter. A call through a library (such
as PyTorch's call of a module's `forward`) counts as one of the nearest function of the package above it.

The training is two stages of four epochs of two members on twelve crystals, then the first stage's calibration once more;
the study is the quick plan's jobs `held_out/RWTG15` and `held_out/median`, its tables and its report, all in this process.
"""

from __future__ import annotations

import ast
import gzip
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

import paraisite
from paraisite.datasets.tables import load_togo15
from paraisite.study.data_sets import write_coverage
from paraisite.study.folder import open_study
from paraisite.study.plan import choose
from paraisite.study.report.write import write_report
from paraisite.study.worker import run_study_job
from paraisite.training.network.recalibrate import add_uncertainty
from paraisite.training.network.recipe import Recipe, StageRecipe
from paraisite.training.network.run import train

PACKAGE = Path(paraisite.__file__).parent
RUN_FILE = "training/network/run.py"
STUDY_JOBS = ("held_out/RWTG15", "held_out/median")

Call = tuple[str, str, str, str]
"""File and function that call (empty outside the package), file and function that are called."""


def importers() -> dict[str, set[str]]:
    """Files that each file imports, directly or by way of others."""
    files = {str(path.relative_to(PACKAGE)): path for path in PACKAGE.rglob("*.py")}
    names = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in files}
    direct: dict[str, set[str]] = {}
    for name, path in files.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("paraisite."):
                module = node.module.removeprefix("paraisite.")
                inside = {f"{module}.{alias.name}" for alias in node.names}
                found |= {names[item] for item in inside | {module} if item in names}
        direct[name] = found - {name}
    for middle, inner in direct.items():  # transitive closure by Warshall's rule
        for found in direct.values():
            if middle in found:
                found.update(inner)
    return direct


class Tracer:
    """Notes calls between files of the package while it is on."""

    def __init__(self) -> None:
        """Begin with no call."""
        self.calls: Counter[Call] = Counter()
        self._names: dict[str, str] = {}

    def name(self, frame: FrameType) -> str:
        """File of a frame relative to the package; empty outside it."""
        path = frame.f_code.co_filename
        if path not in self._names:
            inside = path.startswith(str(PACKAGE)) and path.endswith(".py")  # not its templates
            self._names[path] = str(Path(path).relative_to(PACKAGE)) if inside else ""
        return self._names[path]

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Take note of a call; what importing runs is left out."""
        called = self.name(frame) if event == "call" else ""
        if not called or frame.f_code.co_name == "<module>":
            return
        above = frame.f_back
        while above is not None and not self.name(above):
            above = above.f_back
        caller, function = ("", "") if above is None else (self.name(above), above.f_code.co_qualname)
        if caller != called and function != "<module>":
            self.calls[caller, function, called, frame.f_code.co_qualname] += 1

    def trace(self, action: Callable[[], None]) -> None:
        """Do something with the eyes open."""
        sys.setprofile(self)
        try:
            action()
        finally:
            sys.setprofile(None)


def write_crystals(path: Path, n_crystals: int) -> None:
    """Write the first crystals of Togo15 with their κ."""
    frames = []
    for crystal in load_togo15()[:n_crystals]:
        atoms = Atoms(crystal.numbers, cell=crystal.cell, scaled_positions=crystal.fractional, pbc=True)
        atoms.info = {"kappa": crystal.properties["kappa"], "material_id": crystal.material_id}
        frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")


def tiny_training(folder: Path) -> None:
    """Two short stages, and the uncertainty of the first once more."""
    write_crystals(folder / "tiny.extxyz", 12)
    first = StageRecipe("first", str(folder / "tiny.extxyz"), epochs=4, batch_size=6, selection="inner")
    second = replace(first, name="second", selection="validation", validate_every=2)
    train(Recipe("tiny", (first, second), runs=(1, 2)), folder / "run")
    add_uncertainty(folder / "run" / "first")


def tiny_study(folder: Path) -> None:
    """Two jobs of the quick study without their processes, and its report."""
    data_folder = folder / "data"
    data_folder.mkdir()
    write_crystals(folder / "aflow.extxyz", 30)
    (data_folder / "aflow_agl.extxyz.gz").write_bytes(gzip.compress((folder / "aflow.extxyz").read_bytes()))
    out = folder / "study"
    out.mkdir()
    plan = open_study(out, quick=True)
    write_coverage(out / "data", data_folder)
    for job in choose(plan, STUDY_JOBS):
        run_study_job(out, job, plan, data_folder)
    write_report(out)


def upward(calls: Counter[Call], imports: dict[str, set[str]]) -> list[Call]:
    """Calls to a file that imports the caller's and is not imported by it."""
    return sorted(
        call
        for call in calls
        if call[0] and call[0] in imports[call[2]] and call[2] not in imports[call[0]]
    )  # fmt: skip


def main() -> None:
    """Print the table, and the calls that go up with `--list`."""
    np.seterr(all="ignore")  # three epochs on few crystals give correlations of constants in the report
    imports = importers()
    rows, listed = [], []
    for title, action in (("training run", tiny_training), ("study", tiny_study)):
        tracer = Tracer()
        with tempfile.TemporaryDirectory() as folder:
            tracer.trace(lambda: action(Path(folder)))  # noqa: B023 - called at once
        calls_up = upward(tracer.calls, imports)
        entered = {call for call in tracer.calls if call[2] == RUN_FILE}
        rows.append((title, len(tracer.calls), len(entered), len(calls_up)))
        listed += [f"{title}: {a} {b} -> {c} {d}" for a, b, c, d in calls_up]
    print(f"| tiny … | calls between files | calls into {Path(RUN_FILE).name} | calls up |\n| --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row) + " |")
    if "--list" in sys.argv:
        print("\n".join(listed))


if __name__ == "__main__":
    main()
