"""Training recipes: validated, frozen, and written as TOML."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from paraisite.errors import RecipeError

EpochSelection = Literal["validation", "inner", "last"]
SplitRule = Literal["random", "composition"]
Trained = Literal["all", "head", "new_head"]
Loss = Literal["mape", "compressed_mape"]
Text = Annotated[str, Meta(min_length=1)]
FolderName = Annotated[str, Meta(pattern=r"^[^./][^/]*$")]
PositiveCount = Annotated[int, Meta(ge=1)]
NaturalNumber = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(gt=0, lt=1)]


@dataclass(frozen=True, slots=True)
class StageRecipe:
    """One stage: train all members on one data set.

    Attributes:
        name: Name of the stage's folder.
        data: `togo15`, `hh143`, `mix`, `aflow_agl`, or the path of the user's own data.
        epochs: Passes over the data.
        batch_size: Training crystals that a member sees in a step, on average.
        learning_rate: Learning rate of Adam in the first epoch.
        learning_rate_floor: Where the cosine schedule ends.
        cosine_epochs: Epochs that the cosine schedule takes to its floor.
        adam_epsilon: Denominator term of Adam.
        train_fraction: Share of the data that a member trains on; the rest is its validation part.
        selection: Which epoch's weights go on: `validation` (lowest error on the validation part itself, the paper's
            optimistic protocol), `inner` (lowest error on a part held out of the training part; the validation part is not
            looked at) or `last`.
        inner_fraction: Share of the training part that `inner` holds out.
        validate_every: Epochs from one validation to the next; the last epoch is always validated.
        kappa_column: Name of the κ column of the user's own data; empty takes the first usual name that is there.
        split: `random` (the published splits) or `composition` (no composition on both sides, also not of the inner split).
        train_size: Crystals that a member's training part is cut down to, for learning curves; 0 keeps all. Smaller sizes are
            subsets of larger ones.
        without: Name of a data set whose compositions are left out of this stage's data; empty leaves none out.
        trained: `all` weights, the `head` alone (the body stays as it came), or a `new_head` drawn at random on such a body.
        loss: `mape` in κ, or `compressed_mape`, the published step 3's error of a compressed κ, which also selects the epoch.
        patience: Epochs without a lower selection error of any member after which the stage ends early; 0 never does.
    """

    name: FolderName
    data: Text
    epochs: PositiveCount = 300
    batch_size: PositiveCount = 8
    learning_rate: Share = 1e-3
    learning_rate_floor: Annotated[float, Meta(ge=0)] = 1e-5
    cosine_epochs: PositiveCount = 1000
    adam_epsilon: Share = 1e-8
    train_fraction: Share = 0.8
    selection: EpochSelection = "validation"
    inner_fraction: Share = 0.2
    validate_every: PositiveCount = 1
    kappa_column: str = ""
    split: SplitRule = "random"
    train_size: NaturalNumber = 0
    without: str = ""
    trained: Trained = "all"
    loss: Loss = "mape"
    patience: NaturalNumber = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        where = f"stage {self.name!r}"
        _check_fields(self, where)
        if self.learning_rate_floor > self.learning_rate:
            raise _refusal(where, "learning_rate_floor", self.learning_rate_floor, "above the learning_rate")
        if self.patience and self.selection == "last":
            raise _refusal(where, "patience", self.patience, "there is no error to wait for with the selection last")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A chain of stages over the same members.

    Attributes:
        name: Name of the recipe, such as `FEAFTG15`.
        stages: Stages in order; each starts from the weights that the one before it selected.
        initial: `random`, a backbone (`formation_energy`: MEGNet's body from the published weights, the head random; see
            `paraisite.models.network.backbones`), or the name or folder of a model whose weights all members continue from.
        runs: Members, by the number of their split (1 to 9 in the paper).
        seed: Seed of initial weights and of the order of the crystals.
        threads: CPU threads; the steps are small, and one is usually the fastest.
    """

    name: Text
    stages: Annotated[tuple[StageRecipe, ...], Meta(min_length=1)]
    initial: Text = "random"
    runs: Annotated[tuple[PositiveCount, ...], Meta(min_length=1)] = (1, 2, 3, 4, 5, 6, 7, 8, 9)
    seed: NaturalNumber = 42
    threads: PositiveCount = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        where = f"recipe {self.name!r}"
        _check_fields(self, where)
        names = [stage.name for stage in self.stages]
        for key, values in (("runs", self.runs), ("stages", names)):
            if len(set(values)) < len(values):
                raise _refusal(where, key, values, "one is there twice")

    def digest(self) -> str:
        """Hash of everything that decides the numbers."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """Write the recipe as TOML, every value stated."""
        lines = [f"{key} = {_toml(value)}" for key, value in asdict(self).items() if key != "stages"]
        for stage in self.stages:
            lines += ["", "[[stages]]"]
            lines += [f"{key} = {_toml(value)}" for key, value in asdict(stage).items()]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_dict(cls, content: dict[str, Any], where: str = "recipe") -> Recipe:
        """Make a recipe of plain values.

        Raises:
            RecipeError: An unknown or missing key, or a value of the wrong kind or out of range.
        """
        content = dict(content)
        stages = content.pop("stages", None)
        if not isinstance(stages, list | tuple) or not all(isinstance(stage, dict) for stage in stages):
            raise RecipeError(f"{where}: give the stages as one [[stages]] table each.")
        made = tuple(_from_dict(StageRecipe, stage, f"{where}, stage {k}") for k, stage in enumerate(stages, 1))
        result: Recipe = _from_dict(cls, {**content, "stages": made}, where)
        return result

    @classmethod
    def from_toml(cls, path: str | Path) -> Recipe:
        """Read a recipe file.

        Raises:
            RecipeError: The file is missing or not TOML, or says something that `from_dict` refuses.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"The recipe {path} is not a TOML file: {error}.") from error
        return cls.from_dict(content, str(path))


def _toml(value: Any) -> str:
    """A plain value as TOML, which differs from JSON in a string's characters beyond the basic plane and in DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _from_dict(cls: Any, content: dict[str, Any], where: str) -> Any:
    known = {item.name: item for item in fields(cls)}
    unknown = sorted(content.keys() - known.keys())
    if unknown:
        raise RecipeError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(known)}.")
    missing = [name for name, item in known.items() if item.default is MISSING and name not in content]
    if missing:
        raise RecipeError(f"{where}: the key {missing[0]!r} is missing.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    try:
        return cls(**values)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error


def _check_fields(recipe: StageRecipe | Recipe, where: str) -> None:
    """Hold every field against its annotated type and bounds.

    Raises:
        RecipeError: A value is of another type or out of range; the message says what is allowed.
    """
    for name, kind in get_type_hints(type(recipe), include_extras=True).items():
        value = getattr(recipe, name)
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            is_choice = get_origin(kind) is Literal
            reason = f"give {' or '.join(get_args(kind))}" if is_choice else str(error).replace("Expected", "expected")
            raise _refusal(where, name, value, reason) from error


def _refusal(where: str, name: str, value: object, reason: str) -> RecipeError:
    return RecipeError(f"{where}: {name} = {value!r}: {reason}.")


_AFLOW = {"name": "aflow", "data": "aflow_agl", "batch_size": 64, "validate_every": 2}

FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "RWAF": ("random", ("aflow_agl",)),
    "FEAF": ("formation_energy", ("aflow_agl",)),
    "RWTG15": ("random", ("togo15",)),
    "FETG15": ("formation_energy", ("togo15",)),
    "RWAFTG15": ("random", ("aflow_agl", "togo15")),
    "FEAFTG15": ("formation_energy", ("aflow_agl", "togo15")),
    "RWHH143": ("random", ("hh143",)),
    "FEHH143": ("formation_energy", ("hh143",)),
    "FEAFHH143": ("formation_energy", ("aflow_agl", "hh143")),
    "RWMIX": ("random", ("mix",)),
    "FEMIX": ("formation_energy", ("mix",)),
    "FEAFMIX": ("formation_energy", ("aflow_agl", "mix")),
}
"""The paper's families: initial weights and data sets in order (doi 10.1039/d5cp04401d, Fig. 4 and its SI)."""


def family_recipe(family: str) -> Recipe:
    """Make the recipe of one of the paper's families.

    Args:
        family: A key of `FAMILIES`.

    Raises:
        RecipeError: There is no such family.
    """
    if family not in FAMILIES:
        raise RecipeError(f"There is no family {family!r}; known are {', '.join(FAMILIES)}.")
    initial, data = FAMILIES[family]
    stages = [_AFLOW if name == "aflow_agl" else {"name": name, "data": name} for name in data]
    return Recipe.from_dict({"name": family, "initial": initial, "stages": stages})


def find_recipe(name: str | Path) -> Recipe:
    """Make the recipe that a name stands for.

    Args:
        name: One of the paper's families, or the path of a recipe file (TOML).

    Raises:
        RecipeError: It is neither, or the file says something that a recipe cannot.
    """
    if str(name) in FAMILIES:
        return family_recipe(str(name))
    if not Path(name).exists():
        raise RecipeError(
            f"There is no recipe {str(name)!r}: give a recipe file (TOML) or one of the families {', '.join(FAMILIES)}."
        )
    return Recipe.from_toml(name)
