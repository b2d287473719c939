"""Which training gives the published errors of steps 2 and 3: the runs compared one by one under each hypothesis.

The published code seems to load the formation-energy weights into nothing, and to train and measure its step 3 in a
compressed κ. Each hypothesis is a training of ours, some by several seeds, whose errors by run are set beside the published.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from paraisite.comparison.statistics import wilcoxon_p
from paraisite.study.published import published_runs
from paraisite.study.report.tables import run_errors

SEEDS = ("-seed43", "-seed44")


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A training that may be what was published.

    Attributes:
        step: Published step that it may explain.
        published: Family whose published errors it is compared with.
        title: What it says.
        family: Our family whose errors stand for it.
        scale: `true` (errors of κ) or `compressed`.
        trap: Whether it leaves the formation-energy weights out and, in step 3, measures in the compressed scale.
    """

    step: str
    published: str
    title: str
    family: str
    scale: str
    trap: bool


HYPOTHESES = (
    Hypothesis("step 1", "RWTG15", "random weights", "RWTG15", "true", trap=False),
    Hypothesis("step 2", "FETG15", "weights not loaded", "RWTG15", "true", trap=True),
    Hypothesis("step 2", "FETG15", "weights loaded", "FETG15", "true", trap=False),
    Hypothesis(
        "step 3", "FEAFTG15", "weights not loaded, compressed κ", "RWAFTG15-compressed", "compressed", trap=True
    ),
    Hypothesis("step 3", "FEAFTG15", "weights loaded, compressed κ", "FEAFTG15-compressed", "compressed", trap=False),
    Hypothesis("step 3", "FEAFTG15", "weights not loaded, true κ", "RWAFTG15", "true", trap=False),
    Hypothesis("step 3", "FEAFTG15", "weights loaded, true κ", "FEAFTG15", "true", trap=False),
)


def per_run_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Published and our MAPE by run under each hypothesis, a row a seed and run.

    Returns:
        Columns `step`, `hypothesis`, `scale`, `trap`, `family`, `run`, `published`, `ours`.
    """
    frames = []
    for hypothesis in HYPOTHESES:
        protocol = "paper" if hypothesis.scale == "true" else "paper_compressed"
        published = published_runs(hypothesis.published).rename("published")
        for family in (hypothesis.family, *(hypothesis.family + seed for seed in SEEDS)):
            ours = run_errors(errors, family, protocol).rename("ours")
            joined = pd.concat([published, ours], axis=1, join="inner").rename_axis("run").reset_index()
            names = {"step": hypothesis.step, "hypothesis": hypothesis.title, "scale": hypothesis.scale}
            frames.append(joined.assign(**names, trap=hypothesis.trap, family=family))
    columns = ["step", "hypothesis", "scale", "trap", "family", "run", "published", "ours"]
    return pd.concat(frames, ignore_index=True)[columns]


def hypothesis_table(per_run: pd.DataFrame) -> pd.DataFrame:
    """How near each hypothesis comes to the published errors run by run.

    Returns:
        Columns `step`, `hypothesis`, `scale`, `trap`, `published_mean`, `mean`, `rmse` (of the per-run MAPE to the published,
        mean over the seeds), `correlation` (Pearson, mean over the seeds), `n_runs`, `n_seeds`, `rmse_between_seeds` (of one
        seed to another: what differs with nothing changed; NaN with one seed).
    """
    rows = []
    for (step, title, scale, trap), part in per_run.groupby(["step", "hypothesis", "scale", "trap"], sort=False):
        seeds = part.pivot_table(index="run", columns="family", values="ours").dropna()
        published = part.groupby("run")["published"].first().loc[seeds.index]
        between = [_rmse(seeds[first], seeds[second]) for first, second in combinations(seeds.columns, 2)]
        rows.append({
            "step": step, "hypothesis": title, "scale": scale, "trap": trap,
            "published_mean": float(published.mean()), "mean": float(seeds.to_numpy().mean()),
            "rmse": float(np.mean([_rmse(seeds[name], published) for name in seeds])),
            "correlation": float(np.mean([_correlation(seeds[name], published) for name in seeds])),
            "n_runs": len(seeds), "n_seeds": len(seeds.columns),
            "rmse_between_seeds": float(np.mean(between)) if between else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)


def trap_p_value(per_run: pd.DataFrame, step: str, title: str, other: str) -> float:
    """Wilcoxon's p-value that two hypotheses lie equally far from the published errors, run by run (mean of the seeds)."""
    part = per_run[per_run["step"] == step]
    distance = (part["ours"] - part["published"]).abs()
    by_run = distance.groupby([part["hypothesis"], part["run"]]).mean().unstack(level=0).dropna()
    return wilcoxon_p((by_run[title] - by_run[other]).to_numpy())


def _rmse(first: pd.Series, second: pd.Series) -> float:
    return float(np.sqrt(((first - second) ** 2).mean()))


def _correlation(first: pd.Series, second: pd.Series) -> float:
    varied = len(first) > 2 and first.std() > 0 and second.std() > 0
    return float(np.corrcoef(first, second)[0, 1]) if varied else float("nan")
