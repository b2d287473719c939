"""The study's plan: what each protocol means for a stage, and which stages are shared."""

from __future__ import annotations

import pytest

from paraisite.errors import RecipeError
from paraisite.study.plan import STUDY_PROTOCOLS, StudyJob, choose, make_plan
from paraisite.training.network.recipe import FAMILIES, Recipe, family_recipe

PLAN = make_plan(("median",))
TRAININGS = [job for job in PLAN if job.recipe is not None]


def recipe_of(job: StudyJob) -> Recipe:
    assert job.recipe is not None
    return job.recipe


def test_every_family_is_there_by_every_protocol() -> None:
    found = {(job.protocol, job.family) for job in PLAN if job.kind == "family"}
    assert found == {(protocol, family) for protocol in STUDY_PROTOCOLS for family in FAMILIES}
    assert len({job.id for job in PLAN}) == len(PLAN)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_paper_protocol_is_the_published_recipe(family: str) -> None:
    (job,) = [job for job in PLAN if job.id == f"paper/{family}"]
    assert job.recipe == family_recipe(family)


@pytest.mark.parametrize("job", TRAININGS, ids=lambda job: job.id)
def test_protocols_differ_in_split_and_selection(job: StudyJob) -> None:
    last = recipe_of(job).stages[-1]
    assert last.selection == ("validation" if job.protocol == "paper" else "inner")
    assert last.split == ("composition" if job.protocol == "grouped" else "random")
    assert recipe_of(job).name == job.family
    assert last.data == job.data


@pytest.mark.parametrize("job", [job for job in TRAININGS if job.shares], ids=lambda job: job.id)
def test_a_shared_stage_is_the_same_training(job: StudyJob) -> None:
    (source,) = [other for other in PLAN if other.id == job.shares]
    assert PLAN.index(source) < PLAN.index(job)
    ours, theirs = recipe_of(job), recipe_of(source)
    assert (ours.stages[0], ours.initial, ours.runs, ours.seed) == (
        theirs.stages[0], theirs.initial, theirs.runs, theirs.seed,
    )  # fmt: skip


def test_aflow_stages_are_trained_once() -> None:
    alone = [job for job in TRAININGS if recipe_of(job).stages[0].data == "aflow_agl" and not job.shares]
    recipes = [(recipe_of(job).initial, recipe_of(job).stages[0]) for job in alone]
    assert len(set(recipes)) == len(recipes) == 7


def test_the_unseen_aflow_stage_differs_in_the_data_alone() -> None:
    (job,) = [job for job in PLAN if job.id == "held_out/FEAFTG15-unseen"]
    (plain,) = [job for job in PLAN if job.id == "held_out/FEAFTG15"]
    ours, theirs = recipe_of(job).stages, recipe_of(plain).stages
    assert ours[1] == theirs[1]
    changed = {name for name in ours[0].__slots__ if getattr(ours[0], name) != getattr(theirs[0], name)}
    assert changed == {"without", "patience"}
    assert ours[0].without == "togo15"


def test_a_quick_plan_is_small() -> None:
    quick = make_plan(("median",), quick=True)
    recipes = [job.recipe for job in quick if job.recipe]
    assert {recipe.runs for recipe in recipes} == {(1, 2)}
    assert max(stage.epochs for recipe in recipes for stage in recipe.stages) <= 3
    assert {job.kind for job in quick} == {job.kind for job in PLAN} - {"seed"}


def test_chosen_jobs_bring_what_they_build_on() -> None:
    assert [job.id for job in choose(PLAN, ["held_out/FEAFTG15"])] == ["paper/FEAF", "held_out/FEAFTG15"]
    assert {job.family for job in choose(PLAN, ["*/RWTG15", "grouped/median"])} == {"RWTG15", "median"}
    assert choose(PLAN, []) == list(PLAN)
    with pytest.raises(RecipeError, match="held_out/NOPE"):
        choose(PLAN, ["paper/*", "held_out/NOPE"])
