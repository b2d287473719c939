"""Correlations of scans: the same numbers as scipy's, over the crystals that have both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from written_scans import make_row, random_rows, write_csv, write_scan

from paraisite.datasets.tables import load_togo15
from paraisite.errors import DataError, RunError
from paraisite.screening.analysis.correlations import benjamini_hochberg, correlate, correlation_matrix
from paraisite.screening.analysis.crystals import join_scans
from paraisite.screening.analysis.tables import agreement_table, domain_table, fitted_data, member_table, scan_table

LABELS = ("step 1", "step 2")


def rows_of(out: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted((out / "parts").iterdir())]).set_index("material_id")


def test_crystals_are_those_of_all_scans(steps: list[Path], features: Path) -> None:
    with join_scans(steps, LABELS, features) as crystals:
        assert crystals.n_crystals == 39
        assert crystals.n_with_features == 30
        assert set(crystals.features) == {
            "n_atoms", "volume", "spacegroup", "energy", "is_stable", "kappa_known",
        }  # fmt: skip
        assert [step.n_predicted for step in crystals.steps] == [40, 40]


def test_correlations_are_scipys(steps: list[Path], features: Path) -> None:
    with join_scans(steps, LABELS, features) as crystals:
        table, _ = correlate(crystals)
    scan = rows_of(steps[1]).loc[[f"mp-{number}" for number in range(1, 40)]]
    known = pd.read_csv(features).set_index("material_id")["energy"].reindex(scan.index)
    members = np.log10(scan[["kappa_1", "kappa_2", "kappa_3"]].to_numpy(dtype=float))
    quantities = {
        "κ": scan["kappa"], "log10 κ": np.log10(scan["kappa"]), "var(κ)": scan["kappa_std"] ** 2,
        "spread of log10 κ": pd.Series(members.std(axis=1), index=scan.index),
    }  # fmt: skip
    for title, values in quantities.items():
        for feature, others in {"volume": scan["volume"], "energy": known}.items():
            chosen = (table["step"] == "step 2") & (table["quantity"] == title) & (table["other"] == feature)
            row = table[chosen].iloc[0]
            both = others.notna()
            assert row["n"] == both.sum() == (39 if feature == "volume" else 29)
            pearson = stats.pearsonr(values[both], others[both])
            spearman = stats.spearmanr(values[both], others[both])
            expected = [pearson.statistic, pearson.pvalue, spearman.statistic, spearman.pvalue]
            found = row[["pearson", "pearson_p", "spearman", "spearman_p"]].to_numpy(dtype=float)
            np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_all_tests_are_corrected_together(steps: list[Path], features: Path) -> None:
    with join_scans(steps, LABELS, features) as crystals:
        tables = correlate(crystals)
    p_values = np.concatenate([table[["pearson_p", "spearman_p"]].to_numpy().ravel() for table in tables])
    corrected = [table[["pearson_p_corrected", "spearman_p_corrected"]].to_numpy().ravel() for table in tables]
    tested = ~np.isnan(p_values)
    ranked = np.sort(p_values[tested])
    by_hand = np.minimum.accumulate((ranked * len(ranked) / np.arange(1, len(ranked) + 1))[::-1])[::-1]
    np.testing.assert_allclose(np.sort(np.concatenate(corrected)[tested]), np.minimum(by_hand, 1), rtol=1e-12)


def test_missing_tests_do_not_count() -> None:
    corrected = benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(corrected, [0.02, np.nan, 0.04])
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


def test_scans_are_correlated_with_each_other(steps: list[Path]) -> None:
    with join_scans(steps, LABELS) as crystals:
        _, between = correlate(crystals)
    first, second = (rows_of(out)["kappa"] for out in steps)
    shared = first.index.intersection(second.index)
    row = between.query("quantity == 'κ' and other == 'κ, step 2'").iloc[0]
    assert row["n"] == 39
    assert row["pearson"] == pytest.approx(stats.pearsonr(first[shared], second[shared]).statistic, rel=1e-9)


def test_the_matrix_is_numpys(steps: list[Path], features: Path) -> None:
    with join_scans(steps, LABELS, features) as crystals:
        matrix = correlation_matrix(crystals)
        columns = [crystals.values(name) for name in ("step 1 variance", "energy")]
    both = np.isfinite(columns[1])
    assert list(matrix.index[:4]) == ["κ, step 1", "κ, step 2", "var(κ), step 1", "var(κ), step 2"]
    assert matrix.loc["var(κ), step 1", "energy"] == pytest.approx(np.corrcoef(*(c[both] for c in columns))[0, 1])
    np.testing.assert_array_equal(matrix, matrix.T)


def test_infinite_and_missing_numbers_are_left_out(tmp_path: Path) -> None:
    out = write_scan(tmp_path / "scan", random_rows(6, seed=1))
    columns = {"material_id": [f"mp-{number}" for number in range(6)], "x": ["1", "inf", "nan", "2", "3", "NA"]}
    with join_scans([out], features=write_csv(tmp_path / "x.csv", columns)) as crystals:
        table, _ = correlate(crystals)
        matrix = correlation_matrix(crystals)
    row = table.query("quantity == 'κ' and other == 'x'").iloc[0]
    assert row["n"] == 3
    assert np.isfinite(row["pearson"])
    assert matrix.loc["κ, RWTG15", "x"] == pytest.approx(row["pearson"])


def test_too_few_crystals_are_no_correlation(tmp_path: Path) -> None:
    out = write_scan(tmp_path / "scan", random_rows(2, seed=1))
    with join_scans([out]) as crystals:
        table, _ = correlate(crystals)
    assert len(table)
    assert table[["pearson", "pearson_p_corrected", "spearman"]].isna().all(axis=None)


def test_identifiers_that_are_not_unique_are_matched_by_source(tmp_path: Path) -> None:
    outs = []
    for seed in (1, 2):
        rows = [{**row, "material_id": "POSCAR"} for row in random_rows(5, seed)]
        outs.append(write_scan(tmp_path / str(seed), rows[:: 1 if seed == 1 else -1]))
    with join_scans(outs, LABELS) as crystals:
        assert crystals.n_crystals == 5
        expected = rows_of(outs[1]).set_index("source")["kappa"]
        found = crystals.connection.execute('SELECT source, "step 2 kappa" FROM crystals').fetchall()
    assert dict(found) == pytest.approx(expected.to_dict())
    twice = write_scan(tmp_path / "twice", [make_row("a", "NaCl", [1.0, 2.0, 3.0])] * 2)
    with pytest.raises(DataError, match="scan each crystal once"), join_scans([twice]):
        pass


def test_scans_that_cannot_be_joined(steps: list[Path], tmp_path: Path) -> None:
    other = write_scan(tmp_path / "other", [make_row("else", "NaCl", [1.0, 2.0, 3.0])])
    failed = write_scan(tmp_path / "failed", [make_row("mp-1", "", None)])
    for outs, labels, part in (
        ([steps[0], other], LABELS, "no predicted crystal in common"),
        ([failed], (), "no predicted crystal in common"),
        (steps, ("step 1",), "2 scans and 1 labels"),
        (steps, ("same", "same"), "do not tell the scans apart"),
        ([], (), "a scan at least"),
    ):
        with pytest.raises(DataError, match=part), join_scans(outs, labels):
            pass
    with pytest.raises(RunError, match="holds no scan"), join_scans([tmp_path / "nothing"]):
        pass


def test_tables_of_the_scans(steps: list[Path]) -> None:
    with join_scans(steps) as crystals:
        scans, members = scan_table(crystals), member_table(crystals)
        assert fitted_data(crystals.steps[1])[0] == "togo15"
    assert list(scans["step"]) == ["RWTG15", "FEAFTG15"]
    kappa = np.array([float(crystal.properties["kappa"]) for crystal in load_togo15()])
    assert scans["variance_of_data"][1] == pytest.approx(kappa.var())
    assert np.isnan(scans["variance_of_data"][0])  # a family that is not shipped is not known
    member = rows_of(steps[0])["kappa_2"].to_numpy(dtype=float)
    row = members.query("step == 'RWTG15' and member == 2").iloc[0]
    assert row["median"] == pytest.approx(np.median(member), rel=1e-6)
    assert row["percentile_95"] == pytest.approx(np.quantile(member, 0.95), rel=1e-6)


def test_the_domain_is_counted_and_its_distance_is_a_feature_of_its_own_scan(tmp_path: Path) -> None:
    more = {"domain": pa.string(), "domain_distance": pa.float64()}
    rows = random_rows(10, seed=1)
    told = [
        {**row, "domain": "inside" if index < 7 else "outside", "domain_distance": index}
        for index, row in enumerate(rows)
    ]
    outs = [write_scan(tmp_path / "plain", rows), write_scan(tmp_path / "told", told, more=more)]
    with join_scans(outs[:1]) as crystals:
        assert domain_table(crystals).empty
    with join_scans(outs, LABELS) as crystals:
        domains, (table, _) = domain_table(crystals), correlate(crystals)
    assert list(domains[["step", "domain", "crystals"]].itertuples(index=False, name=None)) == [
        ("step 2", "inside", 7), ("step 2", "outside", 3),
    ]  # fmt: skip
    assert set(table.loc[table["other"] == "domain_distance", "step"]) == {"step 2"}


def test_agreement_with_known_values(steps: list[Path], tmp_path: Path) -> None:
    mean = rows_of(steps[0])["kappa"]
    columns = {"material_id": [*mean.index[:20], "mp-25"], "twice": [*(2 * mean[:20]), -1.0]}
    with join_scans(steps[:1], features=write_csv(tmp_path / "known.csv", columns)) as crystals:
        row = agreement_table(crystals, ["twice"]).iloc[0]
    assert row["n"] == 20
    assert row["spearman"] == pytest.approx(1)
    assert row["median_ratio"] == pytest.approx(0.5)
    assert row["within_factor_2"] > 0.4
