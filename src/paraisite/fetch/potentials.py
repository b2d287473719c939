"""Weights of interatomic potentials that no package brings: files with known checksums."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from paraisite.fetch.common import FetchOptions, FetchProgress, open_partial, write_manifest
from paraisite.fetch.http import HttpClient
from paraisite.fetch.policy import NO_ACCESS
from paraisite.fetch.weights import fetch_checked_file

NEQUIX_MIRRORS = (
    "https://raw.githubusercontent.com/atomicarchitects/nequix/0ffdf881603d2c97f9105c64c3ec2df74dc1c224/models",
)
"""Nequix' repository at a fixed commit."""


@dataclass(frozen=True, slots=True)
class NequixFile:
    """Published weights of a Nequix model.

    Attributes:
        name: Name of the data source.
        label: Name of the potential, to print.
        sha256: Checksum of the file.
    """

    name: str
    label: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file, at its source and in the data folder."""
        return f"{self.name}.nqx"


NEQUIX_FILES = {
    "mp-1-pft": NequixFile(
        "nequix-mp-1-pft", "Nequix MP PFT", "a88aeaed71fd447572dc57af21d469207d7737b85a6dbb66f8c38156f175c5f1"
    ),
    "oam-1-pft": NequixFile(
        "nequix-oam-1-pft", "Nequix OAM PFT", "4ce693d68886512aab50c84ea2400efd68163e11155f7c7babe98e695177e809"
    ),
}
"""By the name that `load_potential` takes after `nequix:`."""


def fetch_nequix_mp_pft(folder: Path, options: FetchOptions) -> Path:
    """Fetch the weights of Nequix MP PFT; see `fetch_nequix`."""
    return fetch_nequix(NEQUIX_FILES["mp-1-pft"], folder, options)


def fetch_nequix_oam_pft(folder: Path, options: FetchOptions) -> Path:
    """Fetch the weights of Nequix OAM PFT; see `fetch_nequix`."""
    return fetch_nequix(NEQUIX_FILES["oam-1-pft"], folder, options)


def fetch_nequix(wanted: NequixFile, folder: Path, options: FetchOptions) -> Path:
    """Fetch a file of weights.

    Args:
        wanted: Which one.
        folder: Data folder; it gets the file and a manifest.
        options: Where and how. A file that came in part is continued.

    Returns:
        The file.

    Raises:
        HttpError: No server gives the file with the published checksum.
    """
    access = options.access("") if options.url else NO_ACCESS
    mirrors = (access.url.rstrip("/"),) if options.url else NEQUIX_MIRRORS
    parts = open_partial(folder, wanted.name, {"sha256": wanted.sha256})
    with HttpClient(options.politeness, options.limits, access) as client:
        fetch_checked_file(client, mirrors, parts / wanted.file_name, wanted.sha256)
    options.tell(FetchProgress(wanted.name, 1, 1, "files"))
    write_manifest(folder, wanted.name, {"mirrors": mirrors, "sha256": {wanted.file_name: wanted.sha256}})
    target = folder / wanted.file_name
    (parts / wanted.file_name).replace(target)
    shutil.rmtree(parts)
    return target
