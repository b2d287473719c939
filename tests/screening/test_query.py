"""SQL over a scan: what it answers, that it can do nothing else, and what is said of a wrong query."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from written_scans import make_row, write_csv, write_scan

from paraisite.errors import DataError, RunError
from paraisite.screening.query import QueryError, stream_query
from paraisite.screening.selection import Selection, export_csv, select_rows


def query_scan(out: Path, sql: str, features: Path | None = None) -> pd.DataFrame:
    return pd.concat(list(stream_query(out, sql, features)), ignore_index=True)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Four structures, of which two are one twice and one in a larger cell, and a failure."""
    rows = [
        make_row("large", "NaCl", [8.0, 9.0, 10.0], graph_hash="a", n_atoms=8),
        make_row("broken", "", None),
        make_row("oxide", "BaSb2O6", [1.0, 1.0, 7.0], n_atoms=9),
        make_row("small", "NaCl", [8.0, 9.0, 10.0], graph_hash="a"),
        make_row("other", "KCl", [8.0, 9.5, 10.5], graph_hash="a"),
        make_row("boron", "B", [500.0, 600.0, 700.0]),
        make_row("again", "NaCl", [8.0, 9.0, 10.0], graph_hash="a", n_atoms=4),
    ]
    return write_scan(tmp_path / "scan [1]", rows)


def ids(table: pd.DataFrame) -> list[str]:
    return list(table["material_id"])


def test_a_query_sees_all_parts(scan: Path) -> None:
    answer = query_scan(scan, "SELECT count(*) AS n, count(kappa) AS predicted FROM scan")
    assert answer.to_dict("records") == [{"n": 7, "predicted": 6}]


def test_duplicates_name_the_first_of_the_same_graph_and_formula(scan: Path) -> None:
    found = query_scan(scan, "SELECT material_id, duplicate_of FROM scan WHERE duplicate_of IS NOT NULL ORDER BY 1")
    assert list(found.itertuples(index=False, name=None)) == [("again", "large"), ("small", "large")]


def test_chunks_are_the_whole_answer(scan: Path) -> None:
    chunks = list(stream_query(scan, "SELECT range AS x FROM range(10000)"))
    assert len(chunks) > 1
    assert list(pd.concat(chunks)["x"]) == list(range(10000))


def test_an_empty_answer_keeps_its_columns(scan: Path) -> None:
    sql = "SELECT formula, kappa FROM scan WHERE n_atoms < 0"
    assert list(query_scan(scan, sql).columns) == ["formula", "kappa"]
    assert [list(chunk.columns) for chunk in stream_query(scan, sql)] == [["formula", "kappa"]]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW scan",
        "COPY scan TO '{target}'",
        "WITH done AS (COPY (SELECT 1) TO '{target}') SELECT 1",
        "WITH done AS (COPY (SELECT 1) TO '.tmp/{name}') SELECT 1",
        "EXPLAIN ANALYZE COPY scan TO '{target}'",
        "ATTACH '{target}' AS other",
        "SET enable_external_access = true",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM parquet_metadata('{part}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "SELECT * FROM query('COPY scan TO ''{target}''')",
        "SELECT * FROM secret_table",
        "INSTALL httpfs",
        "SELECT 1; DROP VIEW scan",
    ],
)
def test_a_query_reaches_nothing_but_the_scan(
    scan: Path, tmp_path: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".tmp").mkdir()
    secret = write_csv(tmp_path / "secret.csv", {"word": ["hidden"]})
    secret_table = pd.DataFrame({"word": ["hidden"]})  # a variable that DuckDB could otherwise find
    part = scan / "parts" / "part-00000000.parquet"
    before = part.read_bytes()
    names = {"target": tmp_path / "t.csv", "name": "t.csv", "secret": secret, "part": part, "folder": tmp_path}
    with pytest.raises(QueryError) as caught:
        query_scan(scan, sql.format(**names))
    assert "\n" not in str(caught.value)
    assert len(secret_table) == 1
    assert part.read_bytes() == before
    assert not (tmp_path / "t.csv").exists()
    assert not list((tmp_path / ".tmp").iterdir())


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT kapa_mean FROM scan", "kapa_mean"),
        ("SELEC 1", "SELEC"),
        ("", "empty"),
        ("SELECT * FROM scans", "scans"),
        ("SELECT CAST(formula AS DOUBLE) FROM scan", "DOUBLE"),
    ],
)
def test_a_wrong_query_gives_one_sentence(scan: Path, sql: str, part: str) -> None:
    with pytest.raises(QueryError) as caught:
        query_scan(scan, sql)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_scan(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no scan"):
        query_scan(tmp_path, "SELECT 1")


def test_lowest_and_highest(scan: Path) -> None:
    assert ids(select_rows(scan, Selection(lowest=2))) == ["oxide", "large"]
    assert ids(select_rows(scan, Selection(highest=2))) == ["boron", "other"]
    assert len(select_rows(scan, Selection())) == 7
    with pytest.raises(QueryError, match="not for both"):
        Selection(lowest=1, highest=1).sql()


def test_one_of_each_structure_is_the_smallest_that_passes(scan: Path) -> None:
    assert ids(select_rows(scan, Selection(lowest=9, unique=True))) == ["oxide", "small", "other", "boron"]
    larger = Selection(unique=True, elements=("Na",), where="n_atoms > 2")
    assert ids(select_rows(scan, larger)) == ["again"]
    assert "broken" in ids(select_rows(scan, Selection(unique=True)))


def test_elements_are_whole_symbols(scan: Path) -> None:
    assert ids(select_rows(scan, Selection(lowest=9, elements=("B",)))) == ["boron"]
    assert ids(select_rows(scan, Selection(lowest=9, elements=("Ba", "O")))) == ["oxide"]
    assert ids(select_rows(scan, Selection(lowest=9, without_elements=("Cl", "B")))) == ["oxide"]
    with pytest.raises(QueryError, match="no element 'Na1'"):
        select_rows(scan, Selection(elements=("Na1",)))


def test_atoms_spread_and_conditions(scan: Path) -> None:
    assert ids(select_rows(scan, Selection(lowest=9, max_atoms=2, max_relative_spread=0.1))) == ["small"]
    assert ids(select_rows(scan, Selection(where="kappa_3 = 7 -- of the third"))) == ["oxide"]
    with pytest.raises(QueryError):
        select_rows(scan, Selection(where="1 = 1) OR (DROP VIEW scan"))


def test_a_domain_is_asked_for_only_where_there_is_one(scan: Path, tmp_path: Path) -> None:
    empty = write_scan(tmp_path / "empty", [make_row("a", "NaCl", [1.0, 2.0, 3.0])], more={"domain": pa.string()})
    for out in (scan, empty):
        with pytest.raises(QueryError, match="has no domain"):
            select_rows(out, Selection(domain="inside"))
    rows = [make_row(name, "NaCl", [1.0, 2.0, 3.0], domain=name) for name in ("inside", "edge")]
    told = write_scan(tmp_path / "told", rows, more={"domain": pa.string()})
    assert ids(select_rows(told, Selection(domain="inside"))) == ["inside"]
    with pytest.raises(QueryError, match="no domain 'outer'"):
        select_rows(told, Selection(domain="outer"))


def test_joined_columns(scan: Path, tmp_path: Path) -> None:
    columns = {
        "material_id": ["oxide", "small", "unknown"],
        "is_stable": [True, False, True],
        "Volume": [1.0, None, 2.0],
    }
    features = write_csv(tmp_path / "more [2].csv", columns)
    assert ids(select_rows(scan, Selection(where="is_stable"), features)) == ["oxide"]
    joined = query_scan(scan, "SELECT material_id, joined_Volume AS v, is_stable FROM scan ORDER BY 1", features)
    assert len(joined) == 7
    assert joined["v"].notna().sum() == 1
    assert joined["is_stable"].notna().sum() == 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("id,x\na,1\n", "no column material_id"),
        ("material_id,x\na,1\na,2\n", "a more than once"),
        (None, "There is no table"),
    ],
)
def test_a_table_that_cannot_be_joined(scan: Path, tmp_path: Path, text: str | None, part: str) -> None:
    path = tmp_path / "features.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=part):
        query_scan(scan, "SELECT 1", path)


def test_export_as_csv(scan: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "kappa.csv"
    assert export_csv(scan, path) == 7
    table = pd.read_csv(path)
    assert ids(table) == ["large", "broken", "oxide", "small", "other", "boron", "again"]
    assert table["kappa"].isna().sum() == 1
    assert export_csv(scan, path, Selection(where="false")) == 0
    assert len(pd.read_csv(path)) == 0


def test_a_failed_export_leaves_what_was_there(scan: Path, tmp_path: Path) -> None:
    path = tmp_path / "kappa.csv"
    path.write_text("old")
    with pytest.raises(QueryError):
        export_csv(scan, path, Selection(where="nope"))
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["kappa.csv"]
    assert path.read_text() == "old"
