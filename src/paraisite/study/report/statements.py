"""Sentences that state outcomes, made from the numbers: each can come out either way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from paraisite.comparison.statistics import SIGNIFICANT
from paraisite.reporting.tables import records
from paraisite.study.report.data import PROTOCOL_TITLES, REPORT_PROTOCOLS
from paraisite.study.report.hypotheses import trap_p_value
from paraisite.study.report.tables import TABLE_METRICS, summary_of_runs


def outcome(row: dict[str, Any]) -> str:
    """What the paired tests say of the first predictor's error.

    The corrected t-test decides: `lower`, `higher` or `not told apart`; where Wilcoxon's test alone finds a difference, that
    is said. `not tested`: too few runs.

    Args:
        row: Row of a table of `paraisite.study.report.tables.compare_families`.
    """
    if not np.isfinite(row["t_p_holm"]):
        return "not tested"
    direction = "lower" if row["mean_difference"] < 0 else "higher"
    if row["t_p_holm"] < SIGNIFICANT:
        return direction
    return f"{direction} by Wilcoxon alone" if row["wilcoxon_p_holm"] < SIGNIFICANT else "not told apart"


def numbers_text(row: dict[str, Any]) -> str:
    """The numbers of a paired test and its outcome: means, difference, runs and p-values."""
    text = (
        f"{TABLE_METRICS[row['metric']]} {number(row['first_mean'])} against {number(row['second_mean'])} "
        f"({signed(row['mean_difference'])} ± {number(row['standard_deviation'])}, lower in {row['lower_runs']} of "
        f"{row['n_runs']} runs"
    )
    if np.isfinite(row["t_p_holm"]):
        text += f", corrected t p {p_text(row['t_p_holm'])}, Wilcoxon p {p_text(row['wilcoxon_p_holm'])}"
    return f"{text}): {outcome(row)}"


def comparison_sentence(rows: Sequence[dict[str, Any]], first: str, second: str) -> str:
    """One sentence on the paired tests of two predictors under one protocol.

    Args:
        rows: Rows of a table of `paraisite.study.report.tables.compare_families`, one a metric.
        first: Name of the first predictor in the sentence.
        second: Name of the second.
    """
    outcomes = {TABLE_METRICS[row["metric"]]: outcome(row) for row in rows}
    lower = [name for name, found in outcomes.items() if found == "lower"]
    higher = [name for name, found in outcomes.items() if found == "higher"]
    if set(outcomes.values()) == {"not tested"}:
        verdict = f"too few runs to test {first} against {second}"
    elif lower and higher:
        verdict = f"{first} **beats** {second} in {' and '.join(lower)} and **is beaten** in {' and '.join(higher)}"
    elif lower or higher:
        verb, names = ("beats", lower) if lower else ("is beaten by", higher)
        verdict = f"{first} **{verb}** {second}" + (f" in {names[0]} alone" if len(names) < len(rows) else "")
    else:
        verdict = f"{first} **does not beat** {second}"
    return f"{PROTOCOL_TITLES[rows[0]['protocol']]}: {verdict}. {'; '.join(map(numbers_text, rows))}."


def comparison_sentences(tests: pd.DataFrame, pairs: Sequence[tuple[str, str]], titles: dict[str, str]) -> list[str]:
    """One sentence for each pair and protocol that was tested.

    Args:
        tests: As `paraisite.study.report.tables.compare_everywhere` makes them.
        pairs: Pairs in the order of the sentences.
        titles: Names in the sentences, where they differ from the families'.
    """
    rows = records(tests)
    sentences = []
    for first, second in pairs:
        for protocol in REPORT_PROTOCOLS:
            part = [row for row in rows if (row["first"], row["second"], row["protocol"]) == (first, second, protocol)]
            if part:
                sentences.append(comparison_sentence(part, titles.get(first, first), titles.get(second, second)))
    return sentences


def ranking_sentence(summary: pd.DataFrame, families: Sequence[str], protocol: str) -> str:
    """Order of the families by mean MAPE under a protocol; empty where none was run."""
    means = {family: summary_of_runs(summary, family, protocol) for family in families}
    known = sorted((family for family in means if np.isfinite(means[family][0])), key=lambda family: means[family][0])
    if not known:
        return ""
    listed = ", ".join(f"{family} {means[family][0]:.2f} ± {means[family][1]:.2f}" for family in known)
    return f"{PROTOCOL_TITLES[protocol]}: {listed}, lowest first."


def optimism_sentence(summary: pd.DataFrame, families: Sequence[str]) -> str:
    """How much lower the paper protocol's errors are than the held-out ones; empty where one of them is missing."""
    parts = []
    for family in families:
        held_out, paper = (summary_of_runs(summary, family, name)[0] for name in ("held_out", "paper"))
        if np.isfinite(held_out) and np.isfinite(paper):
            parts.append(f"{family} {signed((paper - held_out) / held_out * 100, 0)} %")
    return f"Paper protocol against held out, mean MAPE: {', '.join(parts)}." if parts else ""


def trap_sentences(per_run: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """Whether the published steps 2 and 3 are what one gets by both mistakes: a sentence per step, and what to expect."""
    sentences = [
        f"Step 1, which neither mistake touches, shows how near a repetition comes: {_distance_text(row)}; published mean "
        f"{number(row['published_mean'])}."
        for row in records(table[table["step"] == "step 1"])
    ]
    for step in ("step 2", "step 3"):
        part = table[table["step"] == step].sort_values("rmse")
        if part["trap"].any() and len(part) > 1:
            sentences.append(_step_sentence(per_run, part, step))
    return sentences


def _step_sentence(per_run: pd.DataFrame, part: pd.DataFrame, step: str) -> str:
    """The trap's distance to the published errors against that of the nearest other hypothesis; `part` is nearest first."""
    trap, other = records(part[part["trap"]])[0], records(part[~part["trap"]])[0]
    p_value = trap_p_value(per_run, step, trap["hypothesis"], other["hypothesis"])
    nearer = trap["rmse"] < other["rmse"]
    clear = bool(p_value < SIGNIFICANT)
    answer = {
        (True, True): "Yes",
        (True, False): "It looks so, but these runs cannot tell it from the next hypothesis",
        (False, True): "No",
        (False, False): "It does not look so, but these runs cannot tell",
    }[nearer, clear]
    return (
        f"Is the published {step} what one gets with {trap['hypothesis']}? **{answer}**: {_distance_text(trap)}, against "
        f"{_distance_text(other)} with {other['hypothesis']} (Wilcoxon p {p_text(p_value)} over "
        f"{trap['n_runs']} runs); published mean {number(trap['published_mean'])}."
    )


def _distance_text(row: dict[str, Any]) -> str:
    return (
        f"mean {number(row['mean'])}, RMSE to the published runs {number(row['rmse'])}, "
        f"correlation {number(row['correlation'])}" + _seed_text(row)
    )


def _seed_text(row: dict[str, Any]) -> str:
    if not np.isfinite(row["rmse_between_seeds"]):
        return ""
    return f" (RMSE of one of {row['n_seeds']} seeds to another {number(row['rmse_between_seeds'])})"


def aflow_sentence(main: pd.DataFrame) -> str:
    """Which of our AFLOW families the published FEAF is nearer to; empty where one is missing.

    The published AFLOW set is another selection, so that only the means compare.
    """
    rows = {row["family"]: row for row in records(main)}
    random, loaded, published = rows["RWAF"]["paper"], rows["FEAF"]["paper"], rows["FEAF"]["published"]
    if not (np.isfinite(random) and np.isfinite(loaded)):
        return ""
    nearer = "random weights" if abs(published - random) < abs(published - loaded) else "the loaded weights"
    return (
        "On AFLOW itself, where the validation parts are large, the published formation-energy start (FEAF) has a mean MAPE "
        f"of {number(published)}; ours is {number(random)} from random weights and {number(loaded)} from the loaded ones: "
        f"the published one is nearer to {nearer}."
    )


def worst_sentence(worst: pd.DataFrame, family: str) -> str:
    """The crystals that a family misses most, by the first protocol that has them; empty where there is none."""
    for protocol in REPORT_PROTOCOLS:
        rows = [row for row in records(worst) if (row["family"], row["protocol"]) == (family, protocol)][:5]
        if rows:
            factors = [f"{row['formula']} (factor {number(10 ** row['mean_abs_log10_error'], 1)})" for row in rows]
            return f"{family}, {PROTOCOL_TITLES[protocol]}, misses most: {', '.join(factors)}."
    return ""


def number(value: float, digits: int = 2) -> str:
    """A number with so many digits, the minus as a minus; a dash for none."""
    return f"{value:.{digits}f}".replace("-", "−") if np.isfinite(value) else "–"


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, the minus as a minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def p_text(value: float) -> str:
    """A p-value in two digits with its sign of relation, at the least `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"
