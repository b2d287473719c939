"""Damaged cards of models: a card is refused in one sentence, or the model predicts with it, at once and finitely."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from random import Random

from checks import check_sentence
from mutators import mutated_text

from paraisite.errors import ParaisiteError
from paraisite.models.files import CARD_NAME, UNCERTAINTY_NAME, WEIGHTS_NAME, read_card, shipped_models
from paraisite.models.network.files import save_network
from paraisite.models.network.megnet import MEGNetSettings
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.prediction.predict import Predictor


def check_card_damage(folder: Path, random: Random) -> int:
    """Load a model with a damaged card, and predict a crystal with it.

    Args:
        folder: A folder for the model.
        random: Tells the card and its damage.

    Returns:
        1 if the model still predicts, else 0.

    Raises:
        AssertionError: A prediction is called `ok` that is no finite positive number.
        Exception: Whatever the package lets through.
    """
    from seeds import seed_crystals

    source = random.choice(small_models())
    model = Path(tempfile.mkdtemp(dir=folder))
    try:
        for name in (WEIGHTS_NAME, UNCERTAINTY_NAME):
            if (source / name).exists():
                (model / name).symlink_to(source / name)
        (model / CARD_NAME).write_bytes(mutated_text(random, (source / CARD_NAME).read_bytes(), json_too=True))
        try:
            table = Predictor(model).predict(seed_crystals()[:1])
        except ParaisiteError as error:
            check_sentence(" ".join(str(error).split()))
            return 0
        (row,) = table.to_dict("records")
        assert row["status"] != "ok" or (math.isfinite(row["kappa"]) and row["kappa"] > 0), row
        check_sentence(row["error"])
        return 1
    finally:
        shutil.rmtree(model, ignore_errors=True)


@cache
def small_models() -> tuple[Path, ...]:
    """The default model, and a small network without an uncertainty file."""
    folder = Path(tempfile.mkdtemp(prefix=f"cards-{os.getpid()}-"))
    network = ParAIsite(ParAIsiteSettings(n_members=2, head=(4,), megnet=MEGNetSettings()))
    network.reset([0, 1])
    card = {key: value for key, value in read_card(shipped_models()["FEAFTG15"]).items() if key != "architecture"}
    save_network(network, folder, card)
    # One line a card: the mutators of JSON take a line for a document.
    default = folder / "default"
    shutil.copytree(shipped_models()["MultiFidelity"], default)
    for each in (folder, default):
        content = json.loads((each / CARD_NAME).read_text(encoding="utf-8"))
        (each / CARD_NAME).write_text(json.dumps(content) + "\n", encoding="utf-8")
    return folder, default
