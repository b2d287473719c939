"""Compute κ of crystals by a potential: from files, objects or rows of a scan to one record per crystal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from paraisite.applicability.metals import metal_concern
from paraisite.atomic import write_text_atomic
from paraisite.phonons.born import read_born_text
from paraisite.phonons.calculation import Calculation
from paraisite.phonons.handover import read_forces, write_inputs
from paraisite.phonons.queue import (
    GIVEN_BORN,
    Computation,
    Entry,
    create_computation,
    crystal_folder,
    folder_name,
    open_computation,
)
from paraisite.phonons.record import ComputeRecord, read_record, write_record
from paraisite.phonons.report import write_crystal_report
from paraisite.phonons.settings import DEFAULT_POTENTIAL, ComputeError, ComputeSettings
from paraisite.phonons.table import computed_table, write_tables
from paraisite.phonons.worker import Answer, ComputeService, ComputeTask
from paraisite.prediction.predict import predict
from paraisite.processes.child import Child
from paraisite.processes.pool import ProcessPool
from paraisite.processes.worker import TaskCrashedError, Worker
from paraisite.readers.stream import iter_crystals
from paraisite.screening.export import read_sources
from paraisite.screening.selection import Selection, select_rows
from paraisite.sources.own_output import MANIFEST
from paraisite.structures import Crystal, ReadFailure, as_crystal

if TYPE_CHECKING:
    import pandas as pd

CRASHED = "crashed"


@dataclass(frozen=True, kw_only=True)
class ComputeOptions:
    """How a computation is run; none of these changes a result.

    Attributes:
        processes: Working processes, each with one thread.
        device: `auto`, `cpu` or `cuda`.
        resume: Go on with the computation that is in the folder.
        part: (i, n) computes every n-th crystal, beginning with the i-th (from 1): a job array shares one folder so.
        max_minutes: After this time nothing new is begun; `resume` goes on.
        report: Write a page with plots for each crystal.
        on_answer: Called with every `CalculationStep`, `ComputeRecord` and `Left`.
    """

    processes: int = 1
    device: str = "auto"
    resume: bool = False
    part: tuple[int, int] = (1, 1)
    max_minutes: float | None = None
    report: bool = True
    on_answer: Callable[[Answer], None] = field(default=lambda _: None)


def compute(
    source: Any = None,
    *,
    output: str | Path,
    potential: str | None = None,
    settings: ComputeSettings | None = None,
    selection: Selection | None = None,
    born: str | Path | None = None,
    options: ComputeOptions | None = None,
) -> pd.DataFrame:
    """Compute κ of crystals: relaxation, phonons, anharmonic forces, Boltzmann transport.

    Args:
        source: A structure, a path or several of them; or the folder of a scan, whose rows `selection` chooses. None where
            a computation goes on.
        output: Folder of the computation; holds a folder per crystal and `computed.csv`.
        potential: Name of a potential, as for `load_potential`; SevenNet-l3i5 if not given.
        settings: Cells, meshes, displacements and temperatures.
        selection: Rows of a scan.
        born: A BORN file with Born charges and dielectric tensor, as phonopy reads it, for the one crystal.
        options: Processes, resuming, limits of time.

    Returns:
        A row per crystal that has a record; columns `paraisite.phonons.table.COMPUTED_COLUMNS`.

    Raises:
        ParaisiteError: No crystal can be read, the potential cannot be loaded, or the folder is used already.
    """
    chosen = options or ComputeOptions()
    computation = prepare_computation(
        source,
        output=output,
        potential=potential,
        settings=settings,
        selection=selection,
        born=born,
        resume=chosen.resume,
    )
    run_computation(Path(output), computation, chosen)
    return computed_table(output)


def prepare_computation(
    source: Any,
    *,
    output: str | Path,
    potential: str | None = None,
    settings: ComputeSettings | None = None,
    selection: Selection | None = None,
    born: str | Path | None = None,
    resume: bool = False,
) -> Computation:
    """Make the folder of a computation, or open the one to go on with; arguments as for `compute`.

    Raises:
        ParaisiteError: No crystal can be read, or the folder cannot be used.
    """
    if not resume:
        computation = Computation(
            potential=potential or DEFAULT_POTENTIAL, settings=settings or ComputeSettings(), entries=[]
        )
        return _create(source, Path(output), computation, selection, born)
    computation = open_computation(Path(output))
    _refuse_changes(computation, potential, settings)
    return computation


def run_computation(out: Path, computation: Computation, options: ComputeOptions) -> None:
    """Compute the crystals of a folder that have no record yet, and write its tables.

    Raises:
        ParaisiteError: The potential cannot be loaded.
    """
    deadline = float("inf") if options.max_minutes is None else time.time() + 60.0 * options.max_minutes
    first, step = options.part
    entries = computation.entries[first - 1 :: step]
    waiting = [entry for entry in entries if read_record(crystal_folder(out, entry)) is None]
    tasks = (ComputeTask(out, entry, deadline, options.report) for entry in waiting if time.time() < deadline)
    service = ComputeService(computation.potential, options.device, computation.settings)
    if waiting:
        start = partial(Child, service)
        recover = partial(_crashed, out=out, computation=computation)
        n_workers = min(options.processes, len(waiting))
        with ProcessPool(start, n_workers, recover, _no_items) as pool, closing(pool.as_finished(tasks)) as answers:
            for answer in answers:
                options.on_answer(answer)
                if isinstance(answer, ComputeRecord):
                    write_tables(out, computation)
    write_tables(out, computation)


def _no_items(_: object) -> int:
    """A calculation that is done again goes on from its folder."""
    return 0


def _crashed(worker: Worker, crash: TaskCrashedError, *, out: Path, computation: Computation) -> Iterator[Answer]:  # noqa: ARG001
    task: ComputeTask = crash.task
    record = ComputeRecord(
        material_id=task.entry.material_id,
        formula=task.entry.formula,
        status=CRASHED,
        message="its process ended twice, most likely for want of memory; make the setting max_supercell_atoms smaller.",
        potential=computation.potential,
        potential_version="",
        level="",
        settings=computation.settings,
    )
    write_record(crystal_folder(out, task.entry), record)
    yield record


def _refuse_changes(computation: Computation, potential: str | None, settings: ComputeSettings | None) -> None:
    if potential not in {None, computation.potential}:
        raise ComputeError(
            f"this computation uses {computation.potential}; leave out --potential, or choose another folder.",
            code="invalid_settings",
        )
    if settings is not None and settings != computation.settings:
        raise ComputeError(
            "this computation has other settings; leave them out, or choose another folder.", code="invalid_settings"
        )


def _create(
    source: Any, out: Path, empty: Computation, selection: Selection | None, born: str | Path | None
) -> Computation:
    crystals = _found(source, selection)
    if born is not None and len(crystals) != 1:
        raise ComputeError(f"A BORN file belongs to one crystal, and there are {len(crystals)}.", code="invalid_born")
    charges = None if born is None else read_born_text(Path(born))
    computation = msgspec.structs.replace(empty, entries=_entries(crystals))
    create_computation(out, computation, crystals)
    if charges is not None:
        write_text_atomic(crystal_folder(out, computation.entries[0]) / GIVEN_BORN, charges)
    return computation


def _found(source: Any, selection: Selection | None) -> list[Crystal]:
    crystals, failures = _collect(source, selection)
    if not crystals:
        reason = f" ({failures[0].message})" if failures else ""
        raise ComputeError(
            f"No crystal to compute was found{reason}; name structure files, or a scan.", code="no_crystals"
        )
    return crystals


def write_dft_inputs(source: Any, folder: str | Path, settings: ComputeSettings | None = None) -> list[Path]:
    """Write the displaced cells of crystals for a DFT code, a folder for each crystal; see `handover.write_inputs`.

    Args:
        source: As for `compute`; the crystals are taken as relaxed by the DFT code already.
        folder: A new or empty folder.
        settings: Cells and displacements.

    Returns:
        The folders, one for each crystal.

    Raises:
        ParaisiteError: No crystal can be read, a cell is too large, or the folder holds files.
    """
    crystals = _found(source, None)
    folders = [Path(folder) if len(crystals) == 1 else Path(folder) / folder_name(crystal) for crystal in crystals]
    for crystal, place in zip(crystals, folders, strict=True):
        write_inputs(crystal, place, settings)
    return folders


def compute_from_forces(inputs: str | Path, folder: str | Path, born: str | Path | None = None) -> ComputeRecord:
    """Go on to κ with forces that a DFT code gave for the cells of `write_dft_inputs`.

    Args:
        inputs: Folder of one crystal, with the outputs of the DFT code in it.
        folder: Folder of the calculation.
        born: A BORN file.

    Raises:
        ParaisiteError: Forces are missing, named by their cells, or do not belong to the cells.
    """
    place = Path(folder)
    handover = read_forces(Path(inputs), place)
    calculation = Calculation(
        crystal=handover.crystal(),
        folder=place,
        potential=None,
        settings=handover.settings,
        born=None if born is None else Path(born),
        warnings=_warnings(handover.crystal()),
    )
    record = calculation.run()
    write_crystal_report(place)
    return record


def _collect(source: Any, selection: Selection | None) -> tuple[list[Crystal], list[ReadFailure]]:
    """Crystals and failures, each crystal once."""
    items: Iterable[Crystal | ReadFailure]
    if isinstance(source, list | tuple) and len(source) == 1:
        source = source[0]
    if isinstance(source, str | Path) and (Path(source) / MANIFEST).is_file():
        rows = select_rows(source, selection or Selection())
        items = _in_order(list(rows["source"]), source)
    elif isinstance(source, str | Path):
        items = iter_crystals([source])
    elif isinstance(source, Sequence) and all(isinstance(item, str | Path) for item in source):
        items = iter_crystals(list(source))
    else:
        items = [as_crystal(item) for item in (source if isinstance(source, Sequence) else [source])]
    crystals: dict[str, Crystal] = {}
    failures = []
    for item in items:
        if isinstance(item, ReadFailure):
            failures.append(item)
        else:
            crystals.setdefault(folder_name(item), item)
    return list(crystals.values()), failures


def _in_order(sources: list[str], scan: str | Path) -> Iterator[Crystal | ReadFailure]:
    found = {item.source: item for item in read_sources(sources, scan)}
    return (found[source] for source in sources if source in found)


def _entries(crystals: list[Crystal]) -> list[Entry]:
    """Entries with what the fast model says of each crystal."""
    table = predict(crystals).to_dict("records")
    entries = []
    for crystal, row in zip(crystals, table, strict=True):
        known = row["status"] == "ok"
        entries.append(
            Entry(
                folder=folder_name(crystal),
                material_id=crystal.material_id or crystal.formula,
                formula=crystal.formula,
                kappa=float(row["kappa"]) if known else None,
                kappa_low=float(row["kappa_low"]) if known else None,
                kappa_high=float(row["kappa_high"]) if known else None,
                domain=str(row["domain"]) if known else "",
                warnings=_warnings(crystal),
            )
        )
    return entries


def _warnings(crystal: Crystal) -> list[str]:
    """What a computed κ does not hold: the heat that a metal's electrons carry."""
    metal = metal_concern(crystal.formula)
    return [] if metal is None else [f"{metal.sentence}; κ here is the lattice's alone."]
