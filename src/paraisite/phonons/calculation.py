"""One crystal from its structure to κ, in a folder that holds every finished stage.

What is not computed again when a calculation goes on: answers of the potential, one by one (`forces.py`), and the results of
stages that ended. Everything else, force constants included, follows from them to the same last digit.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from paraisite.atomic import atomic_path, write_text_atomic
from paraisite.errors import OutputError, ParaisiteError
from paraisite.phonons.anharmonic import AnharmonicPlan, fit_third_order, plan_third_order, third_order
from paraisite.phonons.born import read_born_text
from paraisite.phonons.cost import check_memory
from paraisite.phonons.forces import ForceStore, arrays_key
from paraisite.phonons.harmonic import Phonons, build_phono3py, harmonic_phonons, second_order
from paraisite.phonons.record import (
    BORN_FILE,
    RECORD_OK,
    ComputeRecord,
    read_record,
    read_source,
    read_struct,
    write_record,
    write_struct,
)
from paraisite.phonons.relax import RelaxedCell, relax
from paraisite.phonons.settings import ComputeError, ComputeSettings, calculation_fingerprint
from paraisite.phonons.solve import Conductivity, solve
from paraisite.structures import Crystal, to_ase

if TYPE_CHECKING:
    from phono3py import Phono3py

    from paraisite.phonons.potentials.potential import Potential

STOPPED = "stopped"
_PASSING = frozenset({STOPPED, "forces_missing"})
"""Reasons that another run can mend without other settings; they leave no record."""
CALCULATION_MANIFEST = "manifest.json"


class CalculationManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder belongs to."""

    fingerprint: str
    material_id: str
    potential: str
    potential_version: str
    settings: ComputeSettings
    born: str = ""


@dataclass(frozen=True, slots=True)
class CalculationStep:
    """Where a calculation is.

    Attributes:
        material_id: The crystal.
        stage: `relax`, `harmonic`, `anharmonic`, `conductivity`.
        force_calls: Force calls made in this run.
        atoms: Atoms of these calls together.
    """

    material_id: str
    stage: str
    force_calls: int
    atoms: int


@dataclass(kw_only=True)
class Calculation:
    """A calculation of κ for one crystal; `run` does what is left of it.

    Attributes:
        crystal: The crystal.
        folder: Its folder, made by the first run.
        potential: What gives the forces; None where they are read from DFT.
        settings: Cells, meshes, displacements, temperatures.
        born: A BORN file of phonopy, for the non-analytic correction; copied into the folder.
        warnings: What is known about the crystal beforehand, such as that it is a metal.
        on_step: Called after every force call and at the start of every stage.
        deadline: Value of `time.monotonic()` after which no force call or stage is begun.
    """

    crystal: Crystal
    folder: Path
    potential: Potential | None
    settings: ComputeSettings = field(default_factory=ComputeSettings)
    born: Path | None = None
    warnings: list[str] = field(default_factory=list)
    on_step: Callable[[CalculationStep], None] = lambda _: None
    deadline: float = float("inf")

    def __post_init__(self) -> None:
        """Prepare the store of forces."""
        self._stage = "relax"
        self._atoms = 0
        self._found: dict[str, Any] = {}
        self._seconds: dict[str, float] = {}
        self._since: float | None = None
        self.store = ForceStore(self.folder / "forces", self.potential, self._called)

    def run(self) -> ComputeRecord:
        """Go on until there is a record; one that is there already is given as it is.

        Raises:
            OutputError: The folder belongs to another crystal, potential or other settings.
            ComputeError: `stopped` by the deadline, or `forces_missing`; the calculation can go on later.
        """
        self._claim()
        if (record := read_record(self.folder)) is not None:
            return record
        status, message = RECORD_OK, ""
        try:
            self._all_stages()
        except ParaisiteError as error:
            if error.code in _PASSING:
                raise
            status, message = error.code, str(error)
        except Exception as error:  # one crystal of many: its reason is a record
            status, message = "compute_failed", f"{type(error).__name__}: {error}"
        record = self._record(status, message)
        write_record(self.folder, record)
        return record

    def _all_stages(self) -> None:
        if self.potential is not None:
            self.potential.check_elements(self.crystal.numbers)
        relaxed = self._do(
            "relax", "relaxed", RelaxedCell, lambda: relax(to_ase(self.crystal), self.store, self.settings)
        )
        ph3 = build_phono3py(relaxed, self.settings, self.born)
        phonons = self._do("harmonic", "phonons", Phonons, lambda: self._harmonic(ph3))
        if not phonons.stable and self.settings.imaginary != "go-on":
            raise ComputeError(
                f"imaginary modes: the lowest frequency is {phonons.lowest_frequency:.3g} THz at q = {phonons.lowest_at}.",
                code="imaginary_modes",
            )
        plan = self._do("anharmonic", "plan", AnharmonicPlan, lambda: plan_third_order(ph3, self.settings))
        check_memory(ph3, plan, phonons.mesh, self.settings)
        self._do("conductivity", "conductivity", Conductivity, lambda: self._solve(ph3, plan))

    def _harmonic(self, ph3: Phono3py) -> Phonons:
        self._second_order(ph3)
        return harmonic_phonons(ph3, self.settings)

    def _second_order(self, ph3: Phono3py) -> None:
        from phono3py.file_IO import write_fc2_to_hdf5  # noqa: PLC0415

        second_order(ph3, self.store, self.settings)
        with atomic_path(self.folder / "fc2.hdf5") as temporary:
            write_fc2_to_hdf5(ph3.fc2, filename=str(temporary), p2s_map=ph3.phonon_primitive.p2s_map)

    def _third_order(self, ph3: Phono3py, plan: AnharmonicPlan) -> None:
        from phono3py.file_IO import write_fc3_to_hdf5  # noqa: PLC0415

        third_order(ph3, self.store, plan, self.settings)
        self._pause()
        fit_third_order(ph3, plan, self.settings, plan.cutoff_angstrom)
        with atomic_path(self.folder / "fc3.hdf5") as temporary:
            write_fc3_to_hdf5(ph3.fc3, ph3.fc3_nonzero_indices, str(temporary), ph3.primitive.p2s_map, ph3.fc3_cutoff)

    def _solve(self, ph3: Phono3py, plan: AnharmonicPlan) -> Conductivity:
        if ph3.fc2 is None:  # a calculation that goes on after its harmonic stage
            self._second_order(ph3)
        self._begin("anharmonic")
        self._third_order(ph3, plan)
        self._begin("conductivity")
        return solve(ph3, plan, self.settings, folder=self.folder, pause=self._pause)

    def _do(self, stage: str, name: str, kind: type[Any], work: Callable[[], Any]) -> Any:
        """The result of a stage: from its file, or by doing it."""
        path = self.folder / f"{name}.json"
        result = read_struct(path, kind)
        if result is None:
            self._begin(stage)
            result = work()
            write_struct(path, result)
        self._found[name] = result
        return result

    def _begin(self, stage: str) -> None:
        self._pause()
        self._end()
        self._stage, self._since = stage, time.perf_counter()
        self._report()

    def _end(self) -> None:
        if self._since is not None:
            spent = time.perf_counter() - self._since
            self._seconds[self._stage] = round(self._seconds.get(self._stage, 0.0) + spent, 2)
            self._since = None

    def _called(self, n_atoms: int) -> None:
        self._atoms += n_atoms
        self._report()
        self._pause()

    def _report(self) -> None:
        self.on_step(CalculationStep(self.crystal.material_id, self._stage, self.store.calls, self._atoms))

    def _pause(self) -> None:
        if time.monotonic() > self.deadline:
            raise ComputeError("stopped: the time that was given is over; --resume goes on.", code=STOPPED)

    def _claim(self) -> None:
        source = self.potential or read_source(self.folder)
        charges = read_born_text(self.born) if self.born else ""
        born = hashlib.sha256(charges.encode()).hexdigest() if self.born else ""
        manifest = CalculationManifest(
            fingerprint=calculation_fingerprint(
                self.settings, f"{source.name} {source.version}{born}", crystal_key(self.crystal)
            ),
            material_id=self.crystal.material_id,
            potential=source.name,
            potential_version=source.version,
            settings=self.settings,
            born=born,
        )
        path = self.folder / CALCULATION_MANIFEST
        earlier = read_struct(path, CalculationManifest)
        if earlier is not None and earlier.fingerprint != manifest.fingerprint:
            raise OutputError(f"{self.folder} holds {_difference(earlier, manifest)}; choose another folder.")
        if earlier is None:
            write_struct(path, manifest)
            if self.born is not None:
                write_text_atomic(self.folder / BORN_FILE, charges)

    def _record(self, status: str, message: str) -> ComputeRecord:
        self._end()
        found: Conductivity | None = self._found.get("conductivity")
        source = self.potential or read_source(self.folder)
        return ComputeRecord(
            material_id=self.crystal.material_id,
            formula=self.crystal.formula,
            status=status,
            message=message,
            potential=source.name,
            potential_version=source.version,
            level=source.level,
            settings=self.settings,
            relaxed=self._found.get("relaxed"),
            phonons=self._found.get("phonons"),
            plan=self._found.get("plan"),
            transport=found.transport if found else None,
            modes=found.modes if found else None,
            warnings=[*self.warnings, *getattr(source, "warnings", ())],
            force_calls=len(self.store),
            seconds=self._seconds,
        )


def crystal_key(crystal: Crystal) -> str:
    """SHA-256 of a crystal's elements, cell and positions."""
    return arrays_key(crystal.numbers, crystal.cell, crystal.fractional)


def _difference(earlier: CalculationManifest, now: CalculationManifest) -> str:
    if earlier.potential != now.potential or earlier.potential_version != now.potential_version:
        return f"a calculation by {earlier.potential} ({earlier.potential_version})"
    if earlier.born != now.born:
        return (
            f"a calculation with {'another' if earlier.born and now.born else 'a' if earlier.born else 'no'} BORN file"
        )
    changed = [
        name
        for name in ComputeSettings.__struct_fields__
        if getattr(earlier.settings, name) != getattr(now.settings, name)
    ]
    if changed:
        return f"a calculation with other settings ({', '.join(changed)})"
    return f"a calculation of another crystal ({earlier.material_id})"
