"""What data there are, where each is found, and fetching by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from paraisite.datasets.catalogue import DATA_VARIABLE, chosen_data_folder, locate_data_file
from paraisite.errors import FetchError
from paraisite.fetch.common import FetchOptions, FetchReporter, manifest_path, partial_folder, read_json
from paraisite.fetch.policy import DEFAULT_LIMITS, DEFAULT_POLITENESS, HttpError, HttpLimits, Politeness


@dataclass(frozen=True, slots=True)
class DataSource:
    """A data set or a file of weights.

    Attributes:
        name: Name, for `fetch_data` and, where it has κ, for `load_data_set`.
        description: What it is.
        records: How much it is.
        licence: Licence, or the terms of its provider.
        source: Where it comes from.
        file_name: File or folder inside the data folder; empty for what the package ships.
        fetcher: Module and function that fetch it.
    """

    name: str
    description: str
    records: str
    licence: str
    source: str
    file_name: str = ""
    fetcher: tuple[str, str] = ("", "")

    @property
    def shipped(self) -> bool:
        """Whether the package brings it."""
        return not self.file_name


@dataclass(frozen=True, slots=True)
class DataEntry:
    """A source, and where it is found now.

    Attributes:
        source: The source.
        location: Its file or folder; None where it is not here, and for what the package ships.
        manifest: What the fetch wrote down; empty for a copy that was not fetched.
    """

    source: DataSource
    location: Path | None
    manifest: dict[str, Any]


SOURCES = {
    source.name: source
    for source in (
        DataSource(
            "togo15",
            "κ at 300 K of binary rocksalt, zinc-blende and wurtzite crystals, DFT and phono3py",
            "95 crystals",
            "CC BY 4.0 (PhononDB; structures Materials Project)",
            "Togo, Chaput, Tanaka 2015, doi 10.1103/PhysRevB.91.094306",
        ),
        DataSource(
            "hh143",
            "κ at 300 K of half-Heusler crystals",
            "143 crystals",
            "CC BY 4.0 (structures Materials Project; κ as published)",
            "Carrete, Li, Mingo, Wang, Curtarolo 2014, doi 10.1103/PhysRevX.4.011019",
        ),
        DataSource("mix", "togo15 and hh143", "238 crystals", "as its two parts", "as its two parts"),
        DataSource(
            "literature",
            "κ near 300 K of crystals of 41 other structure types, measured or computed",
            "107 crystals",
            "single published values restated as facts; the list that most were read in names no licence",
            "named crystal by crystal in the table (docs/data.md)",
        ),
        DataSource(
            "aflow_agl",
            "κ at 300 K of ICSD crystals by AFLOW's AGL, a quasi-harmonic Debye model",
            "about 5 600 entries (2024)",
            "free for academic use with citation (aflow.org)",
            "https://aflow.org, doi 10.1016/j.commatsci.2017.04.036",
            "aflow_agl.extxyz.gz",
            ("aflow", "fetch_aflow_agl"),
        ),
        DataSource(
            "megnet-eform-mp-2018.6.1",
            "MatGL's MEGNet for formation energies: the weights that a training starts from",
            "2 files, 0.8 MB",
            "BSD-3-Clause (MatGL)",
            "https://github.com/materialsvirtuallab/matgl/tree/e9cde229/pretrained_models/MEGNet-MP-2018.6.1-Eform",
            "megnet-eform-mp-2018.6.1",
            ("weights", "fetch_formation_energy_weights"),
        ),
        DataSource(
            "nequix-mp-1-pft",
            "Nequix MP PFT: an interatomic potential fine-tuned to phonons",
            "1 file, 2.8 MB",
            "MIT (Nequix)",
            "https://github.com/atomicarchitects/nequix/tree/0ffdf881/models, doi 10.48550/arXiv.2508.16067",
            "nequix-mp-1-pft.nqx",
            ("potentials", "fetch_nequix_mp_pft"),
        ),
        DataSource(
            "nequix-oam-1-pft",
            "Nequix OAM PFT: the same, from a larger training set",
            "1 file, 2.8 MB",
            "MIT (Nequix)",
            "https://github.com/atomicarchitects/nequix/tree/0ffdf881/models, doi 10.48550/arXiv.2508.16067",
            "nequix-oam-1-pft.nqx",
            ("potentials", "fetch_nequix_oam_pft"),
        ),
        DataSource(
            "materials_project",
            "stable crystals of the Materials Project with energies, density and band gap; no κ",
            "tens of thousands of crystals",
            "CC BY 4.0 (Materials Project)",
            "https://materialsproject.org, doi 10.1063/1.4812323; needs a free key and pip install 'paraisite[mp]'",
            "materials_project.extxyz.gz",
            ("materials_project", "fetch_materials_project"),
        ),
    )
}
"""Every source by name, in the order in which it is shown."""


def list_data(folder: str | Path | None = None) -> list[DataEntry]:
    """Say what data there are, and where each is found now.

    Args:
        folder: Data folder; without it, the one that `PARAISITE_DATA` names, else the user's own.
    """
    return [describe_data(name, folder) for name in SOURCES]


def describe_data(name: str, folder: str | Path | None = None) -> DataEntry:
    """Say what a data set is, and where it is found now.

    Args:
        name: Its name.
        folder: As for `list_data`.

    Raises:
        FetchError: There is none of that name.
    """
    source = _source(name)
    location = None if source.shipped else locate_data_file(source.file_name, folder)
    content = read_json(manifest_path(location.parent, name)) if location is not None else None
    return DataEntry(source, location, content if isinstance(content, dict) else {})


def fetch_data(
    name: str,
    folder: str | Path | None = None,
    *,
    url: str | None = None,
    key: str | None = None,
    force: bool = False,
    politeness: Politeness = DEFAULT_POLITENESS,
    limits: HttpLimits = DEFAULT_LIMITS,
    report: FetchReporter | None = None,
) -> Path:
    """Fetch a data set that the package does not ship, unless it is there.

    A fetch that was stopped at any moment goes on from what it has; its file appears when it is whole.

    Args:
        name: A name in `SOURCES` that is not shipped, such as `aflow_agl`.
        folder: Data folder; without it, the one that `PARAISITE_DATA` names, else the user's own.
        url: Base address in place of the public one; a user's name and password in it are shown to its server alone.
        key: The user's key for the Materials Project; without it, `MP_API_KEY`.
        force: Whether to fetch again what is there.
        politeness: Pauses, time-outs and attempts.
        limits: What is taken from a server at most.
        report: Called after every step.

    Returns:
        The file, or the folder of the weights.

    Raises:
        FetchError: No such data, no folder, no network, or an answer that is not what it should be.
    """
    source = _source(name)
    if source.shipped:
        raise FetchError(f"{name} ships with the package: there is nothing to fetch.")
    target = chosen_data_folder(folder)
    if target is None:
        raise FetchError(f"There is no folder for {name}: name one with --data DIR or {DATA_VARIABLE}.")
    here = locate_data_file(source.file_name, folder)
    if here is not None and not force:
        # What a fetch leaves that was stopped at the very end.
        shutil.rmtree(partial_folder(target, name), ignore_errors=True)
        return here
    target.mkdir(parents=True, exist_ok=True)
    module, function = source.fetcher
    fetch: Callable[[Path, FetchOptions], Path] = getattr(import_module(f"paraisite.fetch.{module}"), function)
    try:
        return fetch(target, FetchOptions(url, key, politeness, report, limits))
    except HttpError as failure:
        raise FetchError(
            f"{name} could not be fetched: {failure}; try again later (what came is kept), "
            f"or give the folder of a copy with --data DIR or {DATA_VARIABLE}."
        ) from failure


def _source(name: str) -> DataSource:
    if name not in SOURCES:
        raise FetchError(f"There are no data {name!r}: give {', '.join(SOURCES)}.")
    return SOURCES[name]
