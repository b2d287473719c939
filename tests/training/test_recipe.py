"""Recipes: what they refuse, their TOML, and their digest."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraisite.cli.main import main
from paraisite.errors import RecipeError
from paraisite.training.network.recipe import FAMILIES, Recipe, StageRecipe, family_recipe, find_recipe

RECIPES = Path(__file__).parents[2] / "results" / "recipes"
STAGE = StageRecipe(name="first", data="togo15")
RECIPE = Recipe(name="plain", stages=(STAGE,))

OTHER_STAGE: dict[str, Any] = {
    "name": "second",
    "data": "hh143",
    "epochs": 299,
    "batch_size": 9,
    "learning_rate": 2e-3,
    "learning_rate_floor": 0.0,
    "cosine_epochs": 999,
    "adam_epsilon": 1e-7,
    "train_fraction": 0.75,
    "selection": "inner",
    "inner_fraction": 0.25,
    "validate_every": 2,
    "kappa_column": "ltc",
    "split": "composition",
    "train_size": 20,
    "without": "togo15",
    "trained": "head",
    "loss": "compressed_mape",
    "patience": 10,
}
OTHER_RECIPE: dict[str, Any] = {
    "name": "changed",
    "stages": (STAGE, replace(STAGE, name="second")),
    "initial": "formation_energy",
    "runs": (1, 2, 3),
    "seed": 43,
    "threads": 2,
}


def test_defaults_are_the_published_protocol() -> None:
    published = {
        "epochs": 300, "batch_size": 8, "learning_rate": 1e-3, "learning_rate_floor": 1e-5, "cosine_epochs": 1000,
        "adam_epsilon": 1e-8, "train_fraction": 0.8, "selection": "validation",
    }  # fmt: skip
    assert {key: getattr(STAGE, key) for key in published} == published
    assert (RECIPE.runs, RECIPE.seed, RECIPE.initial) == (tuple(range(1, 10)), 42, "random")


@pytest.mark.parametrize("item", fields(StageRecipe), ids=lambda item: item.name)
def test_digest_follows_every_field_of_a_stage(item: Any) -> None:
    changed = replace(STAGE, **{item.name: OTHER_STAGE[item.name]})
    assert replace(RECIPE, stages=(changed,)).digest() != RECIPE.digest()


@pytest.mark.parametrize("item", fields(Recipe), ids=lambda item: item.name)
def test_digest_follows_every_field(item: Any) -> None:
    assert replace(RECIPE, **{item.name: OTHER_RECIPE[item.name]}).digest() != RECIPE.digest()


def test_digest_follows_the_order_of_stages_and_runs() -> None:
    two = replace(RECIPE, stages=OTHER_RECIPE["stages"])
    assert two.digest() != replace(two, stages=two.stages[::-1]).digest()
    assert replace(RECIPE, runs=(1, 2)).digest() != replace(RECIPE, runs=(2, 1)).digest()


def test_equal_recipes_have_one_digest() -> None:
    assert Recipe.from_dict(asdict(RECIPE)).digest() == RECIPE.digest()


def written_and_read(recipe: Recipe, folder: Path) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    return Recipe.from_toml(path)


def test_toml_round_trip(tmp_path: Path) -> None:
    changed = Recipe(**{**OTHER_RECIPE, "stages": (STAGE, StageRecipe(**OTHER_STAGE))})
    for recipe in (RECIPE, changed):
        assert written_and_read(recipe, tmp_path) == recipe


@pytest.mark.parametrize("family", FAMILIES)
def test_families_round_trip(family: str, tmp_path: Path) -> None:
    recipe = family_recipe(family)
    assert recipe.name == family
    assert len(recipe.stages) == len(FAMILIES[family][1])
    assert written_and_read(recipe, tmp_path) == recipe


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    rate=st.floats(1e-9, 0.5),
    epochs=st.integers(1, 10**9),
)
def test_toml_round_trip_of_any_name_and_number(
    tmp_path_factory: pytest.TempPathFactory, name: str, rate: float, epochs: int
) -> None:
    stage = replace(STAGE, data=name, learning_rate=rate, learning_rate_floor=rate / 3, epochs=epochs)
    recipe = replace(RECIPE, name=name, stages=(stage,))
    assert written_and_read(recipe, tmp_path_factory.getbasetemp()) == recipe


def test_unknown_family() -> None:
    with pytest.raises(RecipeError, match="FEAFTG15"):
        family_recipe("feaf")


def refuse(content: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Recipe.from_dict(content, "here")


def with_stage(**changes: Any) -> dict[str, Any]:
    return {"name": "plain", "stages": [{"name": "first", "data": "togo15", **changes}]}


def test_unknown_keys() -> None:
    refuse({**with_stage(), "epoch": 3}, "here: unknown key 'epoch'")
    refuse(with_stage(epoch=3), "here, stage 1: unknown key 'epoch'")


def test_missing_keys() -> None:
    refuse({"stages": [{"name": "first", "data": "togo15"}]}, "the key 'name' is missing")
    refuse({"name": "plain", "stages": [{"name": "first"}]}, "stage 1: the key 'data' is missing")
    refuse({"name": "plain"}, "stages")


@pytest.mark.parametrize("stages", [[], "togo15", [1], {"name": "first"}, None])
def test_stages_that_are_no_tables(stages: object) -> None:
    refuse({"name": "plain", "stages": stages}, "stages")


WRONG_TYPES = [
    ("epochs", 3.0), ("epochs", "3"), ("epochs", True), ("epochs", None), ("batch_size", [8]), ("learning_rate", "1e-3"),
    ("learning_rate", False), ("data", 3), ("name", ["first"]), ("selection", 1), ("validate_every", 1.5),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG_TYPES)
def test_wrong_type_in_a_stage(key: str, value: object) -> None:
    refuse(with_stage(**{key: value}), f"here, stage 1: .*{key} = .*: (expected `|give )")


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", 3), ("initial", None), ("seed", "42"), ("seed", 1.0), ("threads", True), ("runs", 3), ("runs", [1, 2.0]),
     ("runs", [1, True]), ("runs", "12")],
)  # fmt: skip
def test_wrong_type_in_a_recipe(key: str, value: object) -> None:
    refuse({**with_stage(), key: value}, key)


OUT_OF_RANGE = [
    ("name", ""), ("name", "a/b"), ("name", ".."), ("data", ""), ("epochs", 0), ("batch_size", 0), ("learning_rate", 0.0),
    ("learning_rate", 1.0), ("learning_rate", float("nan")), ("learning_rate_floor", -1e-9), ("learning_rate_floor", 2e-3),
    ("cosine_epochs", 0), ("adam_epsilon", 0.0), ("adam_epsilon", float("inf")), ("train_fraction", 0.0),
    ("train_fraction", 1.0), ("selection", "best"), ("inner_fraction", 0.0), ("inner_fraction", 1.0), ("validate_every", 0),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), OUT_OF_RANGE)
def test_out_of_range_in_a_stage(key: str, value: object) -> None:
    refuse(with_stage(**{key: value}), f"here, stage 1: .*{key} = .*: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", ""), ("initial", ""), ("runs", []), ("runs", [1, 1]), ("runs", [0, 1]), ("seed", -1), ("threads", 0)],
)
def test_out_of_range_in_a_recipe(key: str, value: object) -> None:
    refuse({**with_stage(), key: value}, f"here: .*{key} = .*: ")


CHOICES = {
    "selection": "give validation or inner or last",
    "split": "give random or composition",
    "trained": "give all or head or new_head",
    "loss": "give mape or compressed_mape",
}


@pytest.mark.parametrize(("key", "words"), CHOICES.items())
def test_a_wrong_word_is_answered_with_the_allowed_ones(key: str, words: str) -> None:
    refuse(with_stage(**{key: "best"}), f"{key} = 'best': {words}")
    with pytest.raises(RecipeError, match=words):
        replace(STAGE, **{key: "best"})


def test_a_bound_is_stated() -> None:
    refuse(with_stage(epochs=0), "epochs = 0: expected `int` >= 1")
    refuse(with_stage(train_fraction=1.0), "train_fraction = 1.0: expected `float` < 1.0")
    refuse(with_stage(patience=3, selection="last"), "patience = 3: there is no error to wait for")
    refuse(with_stage(learning_rate_floor=2e-3), "learning_rate_floor = 0.002: above the learning_rate")


def test_published_recipes_keep_their_text_and_digest() -> None:
    """The recipes of the published results, as version 0.1.0 read and wrote them."""
    paths = sorted(RECIPES.glob("*.toml"))
    recipes = [Recipe.from_toml(path) for path in paths]
    # Two were written before the fields from kappa_column on were added.
    differing = [path.name for path, recipe in zip(paths, recipes, strict=True) if recipe.to_toml() != path.read_text()]
    assert differing == ["paper__FEAF.toml", "paper__RWAF.toml"]
    text, digests = ("".join(part) for part in zip(*((made.to_toml(), made.digest()) for made in recipes), strict=True))
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "5ba3b1576eea76ee3c0b9f77118216b474140c8493aad74115818eb9bbd6596f"
    )
    assert hashlib.sha256(digests.encode()).hexdigest() == (
        "5e7e1f3ade4fdea9b318cf557d25b17538d012f7568fc27583675990089f71c1"
    )


def test_a_name_that_is_no_recipe_is_answered_with_the_families(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"There is no recipe 'NOPE'.*RWAF, FEAF.*FEAFMIX"):
        find_recipe("NOPE")
    assert main(["train", "NOPE", "-o", "run"]) == 1
    assert "FEAFTG15" in capsys.readouterr().err
    assert not Path("run").exists()
    Path("mine.toml").write_text(RECIPE.to_toml(), encoding="utf-8")
    assert find_recipe("mine.toml") == RECIPE
    assert find_recipe("FEAFTG15") == family_recipe("FEAFTG15")


def test_two_stages_of_one_name() -> None:
    stage = {"name": "first", "data": "togo15"}
    refuse({"name": "plain", "stages": [stage, {**stage, "data": "hh143"}]}, "stages")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[[stages]\n"])
def test_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match="is not a TOML file"):
        Recipe.from_toml(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.from_toml(tmp_path / "none.toml")


def test_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE.to_toml().replace("epochs = 300", "epochs = 0"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"mine\.toml, stage 1"):
        Recipe.from_toml(path)
