"""Model folders of an ensemble of networks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from paraisite.atomic import atomic_path
from paraisite.errors import ModelFileError
from paraisite.graphs.settings import GraphSettings
from paraisite.models.files import WEIGHTS_NAME, begin_folder, checked_file, find_model, read_card, write_card
from paraisite.models.names import NETWORK, kind_of
from paraisite.models.network.megnet import MEGNetSettings
from paraisite.models.network.packing import pack, unpack
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.structures.checks import one_line
from paraisite.threads import torch_settings


def save_network(
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
    folder = Path(folder)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    if packed:
        state = pack(state, sixteen_bits)
    content = {
        **card,
        "architecture": asdict(model.settings),
        "graph": card.get("graph", asdict(GraphSettings())),
    }
    begin_folder(folder)
    with atomic_path(folder / WEIGHTS_NAME) as temporary:
        save_file(state, temporary)
    write_card(folder, content)


def load_network(name: str | Path = "FEAFTG15", device: torch.device | str = "cpu") -> ParAIsite:
    """Load an ensemble of networks, strictly: every tensor and no other.

    Args:
        name: Name of a shipped network, or its folder.
        device: Where to put it.

    Returns:
        The model, in evaluation mode and 32 bits.

    Raises:
        ModelFileError: The folder is missing or damaged, or holds another model.
    """
    folder = find_model(name)
    card = read_card(folder)
    if kind_of(card) != NETWORK:
        raise ModelFileError(f"The model in {folder} is no network but of the kind {kind_of(card)!r}; give a network.")
    model = _empty_model(card, folder)
    weights = checked_file(folder, WEIGHTS_NAME, card)
    try:
        # A second thread gains nothing here, and on a busy machine waits for its turn thousands of times.
        with torch_settings(1):
            model.load_state_dict(unpack(load_file(weights)), strict=True)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"The weights {weights} cannot be read: {one_line(error)}.") from error
    except RuntimeError as error:
        # One line for all tensors that are missing, one for those that are too many, one for each of another shape.
        reason = one_line(str(error).splitlines()[-1])
        raise ModelFileError(f"The weights in {folder} do not fit the card: {reason}.") from error
    return model.to(device).eval()


def _empty_model(card: dict[str, Any], folder: Path) -> ParAIsite:
    """An ensemble of the card's architecture, its parameters not yet filled."""
    try:
        content = dict(card["architecture"])
        settings = ParAIsiteSettings(
            n_members=content["n_members"],
            head=tuple(content["head"]),
            megnet=MEGNetSettings.from_dict(content["megnet"]),
        )
        with torch.device("meta"):  # takes no memory
            n_numbers = sum(tensor.numel() for tensor in ParAIsite(settings).state_dict().values())
        weights = folder / WEIGHTS_NAME
        if weights.is_file() and n_numbers > weights.stat().st_size:
            raise ValueError(f"its model has {n_numbers} numbers, more than its weights have bytes")
        return ParAIsite(settings)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = one_line(str(error).splitlines()[0])
        raise ModelFileError(f"The card in {folder} does not describe a ParAIsite ensemble: {reason}.") from error
