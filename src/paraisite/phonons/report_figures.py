"""Figures of one crystal's report, from the files of its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from paraisite.phonons.harmonic import build_phono3py, phonopy_of
from paraisite.phonons.record import BORN_FILE, ComputeRecord
from paraisite.reporting.canvas import WIDTH_INCHES, drawn
from paraisite.reporting.plots import OTHER_COLOUR, plain_numbers

_BLUE, _ORANGE, _GREEN = "#0072b2", "#d55e00", "#009e73"
_TEMPERATURE_TICKS = (50.0, 100.0, 200.0, 300.0, 500.0, 1000.0)
_BAND_POINTS = 60
"""Points along the longest segment of the path; the others have as many per length."""
_DENSITY_LENGTH = 40.0
"""Mesh of the density of states: this length in Å times the reciprocal vector."""


@dataclass(frozen=True, slots=True)
class FastPrediction:
    """κ at 300 K as a model predicts it from the structure alone, in W/(m K).

    Attributes:
        model: Name of the model.
        kappa: Its estimate.
        low: Lower end of its 90 % interval; None for a model without one.
        high: Upper end.
    """

    model: str
    kappa: float
    low: float | None = None
    high: float | None = None


def draw_bands(record: ComputeRecord, folder: Path, figures: Path) -> None:
    """Band structure along the path of Setyawan and Curtarolo 2010 (ASE), and density of states; imaginary ones negative."""
    from phono3py.file_IO import read_fc2_from_hdf5  # noqa: PLC0415

    assert record.relaxed is not None  # noqa: S101 - there are no force constants without it
    born = folder / BORN_FILE
    ph3 = build_phono3py(record.relaxed, record.settings, born if born.is_file() else None)
    ph3.fc2 = read_fc2_from_hdf5(str(folder / "fc2.hdf5"))
    phonon = phonopy_of(ph3)
    segments = _path(phonon.primitive.cell)
    phonon.run_band_structure([points for _, _, points in segments])
    bands = phonon.band_structure
    phonon.run_mesh(_DENSITY_LENGTH)
    phonon.run_total_dos()
    table = pd.concat(
        [
            pd.DataFrame(frequencies, columns=[f"branch_{n}" for n in range(1, frequencies.shape[1] + 1)]).assign(
                distance=distance
            )
            for distance, frequencies in zip(bands.distances, bands.frequencies, strict=True)
        ]
    )
    with drawn(figures, "bands", table, (WIDTH_INCHES, 3.6)) as figure:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
        _draw_segments(left, bands, segments)
        right.plot(phonon.total_dos.dos, phonon.total_dos.frequency_points, color=_BLUE, lw=1)
        right.axhline(0.0, color="black", lw=0.6)
        right.set(xlabel="density of states\n(1/THz)", xlim=(0, None))
        left.set_title(record.level, fontsize=9)


def _path(cell: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Segments of the path: names of both ends, and q-points in reciprocal vectors of the cell."""
    from ase.cell import Cell  # noqa: PLC0415

    lattice: Any = Cell(cell)
    found = lattice.bandpath(npoints=2)
    ends = [
        (part[n], part[n + 1])
        for part in (_names(text) for text in found.path.split(","))
        for n in range(len(part) - 1)
    ]
    points = found.special_points
    lengths = [float(np.linalg.norm((points[b] - points[a]) @ lattice.reciprocal()[:])) for a, b in ends]
    counts = [max(5, round(_BAND_POINTS * length / max(lengths))) for length in lengths]
    return [(a, b, np.linspace(points[a], points[b], count)) for (a, b), count in zip(ends, counts, strict=True)]


def _names(text: str) -> list[str]:
    """Names of special points in ASE's notation: a letter, and a digit where one follows."""
    import re  # noqa: PLC0415

    return re.findall(r"[A-Za-z]\d*", text)


def _draw_segments(axes: Axes, bands: Any, segments: list[tuple[str, str, np.ndarray]]) -> None:
    ticks: dict[float, list[str]] = {}
    for (first, last, _), distance, frequencies in zip(segments, bands.distances, bands.frequencies, strict=True):
        axes.plot(distance, frequencies, color=_BLUE, lw=0.9)
        axes.plot(distance, np.where(frequencies < 0, frequencies, np.nan), color=_ORANGE, lw=1.2)
        for place, name in ((distance[0], first), (distance[-1], last)):
            names = ticks.setdefault(round(float(place), 9), [])
            label = {"G": "Γ"}.get(name, name)
            if label not in names:
                names.append(label)
    for place in ticks:
        axes.axvline(place, color="#cccccc", lw=0.5, zorder=0)
    axes.axhline(0.0, color="black", lw=0.6)
    axes.set_xticks(list(ticks), ["|".join(names) for names in ticks.values()])
    axes.set(ylabel="frequency (THz)", xlim=(0, max(ticks)))


def draw_kappa(record: ComputeRecord, figures: Path, prediction: FastPrediction | None) -> None:
    """κ by temperature, with Wigner's coherence term, and the fast model's prediction with its interval."""
    found = record.transport
    assert found is not None  # noqa: S101 - drawn where there is κ
    table = pd.DataFrame({"temperature_k": found.temperatures_k, "kappa": found.kappa})
    if found.kappa_coherence:
        table["kappa_coherence"] = found.kappa_coherence
    with drawn(figures, "kappa", table, (WIDTH_INCHES * 0.75, 3.4)) as figure:
        axes = figure.add_subplot()
        axes.plot(
            table["temperature_k"], table["kappa"], "o-", ms=3.5, color=_BLUE, label="relaxation-time approximation"
        )
        if found.kappa_coherence:
            total = table["kappa"] + table["kappa_coherence"]
            axes.plot(table["temperature_k"], total, "--", color=_GREEN, label="with the coherence term")
        if prediction is not None:
            _draw_prediction(axes, prediction)
        axes.set(xscale="log", yscale="log", xlabel="temperature (K)", ylabel="κ (W/(m K))")
        lowest, highest = axes.get_xlim()
        axes.set_xticks([value for value in _TEMPERATURE_TICKS if lowest <= value <= highest])
        _more_ticks(axes)
        plain_numbers(axes, "x", "y")
        axes.legend(fontsize=8, loc="lower left")
        axes.set_title(record.level, fontsize=9)


def _more_ticks(axes: Axes) -> None:
    """Ticks at 1, 2 and 5 of each decade, so that an axis of one decade has some."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


def _draw_prediction(axes: Axes, prediction: FastPrediction) -> None:
    error = None
    if prediction.low is not None and prediction.high is not None:
        error = [[prediction.kappa - prediction.low], [prediction.high - prediction.kappa]]
    axes.errorbar(
        [300.0], [prediction.kappa], yerr=error, fmt="D", ms=5, color=_ORANGE, capsize=3,
        label=f"{prediction.model}, from the structure alone" + (", 90 % interval" if error else ""),
    )  # fmt: skip


def draw_cumulative(record: ComputeRecord, figures: Path) -> None:
    """Cumulative κ against frequency and against mean free path."""
    modes = record.modes
    assert modes is not None  # noqa: S101 - drawn where there is κ
    table = pd.DataFrame({
        "frequency_thz": modes.frequency_thz, "kappa_below_frequency": modes.kappa_below_frequency,
        "mean_free_path_nm": modes.mean_free_path_nm, "kappa_below_mean_free_path": modes.kappa_below_mean_free_path,
    })  # fmt: skip
    with drawn(figures, "cumulative", table, (WIDTH_INCHES, 3.0)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        left.plot(table["frequency_thz"], table["kappa_below_frequency"], color=_BLUE)
        left.set(
            xlabel="frequency (THz)", ylabel=f"κ of modes below (W/(m K)), {modes.temperature_k:g} K", xlim=(0, None)
        )
        right.plot(table["mean_free_path_nm"], table["kappa_below_mean_free_path"], color=_BLUE)
        right.set(xscale="log", xlabel="mean free path (nm)", ylim=(0, None))
        plain_numbers(right, "x")
        figure.suptitle(record.level, fontsize=9)


def draw_lifetimes(record: ComputeRecord, kappa_file: Path, figures: Path) -> None:
    """Lifetimes of the modes against their frequency, at the temperature nearest to 300 K."""
    import h5py  # noqa: PLC0415

    with h5py.File(kappa_file) as file:
        temperatures = file["temperature"][:]
        index = int(np.abs(temperatures - 300.0).argmin())
        frequency, linewidth = file["frequency"][:], file["gamma"][index]
        if "gamma_isotope" in file:
            linewidth = linewidth + file["gamma_isotope"][:]
    used = (linewidth > 0) & (frequency > 0)
    lifetime = 1.0 / (4.0 * np.pi * linewidth[used])
    table = pd.DataFrame({"frequency_thz": frequency[used], "lifetime_ps": lifetime})
    with drawn(figures, "lifetimes", table, (WIDTH_INCHES * 0.75, 3.2)) as figure:
        axes = figure.add_subplot()
        axes.plot(table["frequency_thz"], table["lifetime_ps"], "o", ms=2.5, color=_BLUE, mew=0, alpha=0.6)
        at = np.linspace(table["frequency_thz"].min(), table["frequency_thz"].max(), 100)
        # Below a period, a mode is no phonon that a Boltzmann equation describes.
        axes.plot(at, 1.0 / at, "--", color=OTHER_COLOUR, lw=0.9, label="one period")
        axes.set(yscale="log", xlabel="frequency (THz)", ylabel=f"lifetime (ps), {temperatures[index]:g} K")
        _more_ticks(axes)
        plain_numbers(axes, "y")
        axes.legend(fontsize=8)
        axes.set_title(record.level, fontsize=9)
