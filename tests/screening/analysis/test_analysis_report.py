"""The report of an analysis: whole, self-contained, and true to its tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import databases
import numpy as np
import pandas as pd
import pytest
import typer
from ase.io import write
from written_scans import make_row, random_rows, write_scan

from paraisite.cli import scan_results
from paraisite.datasets.tables import load_togo15
from paraisite.errors import DataError, OutputError, ParaisiteError
from paraisite.reporting.page import html_page
from paraisite.reporting.tables import plain_text
from paraisite.screening.analysis.low_kappa import (
    anonymous_formula,
    describe_structure,
    low_kappa_candidates,
    pearson_symbol,
)
from paraisite.screening.analysis.report import AnalysisOptions, analyze
from paraisite.screening.query import QueryError
from paraisite.screening.selection import Selection, select_rows

FIGURES = {
    "correlation_map",
    "variance_by_step",
    "distribution_by_member",
    "kappa_against_spread",
    "against_kappa_known",
}


@pytest.fixture(scope="module")
def report(steps: list[Path], features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = AnalysisOptions(("step 1", "step 2"), features, ("kappa_known",), n_candidates=3)
    return analyze(steps, tmp_path_factory.mktemp("report"), options).parent


def test_every_figure_has_its_forms_and_its_data(report: Path) -> None:
    names = {path.name for path in (report / "figures").iterdir()}
    assert names == {f"{name}.{ending}" for name in FIGURES for ending in ("png", "svg", "csv")}
    assert all(path.stat().st_size > 100 for path in (report / "figures").iterdir())
    counted = pd.read_csv(report / "figures" / "kappa_against_spread.csv").groupby("step")["crystals"].sum()
    assert counted.to_dict() == {"step 1": 39, "step 2": 39}


def test_the_page_needs_nothing_else(report: Path) -> None:
    page = (report / "index.html").read_text()
    assert page.count("data:image/png;base64,") == len(FIGURES)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(source.startswith(("data:", "#", "figures/", "tables/", "https://doi.org/")) for source in sources)
    assert all((report / source).is_file() for source in sources if source.startswith(("figures/", "tables/")))
    assert "<script>" in page
    assert page.rstrip().endswith("</html>")


def test_the_text_shows_strong_correlations_alone(report: Path) -> None:
    table = pd.read_csv(report / "tables" / "correlations.csv")
    strong = table[table[["pearson", "spearman"]].abs().max(axis=1) >= 0.10]
    assert 0 < len(strong) < len(table)
    text = (report / "report.md").read_text()
    section = text.split("## Correlation with features")[1].split("## Spread and other")[0]
    assert len(re.findall(r"^\| (?!quantity|-)", section, flags=re.MULTILINE)) == len(strong)
    assert "kappa_known" not in set(table["other"])  # what is compared with is no feature


def test_the_scans_and_the_agreement_are_told(report: Path) -> None:
    text = (report / "report.md").read_text()
    assert text.startswith("# Predicted thermal conductivity of 39 crystals\n")
    assert "known of 30 of them" in text
    domain = pd.read_csv(report / "tables" / "domain.csv")
    assert domain[["step", "domain", "crystals"]].to_numpy().tolist() == [
        ["step 2", "inside", 30],
        ["step 2", "edge", 10],
    ]
    assert "| step 2 | inside | 30 | 0.75 |" in text
    assert "90 % interval" in text
    assert "elements Na not in the data" in text
    agreement = pd.read_csv(report / "tables" / "agreement.csv")
    assert list(agreement["n"]) == [30, 30]
    assert f"{agreement['spearman'][1]:.2f}".replace("-", "−") in text.split("## Against κ")[1]


def test_candidates_without_their_source_keep_their_row(report: Path) -> None:
    candidates = pd.read_csv(report / "tables" / "low_kappa.csv")
    assert len(candidates) == 3
    assert candidates["kappa"].is_monotonic_increasing
    assert candidates["structure_type"].isna().all()
    assert "a | b" in set(candidates["prototype"])
    text = (report / "report.md").read_text().split("## Low-κ candidates")[1]
    assert "nan" not in text
    assert text.count("a \\| b") == (candidates["prototype"] == "a | b").sum()


def test_a_column_that_is_not_there_cannot_be_compared_with(steps: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no numeric column 'kappa_dft'"):
        analyze(steps[0], tmp_path, AnalysisOptions(compare=("kappa_dft",)))
    assert not (tmp_path / "index.html").exists()


def test_candidates_are_described_from_their_source(tmp_path: Path) -> None:
    crystals = load_togo15()[:3]
    path = tmp_path / "all.extxyz"
    write(path, [databases.atoms_of(crystal) for crystal in crystals], format="extxyz")
    rows = [
        make_row(
            crystal.material_id,
            crystal.formula,
            [1.0 + index] * 3,
            source=f"{path}#{index + 1}",
            n_atoms=crystal.n_atoms,
        )
        for index, crystal in enumerate(crystals)
    ]
    table = low_kappa_candidates(write_scan(tmp_path / "scan", rows), 2)
    assert list(table["material_id"]) == [crystal.material_id for crystal in crystals[:2]]
    assert list(table["rank"]) == [1, 2]
    for row, crystal in zip(table.to_dict("records"), crystals, strict=False):
        volume = np.linalg.det(crystal.cell)
        label = str(row["structure_type"])
        assert label.split("_")[2] == str(row["spacegroup"])
        if label == "AB_cF8_225":
            assert row["a_angstrom"] ** 3 == pytest.approx(4 * abs(volume))


def test_structure_types_begin_as_aflow_labels() -> None:
    labels = {describe_structure(crystal)["structure_type"] for crystal in load_togo15()[::8]}
    assert {"AB_cF8_225", "AB_cF8_216", "AB_hP4_186"} <= labels
    assert pearson_symbol(167, "R", 30) == "hR10"
    assert pearson_symbol(15, "C", 8) == "mC8"
    assert pearson_symbol(38, "A", 8) == "oC8"
    assert anonymous_formula(np.array([8] * 12 + [51] * 4 + [56] * 2)) == "AB6C2"


def test_names_of_the_user_are_shown_as_they_are(tmp_path: Path) -> None:
    name = "![x](secret.png) <b>*a*</b> [y](z) `c` _d_"
    page = html_page(f"# Title\n\n{plain_text(name)}\n", tmp_path, interactive=True)
    body = page.split("<main>")[1].split("</main>")[0]
    assert "<b>" not in body
    assert "<img" not in body
    assert "![x](secret.png) &lt;b&gt;*a*&lt;/b&gt; [y](z) `c` _d_" in body


@pytest.fixture
def command() -> Callable[..., object]:
    """Function that runs a command as the command line does, and gives what it returns."""
    app = typer.Typer()
    for function in (scan_results.query, scan_results.top, scan_results.export, scan_results.analyze):
        app.command()(function)
    return lambda *arguments: app(args=[str(item) for item in arguments], standalone_mode=False)


def test_query_and_top(
    steps: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., object]
) -> None:
    command("query", steps[0], "SELECT count(*) AS n FROM scan", "--json", "-")
    assert capsys.readouterr().out.split() == ["[", '{"n":', "40}", "]"]
    command("query", steps[0], "SELECT material_id FROM scan, range(6) ORDER BY position")
    shown, told = capsys.readouterr()
    assert "mp-0" in shown
    assert "the first 200 rows" in told
    with pytest.raises(QueryError):
        command("query", steps[0], "SELECT nope FROM scan", "--csv", tmp_path / "no.csv")
    assert not (tmp_path / "no.csv").exists()
    command("top", steps[0], "--highest", 2, "--elements", "Na, Cl", "--csv", tmp_path / "top.csv")
    assert pd.read_csv(tmp_path / "top.csv")["kappa"].is_monotonic_decreasing
    command("top", steps[0])
    assert capsys.readouterr().out.count("mp-") == 20
    command("top", steps[0], "--where", "n_atoms < 0")
    assert "No row" in capsys.readouterr().err


def test_export_command(
    steps: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], command: Callable[..., object]
) -> None:
    with pytest.raises(ParaisiteError, match="--structures FOLDER"):
        command("export", steps[0])
    files = ("--csv", tmp_path / "chosen.csv", "--structures", tmp_path / "structures")
    assert command("export", steps[0], *files, "--lowest", 2) == 3
    assert len(pd.read_csv(tmp_path / "chosen.csv")) == 2
    assert "0 of 2 crystals" in capsys.readouterr().err


def test_analyze_replaces_an_earlier_report(steps: list[Path], tmp_path: Path, command: Callable[..., object]) -> None:
    out = tmp_path / "report"
    command("analyze", steps[0], "-o", out)
    assert (out / "tables" / "low_kappa.csv").exists()
    command("analyze", steps[0], "-o", out, "--labels", "*one*", "--candidates", 0)
    assert not (out / "tables" / "low_kappa.csv").exists()
    assert "\\*one\\*" in (out / "report.md").read_text()


def test_analyze_leaves_a_folder_of_the_users_alone(steps: list[Path], tmp_path: Path) -> None:
    paper = {"report.md": "mine", "figures/photo.png": "photo", "tables/measured.csv": "precious"}
    for name, text in paper.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(OutputError, match="did not write"):
        analyze(steps[0], tmp_path)
    assert {name: (tmp_path / name).read_text() for name in paper} == paper


def test_scans_without_members_are_analysed_but_for_their_spread(features: Path, tmp_path: Path) -> None:
    out = write_scan(tmp_path / "scan", random_rows(20, seed=1), members=False)
    text = analyze(out, tmp_path / "report", AnalysisOptions(features=features)).with_name("report.md").read_text()
    assert "`paraisite scan --members` keeps them" in text
    assert text.index("## Low-κ candidates") < text.index("## Correlation with features")
    assert "var(κ)" not in text
    assert not list((tmp_path / "report" / "figures").glob("variance*"))
    assert {path.stem for path in (tmp_path / "report" / "tables").iterdir()} >= {"scans", "low_kappa", "correlations"}
    with pytest.raises(QueryError, match="keeps no members"):
        select_rows(out, Selection(max_relative_spread=0.1))
