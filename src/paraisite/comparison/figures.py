"""Figures of a comparison: one candidate's predictions and errors, and all candidates' errors and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import norm

from paraisite.comparison.analysis import MIN_GROUP_CRYSTALS, crystal_table
from paraisite.comparison.job import ComparisonJob
from paraisite.comparison.protocols import COMPARISON_PROTOCOLS
from paraisite.comparison.specs import CandidateSpec, parse_spec
from paraisite.metrics import NORMAL_90
from paraisite.reporting.canvas import WIDTH_INCHES, drawn, run_offsets
from paraisite.reporting.plots import OTHER_COLOUR, draw_parity

_INTERVAL_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Nominal coverages of the calibration curve."""
OTHER_TYPES = "other types"
SHORT_TITLES = {
    "held_out": "Togo15, held out",
    "grouped": "Togo15, new compositions",
    "prototype": "Togo15, new structure type",
    "hh143": "HH143 from Togo15",
    "literature": "Literature values",
}
_COLOURS = {
    "multi_fidelity": "#d55e00",
    "network": "#0072b2",
    "gaussian_process_magpie": "#009e73",
    "gaussian_process_aflow": "#cc79a7",
    "roost": "#56b4e9",
    "median": "#999999",
}
_STYLES = ("-", "--", ":", "-.")


def draw_figures(jobs: Sequence[ComparisonJob], candidate: str, table: pd.DataFrame, folder: Path) -> list[str]:
    """Draw all figures, each as PNG, SVG and the CSV that it shows.

    Args:
        jobs: Finished jobs, in the order of protocols.
        candidate: Whose predictions are shown, as `knn+hh143`. Under a protocol that predicts data that it is given, the
            same candidate stands for it that is trained on all the same but those.
        table: Scores, as `paraisite.comparison.compare` returns them.
        folder: Where to write.

    Returns:
        Names of the figures.
    """
    shown = _jobs_of(jobs, parse_spec(candidate))
    crystals = {protocol: crystal_table(job) for protocol, job in shown.items()}
    names = {protocol: str(job.spec) for protocol, job in shown.items()}
    _draw_parity(crystals, names, folder)
    _draw_structure_types(crystals, candidate, folder)
    _draw_errors(table, folder)
    drawn_names = ["parity", "errors_by_structure_type", "errors_by_candidate"]
    return drawn_names + (["calibration"] if _draw_calibration(jobs, folder) else [])


def _jobs_of(jobs: Sequence[ComparisonJob], spec: CandidateSpec) -> dict[str, ComparisonJob]:
    """A job per protocol: the candidate's own, else the one trained on the same data sets."""
    found: dict[str, ComparisonJob] = {}
    for job in jobs:
        same = job.spec.name == spec.name and _trained(job.spec, job.protocol) == _trained(spec, job.protocol)
        if same and (job.spec == spec or job.protocol not in found):
            found[job.protocol] = job
    return found


def _trained(spec: CandidateSpec, protocol: str) -> set[str]:
    """Data sets beside the predicted one."""
    return {*COMPARISON_PROTOCOLS[protocol].trained, *spec.further} - {COMPARISON_PROTOCOLS[protocol].predicted}


def _draw_parity(crystals: dict[str, pd.DataFrame], names: dict[str, str], folder: Path) -> None:
    """Draw predicted against reference κ, a panel a protocol, the bar the 90 % interval."""
    joined = pd.concat([table.assign(protocol=name, candidate=names[name]) for name, table in crystals.items()])
    data = joined[["candidate", "protocol", "material_id", "formula", "prototype", "kappa", "predicted", "low", "high"]]
    tables = {name: table.rename(columns={"low": "lowest", "high": "highest"}) for name, table in crystals.items()}
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    with drawn(folder, "parity", data, (3.1 * columns + 0.3, 3.3 * rows + 0.3)) as figure:
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels[len(tables) :]:
            axes.axis("off")
        for axes, (protocol, table) in zip(panels, tables.items(), strict=False):
            bars = {name: table[name].fillna(table["predicted"]) for name in ("lowest", "highest")}
            draw_parity(axes, table.assign(**bars), _colour(parse_spec(names[protocol])), _decades(table))
            axes.set(xlabel="reference κ (W/(m K))", ylabel="predicted κ (W/(m K))")
            axes.set_title(f"{SHORT_TITLES[protocol]}\n{names[protocol]}", fontsize=8)
            axes.tick_params(labelsize=7)
        figure.suptitle("Predicted against reference κ; bar: 90 % interval, band: within a factor of 2", fontsize=9)


def _decades(table: pd.DataFrame) -> tuple[float, float]:
    """Decades that hold all points; the ends of the bars may lie outside."""
    values = np.log10(table[["kappa", "predicted"]].to_numpy())
    return float(10 ** np.floor(values.min())), float(10 ** np.ceil(values.max()))


def _draw_structure_types(crystals: dict[str, pd.DataFrame], candidate: str, folder: Path) -> None:
    """Draw log10 of predicted over reference κ of each crystal, a row per structure type, a panel a protocol."""
    tables = {name: table.assign(structure_type=_structure_types(table)) for name, table in crystals.items()}
    order = {name: list(dict.fromkeys(sorted(table["structure_type"], key=_last))) for name, table in tables.items()}
    heights = [len(types) for types in order.values()]
    joined = pd.concat([table.assign(protocol=name) for name, table in tables.items()])
    data = joined[["protocol", "structure_type", "formula", "kappa", "predicted", "bias_log10", "mae_log10"]]
    with drawn(
        folder, "errors_by_structure_type", data, (WIDTH_INCHES, 0.8 + 0.24 * sum(heights) + 0.3 * len(heights))
    ) as figure:
        panels = figure.subplots(
            len(tables), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": [n + 0.5 for n in heights]}
        ).ravel()
        for axes, (protocol, table) in zip(panels, tables.items(), strict=True):
            _draw_types(axes, table, order[protocol], _colour(parse_spec(candidate)))
            axes.set_title(SHORT_TITLES[protocol], fontsize=8, loc="left")
        panels[-1].set_xlabel("log10 (predicted κ / reference κ)")
        title = f"{candidate}: dots: crystals, diamond: mean, band: within a factor of 2; at the right MAE of log10 κ"
        figure.suptitle(title, fontsize=8)


def _structure_types(table: pd.DataFrame) -> pd.Series[str]:
    """Structure type of each crystal; those of few crystals as one."""
    counts = table.groupby("prototype")["prototype"].transform("size")
    return table["prototype"].where((counts >= MIN_GROUP_CRYSTALS) & (table["prototype"] != ""), OTHER_TYPES)


def _last(name: str) -> tuple[bool, str]:
    return name == OTHER_TYPES, name


def _draw_types(axes: Axes, table: pd.DataFrame, types: Sequence[str], colour: str) -> None:
    axes.axvspan(-np.log10(2), np.log10(2), color=OTHER_COLOUR, alpha=0.10, lw=0)
    axes.axvline(0, color="black", lw=0.8)
    labels = []
    for position, name in enumerate(types):
        rows = table[table["structure_type"] == name]
        values = rows["bias_log10"].to_numpy()
        axes.plot(values, position + run_offsets(len(values)), "o", ms=3, color=colour, mec="white", mew=0.3)
        axes.plot(values.mean(), position, "D", ms=4.5, color="black", mec="white", mew=0.5)
        axes.annotate(
            f"{rows['mae_log10'].mean():.2f}", (1, position), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=7,
        )  # fmt: skip
        labels.append(f"{name.replace('_', ' ')} ({len(rows)})")
    axes.set_yticks(range(len(types)), labels, fontsize=7)
    axes.set_ylim(len(types) - 0.5, -0.5)


def _draw_errors(table: pd.DataFrame, folder: Path) -> None:
    """Draw MAE of log10 κ, a row per candidate, a panel a protocol, with standard deviations over the splits."""
    protocols = list(dict.fromkeys(table["protocol"]))
    wide = table.pivot_table(index="candidate", columns="protocol", values="mae_log10")
    # By the protocols that judge all of them.
    complete = wide.dropna(axis=1)
    specs = (wide if complete.empty else complete).mean(axis=1).sort_values().index.tolist()
    data = table[["protocol", "candidate", "n_splits", "mae_log10", "mae_log10_sd"]]
    size = (WIDTH_INCHES + 1.8, 0.8 + 0.24 * len(specs))
    with drawn(folder, "errors_by_candidate", data, size) as figure:
        panels = figure.subplots(1, len(protocols), squeeze=False, sharey=True, sharex=True).ravel()
        for axes, protocol in zip(panels, protocols, strict=True):
            rows = table[table["protocol"] == protocol].set_index("candidate").reindex(specs)
            colours = [_colour(parse_spec(name)) for name in specs]
            axes.barh(
                range(len(specs)), rows["mae_log10"], xerr=rows["mae_log10_sd"], color=colours, height=0.7,
                error_kw={"lw": 0.8},
            )  # fmt: skip
            for position in np.flatnonzero(rows["mae_log10"].isna()):
                axes.text(0.01, position, "not judged", fontsize=6, va="center", color=OTHER_COLOUR)
            axes.set_title(SHORT_TITLES[protocol].replace(", ", ",\n"), fontsize=8)
            axes.grid(axis="x", color="#dddddd", lw=0.5)
            axes.set_axisbelow(True)
        panels[0].set_yticks(range(len(specs)), specs, fontsize=7)
        panels[0].set_ylim(len(specs) - 0.4, -0.6)
        panels[0].set_xlim(left=0)
        figure.supxlabel("MAE of log10 κ; bar: standard deviation over the splits, where there are several", fontsize=8)


def _draw_calibration(jobs: Sequence[ComparisonJob], folder: Path) -> bool:
    """Draw the share of crystals in the central intervals of each candidate's normal distribution against their level."""
    data = pd.DataFrame([row for job in jobs for row in _coverage(job)])
    if data.empty:
        return False
    protocols, specs = (list(dict.fromkeys(data[name])) for name in ("protocol", "candidate"))
    columns = min(3, len(protocols) + 1)
    rows = -(-(len(protocols) + 1) // columns)
    with drawn(folder, "calibration", data, (2.8 * columns + 0.3, 2.7 * rows + 0.3)) as figure:
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels[len(protocols) :]:
            axes.axis("off")
        for axes, protocol in zip(panels, protocols, strict=False):
            axes.plot([0, 1], [0, 1], color="black", lw=0.8)
            for name, curve in data[data["protocol"] == protocol].groupby("candidate"):
                axes.plot(curve["nominal"], curve["observed"], marker="o", ms=3, lw=1.2, **_line(str(name)))
            axes.set(xlim=(0.45, 1), ylim=(0.2, 1.02), xlabel="nominal coverage", ylabel="observed coverage")
            axes.set_title(SHORT_TITLES[protocol], fontsize=8)
        _legend(figure, panels[len(protocols)], specs)
    return True


def _coverage(job: ComparisonJob) -> list[dict[str, object]]:
    """Observed coverage at each level; empty for a candidate without a standard deviation."""
    rows = job.predictions()
    std = rows["log10_std"].to_numpy(dtype=float)
    if not np.isfinite(std).all():
        return []
    kappa, predicted, low, high = np.log10(rows[["kappa", "predicted", "low", "high"]].to_numpy(dtype=float)).T
    # A cautious point estimate lies below the centre of its distribution; an interval of its own kind has another centre.
    is_normal = np.isclose(high - low, 2 * NORMAL_90 * std, rtol=1e-2)
    distance = np.abs(kappa - np.where(is_normal, (low + high) / 2, predicted)) / std
    place = np.concatenate([split.predicted for split in job.splits])
    by_level = {
        level: pd.Series(distance <= norm.ppf((1 + level) / 2)).groupby(place).mean() for level in _INTERVAL_LEVELS
    }
    head = {"candidate": str(job.spec), "protocol": job.protocol}
    return [{**head, "nominal": level, "observed": float(held.mean())} for level, held in by_level.items()]


def _legend(figure: Figure, axes: Axes, specs: Sequence[str]) -> None:
    lines = [Line2D([], [], marker="o", ms=3, lw=1.2, **_line(name)) for name in specs]
    axes.legend(lines, specs, loc="center left", fontsize=7, handlelength=3)
    figure.suptitle(
        "Share of crystals in the central intervals of the normal distribution; below the line: too sure", fontsize=9
    )


def _colour(spec: CandidateSpec) -> str:
    return _COLOURS.get(spec.name, OTHER_COLOUR)


def _line(candidate: str) -> dict[str, Any]:
    """Colour by candidate, style by its further data."""
    spec = parse_spec(candidate)
    return {"color": _colour(spec), "linestyle": _STYLES[min(len(spec.further), len(_STYLES) - 1)]}
