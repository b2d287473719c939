"""One flipped bit in a model's files is noticed and named: nothing else would show another κ."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from paraisite.errors import ModelFileError
from paraisite.models.files import CARD_NAME, UNCERTAINTY_NAME, WEIGHTS_NAME, model_hash, read_card, shipped_models
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.models.network.files import load_network
from paraisite.models.registry import load_model
from paraisite.prediction.predict import Predictor
from paraisite.uncertainty.files import load_uncertainty

N_FLIPS = 20


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return shutil.copytree(shipped_models()[request.param], tmp_path / "model")


def flip(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


@pytest.mark.parametrize("name", [WEIGHTS_NAME, UNCERTAINTY_NAME])
@pytest.mark.parametrize("folder", ["MultiFidelity", "FEAFTG15"], indirect=True)
def test_a_flipped_bit_is_named(folder: Path, name: str) -> None:
    generator, content = random.Random(0), (folder / name).read_bytes()
    load = load_model if name == WEIGHTS_NAME else load_uncertainty
    for _ in range(N_FLIPS):
        (folder / name).write_bytes(content)
        flip(folder / name, generator)
        with pytest.raises(ModelFileError, match=rf"{name} is damaged"):
            load(folder)


@pytest.mark.parametrize("folder", ["MultiFidelity", "FEAFTG15"], indirect=True)
def test_every_way_to_load_a_model_looks(folder: Path) -> None:
    flip(folder / UNCERTAINTY_NAME, random.Random(1))
    with pytest.raises(ModelFileError, match=UNCERTAINTY_NAME):
        Predictor(folder)
    flip(folder / WEIGHTS_NAME, random.Random(1))
    loader = load_multi_fidelity if read_card(folder).get("kind") else load_network
    with pytest.raises(ModelFileError, match=WEIGHTS_NAME):
        loader(folder)


def test_the_shipped_models_are_those_of_their_cards() -> None:
    for name, folder in shipped_models().items():
        files = {path.name for path in folder.iterdir()} - {CARD_NAME}
        assert set(read_card(folder)["sha256"]) == files, name
        load_uncertainty(folder)
        load_model(folder)


@pytest.mark.parametrize("folder", ["MultiFidelity"], indirect=True)
def test_a_model_that_is_saved_anew_has_its_own_hashes(folder: Path, tmp_path: Path) -> None:
    card = read_card(folder)
    card["sha256"] = {WEIGHTS_NAME: "0" * 64}  # as passed on from another model
    load_model(folder).save(tmp_path / "new", card)
    written = read_card(tmp_path / "new")["sha256"]
    assert set(written) >= {WEIGHTS_NAME}
    assert written[WEIGHTS_NAME] != "0" * 64
    load_model(tmp_path / "new")


@pytest.mark.parametrize("folder", ["MultiFidelity"], indirect=True)
def test_new_weights_under_an_old_card_are_refused(folder: Path) -> None:
    """As a run leaves them that is stopped between its writes."""
    shutil.copy2(shipped_models()["FEAF"] / WEIGHTS_NAME, folder / WEIGHTS_NAME)
    with pytest.raises(ModelFileError, match=r"not the file that .*card\.json was written for"):
        load_model(folder)


@pytest.mark.parametrize("folder", ["MultiFidelity"], indirect=True)
def test_a_card_from_before_is_believed(folder: Path) -> None:
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    del card["sha256"]
    (folder / CARD_NAME).write_text(json.dumps(card), encoding="utf-8")
    assert load_model(folder).n_members == card["architecture"]["n_members"]


@pytest.mark.parametrize("folder", ["MultiFidelity"], indirect=True)
def test_the_hash_of_a_model_follows_what_decides_its_numbers(folder: Path) -> None:
    before = model_hash(folder)
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    (folder / CARD_NAME).write_text(json.dumps({**card, "description": "Another text."}), encoding="utf-8")
    assert model_hash(folder) == before
    for changes in ({"caution": "Do not trust it."}, {"graph": {**card["graph"], "cutoff": 9.0}}):
        (folder / CARD_NAME).write_text(json.dumps({**card, **changes}), encoding="utf-8")
        assert model_hash(folder) != before
