"""Model folders of every kind: `model.safetensors`, `card.json` and what `paraisite.uncertainty` adds; no code."""

from __future__ import annotations

import hashlib
import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from paraisite.atomic import sha256_of, write_text_atomic
from paraisite.elements import ELEMENTS
from paraisite.errors import ModelFileError
from paraisite.graphs.settings import GraphSettings
from paraisite.json_text import json_text
from paraisite.models.card import check_card
from paraisite.models.names import DEFAULT_MODEL
from paraisite.structures.checks import one_line

WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "card.json"
UNCERTAINTY_NAME = "uncertainty.safetensors"
MODEL_FORMAT = 1


def begin_folder(folder: Path) -> None:
    """Make a model's folder, and take away what `paraisite.uncertainty` said of the model that was there before."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNCERTAINTY_NAME).unlink(missing_ok=True)


def write_card(folder: Path, content: dict[str, Any]) -> None:
    """Write a model's card, whole or not at all; the format, the list of elements and the files' SHA-256 are added.

    Args:
        folder: Folder of the model, whose weights are there already.
        content: What the model is, in plain values; `architecture` with `n_members`, and `graph`, among them.
    """
    rest = {key: value for key, value in content.items() if key not in {"graph", "sha256"}}
    full = {"format": MODEL_FORMAT, **rest, "elements": list(ELEMENTS), "graph": content["graph"]}
    full["sha256"] = {
        name: sha256_of(folder / name) for name in (WEIGHTS_NAME, UNCERTAINTY_NAME) if (folder / name).is_file()
    }
    write_text_atomic(folder / CARD_NAME, json_text(full, indent=2, ensure_ascii=False) + "\n")


def checked_file(folder: Path, name: str, card: dict[str, Any]) -> Path:
    """Path of a file of a model, which must be the one that its card was written for.

    A flipped bit in the weights moves κ, often by a little, and nothing else would show it. Cards from before the
    hashes were kept are believed.

    Args:
        folder: Folder of the model.
        name: `WEIGHTS_NAME` or `UNCERTAINTY_NAME`.
        card: The model's card.

    Raises:
        ModelFileError: The file is damaged, or another one.
    """
    path = folder / name
    expected = dict(card.get("sha256") or {}).get(name)
    if expected is not None and path.is_file() and sha256_of(path) != expected:
        raise ModelFileError(
            f"{path} is damaged, or not the file that {folder / CARD_NAME} was written for: its SHA-256 is another; get the "
            "model's folder anew."
        )
    return path


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
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"The model card {path} cannot be read: {one_line(error)}.") from error
    if not isinstance(card, dict) or card.get("format") != MODEL_FORMAT or "architecture" not in card:
        raise ModelFileError(
            f"The model card {path} is of another format than {MODEL_FORMAT}, which this version reads."
        )
    if card.get("elements") != list(ELEMENTS):
        raise ModelFileError(
            f"The model in {folder} was made for another list of elements, so its rows would be mixed up."
        )
    check_card(card, path)
    return card


def model_caution(name: str | Path) -> str:
    """What a model's card says of all its predictions; mostly empty.

    Raises:
        ModelFileError: As for `find_model` and `read_card`.
    """
    return str(read_card(find_model(name)).get("caution", ""))


def model_hash(folder: str | Path) -> str:
    """Hash of what decides a model's numbers, 16 hexadecimal digits: weights, uncertainty, and the card but for its texts."""
    folder = Path(folder)
    card = read_card(folder)
    deciding = [card.get(key) for key in ("kind", "architecture", "graph", "caution")]
    digest = hashlib.sha256(json.dumps(deciding, sort_keys=True).encode())
    for name in (WEIGHTS_NAME, UNCERTAINTY_NAME):
        if (folder / name).is_file():
            digest.update(sha256_of(folder / name).encode())
    return digest.hexdigest()[:16]


def graph_settings(folder: str | Path) -> GraphSettings:
    """Graph settings that a model was trained with.

    Raises:
        ModelFileError: The card is damaged, or states settings that have no meaning.
    """
    try:
        return GraphSettings(**read_card(folder)["graph"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"The card in {folder} does not state usable graph settings: {error}.") from error
