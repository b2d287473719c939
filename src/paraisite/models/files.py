"""Model folders: `model.safetensors`, `card.json` and what `paraisite.uncertainty` adds; nothing that can run code."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from paraisite.atomic import atomic_path, write_text_atomic
from paraisite.elements import ELEMENTS
from paraisite.errors import ModelFileError
from paraisite.graphs.settings import GraphSettings
from paraisite.models.names import DEFAULT_MODEL
from paraisite.threads import torch_settings

if TYPE_CHECKING:
    import torch

    from paraisite.models.network.paraisite import ParAIsite

WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "card.json"
UNCERTAINTY_NAME = "uncertainty.safetensors"
MODEL_FORMAT = 1


def save_model(
    model: ParAIsite,
    folder: str | Path,
    card: dict[str, Any],
    *,
    packed: bool = False,
    sixteen_bits: Collection[str] = (),
) -> None:
    """Write a model folder.

    Args:
        model: The ensemble.
        folder: Folder to make or to write into.
        card: What the model is, in plain values; the architecture is added.
        packed: Keep the weights in 16 to 24 bits instead of 32; see `paraisite.models.network.packing`.
        sixteen_bits: Names of packed weights that are kept in 16 bits.
    """
    from safetensors.torch import save_file  # noqa: PLC0415 - PyTorch takes seconds, and the default model needs it not

    from paraisite.models.network.packing import pack  # noqa: PLC0415

    folder = Path(folder)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if packed:
        state = pack(state, sixteen_bits)
    content = {
        "format": MODEL_FORMAT,
        **card,
        "architecture": asdict(model.settings),
        "elements": list(ELEMENTS),
        "graph": card.get("graph", asdict(GraphSettings())),
    }
    (folder / UNCERTAINTY_NAME).unlink(missing_ok=True)  # of the model that was here before
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        save_file(state, temporary)
    write_text_atomic(folder / CARD_NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def shipped_models() -> dict[str, Path]:
    """Folders of the models inside the package, by name."""
    root = Path(str(files("paraisite"))) / "data" / "models"
    return {path.name: path for path in sorted(root.glob("*")) if (path / CARD_NAME).is_file()}


def find_model(name: str | Path = DEFAULT_MODEL) -> Path:
    """Find a model's folder.

    Args:
        name: Name of a shipped model in any case, the path of a model folder, or that of a finished run.

    Raises:
        ModelFileError: Neither exists.
    """
    shipped = shipped_models()
    by_name = {key.lower(): path for key, path in shipped.items()}
    if str(name).lower() in by_name:
        return by_name[str(name).lower()]
    for folder in (Path(name), _model_of_run(Path(name))):
        if (folder / CARD_NAME).is_file():
            return folder
    raise ModelFileError(
        f"There is no model {str(name)!r}: give one of the shipped models ({', '.join(shipped) or 'none'}) or a folder "
        f"that holds {WEIGHTS_NAME} and {CARD_NAME}."
    )


def _model_of_run(folder: Path) -> Path:
    """Where a training run keeps the model of its last stage; the folder itself where it is no run."""
    try:
        stages = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))["stages"]
        return folder / str(stages[-1]["name"]) / "model"
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return folder


def read_card(folder: str | Path) -> dict[str, Any]:
    """Read a model's card.

    Raises:
        ModelFileError: The card is missing, not JSON, or of a format that this version does not know.
    """
    path = Path(folder) / CARD_NAME
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"The model card {path} cannot be read: {error}.") from error
    if not isinstance(card, dict) or card.get("format") != MODEL_FORMAT or "architecture" not in card:
        raise ModelFileError(
            f"The model card {path} is of another format than {MODEL_FORMAT}, which this version reads."
        )
    if card.get("elements") != list(ELEMENTS):
        raise ModelFileError(
            f"The model in {folder} was made for another list of elements, so its rows would be mixed up."
        )
    return card


def load_model(name: str | Path = "FEAFTG15", device: torch.device | str = "cpu") -> ParAIsite:
    """Load an ensemble of networks, strictly: every tensor and no other.

    Args:
        name: Name of a shipped network, or its folder.
        device: Where to put it.

    Returns:
        The model, in evaluation mode and 32 bits.

    Raises:
        ModelFileError: The folder is missing or damaged, or holds another model.
    """
    from safetensors.torch import load_file  # noqa: PLC0415 - as above

    from paraisite.models.network.packing import unpack  # noqa: PLC0415

    folder = find_model(name)
    card = read_card(folder)
    if "kind" in card:
        raise ModelFileError(f"The model in {folder} is no network but of the kind {card['kind']!r}; give a network.")
    model = _empty_model(card, folder)
    try:
        # A second thread gains nothing here, and on a busy machine waits for its turn thousands of times.
        with torch_settings(1):
            model.load_state_dict(unpack(load_file(folder / WEIGHTS_NAME)), strict=True)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"The weights {folder / WEIGHTS_NAME} cannot be read: {error}.") from error
    except RuntimeError as error:
        raise ModelFileError(
            f"The weights in {folder} do not fit the card: {str(error).splitlines()[-1].strip()}"
        ) from error
    return model.to(device).eval()


def graph_settings(folder: str | Path) -> GraphSettings:
    """Graph settings that a model was trained with.

    Raises:
        ModelFileError: The card is damaged, or states settings that have no meaning.
    """
    try:
        return GraphSettings(**read_card(folder)["graph"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"The card in {folder} does not state usable graph settings: {error}.") from error


def _empty_model(card: dict[str, Any], folder: Path) -> ParAIsite:
    """An ensemble of the card's architecture, its parameters not yet filled."""
    from paraisite.models.network.megnet import MEGNetSettings  # noqa: PLC0415
    from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings  # noqa: PLC0415

    try:
        content = dict(card["architecture"])
        settings = ParAIsiteSettings(
            n_members=content["n_members"],
            head=tuple(content["head"]),
            megnet=MEGNetSettings.from_dict(content["megnet"]),
        )
        return ParAIsite(settings)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"The card in {folder} does not describe a ParAIsite ensemble: {reason}.") from error
