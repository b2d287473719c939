"""A kind of models and a level of fidelity from another package, each in one file, by the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.io import write

from paraisite.datasets.tables import load_togo15
from paraisite.models.files import WEIGHTS_NAME
from paraisite.structures import to_ase
from paraisite.structures.crystal import Crystal

TOY_KIND = '''
"""κ is a constant over the volume per atom; it asks for the crystals themselves."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from paraisite.datasets.catalogue import load_data_set
from paraisite.models.explanation import Explanation
from paraisite.models.files import CARD_NAME, WEIGHTS_NAME, begin_folder, read_card, write_card
from paraisite.models.inputs import Needs
from paraisite.models.interface import Labelled, Model, ModelOutput, Refitted, Trainer
from paraisite.models.registry import Kind, load_model
from paraisite.uncertainty.judgement import Judgement


def volumes(crystals):
    return np.array([crystal.volume / crystal.n_atoms for crystal in crystals])


class ToyModel(Model):
    kind = "toy"
    needs = Needs(crystals=True)
    n_members = 2

    def __init__(self, factor):
        self.factor = factor

    @classmethod
    def load(cls, folder, device="cpu", threads=None):
        return cls(load_file(folder / WEIGHTS_NAME)["factor"])

    def save(self, folder, card):
        begin_folder(folder)
        save_file({"factor": self.factor}, folder / WEIGHTS_NAME)
        graph = {"cutoff_angstrom": 4.0, "tolerance_angstrom": 1e-3, "max_edges": 5_000_000}
        write_card(folder, {"kind": "toy", **card, "architecture": {"n_members": 2}, "graph": graph})

    def predict(self, inputs):
        kappa = self.factor[:, None] / volumes(inputs.crystals)
        return ModelOutput(kappa, Judgement.unknown(len(inputs)))

    def explainer(self):
        return ToyExplainer(self)


class ToyExplainer:
    note = "A toy has no attributions."

    def __init__(self, model):
        self.model = model

    def explain(self, inputs):
        kappa = np.median(self.model.predict(inputs).kappa, axis=0)
        for index, value in enumerate(kappa.tolist()):
            yield Explanation(
                material_id=inputs.material_id[index], formula=inputs.formula[index], source=inputs.source[index],
                kappa=value, median_kappa=value, note=self.note,
            )


class ToyTrainer(Trainer):
    kind = "toy"

    def fit(self, training):
        factor = float(np.median(training.kappa * volumes(training.crystals)))
        return ToyModel(np.array([factor, factor * 1.1])), {"factor": factor}

    def refit(self, model, data, folder, options):
        mine = load_data_set(str(data), kappa_column=options.kappa_column or None)
        fitted, _ = self.fit(Labelled(mine.crystals, mine.kappa, [mine.source] * len(mine.crystals)))
        fitted.save(folder, {"name": folder.name, "data_sets": [mine.name]})
        return Refitted(folder, pd.DataFrame({"own": {"n": len(mine.kappa)}}), "toy", ())


KIND = Kind("toy", "Toy", "toy_kind:ToyModel", "toy_kind:ToyTrainer")
'''
TOY_FIDELITY = '''
"""Togo15's first thirty, each κ doubled: a level that the package does not know, with a noise of its own."""

import numpy as np

from paraisite.datasets.catalogue import DataSet
from paraisite.datasets.tables import load_togo15


def doubled():
    crystals = tuple(load_togo15()[:30])
    kappa = 2 * np.array([float(crystal.properties["kappa"]) for crystal in crystals])
    return DataSet("doubled", crystals, kappa, (len(crystals),), level="doubled", noise_log10=0.25)
'''
ENTRY_POINTS = """
[paraisite.models]
toy = toy_kind:KIND

[paraisite.data_sets]
doubled = toy_fidelity:doubled
"""


class CommandLine:
    """The command line in a process of its own, with the other package beside this one."""

    def __init__(self, packages: Path) -> None:
        path = os.pathsep.join([str(packages), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}

    def __call__(self, *arguments: object, code: int = 0) -> str:
        command = [sys.executable, "-m", "paraisite.cli.main", *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    for name, text in (("toy_kind", TOY_KIND), ("toy_fidelity", TOY_FIDELITY)):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    information = folder / "toys-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def paraisite(packages: Path) -> CommandLine:
    return CommandLine(packages)


@pytest.fixture(scope="module")
def crystals() -> list[Crystal]:
    return load_togo15()[:6]


@pytest.fixture(scope="module")
def structures(crystals: list[Crystal], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("structures") / "some.extxyz"
    write(path, [to_ase(crystal) for crystal in crystals], format="extxyz")
    return path


@pytest.fixture(scope="module")
def toy(paraisite: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy as someone keeps it, fine-tuned by the command line to the toy fidelity."""
    folder = tmp_path_factory.mktemp("toy")
    start, model = folder / "start", folder / "model"
    script = (
        "import numpy, pathlib, sys, toy_kind; toy_kind.ToyModel(numpy.ones(2)).save(pathlib.Path(sys.argv[1]), {})"
    )
    subprocess.run([sys.executable, "-c", script, str(start)], env=paraisite.environment, check=True)
    assert "Model:" in paraisite("finetune", "doubled", "-m", start, "-o", model)
    return model


@pytest.fixture(scope="module")
def expected(crystals: list[Crystal]) -> np.ndarray:
    """κ of the first member, [6]."""
    known = load_togo15()[:30]
    volume = [crystal.volume / crystal.n_atoms for crystal in known]
    factor = np.median(2 * np.array([float(crystal.properties["kappa"]) for crystal in known]) * volume)
    return np.array([factor * crystal.n_atoms / crystal.volume for crystal in crystals])


def test_it_predicts_and_explains(
    toy: Path, structures: Path, expected: np.ndarray, paraisite: CommandLine, tmp_path: Path
) -> None:
    table = tmp_path / "kappa.json"
    paraisite("predict", structures, "-m", toy, "--members", "--json", table, "--processes", 2)
    rows = pd.DataFrame(json.loads(table.read_text(encoding="utf-8")))
    np.testing.assert_allclose(rows["kappa_1"], expected)
    np.testing.assert_allclose(rows["kappa_2"], 1.1 * expected)
    shown = paraisite("predict", structures, "-m", toy, "--explain")
    assert shown.count("point estimate") == len(expected)
    assert "A toy has no attributions." in shown


def test_it_scans(toy: Path, structures: Path, expected: np.ndarray, paraisite: CommandLine, tmp_path: Path) -> None:
    paraisite("scan", structures, "-o", tmp_path / "scan", "-m", toy, "--members", "--processes", 2)
    (part,) = (tmp_path / "scan" / "parts").glob("*.parquet")
    np.testing.assert_allclose(pd.read_parquet(part)["kappa_1"], expected, rtol=1e-6)  # float32


def test_a_flipped_bit_in_its_weights_is_named(
    toy: Path, structures: Path, paraisite: CommandLine, tmp_path: Path
) -> None:
    copy = shutil.copytree(toy, tmp_path / "copy")
    content = bytearray((copy / WEIGHTS_NAME).read_bytes())
    content[-1] ^= 1
    (copy / WEIGHTS_NAME).write_bytes(content)
    assert f"{WEIGHTS_NAME} is damaged" in paraisite("predict", structures, "-m", copy, code=1)


def test_it_is_compared_and_the_fidelity_joins_the_training(paraisite: CommandLine, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    asked = "toy,toy+doubled,multi_fidelity+doubled"
    paraisite("compare", "-o", tmp_path, "-c", asked, "--protocols", "hh143")
    table = pd.read_csv(tmp_path / "table.csv").set_index("candidate")
    assert list(table.index) == asked.split(",")
    assert table["mae_log10"].is_unique
    jobs = {job["candidate"]: job for job in json.loads((tmp_path / "comparison.json").read_text())["jobs"]}
    settings = jobs["multi_fidelity+doubled"]["splits"][0]["settings"]
    assert settings["noise"].keys() == {"togo15", "doubled"}
    # The same crystals with twice the κ, log10 2 = 0.3: the noise is found where the prior is wide.
    assert settings["noise"]["doubled"] > 3 * settings["noise"]["togo15"]


def test_the_default_model_is_fine_tuned_to_the_fidelity(
    structures: Path, paraisite: CommandLine, tmp_path: Path
) -> None:
    paraisite("finetune", "doubled", "-o", tmp_path / "mine")
    errors = json.loads((tmp_path / "mine" / "errors.json").read_text(encoding="utf-8"))
    assert errors["n_crystals"] == 30
    shown = paraisite("predict", structures, "-m", tmp_path / "mine", "--explain")
    assert "doubled" in shown


def test_without_the_package_the_kind_is_refused_in_one_sentence(toy: Path, structures: Path, tmp_path: Path) -> None:
    alone = CommandLine(tmp_path)
    said = alone("predict", structures, "-m", toy, code=1)
    assert "'toy'" in said
    assert "multi_fidelity, network" in said
