"""Model folders of the multi-fidelity model: the same two files as a network's, marked by `kind` in the card."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from paraisite.atomic import atomic_path, write_text_atomic
from paraisite.elements import ELEMENTS
from paraisite.errors import ModelFileError
from paraisite.features.descriptors import DESCRIPTOR_GRAPHS, DESCRIPTORS
from paraisite.models.files import CARD_NAME, MODEL_FORMAT, UNCERTAINTY_NAME, WEIGHTS_NAME, read_card
from paraisite.models.multi_fidelity.model import (
    AglSurrogate,
    CorrectionParameters,
    FirstPrinciples,
    Member,
    MultiFidelity,
)
from paraisite.models.names import MULTI_FIDELITY

AGL_DATA_SET = "aflow_agl"
"""Data set of the surrogate."""
_DATA_ARRAYS = ("descriptors", "agl", "log10_kappa", "fold", "scale")
_DATA_TEXTS = ("material_id", "composition", "source")


def save_multi_fidelity(model: MultiFidelity, folder: str | Path, card: dict[str, Any]) -> None:
    """Write a model folder.

    Args:
        model: The model.
        folder: Folder to make or to write into.
        card: What the model is, in plain values; what is needed to load it is added.
    """
    folder = Path(folder)
    surrogate = model.surrogate
    tensors = {"surrogate.offset": surrogate.offset, "surrogate.scale": surrogate.scale}
    for index, (weight, bias) in enumerate(zip(surrogate.weights, surrogate.biases, strict=True)):
        tensors |= {f"surrogate.{index}.weight": weight.astype(np.float16), f"surrogate.{index}.bias": bias}
    tensors |= {f"data.{name}": getattr(model.data, name) for name in _DATA_ARRAYS}
    content = {
        "target": surrogate.target,
        "texts": {name: getattr(model.data, name).tolist() for name in _DATA_TEXTS},
        "members": [asdict(member.parameters) for member in model.members],
        "width": model.width,
        "caution": model.caution,
    }
    full_card = {
        "format": MODEL_FORMAT,
        "kind": MULTI_FIDELITY,
        **card,
        "architecture": {
            "n_members": len(model.members),
            "n_feature_sets": 1,
            "n_networks": len(surrogate.weights[0]),
            "widths": [weight.shape[2] for weight in surrogate.weights[:-1]],
            "descriptors": list(DESCRIPTORS),
        },
        "data_sets": [AGL_DATA_SET, *np.unique(model.data.source).tolist()],
        "elements": list(ELEMENTS),
        "graph": asdict(DESCRIPTOR_GRAPHS),
    }
    (folder / UNCERTAINTY_NAME).unlink(missing_ok=True)  # of the model that was here before
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        save_file(contiguous, temporary, {"content": json.dumps(content)})
    write_text_atomic(folder / CARD_NAME, json.dumps(full_card, indent=2, ensure_ascii=False) + "\n")


def load_multi_fidelity(folder: str | Path) -> MultiFidelity:
    """Load a model.

    Raises:
        ModelFileError: The folder is damaged, or the model was made for other descriptors.
    """
    folder = Path(folder)
    architecture = read_card(folder)["architecture"]
    if not isinstance(architecture, dict) or architecture.get("descriptors") != list(DESCRIPTORS):
        raise ModelFileError(f"The model in {folder} was made for other descriptors than this version's; fit it anew.")
    try:
        with safe_open(folder / WEIGHTS_NAME, framework="np") as handle:
            content = json.loads((handle.metadata() or {})["content"])
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        model = _build(content, tensors)
        _check(model)
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelFileError(f"The weights {folder / WEIGHTS_NAME} cannot be read: {error}.") from error
    return model


def _build(content: dict[str, Any], tensors: dict[str, np.ndarray]) -> MultiFidelity:
    layers = range(sum(name.endswith(".weight") for name in tensors))
    target_mean, target_std = content["target"]
    surrogate = AglSurrogate(
        tensors["surrogate.offset"],
        tensors["surrogate.scale"],
        tuple(tensors[f"surrogate.{index}.weight"].astype(np.float32) for index in layers),
        tuple(tensors[f"surrogate.{index}.bias"] for index in layers),
        (float(target_mean), float(target_std)),
    )
    texts = {name: np.array(content["texts"][name], dtype=str) for name in _DATA_TEXTS}
    data = FirstPrinciples(**texts, **{name: tensors[f"data.{name}"] for name in _DATA_ARRAYS})
    members = tuple(
        Member(CorrectionParameters(**parameters), data, data.fold != fold)
        for fold, parameters in enumerate(content["members"])
    )
    return MultiFidelity(surrogate, data, members, float(content["width"]), float(content["caution"]))


def _check(model: MultiFidelity) -> None:
    """Refuse parts that do not fit together: a model gives a number for its own crystals.

    Raises:
        ValueError: It does not.
    """
    with np.errstate(all="ignore"):
        prediction = model.predict(model.data.descriptors[:1])
    if prediction.members.shape != (len(model.members), 1) or not np.isfinite(prediction.members).all():
        raise ValueError("its parts do not fit together")
