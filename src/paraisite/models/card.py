"""The schema of a model's card: what every kind of model says of itself, with types and bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from paraisite.errors import ModelFileError
from paraisite.structures.checks import one_line

CardCount = Annotated[int, Meta(ge=1, le=100_000)]
"""A number of members, layers or units. The bound keeps a damaged card from asking for all memory or for ever."""
FewSteps = Annotated[int, Meta(ge=1, le=100)]
Hexadecimal = Annotated[str, Meta(pattern="^[0-9a-f]*$")]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class MEGNetCard(Struct, kw_only=True):
    """Sizes of a MEGNet that cost time or memory; see `paraisite.models.network.megnet.MEGNetSettings`."""

    n_elements: CardCount = 89
    n_embedding: CardCount = 16
    n_gaussians: CardCount = 100
    n_state: CardCount = 2
    n_blocks: FewSteps = 3
    n_readout_steps: FewSteps = 2
    encoder: list[CardCount] = []
    convolution: list[CardCount] = []
    output: list[CardCount] = []


class ArchitectureCard(Struct, kw_only=True):
    """Sizes of a model; a kind may state more.

    Attributes:
        n_members: Members of the ensemble.
        head: Widths of a network's head.
        megnet: Sizes of a network's body.
        descriptors: What a model of descriptors sees of a crystal.
    """

    n_members: Annotated[int, Meta(ge=1, le=1000)]
    head: list[CardCount] = []
    megnet: MEGNetCard | None = None
    descriptors: list[str] = []


class StageCard(Struct, kw_only=True):
    """A stage that a network was trained by: the data set's name or path."""

    data: str
    name: str = ""


class RecipeCard(Struct, kw_only=True):
    """What a card keeps of the recipe: its stages, and the weights or model that they began with."""

    stages: list[StageCard]
    initial: str = "random"


class ModelCard(Struct, kw_only=True):
    """A model's card. Keys that are not listed are kept and not looked at.

    Attributes:
        format: Version of the file format.
        architecture: Sizes of the model.
        elements: Symbols of the elements, in the order of the model's rows.
        graph: Settings of the graphs that it sees.
        kind: Kind of model; empty for a network.
        name: What the model is called.
        description: What it is, in a sentence.
        intended_domain: Crystals that it is meant for.
        not_for: Crystals that it is not for.
        licence: Licence of the weights.
        version: Version of the package that wrote it.
        training_data: Data it was trained on, as sentences.
        data_sets: Their names.
        trained_on_crystals: Keys of all crystals that it was trained on, joined; see `paraisite.datasets.identity`.
        recipe: How a network was trained.
        errors: Errors by protocol.
        sha256: SHA-256 of the model's other files, by name.
    """

    format: int
    architecture: ArchitectureCard
    elements: list[str]
    graph: dict[str, float]
    kind: str = ""
    name: str = ""
    description: str = ""
    intended_domain: str = ""
    not_for: str = ""
    licence: str = ""
    version: str = ""
    training_data: list[str] = []
    data_sets: list[str] = []
    trained_on_crystals: Hexadecimal = ""
    recipe: RecipeCard | None = None
    errors: dict[str, Any] = {}
    sha256: dict[str, Sha256] = {}


def check_card(card: dict[str, Any], path: Path) -> ModelCard:
    """Hold a card against its schema.

    Args:
        card: Its content, as JSON gives it.
        path: The file, for the message.

    Returns:
        The typed card.

    Raises:
        ModelFileError: A key is missing, or a value of another type or out of bounds.
    """
    try:
        return msgspec.convert(card, ModelCard)
    except (msgspec.ValidationError, UnicodeError) as error:  # JSON can hold halves of characters
        reason = one_line(error).replace("Expected", "expected").replace("Object missing", "missing")
        raise ModelFileError(f"The model card {path} cannot be used: {reason}.") from error
