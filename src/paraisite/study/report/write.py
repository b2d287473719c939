"""The report of a study: one HTML page, the same in Markdown, figures, tables and recipes, from the run directories alone."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from paraisite.atomic import write_text_atomic
from paraisite.json_text import json_text
from paraisite.outputs import output_folder
from paraisite.reporting.page import html_page
from paraisite.study.report.content import make_content
from paraisite.study.report.data import StudyResults, read_study
from paraisite.study.report.sections import REPORT_SECTIONS, error_markdown

_FLOAT_FORMAT = "%.6g"


def write_report(out: str | Path, folder: str | Path | None = None, *, force: bool = False) -> Path:
    """Write the report of a study, finished or not: what is there is shown, and what is missing is listed.

    The folder gets `index.html` (needs nothing else), `report.md`, `figures/` (PNG, SVG and CSV), `tables/` (CSV and JSON)
    and `recipes/` (TOML). An earlier report in it is replaced as a whole.

    Args:
        out: The study's folder.
        folder: Where to write; without it `report` in the study's folder.
        force: Overwrite what is in the way in a folder that holds other files.

    Returns:
        Path of `index.html`.

    Raises:
        OutputError: The folder holds other files than a report.
        RunError: `out` is not the folder of a study, or a file of it is damaged.
    """
    study = read_study(out)
    folder = Path(folder) if folder is not None else study.folder / "report"
    with output_folder(folder, "report", force=force) as new:
        content = make_content(study, new / "figures")
        for name, table in content.tables.items():
            _write_table(table, new / "tables", name)
        _write_recipes(study, new / "recipes")
        blocks = [block for section in REPORT_SECTIONS for block in section(content) if block]
        markdown = "\n\n".join(blocks) + "\n"
        write_text_atomic(new / "report.md", markdown)
        write_text_atomic(new / "index.html", html_page(markdown, new))
    return folder / "index.html"


def networks_table(results: str | Path) -> str:
    """The table of errors in docs/networks.md, from the tables of a published report.

    Args:
        results: Folder of the report.
    """
    return error_markdown(pd.read_csv(Path(results) / "tables" / "main.csv"))


def _write_table(table: pd.DataFrame, folder: Path, name: str) -> None:
    write_text_atomic(folder / f"{name}.csv", table.to_csv(index=False, float_format=_FLOAT_FORMAT))
    records = json.loads(table.to_json(orient="records", double_precision=6))
    write_text_atomic(folder / f"{name}.json", json_text(records, indent=1, ensure_ascii=False) + "\n")


def _write_recipes(study: StudyResults, folder: Path) -> None:
    for job in study.done():
        path = job.folder / "recipe.toml"
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            # A start that is another job's model is named by its place in the study, not on this machine.
            for place in {str(study.folder.resolve()), str(study.folder)} - {"."}:
                text = text.replace(place, "STUDY")
            write_text_atomic(folder / f"{job.name.replace('/', '__')}.toml", text)
