"""SevenNet: the universal potentials whose weights the package `sevenn` brings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from paraisite.phonons.potentials.loading import import_for_potential, torch_device, version_with_weights
from paraisite.phonons.potentials.potential import Potential

SEVENNET_LABELS = {
    "7net-0": "SevenNet-0",
    "7net-l3i5": "SevenNet-l3i5",
    "7net-mf-0": "SevenNet-MF-0 (PBE)",
    "7net-mf-0:r2scan": "SevenNet-MF-0 (r2SCAN)",
}
"""The models in the wheel (Park, Kim, Hwang, Han, J. Chem. Theory Comput. 20, 4857 (2024), doi 10.1021/acs.jctc.4c00190);
larger ones are downloaded by `sevenn` without a checksum and are not offered."""
_MODALITIES = {"7net-mf-0": "PBE", "7net-mf-0:r2scan": "R2SCAN"}
ATOMS_PER_BATCH = 2000
"""Atoms in a batch on a GPU: some GB with SevenNet-l3i5."""


def load_sevennet(model: str, device: str) -> Potential:
    """Load a SevenNet model.

    Args:
        model: A name in `SEVENNET_LABELS`.
        device: As for `load_potential`.

    Raises:
        PotentialError: `sevenn` is not installed.
    """
    name = f"sevennet:{model}"
    module = import_for_potential("sevenn.calculator", name, "pip install 'paraisite[compute]'")
    util = import_for_potential("sevenn.util", name, "pip install 'paraisite[compute]'")
    checkpoint = model.partition(":")[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No tensor product accelerator")  # extra packages for GPUs
        calculator = module.SevenNetCalculator(
            model=checkpoint, device=torch_device(device), modal=_MODALITIES.get(model)
        )
    weights = Path(util.pretrained_name_to_path(checkpoint))
    on_gpu = calculator.device.type == "cuda"
    return Potential(
        name,
        SEVENNET_LABELS[model],
        version_with_weights("sevenn", weights),
        f"{SEVENNET_LABELS[model]}, not DFT",
        frozenset(int(number) for number in calculator.type_map),
        calculator,
        # One CPU thread is busy with one cell already: docs/potentials.md.
        SevenNetBatches(calculator) if on_gpu else None,
    )


@dataclass(frozen=True, slots=True)
class SevenNetBatches:
    """Forces of several cells by one call of the model.

    Attributes:
        calculator: A `SevenNetCalculator`.
        atoms_per_batch: Atoms in a batch at most; a larger cell is a batch of its own.
    """

    calculator: Any
    atoms_per_batch: int = ATOMS_PER_BATCH

    def __call__(self, cells: Sequence[Atoms]) -> NDArray[np.float64]:
        """Forces in eV/Å, [n_cells, n_atoms, 3], of cells that hold equally many atoms."""
        step = max(1, self.atoms_per_batch // len(cells[0]))
        parts = [self._batch(cells[start : start + step]) for start in range(0, len(cells), step)]
        return np.concatenate(parts)

    def _batch(self, cells: Sequence[Atoms]) -> NDArray[np.float64]:
        from sevenn import _keys as keys  # noqa: PLC0415 - installed where there is a calculator
        from sevenn.atom_graph_data import AtomGraphData  # noqa: PLC0415
        from sevenn.train.dataload import unlabeled_atoms_to_graph  # noqa: PLC0415
        from torch_geometric.data import Batch  # noqa: PLC0415

        graphs = []
        for cell in cells:
            graph = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(cell, self.calculator.cutoff))
            if self.calculator.modal:
                graph[keys.DATA_MODALITY] = self.calculator.modal
            graphs.append(graph)
        model = self.calculator.model
        model.set_is_batch_data(True)
        try:
            output = model(Batch.from_data_list(graphs).to(self.calculator.device))
        finally:
            model.set_is_batch_data(False)
        forces = output[keys.PRED_FORCE].detach().cpu().numpy()
        return np.asarray(forces, dtype=np.float64).reshape(len(cells), -1, 3)
