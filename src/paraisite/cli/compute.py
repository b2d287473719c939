"""The command that computes κ by a potential."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from paraisite.cli.options import DeviceOption
from paraisite.cli.output import SOME_FAILED, say, show_table
from paraisite.cli.scan_results import (
    DomainOption,
    ElementsOption,
    HighestOption,
    LowestOption,
    MaxAtomsOption,
    UniqueOption,
    WhereOption,
    WithoutOption,
)
from paraisite.errors import ParaisiteError

if TYPE_CHECKING:
    import pandas as pd

    from paraisite.phonons.queue import Computation
    from paraisite.phonons.settings import ComputeSettings

_SHOWN = {
    "material_id": "id", "formula": "formula", "computed_kappa": "κ computed", "convergence_error": "± share",
    "predicted_kappa": "κ predicted", "lowest_frequency_thz": "lowest THz", "computed_status": "status",
}  # fmt: skip


def compute(
    source: Annotated[
        list[Path] | None,
        typer.Argument(help="Structure files or folders, or the folder of a scan; none with --resume."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the computation.")] = Path("computation"),
    potential: Annotated[
        str,
        typer.Option(
            "--potential",
            help="sevennet:7net-l3i5, sevennet:7net-0, chgnet, nequix:PATH, mace:PATH, module:factory, emt …",
        ),
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the computation that is in the folder.")] = False,
    lowest: LowestOption = None,
    highest: HighestOption = None,
    max_atoms: MaxAtomsOption = None,
    elements: ElementsOption = "",
    without_elements: WithoutOption = "",
    domain: DomainOption = None,
    unique: UniqueOption = False,
    where: WhereOption = None,
    temperatures: Annotated[
        str, typer.Option("--temperatures", help="Temperatures in K, such as 100,300,600; 100 to 1000 by 100 if unset.")
    ] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of a setting, such as mesh_length_angstrom=60; may be repeated."),
    ] = None,
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, help="Working processes, one thread each.")] = 1,
    part: Annotated[
        str, typer.Option("--part", help="i/n: only every n-th crystal from the i-th, for a job array on one folder.")
    ] = "1/1",
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", min=0, help="Begin nothing new after this time; --resume goes on.")
    ] = None,
    device: DeviceOption = "auto",
    born: Annotated[
        Path | None, typer.Option("--born", help="BORN file of the one crystal: Born charges, dielectric tensor.")
    ] = None,
    write_inputs: Annotated[
        Path | None,
        typer.Option(
            "--write-inputs", help="Write displaced cells for VASP and Quantum ESPRESSO here; compute nothing."
        ),
    ] = None,
    read_forces: Annotated[
        Path | None, typer.Option("--read-forces", help="Go on to κ with the outputs in this folder of --write-inputs.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write a page with plots for each crystal.")
    ] = True,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print what it would cost, and compute nothing.")
    ] = False,
) -> int:
    """Compute κ of crystals by an interatomic potential: relaxation, phonons, anharmonic forces, Boltzmann transport."""
    from paraisite.cli.progress import compute_progress
    from paraisite.cli.scan_results import make_selection
    from paraisite.phonons.compute import ComputeOptions, prepare_computation, run_computation
    from paraisite.phonons.table import computed_table

    selection = make_selection(lowest, highest, max_atoms, elements, without_elements, domain, None, unique, where)
    if write_inputs is not None:
        return _write_inputs(source or [], write_inputs, _settings(temperatures, setting or []))
    if read_forces is not None:
        return _from_forces(read_forces, output, born)
    settings, array_part = _settings(temperatures, setting or []), _part(part)
    computation = prepare_computation(
        source or None,
        output=output,
        potential=potential or None,
        settings=settings,
        selection=selection,
        born=born,
        resume=resume,
    )
    if estimate or not resume:
        say(_cost(output, computation, device))
    if estimate:
        say(f"paraisite compute -o {output} --resume computes them.")
        return 0
    with compute_progress(Console(stderr=True), len(computation.entries)) as line:
        options = ComputeOptions(
            processes=processes,
            device=device,
            part=array_part,
            max_minutes=max_minutes,
            report=report,
            on_answer=line.answered,
        )
        run_computation(output, computation, options)
    return _show(computed_table(output), output, len(computation.entries))


def _write_inputs(source: list[Path], folder: Path, settings: ComputeSettings | None) -> int:
    from paraisite.phonons.compute import write_dft_inputs

    for place in write_dft_inputs(source, folder, settings):
        say(f"Displaced cells, inputs and a README: {place}", stderr=False)
    return 0


def _from_forces(inputs: Path, folder: Path, born: Path | None) -> int:
    from paraisite.phonons.compute import compute_from_forces

    record = compute_from_forces(inputs, folder, born)
    kappa = record.kappa_at()
    said = record.message if kappa is None else f"κ {kappa:.4g} W/(m K) at 300 K"
    say(f"{record.material_id} ({record.level}): {said}: {folder / 'report' / 'index.html'}", stderr=False)
    return 0 if kappa is not None else SOME_FAILED


def _settings(temperatures: str, given: list[str]) -> ComputeSettings | None:
    """Settings that differ from the defaults; None where none was given."""
    import msgspec

    from paraisite.phonons.settings import ComputeError, ComputeSettings

    values: dict[str, Any] = {}
    for item in given:
        name, sign, text = item.partition("=")
        if not sign or name not in ComputeSettings.__struct_fields__:
            names = ", ".join(ComputeSettings.__struct_fields__)
            raise ComputeError(
                f"--set {item} is no setting; give NAME=VALUE with one of {names}.", code="invalid_settings"
            )
        values[name] = text
    if temperatures:
        values["temperatures_k"] = [part for part in re.split(r"[,\s]+", temperatures) if part]
    if not values:
        return None
    try:
        return msgspec.convert(values, ComputeSettings, strict=False)
    except msgspec.ValidationError as error:
        raise ComputeError(f"A setting cannot be used: {error}.", code="invalid_settings") from error


def _part(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ParaisiteError(f"--part {text} is not i/n with i from 1 to n, such as 3/20.")
    return int(found[1]), int(found[2])


def _cost(out: Path, computation: Computation, device: str) -> str:
    """What is ahead, in one line, with the time of one force call that is made here."""
    from paraisite.phonons.cost import total_cost
    from paraisite.phonons.potentials.registry import load_potential
    from paraisite.phonons.queue import crystal_folder, read_input

    crystals = [read_input(crystal_folder(out, entry)) for entry in computation.entries]
    with tempfile.TemporaryDirectory() as folder:
        cost = total_cost(
            crystals, computation.settings, load_potential(computation.potential, device=device), Path(folder)
        )
    minutes = cost.force_seconds / 60.0
    return (
        f"{cost.crystals} of {len(crystals)} crystals, {cost.force_calls} force calls on {cost.atoms} atoms: about "
        f"{minutes:.1f} minutes by one process, and as much again for κ; {cost.memory_gib:.1f} GiB for the largest."
    )


def _show(table: pd.DataFrame, out: Path, total: int) -> int:
    if not table.empty:
        show_table(table[list(_SHOWN)].rename(columns=_SHOWN), Console())
    failed = table[table["computed_status"] != "ok"]
    for row in failed.itertuples():
        say(f"{row.material_id}: {row.computed_message}")
    waiting = total - len(table)
    left = f", {waiting} left: --resume goes on" if waiting else ""
    say(f"{len(table) - len(failed)} of {total} crystals computed{left}: {out}", stderr=False)
    return SOME_FAILED if waiting or len(failed) else 0
