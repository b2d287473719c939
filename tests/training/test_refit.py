"""The default `finetune`: its errors are those of held-out crystals, and the user's values have a noise of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.io import write

from paraisite.datasets.catalogue import DataSet, load_data_set
from paraisite.datasets.levels import NOISE_LOG10, Level, Source
from paraisite.errors import DataError, OutputError
from paraisite.features.descriptors import describe_crystals
from paraisite.metrics import error_metrics
from paraisite.models.files import find_model
from paraisite.models.interface import RefitOptions
from paraisite.models.multi_fidelity.files import load_multi_fidelity, save_multi_fidelity
from paraisite.models.multi_fidelity.model import Member, MultiFidelity, Surrogate, low_levels
from paraisite.structures import to_ase, to_pymatgen
from paraisite.structures.crystal import Crystal
from paraisite.training.finetune import finetune
from paraisite.training.multi_fidelity.fit import TrainingCrystals, fit_multi_fidelity

N_START, N_MINE = 30, 14


@pytest.fixture(scope="module")
def togo15() -> DataSet:
    return load_data_set("togo15")


def sources(names: Sequence[str]) -> list[Source]:
    return [Source(name, Level.FIRST_PRINCIPLES, 0.05, name) for name in names]


@pytest.fixture(scope="module")
def start(togo15: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of thirty crystals of Togo15, so that a fit takes a second."""
    folder = tmp_path_factory.mktemp("start") / "model"
    surrogates = load_multi_fidelity(find_model()).surrogates
    known = TrainingCrystals.describe(togo15.crystals[:N_START], togo15.kappa[:N_START], [togo15.source] * N_START)
    save_multi_fidelity(fit_multi_fidelity(surrogates, known)[0], folder, {"name": "start"})
    return folder


def write_mine(crystals: Sequence[Crystal], kappa: np.ndarray, path: Path) -> Path:
    frames = [
        to_ase(replace(crystal, properties={"kappa": float(value)}, material_id=f"mine-{number}"))
        for number, (crystal, value) in enumerate(zip(crystals, kappa, strict=True))
    ]
    write(path, frames, format="extxyz")
    return path


@pytest.fixture(scope="module")
def mine(togo15: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mine") / "togo15.extxyz"  # named like a data set that the model knows
    return write_mine(togo15.crystals[40 : 40 + N_MINE], togo15.kappa[40 : 40 + N_MINE], path)


@pytest.fixture(scope="module")
def run(start: Path, mine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    finetune(mine, folder, model=start)
    return folder


def test_every_error_is_that_of_the_member_that_held_the_crystal_out(run: Path, togo15: DataSet) -> None:
    """What the folder says of each crystal is made again by hand, from the crystals of the file and the model's members."""
    table = pd.read_csv(run / "predictions.csv")
    crystals, kappa = togo15.crystals[40 : 40 + N_MINE], togo15.kappa[40 : 40 + N_MINE]
    assert table["material_id"].tolist() == [f"mine-{number}" for number in range(N_MINE)]
    np.testing.assert_allclose(table["kappa"], kappa, rtol=1e-6)
    assert table["formula"].tolist() == [crystal.formula for crystal in crystals]
    model = load_multi_fidelity(run)
    descriptors = describe_crystals(crystals)
    low, inputs = low_levels(model.surrogates, descriptors), descriptors[:, : len(model.data.scale)] / model.data.scale
    for row, crystal in enumerate(crystals):
        member = model.members[table["member"][row] - 1]
        assert crystal.formula not in set(model.data.composition[member.known])
        by_hand = 10 ** member.mean(inputs[[row]], low[:, [row]])[0]
        assert table["kappa_held_out"][row] == pytest.approx(by_hand, rel=1e-5)
    # The members that did see a crystal say something else, so that the check above can fail.
    others = [10 ** member.mean(inputs, low) for member in model.members]
    assert np.abs(np.log(np.array(others) / table["kappa_held_out"].to_numpy())).max() > 0.1
    errors = json.loads((run / "errors.json").read_text(encoding="utf-8"))
    assert errors["n_crystals"] == N_MINE
    assert errors["held_out"] == pytest.approx(error_metrics(kappa, table["kappa_held_out"].to_numpy()), rel=1e-5)


def test_a_kappa_of_ones_own_does_not_move_its_error(start: Path, run: Path, togo15: DataSet, tmp_path: Path) -> None:
    """A value a hundred times too large changes what the model says of others, not what it says of its own composition."""
    crystals, kappa = togo15.crystals[40 : 40 + N_MINE], togo15.kappa[40 : 40 + N_MINE].copy()
    kappa[3] *= 100
    finetune(write_mine(crystals, kappa, tmp_path / "togo15.extxyz"), tmp_path / "run", model=start)
    first, second = (pd.read_csv(folder / "predictions.csv") for folder in (run, tmp_path / "run"))
    change = np.abs(np.log10(second["kappa_held_out"] / first["kappa_held_out"])).to_numpy()
    same = first["formula"] == first["formula"][3]
    assert change[same].max() < 1e-9
    assert change[~same].max() > 1e-3


def test_a_file_named_like_a_known_set_has_a_noise_of_its_own(run: Path, mine: Path) -> None:
    model = load_multi_fidelity(run)
    assert np.unique(model.data.source).tolist() == ["togo15", "togo15 (2)"]
    own = {source.name: source for source in model.data.sources}["togo15 (2)"]
    assert (own.level, own.noise_log10) == (Level.FIRST_PRINCIPLES, NOISE_LOG10[Level.FIRST_PRINCIPLES])
    assert own.identity == load_data_set(str(mine)).source.identity
    assert model.members[0].parameters.noise["togo15"] != model.members[0].parameters.noise["togo15 (2)"]


def test_the_same_file_again_is_the_same_source(run: Path, mine: Path, tmp_path: Path) -> None:
    finetune(mine, tmp_path / "again", model=run)
    assert np.unique(load_multi_fidelity(tmp_path / "again").data.source).tolist() == ["togo15", "togo15 (2)"]


def test_level_and_noise_are_the_users_to_say(start: Path, mine: Path, tmp_path: Path) -> None:
    finetune(mine, tmp_path, RefitOptions(level="guessed", noise_log10=0.4), model=start)
    own = load_multi_fidelity(tmp_path).data.sources[-1]
    assert (own.level, own.noise_log10) == ("guessed", 0.4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RefitOptions(level="guessed"), "'guessed' is none of agl, harmonic"),
        (RefitOptions(noise_log10=-1.0), "above 0"),
        (RefitOptions(level="agl"), "level 'agl'"),
    ],
    ids=["unknown level", "noise", "low level"],
)
def test_a_level_that_cannot_be_used_is_one_sentence(
    options: RefitOptions, words: str, start: Path, mine: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        finetune(mine, tmp_path / "run", options, model=start)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


# Several low levels


def two_levels(togo15: DataSet) -> MultiFidelity:
    first = load_multi_fidelity(find_model()).surrogates[0]
    second = replace(
        first,
        weights=tuple(weight[:3] for weight in first.weights),
        biases=tuple(bias[:3] for bias in first.biases),
        target=(first.target[0] + 0.5, first.target[1]),
        source=Source("harmonic", Level.HARMONIC, 0.2, "harmonic", low=True),
    )
    known = TrainingCrystals.describe(togo15.crystals[:N_START], togo15.kappa[:N_START], [togo15.source] * N_START)
    return fit_multi_fidelity([first, second], known)[0]


def test_two_low_levels_are_fitted_kept_and_explained(togo15: DataSet, tmp_path: Path) -> None:
    import paraisite

    model = two_levels(togo15)
    assert all(len(member.parameters.rho) == 2 for member in model.members)
    save_multi_fidelity(model, tmp_path, {"name": "two"})
    loaded = load_multi_fidelity(tmp_path)
    assert loaded.data.sources == model.data.sources
    assert [surrogate.source for surrogate in loaded.surrogates] == [surrogate.source for surrogate in model.surrogates]
    descriptors = describe_crystals(togo15.crystals[40:45])
    first, second = (each.predict(descriptors) for each in (model, loaded))
    np.testing.assert_array_equal(second.members, first.members)
    np.testing.assert_allclose(second.low[1] - second.low[0], 0.5, atol=0.5)
    (explanation,) = paraisite.explain([togo15.crystals[40]], tmp_path)
    assert isinstance(explanation, paraisite.Explanation)
    told = explanation.as_dict()
    assert [level["level"] for level in told["low_levels"]] == ["agl", "harmonic"]
    np.testing.assert_allclose(told["fall_back_kappa"] * 10 ** told["correction"], told["median_kappa"])


def test_a_single_level_with_an_equal_twin_says_the_same(togo15: DataSet) -> None:
    """Two equal levels share one ρ between them: the prior of their sum is that of the single one, or nearly."""
    surrogate: Surrogate = load_multi_fidelity(find_model()).surrogates[0]
    known = TrainingCrystals.describe(togo15.crystals[:N_START], togo15.kappa[:N_START], [togo15.source] * N_START)
    one, two = (fit_multi_fidelity([surrogate] * n, known)[0] for n in (1, 2))
    for single, double in zip(one.members, two.members, strict=True):
        assert isinstance(single, Member)
        assert sum(double.parameters.rho) == pytest.approx(single.parameters.rho[0], abs=0.15)


# What lies in the folder already


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def other(togo15: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other data than `mine`."""
    path = tmp_path_factory.mktemp("other") / "other.extxyz"
    return write_mine(togo15.crystals[60:70], togo15.kappa[60:70], path)


def test_a_model_of_other_data_is_replaced_when_forced_alone(
    start: Path, run: Path, mine: Path, other: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    before = files_of(folder)
    with pytest.raises(
        OutputError, match=r"was made from 14 crystals of togo15 .*not from 10 crystals of other .*--force"
    ):
        finetune(other, folder, model=start)
    assert files_of(folder) == before
    finetune(mine, folder, model=start)  # the same data
    assert files_of(folder).keys() == before.keys()
    finetune(other, folder, RefitOptions(force=True), model=start)
    assert json.loads((folder / "errors.json").read_text(encoding="utf-8"))["n_crystals"] == 10
    assert "10 crystals of other" in json.loads((folder / "card.json").read_text(encoding="utf-8"))["description"]
    assert files_of(folder).keys() == before.keys()


def test_the_users_table_is_not_overwritten_even_when_forced(start: Path, mine: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mine.extxyz").write_bytes(mine.read_bytes())
    (folder / "predictions.csv").write_text("file,kappa\nmine-1.cif,2.0\n")
    (folder / "mine-1.cif").write_text(str(to_pymatgen(load_data_set("togo15").crystals[0]).to(fmt="cif")))
    before = files_of(folder)
    with pytest.raises(OutputError, match=r"predictions\.csv is what the command reads"):
        finetune(folder / "predictions.csv", folder, RefitOptions(force=True), model=start)
    assert files_of(folder) == before
    finetune(folder / "mine.extxyz", folder, RefitOptions(force=True), model=start)
    assert files_of(folder)["mine.extxyz"] == before["mine.extxyz"]


@pytest.mark.parametrize("name", ["card.json", "notes.txt", "figures/photo.png"])
def test_the_users_files_are_not_in_the_way_of_a_model(start: Path, mine: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "paper" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(OutputError, match="did not write"):
        finetune(mine, tmp_path / "paper", model=start)
    assert files_of(tmp_path / "paper") == {name: b"mine"}


def test_a_fit_that_is_killed_leaves_the_earlier_or_the_new_model(
    start: Path, run: Path, other: Path, tmp_path: Path
) -> None:
    """After whatever change of the file system; what a killed process left beside goes with the next fit."""
    folder = tmp_path / "runs"
    folder.mkdir()
    script = Path(__file__).with_name("killed_refit.py")
    command = [sys.executable, str(script), str(other), str(start), str(run), str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    words = done.stdout.split()
    assert words == ["killed"] * (len(words) - 1) + ["done"]
    earlier, new = files_of(run), files_of(folder / str(len(words)))
    assert earlier != new
    found = [files_of(folder / str(number)) for number in range(1, len(words) + 1)]
    # The name of the folder is in the card, and its hash in the marker.
    kept = [name for name in new if name not in {"card.json", ".paraisite.json"}]
    whole = [{name: files[name] for name in kept} for files in (earlier, new)]
    for files in found:
        assert files.keys() == new.keys()
        assert {name: files[name] for name in kept} in whole
        is_new = files["model.safetensors"] == new["model.safetensors"]
        assert ("10 crystals of other" in json.loads(files["card.json"])["description"]) == is_new
    n_earlier = sum(files == earlier for files in found)
    assert 5 <= n_earlier < len(words)
    finetune(other, folder / "1", RefitOptions(force=True), model=start)
    assert not [path for path in folder.iterdir() if path.name.startswith(".1.")]
