"""Reproduce the whole study: all jobs on all cores, stopped and taken up at any moment, then the report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from paraisite.datasets.catalogue import find_data_file
from paraisite.errors import RunError
from paraisite.outputs import claim_folder
from paraisite.processes.child import Child
from paraisite.study.data_sets import write_coverage
from paraisite.study.folder import (
    STUDY_FILE,
    JobState,
    log_path,
    open_study,
    read_state,
    set_back_unfinished,
    write_state,
)
from paraisite.study.plan import StudyJob, choose
from paraisite.study.report.write import write_report
from paraisite.study.worker import JobService
from paraisite.threads import number_of_processes
from paraisite.training.network.start_weights import FORMATION_ENERGY_WEIGHTS

POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """How a study stands.

    Attributes:
        n_jobs: Jobs in all.
        done: Jobs that are done.
        failed: Jobs that failed in this attempt, or cannot be begun since one that they build on failed.
        running: Jobs at work.
    """

    n_jobs: int
    done: int
    failed: tuple[JobState, ...]
    running: tuple[JobState, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """What a study left behind.

    Attributes:
        folder: The study's folder.
        report: The report's page.
        failed: Jobs that are missing in it, with the reasons.
    """

    folder: Path
    report: Path
    failed: tuple[JobState, ...]


def reproduce(
    out: str | Path,
    data_folder: str | Path | None = None,
    *,
    quick: bool = False,
    only: Sequence[str] = (),
    processes: int | None = None,
    report: Callable[[StudyProgress], None] | None = None,
    force: bool = False,
) -> Study:
    """Rerun the study of doi 10.1039/d5cp04401d and write its report; a study that was stopped goes on.

    All families on Togo15, HH143, their mixture and AFLOW, by three protocols, with ablations, learning curves and what a
    user would try instead. A job that fails is reported, and the others go on.

    Args:
        out: The study's folder.
        data_folder: Folder of AFLOW's data and the formation-energy weights; without it `PARAISITE_DATA` or the user's own.
        quick: A smoke run of minutes: two runs and three epochs, whose numbers mean nothing.
        only: Patterns of the jobs to do, such as `held_out/*TG15`, with what they build on; all if empty.
        processes: Jobs at work at once; one per core if unset or -1.
        report: Called a few times per second with the progress.
        force: Write also among files of others.

    Raises:
        OutputError: The folder holds files of others.
        DataError: AFLOW's data or the weights are not there.
        RecipeError: A pattern fits no job.
        RunError: Another process works in the folder, or it holds a study of the other kind.
    """
    out = Path(out)
    folder = None if data_folder is None else Path(data_folder)
    for name in ("aflow_agl.extxyz.gz", FORMATION_ENERGY_WEIGHTS):
        find_data_file(name, folder)
    claim_folder(out, "reproduce", adopt=(out / STUDY_FILE).is_file() or (out / LOCK_FILE).is_file(), force=force)
    with _locked(out):
        plan = choose(open_study(out, quick=quick), only)
        set_back_unfinished(out, plan)
        write_coverage(out / "data", folder)
        failed = _run(out, plan, folder, quick=quick, processes=number_of_processes(processes), report=report)
        page = write_report(out)
    return Study(out, page, failed)


LOCK_FILE = ".lock"


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    lock = FileLock(out / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"Another process works on the study in {out}; wait for it or stop it.") from error
    with lock:
        yield


def _run(
    out: Path,
    plan: Sequence[StudyJob],
    data_folder: Path | None,
    *,
    quick: bool,
    processes: int,
    report: Callable[[StudyProgress], None] | None,
) -> tuple[JobState, ...]:
    """Do all jobs, each in its own process; the failures."""
    states = {job.id: read_state(out, job) for job in plan}
    done = {key for key, state in states.items() if state is not None and state.status == "done"}
    waiting = [job for job in plan if job.id not in done]
    failed: dict[str, JobState] = {}
    service = JobService(out.absolute(), quick, None if data_folder is None else data_folder.absolute())
    with _Crew(service, processes) as crew:
        while waiting or crew.at_work:
            for job in [job for job in waiting if job.shares in failed]:
                waiting.remove(job)
                failed[job.id] = JobState(job.id, "failed", error=f"It builds on {job.shares}, which failed.")
                write_state(out, failed[job.id])
            for job in [job for job in waiting if not job.shares or job.shares in done]:
                if len(crew.at_work) < processes:
                    waiting.remove(job)
                    crew.begin(job)
            for state in crew.ended():
                if state.status == "done":
                    done.add(state.id)
                else:
                    failed[state.id] = state
            if report is not None:
                report(
                    StudyProgress(len(plan), len(done), tuple(failed.values()), _running(out, crew.at_work.values()))
                )
    return tuple(failed.values())


class _Crew:
    """Jobs at work, each in a process of its own: what one leaves in memory must not reach the next."""

    def __init__(self, service: JobService, n_processes: int) -> None:
        self._service = service
        self._threads = ThreadPoolExecutor(n_processes)
        self._children: dict[Future[str], Child] = {}
        self.at_work: dict[Future[str], StudyJob] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.kill()
        self._threads.shutdown()
        for child in self._children.values():
            child.close()

    def begin(self, job: StudyJob) -> None:
        """Start a process for a job; what it prints goes to the job's log."""
        path = log_path(self._service.out, job)
        path.parent.mkdir(parents=True, exist_ok=True)
        child = Child(self._service, log=path)
        child.send(job.id)
        future = self._threads.submit(_outcome, child)
        self._children[future], self.at_work[future] = child, job

    def ended(self) -> Iterator[JobState]:
        """States of the jobs that have ended, after waiting for a moment; one that ended without a word was killed."""
        for future in wait(self.at_work, POLL_SECONDS, FIRST_COMPLETED).done:
            self._children.pop(future).close()
            job, outcome = self.at_work.pop(future), future.result()
            state = read_state(self._service.out, job) or JobState(job.id, "running")
            if state.status not in {"done", "failed"}:
                log = log_path(self._service.out, job)
                state = replace(state, status="failed", error=f"{outcome} See {log}.")
                write_state(self._service.out, state)
            yield state


def _outcome(child: Child) -> str:
    """Wait for the end of a child's task; what went wrong, if anything."""
    try:
        for _ in child.answers():
            pass
    except Exception as error:
        return str(error)
    return ""


def _running(out: Path, jobs: Iterable[StudyJob]) -> tuple[JobState, ...]:
    found = (read_state(out, job) for job in jobs)
    return tuple(state for state in found if state is not None)
