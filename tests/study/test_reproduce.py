"""The study end to end, in small: killed and taken up again, jobs that fail, shared stages."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from tiny_runs import write_data

from paraisite.cli.main import main
from paraisite.errors import DataError, RunError
from paraisite.study.folder import job_folder, open_study, read_state, share_stage
from paraisite.study.reproduce import StudyProgress, reproduce

ONLY = ["paper/FEAFTG15", "held_out/RWTG15", "grouped/median"]
N_AFLOW = 30


@pytest.fixture(scope="module")
def data_folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true pre-trained weights, and a few crystals of Togo15 in AFLOW's place."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "pretrained").symlink_to(shared / "pretrained")
    plain = folder / "crystals.extxyz"
    write_data(plain, N_AFLOW)
    (folder / "aflow_agl.extxyz.gz").write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    return folder


def start(out: Path, data_folder: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "paraisite.cli.main",
        "reproduce",
        "--quick",
        "-o",
        str(out),
        "--data",
        str(data_folder),
    ]
    command += [word for pattern in ONLY for word in ("--only", pattern)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def numbers(out: Path) -> dict[str, bytes]:
    """What the trainings and candidates left that must not depend on a kill."""
    names = ("predictions.csv", "metrics.csv", "cross_errors.csv", "splits.json", "recipe.toml")
    runs = out / "runs"
    return {str(path.relative_to(runs)): path.read_bytes() for path in sorted(runs.rglob("*")) if path.name in names}


def worker_processes(parent: int) -> list[int]:
    """Working processes that a process has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"paraisite.processes.serve" in command_of(int(child))]


def command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def whole(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study from beginning to end."""
    out = tmp_path_factory.mktemp("whole") / "study"
    study = reproduce(out, data_folder, quick=True, only=ONLY, processes=2)
    assert study.failed == ()
    assert study.report.is_file()
    return out


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to see processes")
def test_a_killed_study_goes_on_to_the_same_numbers(whole: Path, data_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    process = start(out, data_folder)
    deadline = time.monotonic() + 240
    while not any('"done"' in path.read_text() for path in out.glob("jobs/*.json")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = worker_processes(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(b"paraisite.processes.serve" in command_of(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlives the study that started it"
        time.sleep(0.1)
    assert not (out / "report" / "index.html").exists()
    times = {path: path.stat().st_mtime_ns for path in out.rglob("cross_errors.csv")}
    assert start(out, data_folder).wait() == 0
    assert numbers(out) == numbers(whole)
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_what_a_study_leaves(whole: Path) -> None:
    content = json.loads((whole / "study.json").read_text())
    assert content["runs"] == [1, 2]
    assert {"held_out/RWTG15", "grouped/median", "grouped/FEAF"} <= {job["id"] for job in content["jobs"]}
    assert {path.stem for path in (whole / "jobs").glob("*.json")} == {
        "paper__FEAF", "paper__FEAFTG15", "held_out__RWTG15", "grouped__median",
    }  # fmt: skip
    assert pd.read_csv(whole / "data" / "togo15.csv")["spacegroup"].isin([225, 216, 186, 119, 160, 36]).all()
    cross = pd.read_csv(whole / "runs" / "paper" / "FEAFTG15" / "cross_errors.csv")
    assert cross.groupby("tested_on")["n"].first().to_dict() == {
        "aflow_agl": 6, "hh143": 29, "mix": 48, "togo15": 19,
    }  # fmt: skip


def test_errors_across_data_sets_are_those_of_the_predictions(whole: Path) -> None:
    folder = whole / "runs" / "held_out" / "RWTG15"
    table = pd.read_csv(folder / "togo15" / "predictions.csv")
    cross = pd.read_csv(folder / "cross_errors.csv").query("tested_on == 'togo15'").set_index("run")
    for run, rows in table[table["part"] == "validation"].groupby("run"):
        expected = ((rows["kappa_selected"] - rows["kappa"]).abs() / rows["kappa"]).mean()
        assert cross.loc[run, "mape"] == pytest.approx(expected, rel=1e-5)


def test_the_shared_stage_is_the_same_file(whole: Path) -> None:
    source, target = (whole / "runs" / "paper" / name / "aflow" for name in ("FEAF", "FEAFTG15"))
    assert (source / "predictions.csv").read_bytes() == (target / "predictions.csv").read_bytes()
    assert (source / "checkpoint.safetensors").exists()
    assert not (target / "checkpoint.safetensors").exists()


def test_a_done_study_does_nothing_again(whole: Path, data_folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (whole / "jobs").iterdir()}
    seen: list[StudyProgress] = []
    reproduce(whole, data_folder, quick=True, only=ONLY, report=seen.append)
    assert {path: path.stat().st_mtime_ns for path in (whole / "jobs").iterdir()} == before


def test_a_failed_job_is_told_and_those_that_build_on_it(data_folder: Path, tmp_path: Path, whole: Path) -> None:
    # The job's folder holds a run of another recipe, which no training may go on with.
    (plan_job,) = [job for job in open_study(tmp_path / "study", quick=True) if job.id == "paper/FEAF"]
    other = (whole / "runs" / "held_out" / "RWTG15" / "recipe.toml").read_text()
    folder = job_folder(tmp_path / "study", plan_job)
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(other)
    study = reproduce(tmp_path / "study", data_folder, quick=True, only=["paper/FEAFTG15", "held_out/median"])
    assert {state.id: state.status for state in study.failed} == {"paper/FEAF": "failed", "paper/FEAFTG15": "failed"}
    reasons = {state.id: state.error for state in study.failed}
    assert "run of another recipe" in reasons["paper/FEAF"]
    assert "builds on paper/FEAF" in reasons["paper/FEAFTG15"]
    assert read_state(tmp_path / "study", plan_job) == study.failed[0]
    assert study.report.is_file()


def test_mistakes_of_the_user(
    whole: Path, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunError, match="quick study"):
        reproduce(whole, data_folder)
    monkeypatch.setenv("PARAISITE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="aflow_agl"):
        reproduce(tmp_path / "study")
    assert main(["reproduce", "-o", str(tmp_path / "study")]) == 1
    assert "aflow_agl" in capfd.readouterr().err
    assert main(["report", str(tmp_path)]) == 1


def test_a_folder_that_another_process_works_in(data_folder: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    with FileLock(tmp_path / ".lock"), pytest.raises(RunError, match="Another process"):
        reproduce(tmp_path, data_folder, quick=True)


def test_a_stage_is_taken_over_whole_even_when_it_was_begun(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("model/weights", "errors.json", "checkpoint.safetensors"):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (target / "model").mkdir(parents=True)
    (target / "model" / "weights").write_text("half")
    share_stage(source, target)
    assert (target / "model" / "weights").read_text() == "model/weights"
    assert (target / "errors.json").exists()
    assert not (target / "checkpoint.safetensors").exists()
