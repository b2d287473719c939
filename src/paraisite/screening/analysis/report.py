"""Analyse finished scans and write the report: one HTML page, the same in Markdown, figures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.errors import DataError
from paraisite.outputs import output_folder
from paraisite.reporting.page import html_page
from paraisite.screening.analysis import figures, sections, tables
from paraisite.screening.analysis.correlations import correlate, correlation_matrix, matrix_quantities
from paraisite.screening.analysis.crystals import Crystals, join_scans
from paraisite.screening.analysis.low_kappa import low_kappa_candidates

FLOAT_FORMAT = "%.6g"


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """What to analyse beside the scans themselves.

    Attributes:
        labels: Name of each scan, such as `step 1`; without them, the names of the models.
        features: A CSV table of further features, joined by `material_id`.
        compare: Joined columns of κ in W/(m K) from elsewhere, to compare the predictions with; they are no features.
        n_candidates: Crystals of low κ to list.
    """

    labels: tuple[str, ...] = ()
    features: str | Path | None = None
    compare: tuple[str, ...] = ()
    n_candidates: int = 20


def analyze(
    outs: str | Path | Sequence[str | Path],
    folder: str | Path | None = None,
    options: AnalysisOptions = AnalysisOptions(),
    *,
    force: bool = False,
) -> Path:
    """Analyse one scan, or several of the same crystals by different models, such as the steps of a transfer.

    It repeats section 3.2 of the study (doi 10.1039/d5cp04401d) on any crystals, with the estimate κ in place of the members'
    mean. Their variance takes part where every scan was made with `members`. The folder gets `index.html` (needs nothing
    else), `report.md`, `figures/` (PNG, SVG and CSV) and `tables/` (CSV). An earlier report in it is replaced as a whole.

    Args:
        outs: Folder of a scan, or several of them; the last one is the model whose candidates are listed.
        folder: Where to write; without it `analysis` in the last scan's folder.
        options: Names, further features, and what to compare with.
        force: Overwrite what is in the way in a folder that holds other files.

    Returns:
        Path of `index.html`.

    Raises:
        RunError: A folder holds no scan.
        OutputError: The folder holds other files than an analysis.
        DataError: The scans have no crystal in common, or the table of features cannot be used.
    """
    folders = [outs] if isinstance(outs, str | Path) else list(outs)
    with join_scans(folders, options.labels, options.features) as crystals:
        folder = Path(folder) if folder is not None else crystals.steps[-1].folder / "analysis"
        analysed = _without(crystals, options.compare)
        with output_folder(folder, "analyze", force=force) as new:
            made = _make_tables(crystals, analysed, options)
            drawn = _draw(crystals, made, options, new / "figures")
            _write(sections.Content(crystals, made, drawn, options.compare), made, new)
    return folder / "index.html"


def _write(content: sections.Content, made: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write the tables and the pages, whose pictures are drawn already."""
    for name, table in made.items():
        text = table.to_csv(index=name == "correlation_matrix", float_format=FLOAT_FORMAT)
        write_text_atomic(folder / "tables" / f"{name}.csv", text)
    markdown = "\n\n".join(block for section in sections.SECTIONS for block in section(content) if block) + "\n"
    write_text_atomic(folder / "report.md", markdown)
    write_text_atomic(folder / "index.html", html_page(markdown, folder, interactive=True))


def _without(crystals: Crystals, compare: Sequence[str]) -> Crystals:
    """The crystals without the features that are compared with."""
    for name in compare:
        if name not in crystals.features:
            raise DataError(
                f"There is no numeric column {name!r} to compare with; there is {', '.join(crystals.features) or 'none'}."
            )
    kept = tuple(name for name in crystals.features if name not in compare)
    return replace(crystals, features=kept)


def _make_tables(crystals: Crystals, analysed: Crystals, options: AnalysisOptions) -> dict[str, pd.DataFrame]:
    of_features, of_quantities = correlate(analysed)
    made = {
        "scans": tables.scan_table(crystals),
        "correlations": of_features,
        "between": of_quantities,
        "correlation_matrix": correlation_matrix(analysed),
    }
    if crystals.has_members:
        made |= {"variance": tables.variance_table(crystals), "members": tables.member_table(crystals)}
    optional = {
        "domain": tables.domain_table(crystals),
        "agreement": tables.agreement_table(crystals, options.compare),
    }
    if options.n_candidates:
        out = crystals.steps[-1].folder
        optional["low_kappa"] = low_kappa_candidates(out, options.n_candidates, options.features)
    return made | {name: table for name, table in optional.items() if len(table)}


def _draw(crystals: Crystals, made: dict[str, pd.DataFrame], options: AnalysisOptions, folder: Path) -> tuple[str, ...]:
    """Draw all figures; the names of those of the columns compared with."""
    n_quantities = len(matrix_quantities(crystals)) * len(crystals.steps)
    figures.draw_correlation_map(made["correlation_matrix"], n_quantities, folder)
    if crystals.has_members:
        figures.draw_variance(made["variance"], made["scans"], folder)
        figures.draw_members(made["members"], made["scans"], folder)
        figures.draw_spread(crystals, folder)
    return tuple(figures.draw_agreement(crystals, column, folder) for column in options.compare)
