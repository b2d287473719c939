"""The sections of the report, as blocks of Markdown; what they state of the outcome comes from the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pandas as pd

from paraisite.reporting.tables import markdown_table, mean_text, records
from paraisite.study.published import COMPRESSED
from paraisite.study.report import statements, texts
from paraisite.study.report.content import ABLATIONS, NETWORK, UNSEEN, ReportContent
from paraisite.study.report.data import DATA_TITLES, FAMILIES, PROTOCOL_TITLES, PROTOCOLS
from paraisite.study.report.tables import METRICS, family_pairs, mean_and_deviation

PUBLISHED_RUNS = 9
STEPS = FAMILIES["togo15"]
TRANSFER_PAIRS = (("FETG15", "RWTG15"), ("FEAFTG15", "RWTG15"), ("FEAFTG15", "FETG15"), ("FEAFTG15", "RWAFTG15"))


def introduction(content: ReportContent) -> list[str]:
    """What was done, and the protocols."""
    study = content.study
    blocks = [texts.TITLE]
    if study.quick or len(study.runs) < PUBLISHED_RUNS:
        shortened = "The trainings are shortened. " if study.quick else ""
        blocks.append(
            f"> **A try-out, not the study.** {shortened}It has {len(study.runs)} of {PUBLISHED_RUNS} runs; its numbers say "
            "nothing about the method."
        )
    if len(content.tables["missing"]):
        blocks.append(
            f"> {len(content.tables['missing'])} of {len(study.jobs)} trainings and fits have no result; they are "
            "[listed at the end](#what-is-missing)."
        )
    runs = f"Each training is repeated over {len(study.runs)} splits (runs {_numbers(study.runs)})."
    return [*blocks, texts.QUESTION, runs, "## Protocols", texts.PROTOCOLS]


def data(content: ReportContent) -> list[str]:
    """The data sets."""
    titles = {
        "data": "data", "crystals": "crystals", "compositions": "compositions", "elements": "elements",
        "space_groups": "space groups", "mean_atoms": "atoms in a cell (mean)",
        "geometric_mean_kappa_w_per_mk": "κ, geometric mean (W/(m K))",
        "standard_deviation_log10": "standard deviation of log10 κ",
    }  # fmt: skip
    return [
        "## Data",
        texts.DATA,
        markdown_table(content.tables["data"], titles) if len(content.tables["data"]) else "",
        _figure(content, "kappa_distribution", "Distribution of κ (the paper's Fig. 1), five bins a decade."),
        _figure(content, "elements", "Crystals of each data set by element."),
        _figure(content, "structures", "Most frequent structure types and space groups."),
    ]


def headline(content: ReportContent) -> list[str]:
    """The main table, and what it says."""
    summary, tests = content.tables["summary"], content.tables["tests"]
    return [
        "## Main result",
        texts.MAIN,
        error_markdown(content.tables["main"]),
        "Order on Togo15:",
        _list(statements.ranking_sentence(summary, STEPS, protocol) for protocol in PROTOCOLS),
        statements.optimism_sentence(summary, STEPS),
        _figure(content, "error_distribution", "MAPE over the runs (the paper's Fig. 5)."),
        "### What transfer adds",
        texts.TESTS,
        _list(statements.comparison_sentences(tests, TRANSFER_PAIRS, {})),
        _tests_markdown(tests, [pair for families in FAMILIES.values() for pair in family_pairs(families)]),
    ]


def error_markdown(main: pd.DataFrame) -> str:
    """The main table in Markdown: MAPE by family and protocol, with the published figures.

    Args:
        main: As `paraisite.study.report.tables.main_table` makes it.
    """
    protocols = (*PROTOCOLS[:2], "last_epoch", "paper")
    rows = []
    for row in records(main):
        cells = {name: mean_text(row[name], row[f"{name}_standard_deviation"]) for name in protocols}
        has_stage = row["family"] in COMPRESSED or row["family"] == "RWAFTG15"
        compressed = (
            mean_text(row["paper_compressed"], row["paper_compressed_standard_deviation"]) if has_stage else "–"
        )
        names = {"family": row["family"], "data": DATA_TITLES[row["tested_on"]], "compressed": compressed}
        rows.append({**names, **cells, **{name: row[name] for name in ("published", "published_compressed")}})
    titles = {
        "family": "family", "data": "data", "held_out": "held out", "grouped": "new compositions", "last_epoch": "last epoch",
        "paper": "paper protocol", "published": "published", "compressed": "compressed", "published_compressed": "published",
    }  # fmt: skip
    return markdown_table(pd.DataFrame(rows), titles)


def all_metrics(content: ReportContent) -> list[str]:
    """Every metric of every family."""
    summary = content.tables["summary"]
    blocks = ["## All metrics", texts.METRICS]
    titles = {"family": "family", **METRICS}
    for protocol in (*PROTOCOLS, "last_epoch"):
        rows = []
        for family in (name for families in FAMILIES.values() for name in families):
            values = {metric: mean_and_deviation(summary, family, protocol, metric) for metric in METRICS}
            if np.isfinite(values["mape"][0]):
                rows.append({"family": family, **{metric: mean_text(*value) for metric, value in values.items()}})
        if rows:
            blocks += [f"### {PROTOCOL_TITLES[protocol].capitalize()}", markdown_table(pd.DataFrame(rows), titles)]
    return blocks


def cross(content: ReportContent) -> list[str]:
    """Trained on one data set, tested on another."""
    table = content.tables["cross"]
    if table.empty:
        return []
    blocks = ["## Trained on one, tested on another", texts.CROSS]
    for protocol in PROTOCOLS:
        part = table[table["protocol"] == protocol]
        if len(part):
            titles = {"family": "family", "trained_on": "trained on", **DATA_TITLES}
            rows = [_cross_row(name, rows) for name, rows in part.groupby("family", sort=False)]
            blocks += [f"### {PROTOCOL_TITLES[protocol].capitalize()}", markdown_table(pd.DataFrame(rows), titles)]
    return blocks


def _cross_row(family: object, rows: pd.DataFrame) -> dict[str, object]:
    cells: dict[str, object] = dict.fromkeys(DATA_TITLES, "–")
    for row in records(rows):
        star = "*" if row["published_is_compressed"] else ""
        published = (
            f" ({row['published']:.2f}{star})" if row["protocol"] == "paper" and np.isfinite(row["published"]) else ""
        )
        cells[row["tested_on"]] = mean_text(row["mean"], row["standard_deviation"]) + published
    return {"family": family, "trained_on": DATA_TITLES[rows["trained_on"].iloc[0]], **cells}


def training_curves(content: ReportContent) -> list[str]:
    """Errors by epoch."""
    return [
        "## Errors by epoch",
        texts.EPOCHS,
        _figure(content, "error_by_epoch", "Mean over the runs (the paper's Fig. 6), band: middle half of the runs."),
        _figure(
            content, "error_by_epoch_of_each_run", "Each run on Togo15; dot: the epoch that the paper protocol selects."
        ),
    ]


def transfer_and_traps(content: ReportContent) -> list[str]:
    """What the published steps 2 and 3 are."""
    per_run, table = content.tables["published_by_run"], content.tables["hypotheses"]
    if table.empty:
        return []
    titles = {
        "step": "published", "hypothesis": "hypothesis", "published_mean": "published mean", "mean": "our mean",
        "rmse": "RMSE by run", "correlation": "correlation", "n_seeds": "seeds", "rmse_between_seeds": "RMSE between seeds",
    }  # fmt: skip
    return [
        "## Are the published steps 2 and 3 what they are named?",
        texts.TRAPS,
        markdown_table(table, titles),
        _list([*statements.trap_sentences(per_run, table), statements.aflow_sentence(content.tables["main"])]),
        texts.TRAPS_READING,
        _figure(content, "published_against_ours", "Published errors and ours by run; band: range of the seeds."),
        _per_run_markdown(per_run),
    ]


def _per_run_markdown(per_run: pd.DataFrame) -> str:
    means = per_run.groupby(["step", "hypothesis", "run"], sort=False)["ours"].mean()
    published = per_run.groupby(["step", "run"], sort=False)["published"].first()
    columns: dict[str, pd.Series] = {}
    for step in dict.fromkeys(per_run["step"]):
        columns[f"{step} published"] = published[step]
        for hypothesis in dict.fromkeys(per_run[per_run["step"] == step]["hypothesis"]):
            columns[f"{step}: {hypothesis}"] = means[step][hypothesis]
    table = pd.DataFrame(columns).rename_axis("run").reset_index()
    return markdown_table(table, {name: name for name in table.columns})


def leak(content: ReportContent) -> list[str]:
    """Whether AFLOW's stage gives Togo15 away."""
    data_sets = content.study.data
    blocks = ["## Does the AFLOW stage give Togo15 away?"]
    if {"togo15", "aflow_agl"} <= set(data_sets):
        togo15, aflow = data_sets["togo15"], data_sets["aflow_agl"]
        shared = int(togo15["formula"].isin(set(aflow["formula"])).sum())
        blocks.append(
            f"{shared} of {len(togo15)} Togo15 crystals have a composition that AFLOW AGL has too, with a value of its own. "
            f"{UNSEEN} starts from an AFLOW stage that saw none of these."
        )
    return _with_tests(content, blocks, [(UNSEEN, NETWORK)], "leak", "Step 3, and with an AFLOW stage without Togo15.")


def ablation(content: ReportContent) -> list[str]:
    """What the body and the head carry."""
    blocks = ["## What carries the transfer", texts.ABLATION]
    pairs = [(name, NETWORK) for name in ABLATIONS]
    return _with_tests(content, blocks, pairs, "ablation", "Step 3 and its ablations; grey: one run.")


def _with_tests(
    content: ReportContent, blocks: list[str], pairs: list[tuple[str, str]], figure: str, caption: str
) -> list[str]:
    """A section that stands on paired tests; none where nothing was tested."""
    sentences = statements.comparison_sentences(content.tables["tests"], pairs, {})
    if not sentences:
        return []
    return [*blocks, _list(sentences), _figure(content, figure, caption)]


def learning_curves(content: ReportContent) -> list[str]:
    """Errors by the number of training crystals."""
    table = content.tables["learning_curves"]
    if table.empty:
        return []
    rows = []
    for size, part in table.groupby("training_crystals"):
        errors = {str(family): values for family, values in part.groupby("family")["mape"]}
        cells = {name: mean_text(values.mean(), values.std(ddof=0)) for name, values in errors.items()}
        rows.append({"size": str(size), **{family: cells.get(family, "–") for family in STEPS}})
    titles = {"size": "training crystals", **{family: family for family in STEPS if family in set(table["family"])}}
    return [
        "## Learning curves",
        texts.LEARNING_CURVES,
        markdown_table(pd.DataFrame(rows), titles),
        _figure(content, "learning_curves", "Dots: runs; diamonds: their mean."),
    ]


def predictions(content: ReportContent) -> list[str]:
    """Parity plots and the worst crystals."""
    worst = content.tables["worst_crystals"]
    blocks = ["## Predicted against computed", statements.worst_sentence(worst, NETWORK)]
    caption = (
        "Validation crystals alone, by the runs that did not train on them; what is below the axis is drawn at its end."
    )
    blocks += [_figure(content, name, caption) for name in content.figures if name.startswith("parity_")]
    rows = worst[(worst["family"] == NETWORK) & (worst["protocol"] == "held_out")] if len(worst) else worst
    if len(rows):
        titles = {
            "formula": "formula", "material_id": "id", "kappa": "κ (W/(m K))", "predicted": "predicted",
            "lowest": "lowest", "highest": "highest", "mean_abs_log10_error": "mean error of log10 κ", "n_runs": "runs",
        }  # fmt: skip
        blocks += [f"### Worst crystals of {NETWORK}, held out", markdown_table(rows, titles)]
    return blocks


def candidates(content: ReportContent) -> list[str]:
    """What one would try instead of the network."""
    if not content.titles:
        return []
    summary = content.tables["summary"]
    order = sorted(content.titles, key=lambda name: not name.startswith("gaussian_process"))
    columns = {(protocol, metric) for protocol in ("held_out", "grouped") for metric in ("mape", "mae_log10")}
    keys = sorted(columns, key=lambda key: (PROTOCOLS.index(key[0]), list(METRICS).index(key[1])))
    rows = []
    for name in (*STEPS, *content.titles):
        cells = {f"{p}_{m}": mean_text(*mean_and_deviation(summary, name, p, m)) for p, m in keys}
        rows.append({"name": content.titles.get(name, name), **cells})
    titles = {"name": "predictor", **{f"{p}_{m}": f"{METRICS[m]}, {PROTOCOL_TITLES[p]}" for p, m in keys}}
    names = {NETWORK: "the network", **{name: f"“{title}”" for name, title in content.titles.items()}}
    return [
        "## What one would try instead",
        texts.CANDIDATES,
        markdown_table(pd.DataFrame(rows), titles),
        _list(statements.comparison_sentences(content.tables["tests"], [(NETWORK, name) for name in order], names)),
        _figure(content, "candidates", "Lowest mean error of log10 κ first; the network's families in their colours."),
    ]


def runtime(content: ReportContent) -> list[str]:
    """Where the time went."""
    table = content.tables["runtime"]
    if table.empty:
        return []
    kinds = table.groupby("kind").agg(jobs=("seconds", "size"), hours=("seconds", lambda values: values.sum() / 3600))
    rows = kinds.sort_values("hours", ascending=False).reset_index()
    titles = {"kind": "kind", "jobs": "jobs", "hours": "hours"}
    blocks = ["## Runtime", f"{table['seconds'].sum() / 3600:.2f} hours in all. {_environment(content)}"]
    return [*blocks, markdown_table(rows, titles), _figure(content, "runtime", "The longest jobs.")]


def _environment(content: ReportContent) -> str:
    for job in content.study.done():
        path = job.folder / "environment.json"
        if path.is_file():
            items = json.loads(path.read_text(encoding="utf-8")).items()
            return (
                "Made with "
                + ", ".join(f"{name} {value}" for name, value in items if isinstance(value, str | int))
                + "."
            )
    return f"Made with paraisite {content.study.version}."


def missing(content: ReportContent) -> list[str]:
    """What has no result."""
    table = content.tables["missing"]
    text = "Nothing: every job of the study has its result." if table.empty else ""
    titles = {"job": "job", "status": "status", "reason": "reason"}
    return ["## What is missing", text or markdown_table(table, titles)]


SECTIONS = (
    introduction, headline, data, all_metrics, cross, training_curves, transfer_and_traps, leak, ablation, learning_curves,
    predictions, candidates, runtime, missing,
)  # fmt: skip
"""In the order of the report."""


def _figure(content: ReportContent, name: str, caption: str) -> str:
    """A figure with its caption and data; nothing where it was not drawn."""
    if name not in content.figures:
        return ""
    return f"![{caption}](figures/{name}.png)\n\n*{caption}* [Data](figures/{name}.csv)"


def _tests_markdown(tests: pd.DataFrame, pairs: list[tuple[str, str]]) -> str:
    if tests.empty:
        return ""
    keep = [(row.first, row.second) in set(pairs) for row in tests.itertuples()]
    rows = tests[keep]
    if rows.empty:
        return ""
    rows = rows.assign(
        protocol=rows["protocol"].map(PROTOCOL_TITLES),
        metric=rows["metric"].map(METRICS),
        pair=rows["first"] + " − " + rows["second"],
        difference=[
            statements.signed(mean) + f" ± {deviation:.2f}"
            for mean, deviation in zip(rows["mean_difference"], rows["standard_deviation"], strict=True)
        ],
        outcome=[statements.outcome(row) for row in records(rows)],
    )
    titles = {
        "pair": "pair", "protocol": "protocol", "metric": "metric", "difference": "difference", "lower_runs": "runs lower",
        "t_p_holm": "p, corrected t", "wilcoxon_p_holm": "p, Wilcoxon", "outcome": "the first is",
    }  # fmt: skip
    return markdown_table(rows, titles, digits=3)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items if item)


def _numbers(runs: tuple[int, ...]) -> str:
    consecutive = len(runs) > 2 and list(runs) == list(range(runs[0], runs[-1] + 1))
    return f"{runs[0]} to {runs[-1]}" if consecutive else ", ".join(map(str, runs))
