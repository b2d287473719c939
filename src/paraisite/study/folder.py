"""The study's folder: what it plans, how each job stands, and the stages that jobs share."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from paraisite.atomic import write_text_atomic
from paraisite.comparison.candidates.registry import CANDIDATES
from paraisite.errors import RunError
from paraisite.json_text import json_text
from paraisite.study.plan import StudyJob, make_plan, runs_of
from paraisite.version import __version__

STUDY_FILE = "study.json"


@dataclass(frozen=True, slots=True)
class JobState:
    """How a job stands.

    Attributes:
        id: Identifier of the job.
        status: `running`, `done` or `failed`.
        seconds: Time that it took so far, all attempts together.
        epochs: Epochs done in the stage that it is in.
        epochs_planned: Epochs of that stage, at most.
        error: Why it failed.
    """

    id: str
    status: str
    seconds: float = 0.0
    epochs: int = 0
    epochs_planned: int = 0
    error: str = ""


def job_folder(out: Path, job: StudyJob) -> Path:
    """Folder of a job's results."""
    return out / "runs" / job.protocol / job.family


def log_path(out: Path, job: StudyJob) -> Path:
    """Where a job's process writes what it says on its streams."""
    return out / "jobs" / f"{job.id.replace('/', '__')}.log"


def read_state(out: Path, job: StudyJob) -> JobState | None:
    """How a job stands; None before its first attempt."""
    path = _state_path(out, job.id)
    return JobState(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def write_state(out: Path, state: JobState) -> None:
    """Note how a job stands."""
    write_text_atomic(_state_path(out, state.id), json_text(asdict(state)) + "\n")


def _state_path(out: Path, job_id: str) -> Path:
    return out / "jobs" / f"{job_id.replace('/', '__')}.json"


def open_study(out: Path, *, quick: bool) -> tuple[StudyJob, ...]:
    """Begin a study's folder, or take up the one that is there.

    Returns:
        The plan.

    Raises:
        RunError: The folder holds a study of the other kind, full or quick.
    """
    path = out / STUDY_FILE
    plan = plan_of(quick)
    if path.exists() and json.loads(path.read_text(encoding="utf-8"))["quick"] != quick:
        raise RunError(f"{out} holds a {'full' if quick else 'quick'} study; choose another folder or delete it.")
    content = {"version": __version__, "quick": quick, "runs": runs_of(plan), "jobs": [_described(job) for job in plan]}
    write_text_atomic(path, json_text(content, indent=1) + "\n")
    return plan


def plan_of(quick: bool) -> tuple[StudyJob, ...]:
    """The plan with every candidate there is."""
    return make_plan(tuple(CANDIDATES), quick=quick)


def _described(job: StudyJob) -> dict[str, object]:
    stage = job.recipe.stages[-1] if job.recipe else None
    return {
        "id": job.id,
        "protocol": job.protocol,
        "family": job.family,
        "kind": job.kind,
        "title": job.title,
        "data": job.data,
        "stage": stage.name if stage else "",
        "initial": job.recipe.initial if job.recipe else "",
        "train_size": stage.train_size if stage else 0,
    }


def share_stage(source: Path, target: Path) -> None:
    """Take over a finished stage of another run, so that it is not trained twice; checkpoints stay behind.

    A file `errors.json` marks a finished stage and is put last. Files are linked where the file system can.
    """
    if (target / "errors.json").exists():
        return
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.name != "checkpoint.safetensors"]
    for path in sorted(files, key=lambda path: path.name == "errors.json"):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            os.link(path, place)
        except OSError:
            shutil.copy2(path, place)


def set_back_unfinished(out: Path, plan: Sequence[StudyJob]) -> None:
    """Mark jobs that a killed study left as running, so that nobody takes them for being at work."""
    for job in plan:
        state = read_state(out, job)
        if state is not None and state.status == "running":
            write_state(out, replace(state, status="stopped"))
