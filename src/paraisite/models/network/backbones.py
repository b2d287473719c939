"""Pre-trained bodies that a recipe can begin from, by name.

A backbone is a folder of weights below the data folder and a function that loads it as a MEGNet body of one member. Another
one, such as MatGL's MEGNet for band gaps, is one more entry once its weights are at hand: no released package of MatGL or
MEGNet carries them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paraisite.models.network.formation_energy import load_formation_energy_megnet
from paraisite.models.network.megnet import EnsembleMEGNet


@dataclass(frozen=True, slots=True)
class Backbone:
    """Pre-trained weights of the body.

    Attributes:
        folder: Name of their folder inside the data folder.
        title: What they were trained on.
        load: Loads the body from the folder, one member, of the sizes of `MEGNetSettings`.
    """

    folder: str
    title: str
    load: Callable[[Path], EnsembleMEGNet]


def _formation_energy(folder: Path) -> EnsembleMEGNet:
    return load_formation_energy_megnet(folder).body


BACKBONES: dict[str, Backbone] = {
    "formation_energy": Backbone(
        "megnet-eform-mp-2018.6.1", "62 315 formation energies of the Materials Project", _formation_energy
    ),
}
"""Backbones by the name that a recipe's `initial` gives."""
