"""Write `matgl_formation_energy.csv`: standardised outputs of MatGL's own MEGNet for crystals of `aflow_agl`.

    python make_matgl_golden.py /path/to/shared

needs matgl 4.1.2 and ASE, and nothing of this package. The published weights were trained with messages averaged at the
destination of each edge; MatGL 3 and later average at the source. Every pair of a crystal also stands in reverse, so
swapping the first layer's columns of the source and of the destination in every block makes the two the same function.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STEP = 20
"""Every 20th of the 4 400 crystals: 220, spread evenly."""
GOLDEN = Path(__file__).with_name("matgl_formation_energy.csv")
WEIGHTS = "pretrained/megnet-eform-mp-2018.6.1"


def load_matgl(folder: Path) -> Any:
    """MatGL's MEGNet with the published weights, the ends of the edges swapped."""
    import json

    import torch
    from matgl.models import MEGNet

    arguments = json.loads((folder / "model.json").read_text(encoding="utf-8"))["kwargs"]["model"]["init_args"]
    known = {key: value for key, value in arguments.items() if value is not None}
    model = MEGNet(**known)
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    state = {key.removeprefix("model."): value for key, value in state.items()}
    for block in range(arguments["nblocks"]):
        key = f"blocks.{block}.conv.edge_func.layers.0.weight"
        weight = state[key]
        state[key] = torch.cat([weight[:, 32:64], weight[:, :32], weight[:, 64:]], dim=1)
    model.load_state_dict(state, strict=True)
    return model.eval()


def matgl_outputs(model: Any, crystals: Sequence[tuple[Any, Any, Any]]) -> list[float]:
    """Standardised outputs of crystals, each given as cell [3, 3] in Å, atomic numbers and fractional coordinates."""
    import torch
    from pymatgen.core import Structure

    with torch.no_grad():
        return [float(model.predict_structure(Structure(cell, numbers, sites))) for cell, numbers, sites in crystals]


def main(shared: Path) -> None:
    """Read the crystals, run MatGL, and write the table."""
    import ase.io

    chosen = ase.io.read(shared / "data" / "aflow_agl.extxyz.gz", index=f"::{STEP}")
    crystals = [(atoms.cell.array, atoms.numbers, atoms.get_scaled_positions(wrap=False)) for atoms in chosen]
    values = matgl_outputs(load_matgl(shared / WEIGHTS), crystals)
    with GOLDEN.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["material_id", "standardised_formation_energy"])
        writer.writerows(
            [atoms.info["material_id"], f"{value:.9g}"] for atoms, value in zip(chosen, values, strict=True)
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
