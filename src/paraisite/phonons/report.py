"""Report of one crystal: one HTML page, the same in Markdown, and figures, from the folder of its calculation alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paraisite.atomic import write_text_atomic
from paraisite.errors import RunError
from paraisite.outputs import output_folder
from paraisite.phonons.record import BORN_FILE, RECORD_OK, ComputeRecord, read_record
from paraisite.phonons.report_figures import FastPrediction, draw_bands, draw_cumulative, draw_kappa, draw_lifetimes
from paraisite.phonons.transport import nearest_room
from paraisite.reporting.page import html_page
from paraisite.reporting.tables import NOTHING, plain_text

_LARGE_ERROR = 0.1
"""A convergence error above this is said before anything else."""


@dataclass(frozen=True, slots=True)
class CrystalContent:
    """What the sections are made of.

    Attributes:
        record: The record.
        figures: Names of the figures that could be drawn.
        prediction: The fast model's prediction.
        born: Whether the non-analytic correction was used.
    """

    record: ComputeRecord
    figures: frozenset[str]
    prediction: FastPrediction | None
    born: bool


def write_crystal_report(
    folder: Path, out: Path | None = None, *, prediction: FastPrediction | None = None, force: bool = False
) -> Path:
    """Write the report of one crystal's calculation, finished or failed: what is there is shown.

    The folder gets `index.html` (needs nothing else), `report.md` and `figures/` (PNG, SVG, and CSV of what they show). An
    earlier report in it is replaced as a whole.

    Args:
        folder: Folder of the calculation, with `record.json`, `fc2.hdf5` and `kappa-*.hdf5` as far as it came.
        out: Where to write; without it `report` in that folder.
        prediction: κ at 300 K as a model predicts it from the structure, to be drawn and listed beside.
        force: Overwrite what is in the way in a folder that holds other files.

    Returns:
        Path of `index.html`.

    Raises:
        RunError: The folder holds no record.
        OutputError: `out` holds other files than a report.
    """
    record = read_record(folder)
    if record is None:
        raise RunError(f"{folder} holds no finished calculation; run it to its end first.")
    out = out if out is not None else folder / "report"
    with output_folder(out, "compute report", force=force) as new:
        figures = _draw(record, folder, new / "figures", prediction)
        content = CrystalContent(record, figures, prediction, (folder / BORN_FILE).is_file())
        markdown = "\n\n".join(block for section in CRYSTAL_SECTIONS if (block := section(content))) + "\n"
        write_text_atomic(new / "report.md", markdown)
        write_text_atomic(new / "index.html", html_page(markdown, new))
    return out / "index.html"


def _draw(record: ComputeRecord, folder: Path, figures: Path, prediction: FastPrediction | None) -> frozenset[str]:
    names = set()
    if record.relaxed is not None and (folder / "fc2.hdf5").is_file():
        draw_bands(record, folder, figures)
        names.add("bands")
    if record.transport is not None and record.modes is not None:
        draw_kappa(record, figures, prediction)
        draw_cumulative(record, figures)
        names |= {"kappa", "cumulative"}
        if kappa_file := next(iter(sorted(folder.glob("kappa-m*.hdf5"))), None):
            draw_lifetimes(record, kappa_file, figures)
            names.add("lifetimes")
    return frozenset(names)


def _summary(content: CrystalContent) -> str:
    record = content.record
    name = plain_text(record.material_id)
    lines = [
        f"# Lattice thermal conductivity of {plain_text(record.formula)}" + (f" ({name})" if name else ""),
        _level(record),
    ]
    if record.status != RECORD_OK:
        return "\n\n".join([*lines, f"**No κ: {plain_text(record.message)}** (`{record.status}`)"])
    found = record.transport
    if found is None:
        return "\n\n".join(lines)
    index = nearest_room(tuple(found.temperatures_k))
    error = record.convergence_error
    checked = "convergence not checked" if error is None else f"convergence error {100 * error:.0f} %"
    lines.append(f"**κ = {found.kappa[index]:.3g} W/(m K) at {found.temperatures_k[index]:g} K** ({checked}).")
    if error is not None and error > _LARGE_ERROR:
        lines.append("κ is not converged: use a denser mesh (`--set mesh_length_angstrom=…`) or a longer cutoff.")
    if prediction := content.prediction:
        ends = (
            f" (90 % interval {prediction.low:.3g} to {prediction.high:.3g})"
            if prediction.low and prediction.high
            else ""
        )
        lines.append(
            f"{plain_text(prediction.model)} predicts {prediction.kappa:.3g} W/(m K){ends} at 300 K from the structure."
        )
    return "\n\n".join(lines)


def _level(record: ComputeRecord) -> str:
    by = f"{plain_text(record.potential)} ({plain_text(record.potential_version) or 'version not stated'})"
    return f"> Level of every computed number here: **{plain_text(record.level)}**, {by}."


def _warnings(content: CrystalContent) -> str:
    if not content.record.warnings:
        return ""
    return "## Warnings\n\n" + "\n".join(f"- {plain_text(warning)}" for warning in content.record.warnings)


def _kappa(content: CrystalContent) -> str:
    found = content.record.transport
    if found is None:
        return ""
    head = "| T (K) | κ | xx | yy | zz | yz | xz | xy | coherence | direct / RTA |\n|" + "---|" * 10
    rows = []
    for index, temperature in enumerate(found.temperatures_k):
        coherence = f"{found.kappa_coherence[index]:.3g}" if found.kappa_coherence else NOTHING
        direct = f"{found.kappa_direct[index]:.3f}" if found.kappa_direct else NOTHING
        tensor = " | ".join(_component(value, found.kappa[index]) for value in found.kappa_tensor[index])
        rows.append(f"| {temperature:g} | **{found.kappa[index]:.4g}** | {tensor} | {coherence} | {direct} |")
    mesh = " × ".join(str(number) for number in found.mesh)
    text = (
        f"κ in W/(m K): relaxation-time approximation (RTA) with isotope scattering on {mesh} q-points; a third of the trace "
        "of the tensor. The coherence term (Wigner transport) would be added. “direct / RTA” is the ratio of the direct "
        "solution of the Boltzmann equation to the RTA. Both are from a coarser mesh."
    )
    changes = (
        f"Changes at 300 K: {_percent(found.mesh_change)} with the coarser mesh, {_percent(found.cutoff_change)} with "
        "the shorter cutoff of third order; the convergence error is their sum in squares."
    )
    picture = "![κ by temperature](figures/kappa.png)" if "kappa" in content.figures else ""
    return "\n\n".join(["## Conductivity", text, "\n".join([head, *rows]), changes, picture])


def _component(value: float, kappa: float) -> str:
    """A component of the tensor; what is rounding beside κ is zero."""
    return f"{value:.4g}".replace("-", "−") if abs(value) > 1e-6 * kappa else "0"


def _percent(value: float | None) -> str:
    return "not checked" if value is None else f"{100 * value:.1f} %"


def _modes(content: CrystalContent) -> str:
    if "cumulative" not in content.figures:
        return ""
    blocks = ["## Which phonons carry the heat", "![cumulative κ](figures/cumulative.png)"]
    if "lifetimes" in content.figures:
        blocks += [
            "![lifetimes by frequency](figures/lifetimes.png)",
            "A mode whose lifetime is below its period (dashed) is not described by a Boltzmann equation.",
        ]
    return "\n\n".join(blocks)


def _phonons(content: CrystalContent) -> str:
    record = content.record
    found = record.phonons
    if found is None:
        return ""
    blocks = ["## Phonons"]
    if found.stable:
        blocks.append(f"No imaginary mode on {' × '.join(str(number) for number in found.mesh)} q-points.")
    else:
        places = "; ".join("(" + ", ".join(f"{value:g}" for value in q) + ")" for q in found.imaginary_at)
        blocks.append(
            f"**Imaginary modes**: {100 * found.imaginary_share:.2g} % of the modes, the lowest at "
            f"{found.lowest_frequency:.3g} THz. Where, in reciprocal vectors of the primitive cell: {places}."
        )
    if "bands" in content.figures:
        blocks.append("![band structure and density of states](figures/bands.png)")
    blocks.append(_table(_phonon_rows(record)))
    return "\n\n".join(blocks)


def _phonon_rows(record: ComputeRecord) -> list[tuple[str, str]]:
    found = record.phonons
    assert found is not None  # noqa: S101 - asked by `_phonons` alone
    index = nearest_room(record.settings.temperatures_k)
    rows = [
        ("Debye temperature, from the second moment of the spectrum", f"{found.debye_temperature_k:.4g} K"),
        (
            f"Heat capacity at {record.settings.temperatures_k[index]:g} K",
            f"{found.heat_capacity[index]:.3f} k_B per atom".replace("_", r"\_"),
        ),
        ("Lowest optical frequency at Γ", _thz(found.lowest_optical)),
        ("Highest frequency", _thz(found.highest_frequency)),
    ]
    if record.modes is not None:
        rows.append(
            (
                f"Median lifetime at {record.modes.temperature_k:g} K, weighted by κ",
                f"{record.modes.median_lifetime_ps:.3g} ps",
            )
        )
        anharmonic = record.modes.anharmonicity
        mean = anharmonic.gruneisen_mean if anharmonic else None
        if anharmonic and mean is not None and anharmonic.phase_space is not None and anharmonic.phase_space_mesh:
            mesh = " × ".join(str(number) for number in anharmonic.phase_space_mesh)
            rows += [
                ("Mode Grüneisen parameter, mean by heat capacity", f"{mean:.3f}".replace("-", "−")),
                ("Mode Grüneisen parameter, root mean square", f"{anharmonic.gruneisen_rms:.3f}"),
                (
                    f"Three-phonon phase space P₃ on {mesh} q-points (joint density of states)",
                    f"{anharmonic.phase_space:.3g} THz⁻¹",
                ),
            ]
    return rows


def _thz(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g} THz".replace("-", "−")


def _how(content: CrystalContent) -> str:
    record = content.record
    rows = [
        ("Potential", plain_text(record.potential)),
        ("Version", plain_text(record.potential_version) or NOTHING),
        ("Level", plain_text(record.level)),
        ("Non-analytic correction", "from a BORN file" if content.born else "none: LO and TO modes meet at Γ"),
    ]
    if cell := record.relaxed:
        change = "as given" if cell.largest_force is None else f"{100 * cell.volume_change:+.2f} % by the relaxation"
        force = "" if cell.largest_force is None else f", largest force left {cell.largest_force:.1e} eV/Å"
        rows += [("Space group", str(cell.space_group)), ("Volume", change.replace("-", "−") + force)]
    if record.phonons:
        rows.append(("Supercell of second order", _multiples(record.phonons.supercell)))
    if plan := record.plan:
        cells = f"{_multiples(plan.supercell)}, {plan.n_atoms} atoms, {plan.n_cells} displaced cells"
        rows += [("Supercell of third order", cells), ("Cutoff of third order", f"{plan.cutoff_angstrom:g} Å")]
    rows.append(("Cells whose forces were computed", str(record.force_calls)))
    rows.append(
        (
            "Time",
            ", ".join(f"{plain_text(stage)} {seconds:.0f} s" for stage, seconds in record.seconds.items()) or NOTHING,
        )
    )
    settings = [(f"`{name}`", plain_text(getattr(record.settings, name))) for name in record.settings.__struct_fields__]
    return "\n\n".join(["## How it was computed", _table(rows), "### Settings", _table(settings)])


def _multiples(supercell: tuple[int, int, int]) -> str:
    return " × ".join(str(number) for number in supercell) + " conventional cells"


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| Quantity | Value |\n|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


CRYSTAL_SECTIONS: tuple[Callable[[CrystalContent], str], ...] = (_summary, _warnings, _kappa, _modes, _phonons, _how)
