"""What a model's card and the README say of a comparison."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from paraisite.comparison.protocols import COMPARISON_PROTOCOLS

CARD_CANDIDATES = ("multi_fidelity", "multi_fidelity+literature", "multi_fidelity+hh143+literature")
"""Candidates of the design of the default model."""
CARD_SCORES = ("mape", "mae_log10", "spearman", "within_factor_2", "coverage_90")
README_CANDIDATES = {
    "multi_fidelity+literature": "**MultiFidelity**, with `literature` as shipped",
    "multi_fidelity": "the same, fitted to Togo15 alone",
    "network": "the paper's network, fine-tuned, 9 members averaged",
    "gaussian_process_magpie": "Gaussian process, 150 usual descriptors",
}
README_PROTOCOLS = {
    "held_out": "Togo15, published splits",
    "grouped": "Togo15, new compositions",
    "prototype": "Togo15, a structure type left out",
    "hh143": "143 half-Heuslers from Togo15",
    "literature": "107 of 41 structure types from Togo15 and HH143",
}
_DIGITS = 4


def card_errors(table: pd.DataFrame) -> dict[str, Any]:
    """Scores of the default model's design, for the key `errors` of its card.

    Args:
        table: Scores, as `paraisite.comparison.compare` returns them.

    Returns:
        `comparison`: a list with protocol, its title, candidate, numbers of splits and crystals, and of each score the mean
        and the standard deviation over the splits, None for a single one.
    """
    rows = table[table["candidate"].isin(CARD_CANDIDATES)].to_dict("records")
    return {
        "comparison": [
            {
                "protocol": row["protocol"],
                "title": COMPARISON_PROTOCOLS[row["protocol"]].title,
                "candidate": row["candidate"],
                "n_splits": int(row["n_splits"]),
                "n_crystals": int(row["n_crystals"]),
                **{
                    name: {"mean": _number(row[name]), "standard_deviation": _number(row[f"{name}_sd"])}
                    for name in CARD_SCORES
                },
            }
            for row in rows
        ]
    }


def readme_table(table: pd.DataFrame) -> str:
    """MAE of log10 κ, MAPE and share within a factor of two of the README's candidates by protocol, as Markdown.

    Args:
        table: Scores, as `paraisite.comparison.compare` returns them.
    """
    scores = {(row["candidate"], row["protocol"]): row for row in table.to_dict("records")}
    lines = [f"| candidate | {' | '.join(README_PROTOCOLS.values())} |", "|---|" + "---|" * len(README_PROTOCOLS)]
    for candidate, title in README_CANDIDATES.items():
        if not any(name == candidate for name, _ in scores):
            continue
        cells = []
        for protocol in README_PROTOCOLS:
            row = scores.get((candidate, protocol))
            numbers = (
                "–" if row is None else f"{row['mae_log10']:.2f} · {row['mape']:.2f} · {row['within_factor_2']:.0%}"
            )
            cells.append(numbers)
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float) -> float | None:
    return round(float(value), _DIGITS) if math.isfinite(value) else None
