"""The formation-energy MEGNet: strict import of MatGL's published weights.

Weights: https://github.com/materialsvirtuallab/matgl/tree/e9cde229/pretrained_models/MEGNet-MP-2018.6.1-Eform
(BSD-3-Clause). They were trained with messages averaged at the destination of each edge. MatGL 3 and later average at the
source, so this file gives other numbers there; here it is read in its own convention.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from paraisite.errors import ModelFileError
from paraisite.models.network.batch import GraphBatch
from paraisite.models.network.layers import EnsembleLinear, softplus2
from paraisite.models.network.megnet import EnsembleMEGNet, MEGNetSettings

_SETTINGS_KEYS = {
    "dim_node_embedding": "n_embedding",
    "dim_edge_embedding": "n_gaussians",
    "dim_state_embedding": "n_state",
    "nblocks": "n_blocks",
    "hidden_layer_sizes_input": "encoder",
    "hidden_layer_sizes_conv": "convolution",
    "hidden_layer_sizes_output": "output",
    "niters_set2set": "n_readout_steps",
    "gauss_width": "gaussian_width_per_angstrom2",
}
_FIXED = {
    "ntypes_state": None,
    "nlayers_set2set": 1,
    "activation_type": "softplus2",
    "is_classification": False,
    "include_state": True,
    "cutoff": 4.0,
    "element_types": None,
    "bond_expansion": None,
}


class FormationEnergyMEGNet(nn.Module):
    """One MEGNet that predicts the formation energy of a crystal in eV/atom."""

    mean: Tensor
    standard_deviation: Tensor

    def __init__(self, settings: MEGNetSettings) -> None:
        """Allocate the parameters."""
        super().__init__()
        self.body = EnsembleMEGNet(1, settings)
        self.last = EnsembleLinear(1, settings.output[-1], 1)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("standard_deviation", torch.ones(()))

    def forward(self, batch: GraphBatch) -> Tensor:
        """Predict the standardised formation energy of each graph: [n_graphs]."""
        standardised: Tensor = self.last(softplus2(self.body(batch)))
        return standardised[0, :, 0]

    def formation_energy(self, batch: GraphBatch) -> Tensor:
        """Predict the formation energy of each graph in eV/atom: [n_graphs]."""
        return self.forward(batch) * self.standard_deviation + self.mean


def load_formation_energy_megnet(folder: str | Path) -> FormationEnergyMEGNet:
    """Read MatGL's `model.json` and `state.pt`, strictly.

    Args:
        folder: Folder that holds the two files.

    Returns:
        The model, in evaluation mode.

    Raises:
        ModelFileError: A file is missing or unreadable, or has a key, shape or setting that this model has not.
    """
    folder = Path(folder)
    try:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))["kwargs"]
        arguments = content["model"]["init_args"]
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        scale = re.search(r"Mean=(\S+), Std: (\S+)", content["target_transformer"])
    except FileNotFoundError as error:
        raise ModelFileError(
            f"{error.filename} is missing: give the folder that holds MatGL's model.json and state.pt."
        ) from error
    except Exception as error:
        raise ModelFileError(f"{folder} does not hold a readable MatGL model: {error}".splitlines()[0]) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelFileError(f"{folder / 'state.pt'} does not hold a readable table of tensors.")
    model = FormationEnergyMEGNet(_settings(arguments, folder))
    _fill(model, state, folder)
    if scale is None:
        raise ModelFileError(f"{folder / 'model.json'} states no target scale (Normalizer: Mean=…, Std: …).")
    model.mean.fill_(float(scale[1]))
    model.standard_deviation.fill_(float(scale[2]))
    return model.eval()


def _settings(arguments: dict[str, object], folder: Path) -> MEGNetSettings:
    for key, value in _FIXED.items():
        if arguments.get(key, value) != value:
            raise ModelFileError(
                f"{folder / 'model.json'}: {key} is {arguments[key]!r}, but only {value!r} can be imported."
            )
    missing = sorted(_SETTINGS_KEYS.keys() - arguments.keys())
    if missing:
        raise ModelFileError(f"{folder / 'model.json'} does not state {missing[0]}, so the model's sizes are unknown.")
    return MEGNetSettings.from_dict({ours: arguments[theirs] for theirs, ours in _SETTINGS_KEYS.items()})


def _fill(model: FormationEnergyMEGNet, state: dict[str, Tensor], folder: Path) -> None:
    """Copy every tensor of the file to its place; a tensor left over or left out is an error."""
    wanted = dict(_places(model))
    missing = sorted(wanted.keys() - state.keys())
    unexpected = sorted(state.keys() - wanted.keys())
    if missing or unexpected:
        raise ModelFileError(
            f"{folder / 'state.pt'} does not fit MEGNet: {len(missing)} missing keys {missing[:3]}, "
            f"{len(unexpected)} unexpected keys {unexpected[:3]}."
        )
    with torch.no_grad():
        for key, (place, transpose) in wanted.items():
            value = state[key].T if transpose else state[key]
            if value.shape != place.shape:
                raise ModelFileError(
                    f"{folder / 'state.pt'}: {key} has the shape {tuple(state[key].shape)}, not that of the model."
                )
            place.copy_(value)
        # torch.nn.LSTM keeps two biases, of which only the sum acts.
        for ours, theirs in (("node_readout", "node_s2s"), ("edge_readout", "edge_s2s")):
            bias = getattr(model.body, ours).lstm.bias
            bias[0, 0].add_(state[f"model.{theirs}.lstm.bias_hh_l0"])


def _places(model: FormationEnergyMEGNet) -> list[tuple[str, tuple[Tensor, bool]]]:
    """Key in the file → (tensor it fills, whether it is transposed)."""
    body = model.body
    places: list[tuple[str, tuple[Tensor, bool]]] = [
        ("model.bond_expansion.rbf.centers", (body.centres, False)),
        ("model.embedding.layer_node_embedding.weight", (body.embedding[0], False)),
    ]
    chains = {f"{kind}_encoder": list(getattr(body, f"{kind}_encoder")) for kind in ("edge", "node", "state")}
    for number, block in enumerate(body.blocks):
        for kind in ("edge", "node", "state"):
            if block.dense:
                chains[f"blocks.{number}.{kind}_func"] = list(getattr(block, f"{kind}_dense"))
            chains[f"blocks.{number}.conv.{kind}_func"] = list(getattr(block, f"{kind}_update"))
    chains["output_proj"] = [*body.output, model.last]
    for name, layers in chains.items():
        for number, layer in enumerate(layers):
            key = f"model.{name}.layers.{2 * number}"
            places += [(f"{key}.weight", (layer.weight[0], True)), (f"{key}.bias", (layer.bias[0, 0], False))]
    for theirs, lstm in (("node_s2s", body.node_readout.lstm), ("edge_s2s", body.edge_readout.lstm)):
        key = f"model.{theirs}.lstm"
        scratch = torch.empty_like(lstm.bias[0, 0])
        places += [
            (f"{key}.weight_ih_l0", (lstm.weight_input[0], True)),
            (f"{key}.weight_hh_l0", (lstm.weight_hidden[0], True)),
            (f"{key}.bias_ih_l0", (lstm.bias[0, 0], False)),
            (f"{key}.bias_hh_l0", (scratch, False)),
        ]
    return places
