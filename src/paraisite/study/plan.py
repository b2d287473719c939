"""What the study trains and compares: one job for each family, protocol and question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any, Literal

from paraisite.errors import RecipeError
from paraisite.training.network.recipe import FAMILIES, Recipe, SplitRule, StageRecipe, Trained, family_recipe

StudyProtocol = Literal["paper", "held_out", "grouped"]
JobKind = Literal["family", "ablation", "leak", "trap", "seed", "learning_curve", "candidate"]

STUDY_PROTOCOLS: tuple[StudyProtocol, ...] = ("paper", "held_out", "grouped")
LEARNING_CURVE_STEPS = ("RWTG15", "FETG15", "FEAFTG15")
LEARNING_CURVE_SIZES = (10, 20, 40)
OTHER_SEEDS = (43, 44)
AFLOW_EPOCHS, AFLOW_PATIENCE = 100, 20
"""Budget of a held-out or grouped AFLOW stage, whose epoch the inner split chooses: epochs, and those without improvement
after which it ends. Of the 300 epochs of the paper's protocol the last 200 lower the validation error by some 2 %."""
UNSEEN_PATIENCE = 40
QUICK_RUNS, QUICK_EPOCHS = (1, 2), 3


@dataclass(frozen=True, slots=True)
class StudyJob:
    """One training, or one candidate fitted on every split.

    Attributes:
        protocol: `paper`, `held_out` or `grouped`.
        family: Name of the family, experiment or candidate.
        kind: Which question it answers.
        title: What it is, in a few words.
        data: Data set that it is measured on.
        recipe: What is trained; None for a candidate.
        shares: Identifier of the job whose first stage is the same and is taken over; empty where there is none.
    """

    protocol: StudyProtocol
    family: str
    kind: JobKind
    title: str
    data: str
    recipe: Recipe | None = None
    shares: str = ""

    @property
    def id(self) -> str:
        """Identifier, also the folder below `runs`."""
        return f"{self.protocol}/{self.family}"


FAMILY_TITLES = {
    "RWAF": "random weights → AFLOW",
    "FEAF": "formation energy → AFLOW",
    "RWTG15": "step 1: random weights → Togo15",
    "FETG15": "step 2: formation energy → Togo15",
    "RWAFTG15": "check: random weights → AFLOW → Togo15",
    "FEAFTG15": "step 3: formation energy → AFLOW → Togo15",
    "RWHH143": "random weights → HH143",
    "FEHH143": "formation energy → HH143",
    "FEAFHH143": "formation energy → AFLOW → HH143",
    "RWMIX": "random weights → Togo15 and HH143",
    "FEMIX": "formation energy → Togo15 and HH143",
    "FEAFMIX": "formation energy → AFLOW → Togo15 and HH143",
}


def make_plan(candidates: Sequence[str], *, quick: bool = False) -> tuple[StudyJob, ...]:
    """List the jobs, in the order in which they are begun.

    Args:
        candidates: Names of the candidates.
        quick: A smoke run: two runs, three epochs, the same jobs but for further seeds and sizes.
    """
    aflow = [_family(family, "paper") for family in ("RWAF", "FEAF")]
    others = [name for name in FAMILIES if name not in {"RWAF", "FEAF"}]
    jobs = [*aflow, *(_family(family, protocol) for family in others for protocol in STUDY_PROTOCOLS)]
    jobs += [*_ablations(), *_traps(), *_unseen()]
    if not quick:
        jobs += _seeds()
    jobs += _learning_curves(LEARNING_CURVE_SIZES[:1] if quick else LEARNING_CURVE_SIZES)
    splits: tuple[StudyProtocol, StudyProtocol] = ("held_out", "grouped")
    jobs += [StudyJob(p, name, "candidate", name.replace("_", " "), "togo15") for name in candidates for p in splits]
    jobs += [_family(family, protocol) for protocol in splits for family in ("RWAF", "FEAF")]
    return tuple(replace(job, recipe=_quick(job.recipe)) if quick and job.recipe else job for job in jobs)


def runs_of(plan: Sequence[StudyJob]) -> tuple[int, ...]:
    """Numbers of the runs, which all trainings of a plan share."""
    return next(job.recipe.runs for job in plan if job.recipe)


def choose(plan: Sequence[StudyJob], patterns: Sequence[str]) -> list[StudyJob]:
    """Jobs whose identifier fits one of the patterns (`*` for anything), and those that they build on; all without patterns.

    Raises:
        RecipeError: A pattern fits no job.
    """
    for pattern in patterns:
        if not any(fnmatch(job.id, pattern) for job in plan):
            raise RecipeError(f"No job of the study fits {pattern!r}; they are named like {plan[0].id}.")
    wanted = {job.id for job in plan if not patterns or any(fnmatch(job.id, pattern) for pattern in patterns)}
    needed = {job.shares for job in plan if job.id in wanted and job.shares}
    return [job for job in plan if job.id in wanted | needed]


def by_protocol(stage: StageRecipe, protocol: StudyProtocol) -> StageRecipe:
    """A stage as a protocol selects and splits it."""
    if protocol == "paper":
        return stage
    if stage.data == "aflow_agl":
        stage = replace(stage, epochs=AFLOW_EPOCHS, patience=AFLOW_PATIENCE)
    split: SplitRule = "composition" if protocol == "grouped" else "random"
    return replace(stage, selection="inner", split=split)


def _recipe(family: str, protocol: StudyProtocol) -> Recipe:
    """A family's recipe, its last stage by the protocol; an AFLOW stage before it stays the paper's."""
    recipe = family_recipe(family)
    return replace(recipe, stages=(*recipe.stages[:-1], by_protocol(recipe.stages[-1], protocol)))


def _job(protocol: StudyProtocol, kind: JobKind, title: str, recipe: Recipe, shares: str | None = None) -> StudyJob:
    """A training; its AFLOW stage, where another follows it, is that of RWAF or FEAF unless `shares` says otherwise."""
    if shares is None:
        shares = f"paper/{recipe.name[:4]}" if len(recipe.stages) > 1 else ""
    return StudyJob(protocol, recipe.name, kind, title, recipe.stages[-1].data, recipe, shares)


def _family(family: str, protocol: StudyProtocol) -> StudyJob:
    return _job(protocol, "family", FAMILY_TITLES[family], _recipe(family, protocol))


def _variant(family: str, name: str, protocol: StudyProtocol, **changes: Any) -> Recipe:
    """A family's recipe under another name, its last stage changed."""
    recipe = _recipe(family, protocol)
    stages = (*recipe.stages[:-1], replace(recipe.stages[-1], **changes))
    return replace(recipe, name=f"{family}-{name}", stages=stages)


def _ablations() -> list[StudyJob]:
    parts: dict[Trained, tuple[str, str]] = {
        "head": ("frozen-body", "step 3, the AFLOW stage's body fixed, its head fine-tuned"),
        "new_head": ("new-head", "step 3, the AFLOW stage's body fixed, a new head"),
    }
    return [
        _job(protocol, "ablation", title, _variant("FEAFTG15", name, protocol, trained=trained))
        for trained, (name, title) in parts.items()
        for protocol in STUDY_PROTOCOLS
    ]


def _traps() -> list[StudyJob]:
    return [
        _job(
            "paper",
            "trap",
            f"{FAMILY_TITLES[family]}, trained and selected in the published compressed scale",
            _variant(family, "compressed", "paper", loss="compressed_mape"),
        )
        for family in ("RWAFTG15", "FEAFTG15")
    ]


def _unseen() -> list[StudyJob]:
    """Step 3 from an AFLOW stage that never saw a Togo15 composition."""
    jobs = []
    for protocol in STUDY_PROTOCOLS:
        recipe = _variant("FEAFTG15", "unseen", protocol)
        aflow = replace(recipe.stages[0], without="togo15", patience=UNSEEN_PATIENCE)
        recipe = replace(recipe, stages=(aflow, *recipe.stages[1:]))
        shares = "" if protocol == "paper" else f"paper/{recipe.name}"
        jobs.append(_job(protocol, "leak", "step 3, no Togo15 composition in the AFLOW stage", recipe, shares))
    return jobs


def _seeds() -> list[StudyJob]:
    """Steps 1 and 2 drawn again, to tell a difference of steps from one of draws."""
    return [
        _job(
            "paper",
            "seed",
            f"{FAMILY_TITLES[family]}, seed {seed}",
            replace(_variant(family, f"seed{seed}", "paper"), seed=seed),
        )
        for family in ("RWTG15", "FETG15")
        for seed in OTHER_SEEDS
    ]


def _learning_curves(sizes: tuple[int, ...]) -> list[StudyJob]:
    return [
        _job(
            "held_out",
            "learning_curve",
            f"{FAMILY_TITLES[step]}, {size} training crystals",
            _variant(step, f"n{size}", "held_out", train_size=size),
        )
        for step in LEARNING_CURVE_STEPS
        for size in sizes
    ]


def _quick(recipe: Recipe) -> Recipe:
    stages = tuple(replace(stage, epochs=QUICK_EPOCHS, batch_size=64, validate_every=1) for stage in recipe.stages)
    return replace(recipe, runs=QUICK_RUNS, stages=stages)
