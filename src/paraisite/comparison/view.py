"""The comparison's table as a reader sees it: in Markdown and in the terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paraisite.comparison.protocols import COMPARISON_PROTOCOLS
from paraisite.comparison.statistics import SIGNIFICANT
from paraisite.reporting.tables import NOTHING, markdown_table

COLUMN_TITLES = {
    "mape": "MAPE",
    "median_ape": "median APE",
    "mae_log10": "MAE log10",
    "spearman": "ρ",
    "within_factor_2": "within ×2",
    "negative_log_likelihood": "NLL",
    "coverage_90": "in 90\N{NO-BREAK SPACE}%",
    "seconds_fit": "fit s",
    "seconds_predict": "pred. s",
}
LEGEND = """\
Mean ± standard deviation over the splits. MAPE, median APE: mean and median absolute relative error of κ. MAE log10: mean
absolute error of log10 κ. ρ: Spearman's rank correlation. Within ×2: share of the crystals whose κ is predicted within a
factor of 2. NLL: mean negative log-likelihood of log10 κ under the candidate's normal distribution, lower is better.
In 90 %: share of the crystals whose κ is in the candidate's 90 % interval. Seconds: of one split, on one thread. Tried:
settings that were compared on inner splits."""
PAIR_LEGEND = f"""\
Mean Δ: mean over the crystals of the absolute error of log10 κ, the first's minus the second's. Lower for: crystals with a
lower error by the first. p: Wilcoxon's signed-rank test over the crystals. p Holm: corrected by Holm's method over the
comparisons of a protocol. Verdict: whether the first is better or worse; undecided from p Holm = {SIGNIFICANT} on, and where
the mean and most crystals disagree."""


def protocol_view(table: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Text of the rows of one protocol, a row per candidate."""
    rows = table[table["protocol"] == protocol].to_dict("records")
    view = pd.DataFrame(
        [
            {
                **{title: _mean(row[name], row[f"{name}_sd"]) for name, title in COLUMN_TITLES.items()},
                "tried": str(row["n_tried"] or NOTHING),
            }
            for row in rows
        ]
    )
    return view.set_axis([row["candidate"] for row in rows], axis="index")


def pair_view(pairs: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Text of the comparisons of one protocol, a row per pair."""
    rows = pairs[pairs["protocol"] == protocol].to_dict("records")
    view = pd.DataFrame(
        [
            {
                "against": row["against"],
                "mean Δ": f"{row['mean_difference']:+.3f}".replace("-", "−"),
                "lower for": f"{row['lower_crystals']}/{row['n_crystals']}",
                "p": f"{row['wilcoxon_p']:.2g}",
                "p Holm": f"{row['holm_p']:.2g}",
                "verdict": _verdict(row["mean_difference"], row["lower_crystals"] / row["n_crystals"], row["holm_p"]),
            }
            for row in rows
        ]
    )
    return view.set_axis([row["candidate"] for row in rows], axis="index")


def protocol_title(protocol: str, table: pd.DataFrame) -> str:
    """Heading of a protocol's table."""
    n_crystals = int(table.loc[table["protocol"] == protocol, "n_crystals"].max())
    return f"{COMPARISON_PROTOCOLS[protocol].title}: {n_crystals} crystals predicted ({protocol})"


def markdown(table: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """The whole comparison as Markdown."""
    blocks = ["# Comparison of models", LEGEND]
    for protocol in dict.fromkeys(table["protocol"]):
        blocks += [f"## {protocol_title(protocol, table)}", _markdown(protocol_view(table, protocol))]
        if (pairs["protocol"] == protocol).any():
            blocks.append(_markdown(pair_view(pairs, protocol)))
    return "\n\n".join([*blocks, PAIR_LEGEND]) + "\n"


def _markdown(view: pd.DataFrame) -> str:
    return markdown_table(view.reset_index(names="candidate"), {name: name for name in ("candidate", *view.columns)})


def _mean(mean: float, deviation: float) -> str:
    """A mean, and on a line of its own its standard deviation; a dash for none."""
    if not np.isfinite(mean):
        return NOTHING
    digits = 1 if abs(mean) >= 10 else 2
    text = f"{mean:.{digits}f}" + (f"\n±{deviation:.{digits}f}" if np.isfinite(deviation) else "")
    return text.replace("-", "−")


def _verdict(difference: float, lower_share: float, corrected_p: float) -> str:
    """The test ranks, so that a few large errors can turn the mean against it: then there is no verdict."""
    agree = (difference < 0) == (lower_share > 0.5)
    if not (agree and corrected_p < SIGNIFICANT):
        return "undecided"
    return "better" if difference < 0 else "worse"
