"""Uncertainty beside a model: round trip, tolerance of models without it, and every way in which it can be wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from paraisite.atomic import sha256_of
from paraisite.elements import ELEMENTS
from paraisite.errors import ModelFileError
from paraisite.models.files import CARD_NAME, UNCERTAINTY_NAME, read_card
from paraisite.models.network.files import save_network
from paraisite.models.network.megnet import MEGNetSettings
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.uncertainty.conformal import Residuals
from paraisite.uncertainty.domain import Domain
from paraisite.uncertainty.files import load_uncertainty, save_uncertainty
from paraisite.uncertainty.judgement import Uncertainty
from sealed_files import seal

SMALL = ParAIsiteSettings(n_members=2, head=(4,), megnet=MEGNetSettings(n_gaussians=10, n_blocks=1))


def small_model() -> ParAIsite:
    made = ParAIsite(SMALL)
    made.reset([1, 2])
    return made


def small_domain(name: str = "mine", n_members: int = 2) -> Domain:
    values = np.arange(n_members * 5 * 16, dtype=np.float32)
    return Domain(
        name,
        centres=values.reshape(n_members, 5, 16) / 7,
        offset=np.ones((n_members, 16), dtype=np.float32),
        scale=np.full((n_members, 16), 2.0, dtype=np.float32),
        typical=np.full(n_members, 0.5, dtype=np.float32),
        elements=np.isin(ELEMENTS, ["Na", "Cl", "Pu"]),
        formula_types=frozenset({"AB", "A2B3"}),
        limits=(2.5, 3.75),
        unseen_elements=0.01,
        unseen_formula_type=0.25,
    )


RESIDUALS = Residuals(np.arange(12) / 8, np.tile([[True], [False]], 12) | (np.arange(12) % 2 == 0), "a run")
WHOLE = Uncertainty(RESIDUALS, small_domain(), small_domain("before"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_network(small_model(), tmp_path / "model", {"name": "tiny"})
    return tmp_path / "model"


def same_domain(found: Domain | None, expected: Domain | None) -> None:
    assert (found is None) == (expected is None)
    if found is None or expected is None:
        return
    for name in Domain.__slots__:
        value, wanted = getattr(found, name), getattr(expected, name)
        if isinstance(wanted, np.ndarray):
            assert np.array_equal(np.asarray(value), np.asarray(wanted)), name
        else:
            assert value == wanted, name


@pytest.mark.parametrize("kept", [WHOLE, replace(WHOLE, residuals=None), replace(WHOLE, earlier=None)])
def test_round_trip_is_exact(folder: Path, kept: Uncertainty) -> None:
    save_uncertainty(kept, folder)
    found = load_uncertainty(folder)
    assert found is not None
    same_domain(found.domain, kept.domain)
    same_domain(found.earlier, kept.earlier)
    assert (found.residuals is None) == (kept.residuals is None)
    if found.residuals is not None:
        np.testing.assert_array_equal(found.residuals.values, RESIDUALS.values)
        np.testing.assert_array_equal(found.residuals.held_out, RESIDUALS.held_out)
        assert found.residuals.source == "a run"


def test_equal_uncertainty_leaves_equal_files(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    for place in (folder, other):
        save_uncertainty(WHOLE, place)
    assert (folder / UNCERTAINTY_NAME).read_bytes() == (other / UNCERTAINTY_NAME).read_bytes()


def test_the_card_tells_people(folder: Path) -> None:
    before = read_card(folder)
    save_uncertainty(WHOLE, folder)
    card = read_card(folder)
    changed = {"uncertainty", "sha256"}
    assert {key: value for key, value in card.items() if key not in changed} == {
        key: value for key, value in before.items() if key not in changed
    }
    assert card["sha256"][UNCERTAINTY_NAME] == sha256_of(folder / UNCERTAINTY_NAME)
    assert card["uncertainty"]["interval"]["n_crystals"] == 12
    assert (card["uncertainty"]["domain"], card["uncertainty"]["earlier_domain"]) == ("mine", "before")
    save_uncertainty(Uncertainty(None, small_domain()), folder)
    assert read_card(folder)["uncertainty"]["interval"] is None


def test_a_model_without_it_has_none(folder: Path) -> None:
    assert load_uncertainty(folder) is None


def test_another_model_in_the_folder_does_not_inherit_it(folder: Path) -> None:
    save_uncertainty(WHOLE, folder)
    save_network(small_model(), folder, {"name": "other"})
    assert load_uncertainty(folder) is None
    assert "uncertainty" not in read_card(folder)


def refuse(folder: Path, words: str) -> None:
    with pytest.raises(ModelFileError, match=words) as caught:
        load_uncertainty(folder)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_one_clear_error(folder: Path) -> None:
    save_uncertainty(WHOLE, folder)
    content = (folder / UNCERTAINTY_NAME).read_bytes()
    (folder / UNCERTAINTY_NAME).write_bytes(content[: len(content) // 2])
    refuse(folder, "is damaged")
    seal(folder)
    refuse(folder, "cannot be read")


@pytest.mark.parametrize("metadata", [None, {"content": "{}"}, {"content": '{"format": 99}'}, {"content": "[]"}])
def test_another_file_is_one_clear_error(folder: Path, metadata: dict[str, str] | None) -> None:
    save_file({"a": torch.zeros(1)}, folder / UNCERTAINTY_NAME, metadata)
    refuse(folder, "cannot be read")


@pytest.mark.parametrize(
    "other",
    [
        Uncertainty(None, small_domain(n_members=3)),
        replace(WHOLE, residuals=Residuals(np.zeros(4), np.ones((3, 4), bool), "")),
    ],
)
def test_that_of_another_model_is_one_clear_error(folder: Path, other: Uncertainty) -> None:
    save_uncertainty(other, folder)
    refuse(folder, "another model")


def test_a_card_stays_readable_json(folder: Path) -> None:
    save_uncertainty(WHOLE, folder)
    assert "uncertainty" in json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
