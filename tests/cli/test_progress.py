"""The live lines: what a scan and a fetch say while they work."""

from __future__ import annotations

import io
from pathlib import Path

import databases
import pytest
import written_scans
from rich.console import Console

from paraisite.cli.main import main
from paraisite.cli.progress import fetch_sentence, fit_progress, scan_progress, scan_sentence
from paraisite.fetch.common import FetchProgress
from paraisite.models.files import model_caution
from paraisite.models.interface import FitProgress
from paraisite.screening.options import ScanProgress
from paraisite.training.network.options import StageProgress


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (ScanProgress(3000, 1000, 7, 3, 4.0, 75.2), "3000 crystals, 250 crystals/s, 7 errors, 0:01:16 left"),
        (ScanProgress(10, 10, 0, 1, 0.5, 200_000.0), "10 crystals, 20 crystals/s, 0 errors, 2 d 7:33:20 left"),
        (ScanProgress(10, 10, 0, 1, 0.5, 0.0), "10 crystals, 20 crystals/s, 0 errors, 0:00:00 left"),
        (ScanProgress(0, 0, 0, 0, 0.0), "0 crystals, 0 crystals/s, 0 errors"),
    ],
)
def test_what_a_scan_says(now: ScanProgress, said: str) -> None:
    assert scan_sentence(now) == said


def test_what_a_fetch_says() -> None:
    assert fetch_sentence(FetchProgress("optimade", 3, None, "pages", 300)) == "optimade: 3 pages, 300 records"
    assert fetch_sentence(FetchProgress("mp", 2, 9, "chunks")) == "mp: 2 of 9 chunks"


def test_the_line_of_a_fetch_and_of_a_scan_replace_each_other() -> None:
    shown = io.StringIO()
    with scan_progress(Console(file=shown, force_terminal=True, width=120)) as line:
        line.fetched(FetchProgress("optimade", 3, None, "pages", 300))
        line.progress.refresh()
        line.scanned(ScanProgress(3000, 1000, 7, 3, 4.0, 75.2))
    assert "fetching optimade: 3 pages, 300 records" in shown.getvalue()
    assert "250 crystals/s, 7 errors, 0:01:16 left" in shown.getvalue()


def test_the_bars_of_a_fit_without_epochs() -> None:
    shown = io.StringIO()
    with fit_progress(Console(file=shown, force_terminal=True, width=120)) as report:
        report(FitProgress("hyperparameters", 0, 60))
        report(FitProgress("hyperparameters", 60, 60))
        report(FitProgress("posterior", 3, 38))
    assert "hyperparameters" in shown.getvalue()
    assert "60/60" in shown.getvalue()
    assert "3/38" in shown.getvalue()


def test_the_bars_of_a_fit_with_epochs() -> None:
    shown = io.StringIO()
    with fit_progress(Console(file=shown, force_terminal=True, width=120)) as report:
        report(StageProgress("mine from FEAF", "finetune", 5, 300, 0.25, 0.5))
    assert "mine from FEAF finetune" in shown.getvalue()
    assert "5/300" in shown.getvalue()


def test_a_fit_that_reports_nothing_shows_nothing() -> None:
    shown = io.StringIO()
    with fit_progress(Console(file=shown, force_terminal=True, width=120)):
        pass
    assert shown.getvalue() == ""


def test_a_scan_from_the_command_line_tells_its_rate_errors_and_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = databases.write_cifs(tmp_path / "in")
    (folder / "broken.cif").write_text("broken")
    assert main(["scan", str(folder), "-o", str(tmp_path / "out"), "-p", "1", "--piece-size", "5"]) == 3
    said = capfd.readouterr().err
    assert "13 crystals" in said
    assert "crystals/s, 1 errors, 0:00:00 left" in said


def test_top_shows_the_domain_where_the_scan_knows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        written_scans.make_row("near", "NaCl", [1.0, 2.0, 3.0], domain="inside"),
        written_scans.make_row("far", "KCl", [2.0, 3.0, 4.0], domain="outside"),
        written_scans.make_row("broken", "", None),
    ]
    main(["top", str(written_scans.write_scan(tmp_path / "known", rows))])
    shown = capsys.readouterr().out
    assert "domain" in shown
    assert next(line for line in shown.splitlines() if "far" in line).split()[-2:] == ["outside", "ok"]
    rows = [written_scans.make_row("near", "NaCl", [1.0, 2.0, 3.0])]
    main(["top", str(written_scans.write_scan(tmp_path / "unknown", rows))])
    assert "domain" not in capsys.readouterr().out


def test_top_says_once_what_the_model_says_of_all_its_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caution = model_caution("FEAF")
    reasons = [f"a metal; {caution}", caution]
    rows = [
        written_scans.make_row(f"c{number}", "NaCl", [1.0, 2.0, 3.0], domain="outside", domain_reason=reason)
        for number, reason in enumerate(reasons)
    ]
    main(["top", str(written_scans.write_scan(tmp_path / "scan", rows, model="FEAF"))])
    shown = capsys.readouterr().out
    assert caution
    assert shown.count(caution) == 1
    assert "c0: outside: a metal\n" in shown
    assert "c1: outside" not in shown
