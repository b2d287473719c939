"""One job of the study, done in a process of its own."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from paraisite.comparison.candidates.run import run_candidate
from paraisite.datasets.catalogue import load_data_set
from paraisite.errors import ParaisiteError
from paraisite.study.cross import write_cross_errors
from paraisite.study.folder import JobState, job_folder, plan_of, read_state, share_stage, write_state
from paraisite.study.plan import Job, runs_of
from paraisite.training.network.data import outer_splits
from paraisite.training.network.options import RunOptions, StageProgress
from paraisite.training.network.recipe import Recipe
from paraisite.training.network.run import train

REPORT_SECONDS = 2.0


def run_job(out: Path, job: Job, plan: tuple[Job, ...], data_folder: Path | None = None) -> None:
    """Do a job; its state is noted in the study's folder while it goes on.

    Args:
        out: The study's folder.
        job: What to do.
        plan: The plan that it is of.
        data_folder: Folder of the data and weights that the package does not ship.

    Raises:
        ParaisiteError: Data, weights or packages are missing or unusable.
    """
    before = read_state(out, job)
    clock = _Clock(out, JobState(job.id, "running", seconds=before.seconds if before else 0.0))
    try:
        if job.recipe is None:
            _fit_candidate(out, job, plan, data_folder)
        else:
            _train(out, job, job.recipe, data_folder, clock)
    except Exception as error:
        known = isinstance(error, ParaisiteError | OSError)
        clock.write("failed", str(error) if known else f"Unexpected {type(error).__name__}: {error}")
        raise
    clock.write("done")


class _Clock:
    """Notes the progress of a job, every few seconds at most."""

    def __init__(self, out: Path, state: JobState) -> None:
        """Note that the job is at work."""
        self.out, self.state, self.start, self.seconds_before = out, state, time.monotonic(), state.seconds
        self.written = 0.0
        self.write("running")

    def report(self, progress: StageProgress) -> None:
        """Take note of an epoch."""
        self.state = replace(self.state, epochs=progress.epoch, epochs_planned=progress.epochs)
        if time.monotonic() - self.written > REPORT_SECONDS:
            self.write("running")

    def write(self, status: str, error: str = "") -> None:
        """Write the state."""
        self.written = time.monotonic()
        seconds = self.seconds_before + self.written - self.start
        write_state(self.out, replace(self.state, status=status, seconds=round(seconds, 2), error=error))


def _train(out: Path, job: Job, recipe: Recipe, data_folder: Path | None, clock: _Clock) -> None:
    folder = job_folder(out, job)
    first = recipe.stages[0].name
    if job.shares:
        share_stage(out / "runs" / job.shares / first, folder / first)
    model = train(recipe, folder, RunOptions(data_folder, report=clock.report))
    if job.kind in {"family", "leak"}:
        write_cross_errors(model, recipe.runs, recipe.stages[-1].split, data_folder, folder)


def _fit_candidate(out: Path, job: Job, plan: tuple[Job, ...], data_folder: Path | None) -> None:
    runs = runs_of(plan)
    data = load_data_set(job.data, data_folder)
    splits = outer_splits(data, runs, "composition" if job.protocol == "grouped" else "random")
    run_candidate(job.family, data, splits, runs, job_folder(out, job), data_folder)


@dataclass(frozen=True, slots=True)
class JobService:
    """What a working process of a study does: the job whose name it is given.

    Attributes:
        out: The study's folder.
        quick: Whether the study is a smoke run.
        data_folder: Folder of the data and weights that the package does not ship.
    """

    out: Path
    quick: bool
    data_folder: Path | None

    def __call__(self) -> Callable[[str], tuple[()]]:
        """Find the plan, in the working process."""
        plan = plan_of(self.quick)

        def answers(job_id: str) -> tuple[()]:
            try:
                run_job(self.out, next(job for job in plan if job.id == job_id), plan, self.data_folder)
            except Exception:
                traceback.print_exc()  # the log keeps it
                raise
            return ()

        return answers
