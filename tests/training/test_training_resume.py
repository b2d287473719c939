"""A run that was stopped at any moment goes on to the same files, byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_runs import files_of, start_state, tiny_recipe, two_stages, write_data

from paraisite.errors import OutputError, RecipeError, RunError
from paraisite.outputs import MARKER
from paraisite.training.network.options import RunOptions
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.run import train

EVERY = RunOptions(checkpoint_every=1)
SCRIPT = Path(__file__).with_name("killed_run.py")
DEADLINE_S = 900
"""Only against a process that hangs; a busy machine takes minutes to import PyTorch."""
MOMENTS = (
    "first epoch",
    "middle of an epoch",
    "half a checkpoint",
    "between checkpoint and table",
    "before the model",
    "before the last file",
    "second stage",
)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return two_stages(write_data(tmp_path_factory.mktemp("data") / "tiny.extxyz"))


@pytest.fixture(scope="module")
def uninterrupted(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    # Checkpoints at other epochs than in the stopped runs: saving must not act on the numbers.
    train(recipe, folder, RunOptions(checkpoint_every=3))
    files = files_of(folder)
    assert {"first/metrics.csv", "first/predictions.csv", "second/model/model.safetensors"} <= files.keys()
    return files


def start(recipe: Recipe, folder: Path, *moments: str) -> subprocess.Popen[bytes]:
    toml = folder / "tiny.toml"
    toml.write_text(recipe.to_toml(), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(toml), str(folder), *moments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def killed(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folder of the run that was killed at each moment."""
    folder = tmp_path_factory.mktemp("killed")
    output, errors = start(recipe, folder, *MOMENTS).communicate(timeout=DEADLINE_S)
    assert output.split() == [b"%d" % signal.SIGKILL] * len(MOMENTS), errors.decode()
    return {moment: folder / str(number) for number, moment in enumerate(MOMENTS)}


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the run has written a file."""
    end = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < end, f"{path} was not written"
        time.sleep(0.05)


def assert_resumes(recipe: Recipe, folder: Path, expected: dict[str, bytes]) -> None:
    train(recipe, folder, EVERY)
    found = files_of(folder)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_run_goes_on(
    moment: str, recipe: Recipe, uninterrupted: dict[str, bytes], killed: dict[str, Path]
) -> None:
    assert files_of(killed[moment]).keys() < uninterrupted.keys()
    assert_resumes(recipe, killed[moment], uninterrupted)


def test_run_stopped_by_ctrl_c_goes_on(recipe: Recipe, uninterrupted: dict[str, bytes], tmp_path: Path) -> None:
    process = start(recipe, tmp_path, "waiting")
    # The third epoch waits in its second step, so the run cannot end before the signal comes.
    wait_for(tmp_path / "0" / "first" / "checkpoint.safetensors", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors.decode()
    assert not (tmp_path / "0" / "first" / "errors.json").exists()
    assert_resumes(recipe, tmp_path / "0", uninterrupted)


def test_finished_run_is_not_trained_again(recipe: Recipe, tmp_path: Path) -> None:
    short = replace(recipe, stages=(replace(recipe.stages[0], epochs=1),))
    first = train(short, tmp_path / "run")
    files = files_of(tmp_path / "run")
    epochs: list[object] = []
    again = train(short, tmp_path / "run", RunOptions(report=epochs.append))
    assert epochs == []
    assert files_of(tmp_path / "run") == files
    assert all(torch.equal(again.state_dict()[name], value) for name, value in first.state_dict().items())


@pytest.fixture(scope="module")
def half_done(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run stopped after its third epoch."""
    folder = tmp_path_factory.mktemp("half")

    def stop(progress: object) -> None:
        if getattr(progress, "epoch", 0) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, folder, RunOptions(checkpoint_every=1, report=stop))
    return folder


def copy_of(folder: Path, to: Path) -> Path:
    for path in folder.rglob("*"):
        if path.is_file():
            target = to / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return to


def test_interrupted_run_goes_on_in_the_same_process(
    recipe: Recipe, half_done: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    assert_resumes(recipe, copy_of(half_done, tmp_path / "run"), uninterrupted)


@pytest.mark.parametrize("changes", [{"seed": 43}, {"runs": (1, 3)}, {"name": "other"}, {"initial": "FEAFTG15"}])
def test_folder_of_another_recipe(recipe: Recipe, half_done: Path, changes: dict[str, object]) -> None:
    before = files_of(half_done)
    with pytest.raises(RunError, match="another recipe"):
        train(replace(recipe, **changes), half_done)
    assert files_of(half_done) == before


def test_folder_with_a_damaged_recipe(recipe: Recipe, half_done: Path, tmp_path: Path) -> None:
    folder = copy_of(half_done, tmp_path / "run")
    (folder / "recipe.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"recipe\.toml"):
        train(recipe, folder)


@pytest.mark.parametrize("kept", [0, 100, -10])
def test_truncated_checkpoint(recipe: Recipe, half_done: Path, tmp_path: Path, kept: int) -> None:
    folder = copy_of(half_done, tmp_path / "run")
    path = folder / "first" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RunError, match="cannot be read"):
        train(recipe, folder)


def test_a_flipped_bit_in_a_checkpoint_is_named(recipe: Recipe, half_done: Path, tmp_path: Path) -> None:
    """One bit anywhere: named, or (in the header's padding) without any effect on what is read."""
    path = half_done / "first" / "checkpoint.safetensors"
    whole, generator = path.read_bytes(), np.random.default_rng(4)
    header = int.from_bytes(whole[:8], "little") + 8
    digest = safe_open(path, "pt").metadata()["digest"]
    positions = [*generator.integers(0, header, 60), *generator.integers(header, len(whole), 60)]
    damaged = tmp_path / "checkpoint.safetensors"
    for position in positions:
        content = bytearray(whole)
        content[position] ^= 1 << int(generator.integers(8))
        damaged.write_bytes(content)
        state, _ = start_state(recipe)
        if position >= header:
            with pytest.raises(RunError, match=r"checkpoint\.safetensors is damaged"):
                state.load(damaged, digest)
        else:
            with pytest.raises(RunError, match=r"checkpoint\.safetensors"):
                state.load(damaged, digest)


def test_checkpoint_of_the_first_version_goes_on(
    recipe: Recipe, half_done: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    folder = copy_of(half_done, tmp_path / "run")
    path = folder / "first" / "checkpoint.safetensors"
    metadata = safe_open(path, "pt").metadata()
    del metadata["sha256"]
    save_file(load_file(path), path, metadata)
    assert_resumes(recipe, folder, uninterrupted)


def test_checkpoint_without_its_metadata(recipe: Recipe, half_done: Path, tmp_path: Path) -> None:
    folder = copy_of(half_done, tmp_path / "run")
    path = folder / "first" / "checkpoint.safetensors"
    save_file(load_file(path), path)
    with pytest.raises(RunError, match="another recipe"):
        train(recipe, folder)


def test_checkpoint_of_changed_data(tmp_path: Path) -> None:
    data = write_data(tmp_path / "tiny.extxyz")
    recipe = tiny_recipe(data)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run", RunOptions(checkpoint_every=1, report=stop))
    changed = Path(data).read_text(encoding="utf-8").replace("kappa=0.532", "kappa=0.533", 1)
    assert changed != Path(data).read_text(encoding="utf-8")
    Path(data).write_text(changed, encoding="utf-8")
    with pytest.raises(OutputError, match="was made from tiny"):
        train(recipe, tmp_path / "run")


def test_a_finished_run_of_changed_data_is_refused_and_replaced_as_a_whole_when_forced(tmp_path: Path) -> None:
    """Until the new run is done, also if it is stopped, the earlier one stays as it was."""
    folder, data = tmp_path / "run", write_data(tmp_path / "tiny.extxyz")
    recipe = tiny_recipe(data)
    train(recipe, folder)
    earlier = files_of(folder)
    (folder / "first" / "notes.txt").write_text("mine")
    write_data(tmp_path / "tiny.extxyz", factor=2.0)
    with pytest.raises(OutputError, match="was made from tiny"):
        train(recipe, folder)

    def stop(progress: object) -> None:
        if getattr(progress, "epoch", 0) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, folder, RunOptions(checkpoint_every=1, report=stop, force=True))
    assert files_of(folder) == earlier | {"first/notes.txt": b"mine"}
    epochs: list[int] = []
    train(recipe, folder, RunOptions(report=lambda progress: epochs.append(progress.epoch), force=True))
    assert epochs == [4, 5, 6], "the stopped run was not continued"
    found = files_of(folder)
    assert found.keys() == earlier.keys() | {"first/notes.txt"}
    assert found["first/notes.txt"] == b"mine"
    assert found["first/model/model.safetensors"] != earlier["first/model/model.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "tiny.extxyz"]
    fresh = tmp_path / "fresh"
    train(recipe, fresh)
    assert {name: content for name, content in found.items() if name != "first/notes.txt"} == files_of(fresh)


@pytest.mark.parametrize("name", ["recipe.toml", "environment.json", "first/errors.json", "notes.txt"])
def test_a_folder_of_the_users_is_refused(recipe: Recipe, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "paper"
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises((OutputError, RunError, RecipeError)):
        train(recipe, folder)
    assert files_of(folder) == {name: b"mine"}


def test_a_run_of_a_version_without_markers_goes_on(
    recipe: Recipe, half_done: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    folder = copy_of(half_done, tmp_path / "run")
    (folder / MARKER).unlink()
    assert_resumes(recipe, folder, uninterrupted)
