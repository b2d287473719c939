"""The whole report: whole, unfinished, quick; what it states follows the numbers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_runs import tiny_recipe, tiny_stage, write_data

from paraisite.outputs import MARKER
from paraisite.study.published import published_runs
from paraisite.study.report import statements
from paraisite.study.report.content import make_tables
from paraisite.study.report.data import read_study
from paraisite.study.report.hypotheses import hypothesis_table
from paraisite.study.report.write import networks_table, write_report
from paraisite.training.network.run import train

SCRIPT = Path(__file__).parents[3] / "scripts" / "publish_results.py"
MakeStudy = Callable[..., Path]


@pytest.fixture(scope="module")
def report(study_folder: Path) -> Path:
    """Folder of the report of the whole study."""
    return write_report(study_folder).parent


def test_page_needs_nothing_else(report: Path) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    sources = re.findall(r'<(?:img|script|link|iframe)[^>]*?(?:src|href)="([^"]{0,40})', page)
    assert len(sources) > 10
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "@import" not in page


def test_every_link_of_the_markdown_leads_somewhere(report: Path) -> None:
    text = (report / "report.md").read_text(encoding="utf-8")
    page = (report / "index.html").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert f'id="{target[1:]}"' in page, target
        elif not target.startswith("http"):
            assert (report / target).is_file(), target


def test_every_figure_has_its_forms_and_data(report: Path) -> None:
    pictures = list((report / "figures").glob("*.png"))
    assert len(pictures) >= 15
    for path in pictures:
        assert path.with_suffix(".svg").is_file()
        assert len(pd.read_csv(path.with_suffix(".csv"))) > 0


def test_every_table_is_there_as_csv_and_json(report: Path) -> None:
    for path in (report / "tables").glob("*.csv"):
        content = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert len(content) == len(path.read_text(encoding="utf-8").splitlines()) - 1


def test_nothing_tells_a_value_of_aflow(report: Path, study_folder: Path) -> None:
    kappa = pd.read_csv(study_folder / "data" / "aflow_agl.csv")["kappa"]
    for path in [path for path in report.rglob("*") if path.suffix in {".csv", ".json", ".md"}]:
        text = path.read_text(encoding="utf-8")
        assert "made-up" not in text, path
        numbers = np.array([float(value) for value in re.findall(r"\d+\.\d{4,}", text)])
        assert not np.isclose(numbers[:, None], kappa.to_numpy()[None, :], rtol=1e-6).any(), path


def test_recipes_name_no_place_on_this_machine(report: Path, study_folder: Path) -> None:
    recipes = list((report / "recipes").glob("*.toml"))
    assert len(recipes) > 30
    for path in recipes:
        text = path.read_text()
        assert str(study_folder) not in text
        assert "STUDY/runs" in text


def test_unfinished_study_shows_what_is_there(make_study: MakeStudy) -> None:
    families = ("RWTG15", "FETG15", "FEAFTG15", "RWAF", "median")
    out = make_study(families=families, without=("held_out/FEAFTG15", "paper/RWAF", "grouped/median"))
    state = {"id": "paper/RWAF", "status": "failed", "seconds": 1, "error": f"No room in {out}/runs.", "epochs": 0}
    (out / "jobs" / "paper__RWAF.json").write_text(json.dumps(state))
    (out / "runs" / "paper" / "FETG15" / "togo15" / "predictions.csv").unlink()
    shutil.rmtree(out / "data")
    text = (write_report(out).parent / "report.md").read_text(encoding="utf-8")
    missing = text.split("## What is missing")[1]
    for name in ("held_out/FEAFTG15", "paper/RWAF", "grouped/median", "paper/FETG15"):
        assert f"| {name} |" in missing
    assert "No room in runs." in missing
    assert "| paper/RWTG15 |" not in missing


def test_quick_study_is_called_a_try_out(make_study: MakeStudy, report: Path) -> None:
    text = (write_report(make_study((1, 2), quick=True, families=("RWTG15",))).parent / "report.md").read_text(
        encoding="utf-8"
    )
    assert "A try-out, not the study" in text
    assert "2 of 9 runs" in text
    assert "A try-out" not in (report / "report.md").read_text(encoding="utf-8")


def test_study_with_nothing_done(make_study: MakeStudy) -> None:
    out = make_study(families=("RWTG15", "median"))
    shutil.rmtree(out / "jobs")
    shutil.rmtree(out / "data")
    text = (write_report(out).parent / "report.md").read_text(encoding="utf-8")
    assert "## What is missing" in text


def network_against_candidate(out: Path) -> list[str]:
    made = make_tables(read_study(out), ["gaussian_process_structure"])
    pair = ("FEAFTG15", "gaussian_process_structure")
    return statements.comparison_sentences(made["tests"], [pair], {"FEAFTG15": "the network"})


@pytest.mark.parametrize(
    ("scatter", "verdict"),
    [
        ({"FEAF": 0.02, "gaussian_process_structure": 0.6}, r"\*\*beats\*\*"),
        ({"FEAF": 0.6, "gaussian_process_structure": 0.02}, r"\*\*is beaten by\*\*"),
        ({"FEAF": 0.2, "gaussian_process_structure": 0.2}, r"\*\*does not beat\*\*"),
    ],
)
def test_verdict_on_a_candidate_follows_the_numbers(
    make_study: MakeStudy, scatter: dict[str, float], verdict: str
) -> None:
    sentences = network_against_candidate(
        make_study(families=("FEAFTG15", "gaussian_process_structure"), scatter=scatter)
    )
    assert len(sentences) == 2
    assert all(re.search(verdict, sentence) for sentence in sentences), sentences


def step_2(shift: Callable[[str, int], float]) -> str:
    """Sentence on step 2 where our errors are the published ones and a shift by hypothesis and run."""
    rows: list[dict[str, Any]] = [
        {"step": "step 2", "hypothesis": title, "scale": "true", "trap": title == "weights not loaded", "family": title,
         "run": run, "published": value, "ours": value + shift(title, run)}
        for title in ("weights not loaded", "weights loaded")
        for run, value in published_runs("FETG15").items()
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return statements.trap_sentences(table, hypothesis_table(table))[0]


@pytest.mark.parametrize(
    ("near", "answer"), [("weights not loaded", "**Yes**"), ("weights loaded", "**No**"), ("", "cannot tell")]
)
def test_answer_on_the_trap_follows_the_numbers(near: str, answer: str) -> None:
    def shift(title: str, run: int) -> float:
        if not near:
            return 0.1 * (1 + run % 2) if title == "weights loaded" else 0.1 * (2 - run % 2)
        return 0.01 * run if title == near else 0.3 + 0.01 * run

    assert answer in step_2(shift)


def test_a_real_training_fits_the_report(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.extxyz", 12)
    out = tmp_path / "study"
    jobs = []
    for protocol, selection in (("paper", "validation"), ("held_out", "inner")):
        recipe = tiny_recipe(
            data, name="RWTG15", stages=(tiny_stage(data, name="togo15", selection=selection, epochs=2),)
        )
        train(recipe, out / "runs" / protocol / "RWTG15")
        name = f"{protocol}/RWTG15"
        jobs.append(
            {
                "id": name,
                "protocol": protocol,
                "family": "RWTG15",
                "kind": "family",
                "data": "togo15",
                "stage": "togo15",
            }
        )
        (out / "jobs").mkdir(exist_ok=True)
        state = {"id": name, "status": "done", "seconds": 1.0, "epochs": 2, "error": ""}
        (out / "jobs" / f"{protocol}__RWTG15.json").write_text(json.dumps(state))
    content = {"version": "1.0", "quick": True, "runs": [1, 2], "jobs": jobs}
    (out / "study.json").write_text(json.dumps(content))
    report = write_report(out).parent
    errors = json.loads((out / "runs/held_out/RWTG15/togo15/errors.json").read_text())["summary"]["held_out"]["mape"]
    main = pd.read_csv(report / "tables" / "main.csv").set_index("family").loc["RWTG15"]
    assert main["held_out"] == pytest.approx(errors["mean"], rel=1e-5)  # six digits in the table
    assert main["held_out_standard_deviation"] == pytest.approx(errors["standard_deviation"], rel=1e-4)


def test_publishing_fills_the_page_and_the_results(make_study: MakeStudy, tmp_path: Path) -> None:
    out = make_study(families=("RWTG15", "FEAFTG15", "RWAF", "median"))
    report = write_report(out).parent
    page = tmp_path / "docs" / "networks.md"
    page.parent.mkdir()
    page.write_text(
        "before\n\n<!-- errors: made by scripts/publish_results.py -->\nold\n<!-- end of errors -->\n\nafter\n"
    )
    command = [sys.executable, str(SCRIPT), str(out), "--repository", str(tmp_path)]
    subprocess.run(command, check=True)
    text = page.read_text(encoding="utf-8")
    assert networks_table(tmp_path / "results") in text
    assert text.startswith("before\n")
    assert text.endswith("-->\n\nafter\n")
    assert "old" not in text
    published = {path.relative_to(tmp_path / "results") for path in (tmp_path / "results").rglob("*") if path.is_file()}
    made = {path.relative_to(report) for path in report.rglob("*") if path.is_file()}
    made.discard(Path(MARKER))  # guards the user's folder; what is published has none
    assert made - published <= {path for path in made if path.suffix == ".svg"}
    assert published - made == {Path("study.json")}
    for name in made & published:
        # The same report, made in another process.
        assert (tmp_path / "results" / name).read_bytes() == (report / name).read_bytes(), name
    page.write_text("no place\n")
    failed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "errors: made by" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_quick_study_is_not_published(make_study: MakeStudy, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(SCRIPT),
        str(make_study((1,), quick=True, families=("RWTG15",))),
        "--repository",
        str(tmp_path),
    ]
    failed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "quick" in failed.stderr
