"""Model folders of the multi-fidelity model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from paraisite.atomic import atomic_path
from paraisite.datasets.catalogue import known_source
from paraisite.datasets.levels import Level, Source
from paraisite.errors import ModelFileError
from paraisite.features.descriptors import DESCRIPTOR_GRAPHS, DESCRIPTORS
from paraisite.models.files import WEIGHTS_NAME, begin_folder, checked_file, read_card, write_card
from paraisite.models.multi_fidelity.covariance import CorrectionParameters
from paraisite.models.multi_fidelity.model import (
    LOW,
    N_CORRECTION,
    FirstPrinciples,
    Member,
    MultiFidelity,
    Surrogate,
)
from paraisite.models.multi_fidelity.shared import SharedProcesses
from paraisite.models.names import MULTI_FIDELITY
from paraisite.structures.checks import one_line

_DATA_ARRAYS = ("descriptors", "log10_kappa", "fold", "scale")
_SHARED_ARRAYS = ("basis", "weights", "root")
_DATA_TEXTS = ("material_id", "composition", "source")


def save_multi_fidelity(model: MultiFidelity, folder: str | Path, card: dict[str, Any]) -> None:
    """Write a model folder.

    Args:
        model: The model.
        folder: Folder to make or to write into.
        card: What the model is, in plain values; what is needed to load it is added.
    """
    folder = Path(folder)
    tensors = {f"data.{name}": getattr(model.data, name) for name in _DATA_ARRAYS}
    for level, surrogate in enumerate(model.surrogates):
        tensors |= _surrogate_tensors(surrogate, _prefix(level))
        tensors[_low_name(level)] = model.data.low[level]
    if model.shared is not None:
        tensors |= {f"shared.{name}": getattr(model.shared, name) for name in _SHARED_ARRAYS}
    first = model.surrogates[0]
    content = {
        "target": first.target,
        "texts": {name: getattr(model.data, name).tolist() for name in _DATA_TEXTS},
        "members": [_plain_parameters(parameters) for parameters in model.parameters],
        "widths": model.widths,
        "stated_widths": model.stated_widths,
        "caution": model.caution,
        "low_levels": [asdict(one.source) for one in model.surrogates],
        "further_targets": [one.target for one in model.surrogates[1:]],
        "sources": [asdict(source) for source in model.data.sources],
    }
    full_card = {
        "kind": MULTI_FIDELITY,
        **card,
        "architecture": {
            "n_members": model.n_members,
            "n_feature_sets": 1,
            "n_networks": len(first.weights[0]),
            "widths": [weight.shape[2] for weight in first.weights[:-1]],
            "descriptors": list(DESCRIPTORS),
        },
        "data_sets": [*(one.source.name for one in model.surrogates), *np.unique(model.data.source).tolist()],
        "graph": asdict(DESCRIPTOR_GRAPHS),
    }
    begin_folder(folder)
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        save_file(contiguous, temporary, {"content": json.dumps(content)})
    write_card(folder, full_card)


def _prefix(level: int) -> str:
    """Of the tensors of a surrogate; the first one's is that of models of a single level."""
    return f"surrogate_{level + 1}" if level else "surrogate"


def _low_name(level: int) -> str:
    """Of the tensor of a level's values for the training crystals; see `_prefix`."""
    return f"data.low_{level + 1}" if level else "data.agl"


def _surrogate_tensors(surrogate: Surrogate, prefix: str) -> dict[str, np.ndarray]:
    tensors = {f"{prefix}.offset": surrogate.offset, f"{prefix}.scale": surrogate.scale}
    for index, (weight, bias) in enumerate(zip(surrogate.weights, surrogate.biases, strict=True)):
        tensors |= {f"{prefix}.{index}.weight": weight.astype(np.float16), f"{prefix}.{index}.bias": bias}
    return tensors


def _plain_parameters(parameters: CorrectionParameters) -> dict[str, Any]:
    """Parameters for JSON; ρ of a single level is a number."""
    rho = parameters.rho
    return {**asdict(parameters), "rho": rho[0] if len(rho) == 1 else list(rho)}


def load_multi_fidelity(folder: str | Path) -> MultiFidelity:
    """Load a model.

    Raises:
        ModelFileError: The folder is damaged, or the model was made for other descriptors.
    """
    folder = Path(folder)
    card = read_card(folder)
    architecture = card["architecture"]
    if not isinstance(architecture, dict) or architecture.get("descriptors") != list(DESCRIPTORS):
        raise ModelFileError(f"The model in {folder} was made for other descriptors than this version's; fit it anew.")
    weights = checked_file(folder, WEIGHTS_NAME, card)
    try:
        with safe_open(weights, framework="np") as handle:
            content = json.loads((handle.metadata() or {})["content"])
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        model = _build(content, tensors, [str(name) for name in card.get("data_sets", [])])
        _check(model)
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"The weights {weights} cannot be read: {one_line(error)}.") from error
    return model


def _build(content: dict[str, Any], tensors: dict[str, np.ndarray], data_sets: Sequence[str]) -> MultiFidelity:
    # Models of a single level from before levels were data say of it no more than the name of its data set in the card.
    earlier = [{"name": data_sets[0] if data_sets else LOW.name, "level": Level.AGL, "low": True}]
    levels = [Source(**level) for level in content.get("low_levels", earlier)]
    targets = [content["target"], *content.get("further_targets", [])]
    surrogates = tuple(
        _surrogate(source, target, tensors, _prefix(index))
        for index, (source, target) in enumerate(zip(levels, targets, strict=True))
    )
    low = np.stack([tensors[_low_name(index)] for index in range(len(surrogates))])
    texts = {name: np.array(content["texts"][name], dtype=str) for name in _DATA_TEXTS}
    if "sources" in content:
        sources = tuple(Source(**source) for source in content["sources"])
    else:
        sources = tuple(known_source(str(name)) or Source(str(name)) for name in np.unique(texts["source"]))
    arrays = {name: tensors[f"data.{name}"] for name in _DATA_ARRAYS}
    data = FirstPrinciples(**texts, **arrays, low=low, sources=sources)
    parameters = [_parameters(one) for one in content["members"]]
    shared = _shared(parameters[0], data, tensors) if "shared.basis" in tensors else None
    members = () if shared else tuple(Member(one, data, data.fold != fold) for fold, one in enumerate(parameters))
    names = tuple(parameters[0].noise)
    # Models from before intervals were calibrated by source have one width for all.
    widths, stated = (
        {name: float(content[key][name] if key in content else content["width"]) for name in names}
        for key in ("widths", "stated_widths")
    )
    return MultiFidelity(surrogates, data, members, widths, stated, float(content["caution"]), shared)


def _shared(parameters: CorrectionParameters, data: FirstPrinciples, tensors: dict[str, np.ndarray]) -> SharedProcesses:
    basis, weights, root = (tensors[f"shared.{name}"] for name in _SHARED_ARRAYS)
    if root.shape != (len(basis), len(basis)) or weights.shape != (len(basis), int(data.fold.max()) + 1):
        raise ValueError("its parts do not fit together")
    return SharedProcesses(parameters, basis, data.inputs[basis], data.source[basis], weights, root)


def _has_all_layers(surrogate: Surrogate) -> bool:
    """Whether the layers lead from the descriptors to one number."""
    sizes = [len(DESCRIPTORS), *(weight.shape[2] for weight in surrogate.weights)]
    n_networks = surrogate.weights[0].shape[0]
    return (
        surrogate.offset.shape == surrogate.scale.shape == (len(DESCRIPTORS),)
        and sizes[-1] == 1
        and all(
            weight.shape == (n_networks, n_in, n_out) and bias.shape == (n_networks, 1, n_out)
            for weight, bias, (n_in, n_out) in zip(surrogate.weights, surrogate.biases, pairwise(sizes), strict=True)
        )
    )


def _surrogate(source: Source, target: Sequence[float], tensors: dict[str, np.ndarray], prefix: str) -> Surrogate:
    layers = range(sum(name.startswith(f"{prefix}.") and name.endswith(".weight") for name in tensors))
    target_mean, target_std = target
    return Surrogate(
        tensors[f"{prefix}.offset"],
        tensors[f"{prefix}.scale"],
        tuple(tensors[f"{prefix}.{index}.weight"].astype(np.float32) for index in layers),
        tuple(tensors[f"{prefix}.{index}.bias"] for index in layers),
        (float(target_mean), float(target_std)),
        source,
    )


def _parameters(content: dict[str, Any]) -> CorrectionParameters:
    rho = content["rho"]
    return CorrectionParameters(**{**content, "rho": tuple(rho) if isinstance(rho, list) else (float(rho),)})


def _check(model: MultiFidelity) -> None:
    """Refuse parts that do not fit together: shapes agree, and a model gives a number for its own crystals.

    Raises:
        ValueError: They do not, or it does not.
    """
    data, n = model.data, len(model.data.log10_kappa)
    n_known = len(DESCRIPTORS)
    fits = (
        data.descriptors.shape == (n, n_known),
        data.low.shape == (len(model.surrogates), n),
        data.scale.shape == (N_CORRECTION,),
        all(len(getattr(data, name)) == n for name in (*_DATA_TEXTS, "fold")),
        int(data.fold.min()) >= 0,
        int(data.fold.max()) + 1 == model.n_members,
        all(set(one.noise) >= set(data.source.tolist()) for one in model.parameters),
        all(len(one.rho) == len(model.surrogates) for one in model.parameters),
        all(0 <= width < np.inf for width in (*model.widths.values(), *model.stated_widths.values())),
        0 <= model.caution < np.inf,
        *map(_has_all_layers, model.surrogates),
    )
    if not all(fits):
        raise ValueError("its parts do not fit together")
    with np.errstate(all="ignore"):
        prediction = model.predict(model.data.descriptors[:1])
    numbers = np.concatenate([prediction.members.ravel(), prediction.log10_std])
    if prediction.members.shape != (model.n_members, 1) or not np.isfinite(numbers).all():
        raise ValueError("its parts do not fit together")
