"""Model folders: round trip, half precision, and every way in which one can be wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from paraisite.errors import ModelFileError
from paraisite.graphs.settings import GraphSettings
from paraisite.models.files import (
    CARD_NAME,
    WEIGHTS_NAME,
    find_model,
    graph_settings,
    read_card,
    shipped_models,
)
from paraisite.models.multi_fidelity.files import load_multi_fidelity
from paraisite.models.names import DEFAULT_MODEL, MULTI_FIDELITY
from paraisite.models.network.files import load_network, save_network
from paraisite.models.network.megnet import MEGNetSettings
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from sealed_files import seal

SMALL = ParAIsiteSettings(n_members=2, head=(12, 6), megnet=MEGNetSettings(n_gaussians=20, n_blocks=2))


@pytest.fixture(scope="module")
def model() -> ParAIsite:
    made = ParAIsite(SMALL)
    made.reset([1, 2])
    made.target.fit(torch.tensor([0.7, 3.0, 123.456]), torch.tensor([[True] * 3, [True, True, False]]))
    return made.eval()


@pytest.fixture(scope="module")
def saved(model: ParAIsite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_network(model, folder, {"name": "tiny", "κ": "300 K"})
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def refuse(folder: Path, words: str | None = None) -> None:
    with pytest.raises(ModelFileError, match=words) as caught:
        load_network(folder)
    assert "\n" not in str(caught.value)


def rewrite_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    (folder / CARD_NAME).write_text(json.dumps({**card, **changes}), encoding="utf-8")


def test_round_trip_is_exact(model: ParAIsite, folder: Path) -> None:
    loaded = load_network(folder)
    assert loaded.settings == SMALL
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_folder_holds_weights_and_card_only(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted([WEIGHTS_NAME, CARD_NAME])


def test_card_keeps_what_it_was_given(folder: Path) -> None:
    card = read_card(folder)
    assert (card["name"], card["κ"]) == ("tiny", "300 K")
    assert len(card["elements"]) == 89
    assert graph_settings(folder) == GraphSettings()


def test_graph_settings_of_the_card_are_kept(model: ParAIsite, tmp_path: Path) -> None:
    save_network(model, tmp_path, {"graph": {"cutoff_angstrom": 4.0, "tolerance_angstrom": 0.0, "max_edges": 7}})
    assert graph_settings(tmp_path) == GraphSettings(4.0, 0.0, 7)


def test_half_precision(model: ParAIsite, tmp_path: Path) -> None:
    save_network(model, tmp_path, {}, packed=True)
    stored, loaded = load_file(tmp_path / WEIGHTS_NAME), load_network(tmp_path).state_dict()
    for name, value in model.state_dict().items():
        assert loaded[name].dtype == torch.float32, name
        if name.startswith("target."):
            assert torch.equal(loaded[name], value), name
        else:
            assert stored[name].dtype == torch.float16, name
            # Half precision has 11 bits: half a step is 2^-11 of the value; below 6e-5 the steps are 6e-8.
            np.testing.assert_allclose(loaded[name].numpy(), value.numpy(), rtol=2**-11, atol=6e-8)


def test_saving_over_a_model_replaces_it(model: ParAIsite, folder: Path) -> None:
    other = ParAIsite(SMALL)
    other.reset([5, 6])
    save_network(other, folder, {"name": "other"})
    assert read_card(folder)["name"] == "other"
    assert torch.equal(load_network(folder).body.embedding, other.body.embedding)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights(folder: Path, kept: int) -> None:
    content = (folder / WEIGHTS_NAME).read_bytes()
    (folder / WEIGHTS_NAME).write_bytes(content[:kept])
    seal(folder)
    refuse(folder, "cannot be read|more than its weights have bytes")


def test_weights_that_are_no_safetensors(folder: Path) -> None:
    (folder / WEIGHTS_NAME).write_bytes(b"\x80\x04not tensors at all, and certainly not to be unpickled")
    seal(folder)
    refuse(folder, "more than its weights have bytes")


def test_missing_weights(folder: Path) -> None:
    (folder / WEIGHTS_NAME).unlink()
    refuse(folder, "cannot be read")


@pytest.mark.parametrize("change", ["missing", "extra", "renamed", "reshaped"])
def test_weights_that_do_not_fit_the_card(folder: Path, change: str) -> None:
    state = load_file(folder / WEIGHTS_NAME)
    bias = state.pop("head.1.bias")
    if change == "extra":
        state |= {"head.1.bias": bias, "head.9.bias": bias.clone()}
    elif change == "renamed":
        state["head.1.offset"] = bias
    elif change == "reshaped":
        state["head.1.bias"] = bias[:, :, :-1].contiguous()
    save_file(state, folder / WEIGHTS_NAME)
    seal(folder)
    refuse(folder, "do not fit the card")


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "3", '"text"', "{}", "null"])
def test_damaged_card(folder: Path, content: str) -> None:
    (folder / CARD_NAME).write_text(content, encoding="utf-8")
    refuse(folder, "card")


def test_card_of_another_format(folder: Path) -> None:
    rewrite_card(folder, format=99)
    refuse(folder, "another format")


def test_card_of_another_element_list(folder: Path) -> None:
    rewrite_card(folder, elements=["H", "He"])
    refuse(folder, "list of elements")


@pytest.mark.parametrize(
    "architecture",
    [
        {},
        [],
        "MEGNet",
        {"n_members": 2, "head": [12, 6]},
        {"n_members": 2, "head": [12, 6], "megnet": []},
        {"n_members": 2, "head": [12, 6], "megnet": {"n_layers": 3}},
        {"n_members": 2, "head": 12, "megnet": {}},
        {"n_members": "two", "head": [12, 6], "megnet": {}},
        {"n_members": -1, "head": [12, 6], "megnet": {}},
    ],
)
def test_card_of_another_architecture(folder: Path, architecture: object) -> None:
    rewrite_card(folder, architecture=architecture)
    refuse(folder)


def test_card_of_another_number_of_members(folder: Path) -> None:
    architecture = read_card(folder)["architecture"]
    rewrite_card(folder, architecture={**architecture, "n_members": 3})
    refuse(folder, "do not fit the card")


@pytest.mark.parametrize("graph", [{}, {"cutoff": 4}, {"cutoff_angstrom": -1}, 5])
def test_card_with_unusable_graph_settings(folder: Path, graph: object) -> None:
    rewrite_card(folder, graph=graph)
    if graph == {}:
        assert graph_settings(folder) == GraphSettings()
        return
    with pytest.raises(ModelFileError):
        graph_settings(folder)


@pytest.mark.parametrize("name", ["no-such-model", "", "/no/such/folder"])
def test_unknown_model_name(name: str) -> None:
    with pytest.raises(ModelFileError, match="There is no model"):
        find_model(name)


def test_folder_without_a_card_is_no_model(folder: Path) -> None:
    (folder / CARD_NAME).unlink()
    with pytest.raises(ModelFileError, match="There is no model"):
        load_network(folder)


def test_shipped_models_are_found_in_any_case_and_load() -> None:
    for name, path in shipped_models().items():
        assert find_model(name.lower()) == find_model(name.upper()) == path
        if read_card(path).get("kind") == MULTI_FIDELITY:
            loaded = load_multi_fidelity(path)
            assert np.isfinite(loaded.predict(loaded.data.descriptors).members).all()
        else:
            assert all(bool(torch.isfinite(value).all()) for value in load_network(name).state_dict().values())
    assert find_model() == shipped_models()[DEFAULT_MODEL]
    assert read_card(find_model())["kind"] == MULTI_FIDELITY
