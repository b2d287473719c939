"""MatGL's formation-energy MEGNet: two files with known checksums, and a crystal whose energy they must give."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from paraisite.atomic import sha256_of
from paraisite.errors import FetchError
from paraisite.fetch.common import FetchOptions, FetchProgress, open_partial, write_manifest
from paraisite.fetch.http import HttpClient
from paraisite.fetch.policy import NO_ACCESS, HttpError, host_of
from paraisite.structures.crystal import Crystal

FORMATION_ENERGY_NAME = "megnet-eform-mp-2018.6.1"
MIRRORS = (
    "https://raw.githubusercontent.com/materialsvirtuallab/matgl/e9cde229/pretrained_models/MEGNet-MP-2018.6.1-Eform",
    "https://huggingface.co/materialyze/MEGNet-Eform-MP-2018.6.1/resolve/main",
)
"""MatGL's repository at a fixed commit, and its copy on the Hugging Face Hub."""
SHA256 = {
    "model.json": "d858219134667d55e3c183435475ba248231a67311573373ed7298191f05d0a4",
    "state.pt": "35381368b17a2783f9ee09af5556cf1d84b74bf786b82d3fadd4acb38c51d040",
}
MAX_BYTES = 2**26
"""Far more than either file has: 0.8 MB."""
CSCL_LATTICE_ANGSTROM = 4.1437
CSCL_EV_PER_ATOM = -2.272
"""Formation energy of CsCl (Pm-3m) that MatGL's notebooks of 2023 print for these weights."""
TOLERANCE_EV_PER_ATOM = 1e-3


def fetch_formation_energy_weights(folder: Path, options: FetchOptions) -> Path:
    """Fetch `model.json` and `state.pt`.

    Args:
        folder: Data folder; it gets a folder `megnet-eform-mp-2018.6.1` and a manifest.
        options: Where and how. A file that came in part is continued.

    Returns:
        The folder with the two files.

    Raises:
        FetchError: A file is not the published one, or the model gives another formation energy for CsCl.
        HttpError: No mirror gives a file.
    """
    access = options.access("") if options.url else NO_ACCESS
    mirrors = (access.url.rstrip("/"),) if options.url else MIRRORS
    parts = open_partial(folder, FORMATION_ENERGY_NAME, {"sha256": SHA256})
    whole = parts / FORMATION_ENERGY_NAME
    whole.mkdir(exist_ok=True)
    with HttpClient(options.politeness, options.limits, access) as client:
        for step, (file_name, digest) in enumerate(SHA256.items(), start=1):
            fetch_checked_file(client, mirrors, whole / file_name, digest)
            options.tell(FetchProgress(FORMATION_ENERGY_NAME, step, len(SHA256), "files"))
    energy = formation_energy_of_cscl(whole)
    if not abs(energy - CSCL_EV_PER_ATOM) <= TOLERANCE_EV_PER_ATOM:
        raise FetchError(
            f"{FORMATION_ENERGY_NAME} gives {energy:.4f} eV/atom for CsCl where {CSCL_EV_PER_ATOM} eV/atom is published; "
            "this installation of paraisite or PyTorch is damaged, so install it again."
        )
    content = {"mirrors": mirrors, "sha256": SHA256, "formation_energy_cscl_ev_per_atom": round(energy, 6)}
    write_manifest(folder, FORMATION_ENERGY_NAME, content)
    target = folder / FORMATION_ENERGY_NAME
    if target.exists():
        shutil.rmtree(target)
    whole.replace(target)
    shutil.rmtree(parts)
    return target


def fetch_checked_file(client: HttpClient, mirrors: tuple[str, ...], path: Path, digest: str) -> None:
    """Get a file from the first mirror that gives the right one.

    Args:
        client: The client.
        mirrors: Addresses of folders that may hold the file.
        path: Where it goes; what came in part stays in a hidden file beside it, for the next time.
        digest: SHA-256 that it must have.

    Raises:
        HttpError: No mirror gives the right file.
    """
    part = path.with_name(f".{path.name}.part")
    if path.exists() and sha256_of(path) == digest:
        return
    problems = []
    for mirror in mirrors:
        url = f"{mirror}/{path.name}"
        try:
            if not (part.exists() and sha256_of(part) == digest):
                client.download(url, part, MAX_BYTES)
        except HttpError as failure:
            problems.append(str(failure))
            continue
        found = sha256_of(part)
        if found == digest:
            part.replace(path)
            return
        part.unlink()
        problems.append(
            f"{host_of(url)} sent a {path.name} with SHA-256 {found[:12]}… where {digest[:12]}… was expected"
        )
    raise HttpError(", and ".join(problems))


def formation_energy_of_cscl(folder: Path) -> float:
    """Formation energy of CsCl (Pm-3m, a = 4.1437 Å) in eV/atom by the weights in a folder."""
    import torch  # noqa: PLC0415 - slow to import and needed at the end alone

    from paraisite.graphs.build import build_store  # noqa: PLC0415
    from paraisite.graphs.settings import DEFAULT_GRAPH_SETTINGS  # noqa: PLC0415
    from paraisite.models.network.batch import GraphBatch  # noqa: PLC0415 - needs torch
    from paraisite.models.network.formation_energy import load_formation_energy_megnet  # noqa: PLC0415 - needs torch

    cell = np.eye(3) * CSCL_LATTICE_ANGSTROM
    crystal = Crystal(np.array([55, 17]), cell, np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]), "CsCl")
    store = build_store([crystal], DEFAULT_GRAPH_SETTINGS)
    batch = GraphBatch.from_arrays(store.collate(np.arange(1)))
    with torch.no_grad():
        return float(load_formation_energy_megnet(folder).formation_energy(batch)[0])
