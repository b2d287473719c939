"""Run a comparison: the jobs that are not done yet, then the tables of all that are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.comparison.analysis import analyse
from paraisite.comparison.candidates.registry import factories, make_candidate
from paraisite.comparison.figures import draw_figures
from paraisite.comparison.job import JOB_FILE, RUNS_FOLDER, ComparisonJob, make_job, run_comparison_job
from paraisite.comparison.protocols import (
    COMPARISON_PROTOCOLS,
    CrystalPool,
    choose_protocols,
    load_pool,
    protocol_splits,
)
from paraisite.comparison.scores import all_pairs, crystal_errors, mean_and_deviation, scores
from paraisite.comparison.specs import CandidateSpec, further_data, parse_spec, parse_specs
from paraisite.comparison.view import markdown
from paraisite.errors import ParaisiteError, RunError
from paraisite.graphs.cache import content_key
from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS
from paraisite.json_text import json_text
from paraisite.outputs import claim_folder


@dataclass(frozen=True, slots=True)
class ComparisonProgress:
    """What a progress display shows.

    Attributes:
        done: Jobs done, those of earlier runs included.
        n_jobs: Jobs in all: a candidate under a protocol each.
        job: The job at work, `protocol/candidate`; empty at the end.
        splits_done: Splits of it that are done.
        n_splits: Its splits.
    """

    done: int
    n_jobs: int
    job: str = ""
    splits_done: int = 0
    n_splits: int = 0


ComparisonReporter = Callable[[ComparisonProgress], None]


def compare(
    specs: Sequence[str],
    folder: str | Path,
    protocols: Sequence[str] = tuple(COMPARISON_PROTOCOLS),
    *,
    further: Sequence[str] = (),
    against: Sequence[str] = (),
    figures_of: str | None = None,
    data_folder: str | Path | None = None,
    report: ComparisonReporter | None = None,
    force: bool = False,
) -> pd.DataFrame:
    """Compare candidates under the same splits; one job after the other, in this process, on one thread.

    A job is a candidate under a protocol. One that is done is not done again, so that a stopped comparison goes on and a
    further candidate joins the others of a folder; the tables hold every job of the folder. A candidate that is given the
    data that a protocol predicts is not judged by it.

    Args:
        specs: Candidates, each with further training data where it gets any: `knn`, `knn+hh143`.
        folder: Gets `table.csv`, `pairs.csv`, `table.md`, `comparison.json` (versions, data, settings, and the jobs that
            are left out since they were done with other data), `runs/PROTOCOL/CANDIDATE/predictions.csv` (κ in W/(m K)),
            and at the end `errors.csv` and `worst.csv` (see `paraisite.comparison.analysis.analyse`).
        protocols: Names in `paraisite.comparison.protocols.COMPARISON_PROTOCOLS`.
        further: Data sets that all candidates are given beside their own.
        against: Candidates that the others are compared with by paired tests; without any, each is compared with each.
        figures_of: Candidate whose figures are drawn into `figures/`, with those of all candidates; none without it.
        data_folder: Folder of what the package does not ship.
        report: Called as the work goes on.
        force: Write also among files of others.

    Returns:
        The table: a row per candidate and protocol, columns as `paraisite.comparison.scores.scores` gives them, with
        `n_splits`, `n_crystals`, `n_tried` and the seconds of a split to fit and to predict; the first candidate that
        needs the features of a crystal waits for them.

    Raises:
        OutputError: The folder holds files of others.
        ParaisiteError: A candidate, data set or protocol is not known, or what a candidate needs is missing.
    """
    folder = Path(folder)
    chosen, asked = choose_protocols(protocols), parse_specs(specs, further)
    wanted = [(protocol, spec) for protocol in chosen for spec in asked if spec_suits(spec, protocol)]
    if not wanted:
        raise ParaisiteError(
            f"Nothing is left to judge: each candidate is given the data that {' and '.join(chosen) or 'no protocol'} "
            "predicts; choose further protocols or leave the data out."
        )
    finished = _finished(folder)
    claim_folder(folder, "compare", adopt=bool(finished), force=force)
    found = [job for job in finished if job not in wanted]
    there = [spec for _, spec in (*wanted, *found)]
    compared = _compared(against, there)
    if figures_of:
        figures_of = _compared([figures_of], there)[0]
    pool = load_pool(_data_names([*wanted, *found]), Path(data_folder) if data_folder else None)
    jobs, others = ([_job(protocol, spec, pool, folder) for protocol, spec in part] for part in (wanted, found))
    table = _write_tables([*jobs, *others], compared, pool, folder)
    for _ in _run_jobs(jobs, pool, data_folder, report or (lambda _: None)):
        table = _write_tables([*jobs, *others], compared, pool, folder)
    _write_analysis([*jobs, *others], pool, folder, figures_of)
    return table


def read_comparison(
    folder: str | Path, data_folder: str | Path | None = None
) -> tuple[list[ComparisonJob], CrystalPool]:
    """Give the finished jobs of a folder, in the order of protocols and candidates, and the crystals that they are about.

    Raises:
        RunError: The folder has none.
    """
    folder, order = Path(folder), list(factories())
    found = sorted(_finished(folder), key=lambda job: (order.index(job[1].name), len(job[1].further), str(job[1])))
    pool = load_pool(_data_names(found), Path(data_folder) if data_folder else None)
    jobs = [job for protocol, spec in found if (job := _job(protocol, spec, pool, folder)).card() is not None]
    if not jobs:
        raise RunError(f"{folder} holds no finished comparison; make one by `paraisite compare -o {folder}`.")
    return _by_protocol(jobs), pool


def write_comparison(
    jobs: Sequence[ComparisonJob], pool: CrystalPool, folder: Path, figures_of: str, against: Sequence[str] = ()
) -> None:
    """Write all tables and figures of finished jobs, without their runs, to a folder; see `compare`.

    Raises:
        ParaisiteError: `figures_of` or one of `against` is not among the jobs.
    """
    specs = [job.spec for job in jobs]
    shown = _compared([figures_of], specs)[0]
    _write_tables(jobs, _compared(against, specs), pool, folder)
    _write_analysis(jobs, pool, folder, shown)


def spec_suits(spec: CandidateSpec, protocol: str) -> bool:
    """Whether a candidate with its further data can be judged by a protocol.

    HH143 is no part of any training under its own protocol, so that a candidate that is given it can be judged there too.
    """
    return protocol != "literature" or "literature" not in spec.further


def _finished(folder: Path) -> list[tuple[str, CandidateSpec]]:
    """Jobs of the folder that were finished at some time."""
    paths = folder.glob(f"{RUNS_FOLDER}/*/*/{JOB_FILE}")
    parts = sorted((path.parent.stat().st_mtime, path.parent.parent.name, path.parent.name) for path in paths)
    return [(protocol, parse_spec(name)) for _, protocol, name in parts if protocol in COMPARISON_PROTOCOLS]


def _data_names(jobs: Sequence[tuple[str, CandidateSpec]]) -> list[str]:
    """Data sets of the jobs, always in one order: that of the training crystals is part of a job's fingerprint."""
    names = {"togo15"}
    for protocol, spec in jobs:
        names.update((*COMPARISON_PROTOCOLS[protocol].trained, COMPARISON_PROTOCOLS[protocol].predicted, *spec.further))
    return [name for name in ("togo15", *further_data()) if name in names]


def _job(protocol: str, spec: CandidateSpec, pool: CrystalPool, folder: Path) -> ComparisonJob:
    return make_job(protocol, spec, protocol_splits(COMPARISON_PROTOCOLS[protocol], pool, spec.further), pool, folder)


def _compared(against: Sequence[str], specs: Sequence[CandidateSpec]) -> list[str]:
    """Candidates to compare with or to draw, as they are written in tables."""
    there, compared = list(dict.fromkeys(map(str, specs))), [str(parse_spec(name)) for name in against]
    for name in compared:
        if name not in there:
            raise ParaisiteError(
                f"{name} is not in this comparison; compare with one of {', '.join(there)}, or add it."
            )
    return compared


def _run_jobs(
    jobs: Sequence[ComparisonJob], pool: CrystalPool, data_folder: str | Path | None, report: ComparisonReporter
) -> Iterator[None]:
    """Do what is not done, one job per step; what a candidate lacks is reported before the first begins."""
    waiting = [job for job in jobs if job.card() is None]
    candidates = {job.spec.name: make_candidate(job.spec.name, data_folder) for job in waiting}
    # A candidate after the other, so that a slow one keeps nobody waiting.
    order = list(dict.fromkeys(str(job.spec) for job in jobs))
    waiting.sort(key=lambda job: order.index(str(job.spec)))
    for done, job in enumerate(waiting, len(jobs) - len(waiting)):
        start = ComparisonProgress(done, len(jobs), f"{job.protocol}/{job.spec}", 0, len(job.splits))
        report(start)
        run_comparison_job(job, candidates[job.spec.name], pool, partial(_report_split, report, start))
        yield
    report(ComparisonProgress(len(jobs), len(jobs)))


def _report_split(report: ComparisonReporter, start: ComparisonProgress, splits_done: int) -> None:
    report(replace(start, splits_done=splits_done))


def _write_tables(
    jobs: Sequence[ComparisonJob], compared: Sequence[str], pool: CrystalPool, folder: Path
) -> pd.DataFrame:
    """Write the tables of the jobs that are done."""
    rows, cards = [], []
    errors: dict[str, dict[str, pd.Series[float]]] = {}
    for job in _by_protocol(jobs):
        if (card := job.card()) is None:
            continue
        predictions = job.predictions()
        cards.append(card)
        rows.append(_row(job, card, predictions))
        errors.setdefault(job.protocol, {})[str(job.spec)] = crystal_errors(predictions)
    table = pd.DataFrame(rows)
    if not rows:
        return table
    pairs = all_pairs(errors, compared)
    write_text_atomic(folder / "table.csv", table.to_csv(index=False))
    write_text_atomic(folder / "pairs.csv", pairs.to_csv(index=False))
    write_text_atomic(folder / "table.md", markdown(table, pairs))
    content = {
        "protocols": _protocols(jobs),
        "data": _data(pool),
        "against": list(compared),
        "outdated": [f"{job.protocol}/{job.spec}" for job in jobs if job.is_outdated()],
        "jobs": cards,
    }
    write_text_atomic(folder / "comparison.json", json_text(content, indent=2) + "\n")
    return table


def _write_analysis(jobs: Sequence[ComparisonJob], pool: CrystalPool, folder: Path, figures_of: str | None) -> None:
    """Write where the candidates of the jobs that are done err."""
    done = [job for job in _by_protocol(jobs) if job.card() is not None]
    for name, table in zip(("errors", "worst"), analyse(done, pool), strict=True):
        write_text_atomic(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.4g"))
    if figures_of:
        draw_figures(done, figures_of, pd.read_csv(folder / "table.csv"), folder / "figures")


def _by_protocol(jobs: Sequence[ComparisonJob]) -> list[ComparisonJob]:
    return sorted(jobs, key=lambda job: list(COMPARISON_PROTOCOLS).index(job.protocol))


def _row(job: ComparisonJob, card: dict[str, Any], predictions: pd.DataFrame) -> dict[str, Any]:
    seconds = pd.DataFrame(card["splits"])[["seconds_fit", "seconds_predict"]]
    return {
        "protocol": job.protocol,
        "candidate": str(job.spec),
        "n_splits": len(job.splits),
        "n_crystals": predictions["material_id"].nunique(),
        **scores(predictions),
        **mean_and_deviation(seconds),
        "n_tried": card["n_tried"],
    }


def _protocols(jobs: Sequence[ComparisonJob]) -> dict[str, Any]:
    return {
        job.protocol: {
            "title": COMPARISON_PROTOCOLS[job.protocol].title,
            "trained": COMPARISON_PROTOCOLS[job.protocol].trained,
            "predicted": COMPARISON_PROTOCOLS[job.protocol].predicted,
            "n_splits": len(job.splits),
        }
        for job in jobs
    }


def _data(pool: CrystalPool) -> dict[str, Any]:
    """Number of crystals and hash of each data set."""
    indices = {str(name): pool.of(str(name)) for name in dict.fromkeys(pool.source)}
    return {
        name: {"n_crystals": len(rows), "content": content_key(pool.take(rows), DEFAULT_GRAPH_SETTINGS)}
        for name, rows in indices.items()
    }
