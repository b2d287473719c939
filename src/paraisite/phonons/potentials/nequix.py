"""Nequix: small equivariant potentials, among them one fine-tuned to phonons (MP PFT), by the package's PyTorch model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from vesin import ase_neighbor_list

from paraisite.atomic import sha256_of
from paraisite.datasets.catalogue import locate_data_file
from paraisite.fetch.potentials import NEQUIX_FILES, NequixFile
from paraisite.phonons.potentials.loading import (
    import_for_potential,
    require_weights,
    torch_device,
    version_with_weights,
)
from paraisite.phonons.potentials.nequix_weights import build_nequix
from paraisite.phonons.potentials.potential import Potential, PotentialError

INSTALL_NEQUIX = "pip install --no-deps nequix==0.4.5, then pip install jax e3nn"
"""The full requirements of `nequix` bring JAX with CUDA and what its training needs; a prediction needs neither."""


def load_nequix(model: str, device: str) -> Potential:
    """Load a Nequix model (Koker et al. 2025, doi 10.48550/arXiv.2508.16067).

    Args:
        model: Name of published weights, such as `mp-1-pft`, or the path of a file `.nqx`.
        device: As for `load_potential`.

    Raises:
        PotentialError: `nequix` is not installed, or the weights are missing or damaged.
    """
    name = f"nequix:{model}"
    published = NEQUIX_FILES.get(model)
    weights = require_weights(model, name) if published is None else _published_weights(published)
    _import_nequix(name)
    network, settings = build_nequix(weights)
    label = _label(weights)
    return Potential(
        name,
        label,
        version_with_weights("nequix", weights),
        f"{label}, not DFT",
        frozenset(int(number) for number in settings["atomic_numbers"]),
        NequixCalculator(network, settings, torch_device(device)),
    )


def _label(weights: Path) -> str:
    """The name of published weights, whatever their file is called; of others, the name of the file."""
    digest = sha256_of(weights)
    known = [file.label for file in NEQUIX_FILES.values() if file.sha256 == digest]
    return known[0] if known else f"Nequix ({weights.stem})"


def _published_weights(published: NequixFile) -> Path:
    found = locate_data_file(published.file_name)
    if found is None:
        raise PotentialError(
            f"The weights of {published.label} are not here: fetch them with paraisite data fetch {published.name}.",
            code="weights_missing",
        )
    if sha256_of(found) != published.sha256:
        raise PotentialError(
            f"{found} is not the published file; fetch it again with paraisite data fetch {published.name} --force.",
            code="invalid_weights",
        )
    return found


def _import_nequix(name: str) -> None:
    """Import the PyTorch model, and put back what that changes for every other e3nn model of the process."""
    e3nn = import_for_potential("e3nn", name, INSTALL_NEQUIX)
    before = e3nn.get_optimization_defaults()
    import_for_potential("nequix.torch_impl.model", name, INSTALL_NEQUIX)
    e3nn.set_optimization_defaults(**before)


class NequixCalculator(Calculator):
    """Energy, forces and stress by a Nequix model.

    The package's own calculator also imports JAX's graph libraries, and converts weights by writing a file beside them.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 - as ASE declares it

    def __init__(self, network: Any, settings: dict[str, Any], device: str) -> None:
        """Keep the model.

        Args:
            network: A `NequixTorch` model.
            settings: Its settings: `cutoff` in Å and `atomic_numbers`.
            device: Device of PyTorch.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._network, self._device = network.to(device), device
        self._cutoff_angstrom = float(settings["cutoff"])
        self._index = {number: index for index, number in enumerate(sorted(settings["atomic_numbers"]))}

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = tuple(all_changes)
    ) -> None:
        """Compute all properties of a crystal; see ASE."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        node_energies, forces, stress = self._network(**self._tensors(self.atoms))
        energy = float(node_energies.detach().double().sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces.detach().cpu().double().numpy(),
            "stress": full_3x3_to_voigt_6_stress(stress[0].detach().cpu().double().numpy()),
        }

    def _tensors(self, atoms: Any) -> dict[str, Any]:
        import torch  # noqa: PLC0415 - seconds, and most potentials are listed without it

        receivers, senders, shifts = ase_neighbor_list("ijS", atoms, self._cutoff_angstrom)
        arrays = {
            "species": np.array([self._index[number] for number in atoms.numbers]),
            "positions": atoms.positions.astype(np.float32),
            "edge_attr": shifts.astype(np.float32),
            "edge_index": np.stack([senders, receivers]).astype(np.int64),
            "cell": atoms.cell.array.astype(np.float32)[None],
            "n_node": np.array([len(atoms)]),
            "n_edge": np.array([len(senders)]),
            "n_graph": np.zeros(len(atoms), dtype=np.int64),
        }
        return {name: torch.from_numpy(array).to(self._device) for name, array in arrays.items()}
