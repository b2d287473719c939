"""The schema of a model's card: the shipped cards fit it, and wrong values are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from paraisite.errors import ModelFileError
from paraisite.models.card import check_card
from paraisite.models.files import CARD_NAME, find_model, read_card, shipped_models
from paraisite.models.registry import load_model

CARDS = {
    name: json.loads((folder / CARD_NAME).read_text(encoding="utf-8")) for name, folder in shipped_models().items()
}


@pytest.mark.parametrize("name", CARDS)
def test_shipped_cards_fit(name: str) -> None:
    typed = check_card(CARDS[name], Path("card.json"))
    assert (typed.name, typed.version) == (name, CARDS[name]["version"])
    assert typed.architecture.n_members == 9
    assert typed.kind == CARDS[name].get("kind", "")
    stages = [] if typed.recipe is None else [stage.data for stage in typed.recipe.stages]
    assert stages == [stage["data"] for stage in CARDS[name].get("recipe", {}).get("stages", [])]


def changed(card: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """A copy with another value at a place such as `architecture.megnet.n_blocks`."""
    copy = json.loads(json.dumps(card))
    *parents, last = place.split(".")
    inner = copy
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return copy


WRONG = [
    ("architecture.megnet.n_readout_steps", 10**9), ("architecture.megnet.n_blocks", 0), ("architecture.head", [450, -1]),
    ("architecture.n_members", "nine"), ("architecture.n_members", 10**9), ("architecture", []), ("graph", 5),
    ("graph.cutoff_angstrom", "4"), ("recipe", {}), ("recipe.stages", [{"name": "x"}]), ("recipe.stages", {}),
    ("name", 3), ("training_data", "all"), ("errors", []), ("trained_on_crystals", "not hex"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), WRONG)
def test_a_wrong_value_is_named(place: str, value: object, tmp_path: Path) -> None:
    (tmp_path / CARD_NAME).write_text(json.dumps(changed(CARDS["FEAFTG15"], place, value)), encoding="utf-8")
    with pytest.raises(
        ModelFileError, match=rf"card\.json cannot be used: .*{place.split('.', maxsplit=1)[0]}"
    ) as caught:
        read_card(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["architecture", "graph"])
def test_a_missing_key_is_named(key: str) -> None:
    card = {name: value for name, value in CARDS["FEAF"].items() if name != key}
    with pytest.raises(ModelFileError, match=f"missing required field `{key}`"):
        check_card(card, Path("card.json"))


def test_unknown_keys_stay() -> None:
    check_card({**CARDS["FEAF"], "κ": "300 K"}, Path("card.json"))


def test_a_card_nested_thousands_of_times_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"format": ' + "[" * 50_000)
    with pytest.raises(ModelFileError, match=r"cannot be read.*\.$"):
        read_card(tmp_path)


def test_weights_that_fit_no_card_give_a_short_sentence(tmp_path: Path) -> None:
    shutil.copytree(find_model("FEAFTG15"), tmp_path / "model")
    card = json.loads((tmp_path / "model/card.json").read_text(encoding="utf-8"))
    card["architecture"]["megnet"]["n_blocks"] = 5  # hundreds of tensors are missing
    (tmp_path / "model/card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelFileError, match="do not fit the card") as caught:
        load_model(tmp_path / "model")
    assert len(str(caught.value)) < 500


def test_a_card_of_a_model_that_fits_no_memory_is_one_sentence(tmp_path: Path) -> None:
    shutil.copytree(find_model("FEAFTG15"), tmp_path / "model")
    card = json.loads((tmp_path / "model/card.json").read_text(encoding="utf-8"))
    card["architecture"]["n_members"] = 1000
    card["architecture"]["megnet"].update(n_embedding=100_000, encoder=[100_000, 100_000])
    (tmp_path / "model/card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"The card in .* does not describe .* more than its weights have bytes"):
        load_model(tmp_path / "model")


def test_half_a_character_in_a_card_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be used"):
        check_card(changed(CARDS["FEAF"], "trained_on_crystals", "\ud800"), tmp_path / "card.json")
