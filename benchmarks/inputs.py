"""Inputs of the benchmarks, made from real crystals: a training set, CIF files, large perturbed sets, databases to scan."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ase.data import chemical_symbols

from paraisite.datasets.catalogue import find_data_file, load_data_set, locate_data_file, select
from paraisite.datasets.splits import published_train_indices
from paraisite.elements import ELEMENTS
from paraisite.graphs.build import build_graphs
from paraisite.readers import iter_crystals
from paraisite.structures import Crystal, to_pymatgen

N_MEMBERS = 9
SUBSTITUTION_PROBABILITY = 0.5
STRAIN = 0.02
RATTLE_ANGSTROM = (0.01, 0.05)
SYMPREC_ANGSTROM = 0.01
DATABASE_SETS = ("aflow_agl", "aflow_unlabelled", "mp_scan")
"""What a database to scan is made of; those that the data folder does not hold are left out."""
STRAIN_STEP = 0.005
"""Linear strain from one copy of a crystal to its next: its distances change by more than a graph hash can overlook."""
ROWS_A_GROUP = 100_000

# Groups of elements that replace each other.
_GROUPS = (
    "Li Na K Rb Cs", "Be Mg Ca Sr Ba", "Sc Y La Ce Pr Nd Sm Gd Tb Dy Ho Er Tm Lu", "Ti Zr Hf", "V Nb Ta", "Cr Mo W",
    "Mn Tc Re", "Fe Ru Os", "Co Rh Ir", "Ni Pd Pt", "Cu Ag Au", "Zn Cd Hg", "B Al Ga In Tl", "C Si Ge Sn Pb",
    "N P As Sb Bi", "O S Se Te", "F Cl Br I",
)  # fmt: skip


@cache
def aflow_crystals(data: str | None, n: int | None = None) -> tuple[list[Crystal], np.ndarray]:
    """AFLOW crystals that have a graph, with κ in W/(m K).

    Args:
        data: Data folder.
        n: Number of crystals, every fourth of the set; all of the set without it.
    """
    loaded = load_data_set("aflow_agl", data)
    chosen = range(len(loaded.crystals)) if n is None else range(0, len(loaded.crystals), 4)
    loaded = select(loaded, list(chosen), [])
    kept = build_graphs(loaded.crystals).kept[:n]
    return [loaded.crystals[index] for index in kept], loaded.kappa[kept]


def training_set(work: str, data: str | None, n: int) -> Path:
    """Write `train.extxyz` and `splits.json` (training crystals of each member, the published 80 %)."""
    folder = Path(work) / f"train-{n}"
    if not (folder / "splits.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        crystals, kappa = aflow_crystals(data, n)
        write_extxyz(folder / "train.extxyz", crystals, kappa)
        splits = [published_train_indices(len(crystals), run).tolist() for run in range(1, N_MEMBERS + 1)]
        (folder / "splits.json").write_text(json.dumps(splits))
    return folder


def write_extxyz(path: Path, crystals: Iterable[Crystal], kappa: Sequence[float] | np.ndarray | None = None) -> None:
    """Write crystals as one extxyz file."""
    with path.open("w") as stream:
        for index, crystal in enumerate(crystals):
            lattice = " ".join(f"{value:.10f}" for value in crystal.cell.ravel())
            label = "" if kappa is None else f" kappa={float(kappa[index]):.8g}"
            stream.write(f'{crystal.n_atoms}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 ')
            stream.write(f'material_id={crystal.material_id or index}{label} pbc="T T T"\n')
            for number, (x, y, z) in zip(crystal.numbers, crystal.positions, strict=True):
                stream.write(f"{chemical_symbols[number]} {x:.10f} {y:.10f} {z:.10f}\n")


def aflow_cifs(work: str, data: str | None, n: int) -> list[str]:
    """Write AFLOW crystals as CIF files by pymatgen, in turn in P1 and symmetrised (the conventional cell)."""
    folder = Path(work) / f"cif-{n}"
    return _cifs(folder, lambda: aflow_crystals(data, n)[0], symmetrised=True)


def rattled_cifs(work: str, data: str | None, n: int) -> list[str]:
    """Write rattled, strained and substituted crystals as CIF files in P1; return the paths."""
    return _cifs(Path(work) / f"cif-rattled-{n}", lambda: list(perturbed(data, n, rattle=True)), symmetrised=False)


def _cifs(folder: Path, make: Callable[[], list[Crystal]], *, symmetrised: bool) -> list[str]:
    from pymatgen.io.cif import CifWriter

    done = folder / "done.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        names = []
        for index, crystal in enumerate(make()):
            name = f"{index:05d}.cif"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                symprec = SYMPREC_ANGSTROM if symmetrised and index % 2 else None
                CifWriter(to_pymatgen(crystal), symprec=symprec).write_file(folder / name)
            names.append(name)
        done.write_text(json.dumps(names))
    return [str(folder / name) for name in json.loads(done.read_text())]


def perturbed_extxyz(work: str, data: str | None, n: int, *, rattle: bool) -> str:
    """Write one extxyz file of perturbed crystals; return its path."""
    path = Path(work) / f"perturbed-{'rattled' if rattle else 'symmetric'}-{n}.extxyz"
    if not path.exists():
        partial = path.with_suffix(".partial")
        write_extxyz(partial, perturbed(data, n, rattle=rattle))
        partial.rename(path)
    return str(path)


def perturbed(data: str | None, n: int, *, rattle: bool, seed: int = 0) -> Iterator[Crystal]:
    """New crystals from real ones: elements replaced within their group, the cell strained, the atoms rattled.

    Args:
        data: Data folder.
        n: Number of crystals; the AFLOW set is gone through in turn.
        rattle: Strain the cell by a general matrix and move the atoms, which leaves no symmetry, so that the quotient
            graph is the plain one; otherwise the cell is only scaled and the symmetry stays.
        seed: Seed.
    """
    crystals, _ = aflow_crystals(data)
    random = np.random.default_rng(seed)
    order = random.permutation(len(crystals))
    for index in range(n):
        crystal = crystals[order[index % len(order)]]
        numbers = _substitute(crystal.numbers, random)
        if rattle:
            strain = random.uniform(-STRAIN, STRAIN, (3, 3))
            cell = crystal.cell @ (np.eye(3) + (strain + strain.T) / 2)
            sigma = random.uniform(*RATTLE_ANGSTROM)
            moved = crystal.fractional @ cell + sigma * random.normal(size=(crystal.n_atoms, 3))
            fractional = moved @ np.linalg.inv(cell)
        else:
            cell, fractional = crystal.cell * (1 + random.uniform(-STRAIN, STRAIN)), crystal.fractional
        yield replace(
            crystal, numbers=numbers, cell=cell, fractional=fractional, material_id=f"made-{index}", properties={}
        )


def _substitute(numbers: np.ndarray, random: np.random.Generator) -> np.ndarray:
    result = numbers.copy()
    for number in np.unique(numbers):
        choices = _REPLACEMENTS.get(int(number))
        if choices and random.random() < SUBSTITUTION_PROBABILITY:
            result[numbers == number] = random.choice(choices)
    return result


def _replacements() -> dict[int, list[int]]:
    known = set(ELEMENTS)
    groups = [[chemical_symbols.index(name) for name in text.split() if name in known] for text in _GROUPS]
    return {number: group for group in groups for number in group}


_REPLACEMENTS = _replacements()


@cache
def database_crystals(data: str | None) -> list[Crystal]:
    """Crystals of the sets of `DATABASE_SETS` that have a graph, in random order."""
    found = [locate_data_file(f"{name}.extxyz.gz", data) for name in DATABASE_SETS]
    paths = [path for path in found if path is not None] or [find_data_file(f"{DATABASE_SETS[0]}.extxyz.gz", data)]
    read = [item for item in iter_crystals(paths) if isinstance(item, Crystal)]
    kept = build_graphs(read).kept
    return [read[index] for index in np.random.default_rng(0).permutation(kept)]


def database_size(data: str | None) -> tuple[int, float]:
    """How many real crystals there are, and how many atoms their cells have on average."""
    crystals = database_crystals(data)
    return len(crystals), float(np.mean([crystal.n_atoms for crystal in crystals]))


def copies(n: int, n_crystals: int) -> Iterator[tuple[int, int, float]]:
    """Number, crystal and linear scale of each member of a database of `n`: crystals repeated, no two copies alike.

    The strain is the same in all directions, so that each copy has the symmetry of its crystal, as the entries of a database
    have.
    """
    for number in range(n):
        turn, index = divmod(number, n_crystals)
        yield number, index, 1 + STRAIN_STEP * (turn - n // n_crystals // 2)


def strained(data: str | None, n: int) -> Iterator[Crystal]:
    """The crystals of a database of `n`; a smaller one has other strains, but the same crystals first."""
    crystals = database_crystals(data)
    for number, index, scale in copies(n, len(crystals)):
        crystal = crystals[index]
        yield replace(crystal, cell=crystal.cell * scale, material_id=f"made-{number}", properties={})


def database_cifs(work: str, data: str | None, n: int) -> str:
    """Write a database as CIF files by pymatgen, in turn in P1 and symmetrised; return the folder."""
    folder = Path(work) / f"database-cif-{n}"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        crystals = database_crystals(data)
        templates = _templates(work, crystals[:n])
        for number, index, scale in copies(n, len(crystals)):
            (folder / f"{number:06d}.cif").write_text(_scaled(templates[index], scale))
        (folder / "done").touch()
    return str(folder)


def _templates(work: str, crystals: list[Crystal]) -> list[str]:
    """CIF files of crystals, as texts."""
    paths = _cifs(Path(work) / f"templates-{len(crystals)}", lambda: crystals, symmetrised=True)
    return [Path(path).read_text() for path in paths]


def _scaled(cif: str, scale: float) -> str:
    """A CIF with its cell scaled, which leaves fractional coordinates as they are."""
    lengths = re.sub(r"(_cell_length_[abc]\s+)(\S+)", lambda found: f"{found[1]}{float(found[2]) * scale:.8f}", cif)
    return re.sub(r"(_cell_volume\s+)(\S+)", lambda found: f"{found[1]}{float(found[2]) * scale**3:.8f}", lengths)


def database_extxyz(work: str, data: str | None, n: int) -> str:
    """Write a database as one extxyz file; return its path."""
    path = Path(work) / f"database-{n}.extxyz"
    if not path.exists():
        partial = path.with_suffix(".partial")
        write_extxyz(partial, strained(data, n))
        partial.rename(path)
    return str(path)


def database_parquet(work: str, data: str | None, n: int) -> str:
    """Write a database as one Parquet file with OPTIMADE's columns of a structure; return its path."""
    path = Path(work) / f"database-{n}.parquet"
    if not path.exists():
        partial = path.with_suffix(".partial")
        vectors = pa.list_(pa.list_(pa.float64()))
        columns = pa.schema([
            ("material_id", pa.string()), ("lattice_vectors", vectors), ("cartesian_site_positions", vectors),
            ("species_at_sites", pa.list_(pa.string())),
        ])  # fmt: skip
        with pq.ParquetWriter(partial, columns) as writer:
            crystals = strained(data, n)
            while rows := [_optimade(crystal) for crystal in islice(crystals, ROWS_A_GROUP)]:
                writer.write_table(pa.Table.from_pylist(rows, columns))
        partial.rename(path)
    return str(path)


def _optimade(crystal: Crystal) -> dict[str, object]:
    return {
        "material_id": crystal.material_id,
        "lattice_vectors": crystal.cell.tolist(),
        "cartesian_site_positions": crystal.positions.tolist(),
        "species_at_sites": [chemical_symbols[number] for number in crystal.numbers],
    }
