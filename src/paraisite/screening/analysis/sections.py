"""The sections of an analysis, as blocks of Markdown; what they state comes from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from paraisite.reporting.tables import NOTHING, markdown_table, plain_text, records
from paraisite.screening.analysis.crystals import KAPPA, LOG_KAPPA, LOG_SPREAD, VARIANCE, Crystals

_SHOWN_CORRELATION = 0.10
"""The paper's threshold for its tables."""
NAMED_FEATURES = 3
INTRODUCTION = """\
What the scans below say of the crystals that all of them predict, after section 3.2 of Klochko and d'Aquin
(doi [10.1039/d5cp04401d](https://doi.org/10.1039/d5cp04401d)). κ is each model's estimate at 300 K, the median of its
members (the paper's mTC is their mean). These are predictions: what goes with them says what the models have learnt, not
what κ depends on."""
SPREAD = "var(κ) is the variance over the members (the paper's var(pTC))."
NO_SPREAD = (
    "Not every scan keeps its members, so nothing is said of their spread: `paraisite scan --members` keeps them."
)
CORRELATIONS = """\
Pearson's r and Spearman's ρ with two-sided p-values; corrected for {n_tests} tests after Benjamini and Hochberg. Shown
where |r| or |ρ| is at least 0.10; all are in [correlations.csv](tables/correlations.csv). κ has a long
tail, and r follows its few largest values: the logarithm stands beside it. Crystals of a
database are related, and among thousands of them nearly every r passes a test: its size says more than its p."""
_CANDIDATES = """\
The lowest κ of {step}, one row per structure. The structure type is the anonymous formula, the Pearson symbol and the
space group; the lattice is the conventional one. A low prediction far from the training data, or with a wide interval, is a
guess."""
_COEFFICIENTS = {
    "n": "crystals", "pearson": "r", "pearson_p": "p", "pearson_p_corrected": "corrected p", "spearman": "ρ",
    "spearman_p": "p of ρ", "spearman_p_corrected": "corrected p of ρ",
}  # fmt: skip
_POSITION = {quantity.title: position for position, quantity in enumerate((KAPPA, LOG_KAPPA, VARIANCE, LOG_SPREAD))}
_LATTICE_TITLES = {"a b c": "a, b, c (Å)", "angles": "α, β, γ (°)"}


@dataclass(frozen=True, slots=True)
class Content:
    """An analysis as its report shows it.

    Attributes:
        crystals: The joined scans; their database may be closed.
        tables: Tables by the name of their file.
        agreement_figures: Names of the figures of the columns compared with.
        compare: These columns.
    """

    crystals: Crystals
    tables: dict[str, pd.DataFrame]
    agreement_figures: tuple[str, ...]
    compare: tuple[str, ...]


def introduction(content: Content) -> list[str]:
    """What was scanned."""
    crystals = content.crystals
    rows = content.tables["scans"].assign(
        step=content.tables["scans"]["step"].map(plain_text),
        model=[plain_text(Path(model).name) for model in content.tables["scans"]["model"]],
    )
    titles = {
        "step": "scan", "model": "model", "members": "members", "structures": "structures", "predicted": "predicted",
        "duplicates": "duplicates", "median_kappa": "median κ (W/(m K))", "median_variance": "median var(κ) (W²/(m K)²)",
    }  # fmt: skip
    joined = f" Further features are known of {crystals.n_with_features} of them." if crystals.n_with_features else ""
    return [
        f"# Predicted thermal conductivity of {crystals.n_crystals} crystals",
        f"{INTRODUCTION} {SPREAD if crystals.has_members else NO_SPREAD}{joined}",
        "## Scans",
        markdown_table(rows, _present(titles, rows)),
        "Duplicates have the graph and the formula of an earlier structure of the scan; they are counted like the others.",
    ]


def correlations(content: Content) -> list[str]:
    """Correlations with the features."""
    table = content.tables["correlations"]
    blocks = [
        "## Correlation with features",
        CORRELATIONS.format(n_tests=_count_tests(content)),
        _figure("correlation_map", "Pearson's r between the scans' κ and the features that go with it."),
    ]
    for step in content.crystals.steps:
        rows = table[table["step"] == step.label]
        strong = rows[rows[["pearson", "spearman"]].abs().max(axis=1) >= _SHOWN_CORRELATION]
        order = strong["pearson"].abs().sort_values(ascending=False).index
        strong = strong.loc[order].sort_values("quantity", key=lambda names: names.map(_POSITION), kind="stable")
        blocks += [
            f"### {plain_text(step.label)}",
            "\n".join(_strongest(rows, content.crystals)),
            _coefficient_table(strong, "feature"),
        ]
    return blocks


def _count_tests(content: Content) -> int:
    tables = (content.tables[name][["pearson", "spearman"]] for name in ("correlations", "between"))
    return sum(int(table.notna().to_numpy().sum()) for table in tables)


def _strongest(rows: pd.DataFrame, crystals: Crystals) -> Iterator[str]:
    """A sentence a quantity: the features of the largest r."""
    for quantity in crystals.quantities:
        part = rows[(rows["quantity"] == quantity.title) & (rows["pearson"].abs() >= _SHOWN_CORRELATION)]
        largest = part.loc[part["pearson"].abs().sort_values(ascending=False).index[:NAMED_FEATURES]]
        named = [f"{plain_text(row['other'])} ({_signed(row['pearson'])})" for row in records(largest)]
        yield f"- {quantity.title} ({quantity.in_words}): {', '.join(named) or 'no feature'}"


def between(content: Content) -> list[str]:
    """Correlations of the scans' quantities with each other."""
    table = content.tables["between"]
    sentences = []
    for row in records(table[table["quantity"] == LOG_KAPPA.title]):
        first, _, other = row["other"].partition(", ")
        if first == LOG_KAPPA.title and np.isfinite(row["spearman"]):
            sentences.append(
                f"- {plain_text(row['step'])} and {plain_text(other)} rank the crystals with ρ = {_signed(row['spearman'])}."
            )
    return ["## Spread and other scans", "\n".join(sentences), _coefficient_table(table, "with")]


def variance(content: Content) -> list[str]:
    """Variance by step."""
    if "variance" not in content.tables:
        return []
    scans = content.tables["scans"]
    medians = list(scans["median_variance"])
    falls = len(medians) > 1 and all(later < earlier for earlier, later in pairwise(medians))
    named = " → ".join(f"{value:.3g}" for value in medians)
    order = "falls from scan to scan" if falls else "does not fall from every scan to the next"
    known = scans[scans["variance_of_data"].notna()]
    lines = "The dashed line is the variance of κ in the data that the model was fitted to." if len(known) else ""
    return [
        "## Variance of the members",
        f"The median var(κ) {order}: {named} W²/(m K)². {lines}" if len(medians) > 1 else lines,
        _figure("variance_by_step", "Variance of the members' κ over the crystals (the paper's Fig. 8)."),
        _figure("kappa_against_spread", "Standard deviation over the members against κ."),
    ]


def distribution(content: Content) -> list[str]:
    """Distribution of the predictions."""
    if "members" not in content.tables:
        return []
    members = content.tables["members"].groupby("step", sort=False)
    ranges = [
        f"- {plain_text(step)}: the members' medians lie between {rows['median'].min():.3g} and {rows['median'].max():.3g} "
        f"W/(m K), their largest predictions between {rows['highest'].min():.3g} and {rows['highest'].max():.3g}."
        for step, rows in members
    ]
    return [
        "## Distribution of the predictions",
        "\n".join(ranges),
        _figure("distribution_by_member", "κ of the crystals by each member (the paper's Fig. 9)."),
    ]


def domain(content: Content) -> list[str]:
    """Crystals by domain."""
    if "domain" not in content.tables:
        return []
    titles = {
        "step": "scan", "domain": "domain", "crystals": "crystals", "share": "share", "median_kappa": "median κ (W/(m K))",
        "median_relative_spread": "median relative spread",
    }  # fmt: skip
    table = content.tables["domain"]
    return [
        "## Domain of the models",
        markdown_table(table.assign(step=table["step"].map(plain_text)), _present(titles, table)),
    ]


def agreement(content: Content) -> list[str]:
    """Comparison with known κ."""
    if "agreement" not in content.tables:
        return []
    titles = {
        "column": "column", "step": "scan", "n": "crystals", "spearman": "ρ", "pearson_log10": "r of log10 κ",
        "median_ratio": "median of κ / column", "within_factor_2": "share within a factor of 2",
    }  # fmt: skip
    table = content.tables["agreement"]
    table = table.assign(step=table["step"].map(plain_text), column=table["column"].map(plain_text))
    names = zip(content.agreement_figures, content.compare, strict=True)
    return [
        "## Against κ from elsewhere",
        markdown_table(table, titles),
        *(_figure(name, f"κ against {plain_text(column)}.") for name, column in names),
    ]


def candidates(content: Content) -> list[str]:
    """Crystals of low κ."""
    if "low_kappa" not in content.tables:
        return []
    table = content.tables["low_kappa"]
    rows = pd.DataFrame([_candidate(row) for row in records(table)]).fillna(NOTHING)
    titles = {
        "rank": "", "material_id": "crystal", "formula": "formula", "kappa": "κ (W/(m K))", "interval": "90 % interval",
        "relative_spread": "relative spread", "n_atoms": "atoms", "spacegroup": "space group",
        "structure_type": "structure type", "prototype": "prototype", **_LATTICE_TITLES, "domain": "domain",
        "domain_reason": "why", **{str(name): plain_text(name) for name in table if str(name).startswith("nearest")},
    }  # fmt: skip
    return [
        "## Low-κ candidates",
        _CANDIDATES.format(step=plain_text(content.crystals.steps[-1].label)),
        markdown_table(rows, _present(titles, rows)),
    ]


def _candidate(row: dict[str, object]) -> dict[str, object]:
    symbol = row["spacegroup_symbol"]
    interval = {"interval": _numbers(row, ("kappa_low", "kappa_high"), " – ", ".2g")} if "kappa_low" in row else {}
    return {
        **{name: plain_text(value) if isinstance(value, str) else value for name, value in row.items()},
        **interval,
        "spacegroup": f"{plain_text(symbol)} ({row['spacegroup']})" if isinstance(symbol, str) else NOTHING,
        "a b c": _numbers(row, ("a_angstrom", "b_angstrom", "c_angstrom"), ", ", ".2f"),
        "angles": _numbers(row, ("alpha_degree", "beta_degree", "gamma_degree"), ", ", ".1f"),
    }


def _present(titles: dict[str, str], table: pd.DataFrame) -> dict[str, str]:
    """The titles of the columns that a table has."""
    return {name: title for name, title in titles.items() if name in table}


def _numbers(row: dict[str, object], names: tuple[str, ...], between: str, form: str) -> str:
    values = [float(str(row[name])) for name in names]
    return between.join(format(value, form) for value in values) if np.isfinite(values).all() else NOTHING


def _coefficient_table(table: pd.DataFrame, other: str) -> str:
    """Correlations as Markdown; nothing where there is none."""
    if table.empty:
        return ""
    shown = table.assign(**{name: table[name].map(_p_text) for name in _COEFFICIENTS if "_p" in name})
    shown = shown.assign(step=table["step"].map(plain_text), other=table["other"].map(plain_text))
    several = {} if other == "feature" else {"step": "scan"}
    return markdown_table(shown, {**several, "quantity": "quantity", "other": other, **_COEFFICIENTS})


def _p_text(p_value: float) -> str:
    if not np.isfinite(p_value):
        return NOTHING
    return f"{p_value:.1e}" if p_value > 0 else "< 1e-300"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _figure(name: str, caption: str) -> str:
    return f"![{caption}](figures/{name}.png)\n\n*{caption}* [Data](figures/{name}.csv)"


ANALYSIS_SECTIONS = (introduction, candidates, correlations, between, variance, distribution, domain, agreement)
