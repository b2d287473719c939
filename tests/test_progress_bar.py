"""The progress bar of Python and notebooks, drawn as text."""

from __future__ import annotations

import pandas as pd
import pytest

import paraisite
from paraisite.fetch.common import FetchProgress
from paraisite.screening.options import ScanProgress
from paraisite.training.network.options import StageProgress


def test_a_bar_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with paraisite.progress_bar() as bar:
        bar.fetched(FetchProgress("aflow", 1, None, "pages", 100))
        bar.fetched(FetchProgress("aflow", 2, 4, "pages", 200))
        bar.scanned(ScanProgress(rows=50, rows_now=50, failed=2, parts=1, seconds=10.0, seconds_left=None))
        bar.scanned(ScanProgress(rows=100, rows_now=100, failed=3, parts=2, seconds=10.0, seconds_left=10.0))
        tables = list(bar.predicted([pd.DataFrame({"kappa": [1.0, 2.0]}), pd.DataFrame({"kappa": [3.0]})]))
    shown = capsys.readouterr().err
    assert [len(table) for table in tables] == [2, 1]
    assert "fetch aflow:  50%" in shown
    assert "2/4" in shown
    assert "200 records" in shown
    assert "100/200" in shown
    assert "3 errors" in shown
    assert "predict: 3 crystals" in shown


def test_epochs_of_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    with paraisite.progress_bar() as bar:
        for epoch, error in ((1, 0.5), (2, float("nan"))):
            bar.trained(
                StageProgress(run=1, stage="togo15", epoch=epoch, epochs=4, train_loss=0.25, validation_mape=error)
            )
    shown = capsys.readouterr().err
    assert "2/4" in shown
    assert shown.count("loss 0.250, validation MAPE 0.500") >= 2
