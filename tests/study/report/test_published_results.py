"""The results in the repository: documentation and tables agree, and no family is missing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paraisite.study.report.data import FAMILIES_BY_DATA
from paraisite.study.report.write import networks_table

REPOSITORY = Path(__file__).parents[3]
RESULTS = REPOSITORY / "results"
START, END = "<!-- errors: made by scripts/publish_results.py -->", "<!-- end of errors -->"


def test_the_networks_page_says_what_the_results_say() -> None:
    text = (REPOSITORY / "docs" / "networks.md").read_text(encoding="utf-8")
    assert text.split(START)[1].split(END)[0].strip() == networks_table(RESULTS)


@pytest.mark.parametrize("family", [name for families in FAMILIES_BY_DATA.values() for name in families])
def test_every_family_was_trained_in_every_run(family: str) -> None:
    errors = pd.read_csv(RESULTS / "tables" / "errors.csv")
    for protocol in ("paper", "held_out"):
        rows = errors[(errors["family"] == family) & (errors["protocol"] == protocol)]
        assert sorted(rows["run"]) == list(range(1, 10)), protocol
        assert rows["mape"].notna().all()


def test_the_tables_agree_with_each_other() -> None:
    errors = pd.read_csv(RESULTS / "tables" / "errors.csv")
    main = pd.read_csv(RESULTS / "tables" / "main.csv").set_index("family")
    for family in main.index:
        rows = errors[(errors["family"] == family) & (errors["protocol"] == "held_out")]
        # The tables have six digits.
        assert main.loc[family, "held_out"] == pytest.approx(rows["mape"].mean(), rel=1e-5)
