"""What the sections of a report are made of: the study, its tables, and the figures that could be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from paraisite.study.report import hypotheses, tables
from paraisite.study.report.data import FAMILIES_BY_DATA, StudyResults, read_report_json
from paraisite.study.report.figures import comparisons, curves, data_sets, errors, parity

TWO_STAGE_NETWORK = "FEAFTG15"
"""The two-stage network, which the candidates and the variants are compared with."""
ABLATIONS = (f"{TWO_STAGE_NETWORK}-frozen-body", f"{TWO_STAGE_NETWORK}-new-head")
UNSEEN = f"{TWO_STAGE_NETWORK}-unseen"


@dataclass(frozen=True, slots=True)
class ReportContent:
    """A study as its report shows it.

    Attributes:
        study: The study.
        tables: Tables by the name of their file.
        figures: Names of the figures that were drawn.
        titles: Titles of the candidates, in the order of the study.
    """

    study: StudyResults
    tables: dict[str, pd.DataFrame]
    figures: tuple[str, ...]
    titles: dict[str, str]


def make_content(study: StudyResults, figures: Path) -> ReportContent:
    """Make all tables and draw all figures.

    Args:
        study: The study.
        figures: Folder for the figures.
    """
    titles = candidate_titles(study)
    made = make_tables(study, list(titles))
    return ReportContent(study, made, tuple(_draw_figures(study, made, titles, figures)), titles)


def candidate_titles(study: StudyResults) -> dict[str, str]:
    """Titles of the candidates that are done."""
    titles = {}
    for job in study.done("candidate"):
        path = job.folder / "candidate.json"
        card = read_report_json(path) if path.is_file() else {}
        titles[job.family] = str(card.get("title") or job.title)
    return titles


def make_tables(study: StudyResults, candidates: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Make all tables, by the name of their file.

    Args:
        study: The study.
        candidates: Names of the candidates.
    """
    errors = tables.error_table(study)
    summary = tables.summary_table(errors)
    groups = [tables.family_pairs(families) for families in FAMILIES_BY_DATA.values()]
    groups += [
        [(name, TWO_STAGE_NETWORK) for name in ABLATIONS],
        [(UNSEEN, TWO_STAGE_NETWORK)],
        [(TWO_STAGE_NETWORK, name) for name in candidates],
    ]
    per_run = hypotheses.per_run_table(errors)
    return {
        "errors": errors,
        "summary": summary,
        "main": tables.main_table(summary),
        "tests": tables.compare_everywhere(errors, groups),
        "cross": tables.cross_table(study),
        "published_by_run": per_run,
        "hypotheses": hypotheses.hypothesis_table(per_run),
        "worst_crystals": tables.worst_crystals(study),
        "learning_curves": tables.learning_curve_table(study, errors),
        "runtime": tables.runtime_table(study),
        "missing": tables.missing_table(study),
        "data": tables.data_table(study),
    }


def _draw_figures(
    study: StudyResults, made: dict[str, pd.DataFrame], titles: dict[str, str], folder: Path
) -> list[str]:
    """Draw what there is data for, and name it."""
    table = made["errors"]
    drawn = {
        "error_distribution": errors.draw_error_distribution(table, folder),
        "error_by_epoch": curves.draw_epoch_curves(study, folder),
        "error_by_epoch_of_each_run": curves.draw_run_curves(study, folder),
        "learning_curves": curves.draw_learning_curves(made["learning_curves"], folder),
        "ablation": errors.draw_variants(table, (TWO_STAGE_NETWORK, *ABLATIONS), folder, "ablation"),
        "leak": errors.draw_variants(table, (TWO_STAGE_NETWORK, UNSEEN), folder, "leak"),
        "published_against_ours": comparisons.draw_published_against_ours(made["published_by_run"], folder),
        "candidates": errors.draw_candidates(table, list(titles), titles, folder),
        "runtime": comparisons.draw_runtime(made["runtime"], folder),
    }
    names = [name for name, is_drawn in drawn.items() if is_drawn]
    if study.data:
        data_sets.draw_kappa_distribution(study, folder)
        data_sets.draw_elements(study, folder)
        data_sets.draw_structures(study, folder)
        names += ["kappa_distribution", "elements", "structures"]
    return names + parity.draw_parity_figures(study, folder)
