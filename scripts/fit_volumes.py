"""Fit the expected volumes of `paraisite.applicability.volume` to AFLOW's and the Materials Project's crystals.

Ridge regression of ln volume per atom with Huber weights. The limits are quantiles of |ln volume / expected| of crystals held
out by formula (five folds); crystals in vacuum, molecular crystals and noble gases take no part.

    python scripts/fit_volumes.py ../shared/data
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path

import numpy as np

from paraisite.applicability.features import ELEMENT_COLUMNS, find_features
from paraisite.applicability.find import SCREEN_GRAPHS
from paraisite.applicability.molecules import MAX_BONDS_PER_ATOM
from paraisite.applicability.vacuum import EDGE_GAP_ANGSTROM, empty_layers
from paraisite.applicability.volume import GEOMETRY_COLUMNS, volume_columns
from paraisite.graphs.build import build_graphs
from paraisite.readers.stream import iter_crystals
from paraisite.structures.crystal import Crystal

SETS = ("togo15.extxyz", "hh143.extxyz", "aflow_agl.extxyz.gz", "aflow_unlabelled.extxyz.gz", "mp_scan.extxyz.gz")
RIDGE, HUBER_WIDTHS, ROUNDS, FOLDS = 0.3, 2.0, 8, 5
EDGE_QUANTILE, OUTSIDE_QUANTILE = 0.98, 0.999
TARGET = Path(__file__).parents[1] / "src" / "paraisite" / "data" / "expected_volumes.json"


def fit(columns: np.ndarray, log_volume: np.ndarray) -> np.ndarray:
    """Weights of the columns, [n_columns]; crystals far off count less and less."""
    root = np.ones(len(log_volume))
    for _ in range(ROUNDS):
        weighted = columns * root[:, None]
        ridge = weighted.T @ weighted + RIDGE * np.eye(columns.shape[1])
        weights = np.linalg.solve(ridge, weighted.T @ (log_volume * root))
        error = np.abs(log_volume - columns @ weights)
        width = HUBER_WIDTHS * 1.4826 * np.median(error)
        root = np.sqrt(width / np.maximum(error, width))
    return weights


def main() -> None:
    """Fit, and write the table that the package ships."""
    folder = Path(sys.argv[1])
    items = iter_crystals([folder / name for name in SETS])
    crystals = [item for item in items if isinstance(item, Crystal)]
    built = build_graphs(crystals, SCREEN_GRAPHS)
    crystals = [crystals[row] for row in built.kept]
    features = find_features(built.store)
    volume = np.array([crystal.volume / crystal.n_atoms for crystal in crystals])
    molecular = (features.formers == 1) & (features.bonds_per_atom <= MAX_BONDS_PER_ATOM - 0.05)
    kept = (empty_layers(crystals) < EDGE_GAP_ANGSTROM) & ~molecular
    columns, log_volume = volume_columns(features, volume)[kept], np.log(volume[kept])
    fold = np.array([zlib.crc32(crystals[row].formula.encode()) % FOLDS for row in np.flatnonzero(kept)])
    error = np.zeros(len(fold))
    for number in range(FOLDS):
        weights = fit(columns[fold != number], log_volume[fold != number])
        error[fold == number] = log_volume[fold == number] - columns[fold == number] @ weights
    edge, outside = np.quantile(np.abs(error), [EDGE_QUANTILE, OUTSIDE_QUANTILE])
    weights = fit(columns, log_volume)
    table = {
        "description": "Weights of ln volume per atom in cubic angstrom; fitted by scripts/fit_volumes.py",
        "n_crystals": len(fold),
        "median_error": round(float(np.median(np.abs(error))), 4),
        "edge": round(float(edge), 4),
        "outside": round(float(outside), 4),
        "weights": {
            name: round(float(value), 5)
            for name, value in zip((*ELEMENT_COLUMNS, *GEOMETRY_COLUMNS), weights, strict=True)
        },
    }
    TARGET.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    print({name: table[name] for name in ("n_crystals", "median_error", "edge", "outside")})


if __name__ == "__main__":
    main()
