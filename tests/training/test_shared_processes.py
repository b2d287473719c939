"""Fits to many crystals: a posterior for all members at once, against members conditioned one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paraisite.models.files import find_model
from paraisite.models.interface import FitProgress
from paraisite.models.multi_fidelity.covariance import correction_covariance
from paraisite.models.multi_fidelity.explanation import nearest_training_crystals
from paraisite.models.multi_fidelity.files import load_multi_fidelity, save_multi_fidelity
from paraisite.models.multi_fidelity.model import Member, MultiFidelity
from paraisite.training.multi_fidelity import fit
from paraisite.training.multi_fidelity.calibration import HeldOutPredictions
from paraisite.training.multi_fidelity.fit import TrainingCrystals, fit_multi_fidelity
from paraisite.training.multi_fidelity.hyperparameters import parameter_crystals
from paraisite.training.multi_fidelity.shared import choose_inducing, condition_shared
from sealed_files import seal

N = 345
ROUNDING = 1e-9
"""In log10 κ: an inverse of 345 crystals, whose condition is below 1e6, in 64 bits."""
JITTERED = 1e-4
"""The jitter of inducing points is a millionth of their variance."""
TWINS = 5e-3
"""Crystals that two sets have in common are one inducing point, of one of the sets, which new crystals are then more like."""


def quiet(_: FitProgress) -> None:
    pass


@pytest.fixture(scope="module")
def shipped() -> MultiFidelity:
    return load_multi_fidelity(find_model())


@pytest.fixture(scope="module")
def members(shipped: MultiFidelity) -> tuple[Member, ...]:
    """Nine members with the hyperparameters of one."""
    data = shipped.data
    return tuple(Member(shipped.parameters[3], data, data.fold != fold) for fold in range(9))


@pytest.mark.parametrize(
    ("max_exact", "tolerance"), [(N, ROUNDING), (0, JITTERED)], ids=["exact", "all crystals as inducing points"]
)
def test_one_posterior_for_all_members_is_that_of_each(
    shipped: MultiFidelity, members: tuple[Member, ...], max_exact: int, tolerance: float
) -> None:
    data = shipped.data
    shared, single, several = condition_shared(shipped.parameters[3], data, quiet, max_exact=max_exact, n_inducing=N)
    by_hand = [
        HeldOutPredictions.of(members, data),
        *(HeldOutPredictions.of_ensemble(members, data, stated=stated) for stated in (False, True)),
    ]
    for found, wanted in zip([single, *several], by_hand, strict=True):
        assert found.names == wanted.names
        np.testing.assert_allclose(found.log10_mean, wanted.log10_mean, atol=tolerance)
        of_likeness = tolerance if max_exact or found is several[1] else TWINS
        np.testing.assert_allclose(found.log10_std, wanted.log10_std, atol=of_likeness)
        if max_exact:
            np.testing.assert_allclose(found.likeness, wanted.likeness, atol=tolerance)
    inputs = data.inputs + 0.1 * np.random.default_rng(0).normal(size=data.inputs.shape)
    means, deviations, weights = shared.predict(inputs, data.low)
    said = [member.predict(inputs, data.low) for member in members]
    np.testing.assert_allclose(means, [one[0] for one in said], atol=10 * tolerance)
    np.testing.assert_array_equal(means, shared.means(inputs, data.low))
    # One variance for all, the mean over the members; the root has 24 bits.
    mean_deviation = np.sqrt(np.mean([one[1] ** 2 for one in said], axis=0))
    spread = np.abs([one[2] for one in said] - weights).max()
    assert spread < 0.9
    stated = shared.predict(inputs, data.low, data.source)[1]
    each = np.sqrt(np.mean([member.predict(inputs, data.low, data.source)[1] ** 2 for member in members], axis=0))
    np.testing.assert_allclose(stated[0], each, atol=1e-3)
    assert np.abs(deviations[0] - mean_deviation).mean() < 0.05


def test_no_crystal_moves_what_is_said_of_its_own_fold(shipped: MultiFidelity) -> None:
    data = shipped.data
    rows = data.fold == 2
    changed = replace(data, log10_kappa=np.where(rows, data.log10_kappa + 3, data.log10_kappa))
    for max_exact in (N, 0):
        before, after = (
            condition_shared(shipped.parameters[0], each, quiet, max_exact=max_exact, n_inducing=150)
            for each in (data, changed)
        )
        for first, second in zip([before[1], *before[2]], [after[1], *after[2]], strict=True):
            np.testing.assert_allclose(second.log10_mean[rows], first.log10_mean[rows], atol=1e-8)
            assert np.abs(second.log10_mean - first.log10_mean)[~rows].max() > 0.1
            np.testing.assert_allclose(second.log10_std, first.log10_std, rtol=1e-9)


def test_more_inducing_points_come_closer(shipped: MultiFidelity) -> None:
    exact, _, _ = condition_shared(shipped.parameters[0], shipped.data, quiet)
    inputs = shipped.data.inputs + 0.1
    means = exact.means(inputs, shipped.data.low)
    errors = []
    for n_inducing in (50, 150, 300):
        sparse, _, _ = condition_shared(shipped.parameters[0], shipped.data, quiet, max_exact=0, n_inducing=n_inducing)
        assert len(sparse.basis) == len(set(sparse.basis.tolist())) == n_inducing
        errors.append(np.abs(sparse.means(inputs, shipped.data.low) - means).mean())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_equal_crystals_are_no_second_inducing_point(shipped: MultiFidelity) -> None:
    inputs = np.repeat(shipped.data.inputs[:40], 3, axis=0)
    chosen = choose_inducing(shipped.parameters[0], inputs, 100)
    apart = correction_covariance(shipped.parameters[0], inputs[chosen], inputs[chosen])
    assert 35 <= len(chosen) <= 40
    assert np.linalg.matrix_rank(apart) == len(chosen)


def test_hyperparameters_come_from_as_many_crystals_of_each_source() -> None:
    source = np.array(["a"] * 30 + ["b"] * 500 + ["c"] * 5000)
    chosen = parameter_crystals(source, 400)
    assert [int(chosen[source == name].sum()) for name in "abc"] == [30, 185, 185]
    assert parameter_crystals(source[:100], 400).all()


def test_a_fit_that_shares_is_kept_explained_and_reported(
    shipped: MultiFidelity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is lowered, so that a fit takes seconds; all else is as it is."""
    monkeypatch.setattr(fit, "MAX_OWN", 100)
    crystals = TrainingCrystals.of(shipped).take(np.arange(0, N, 2))
    seen: list[FitProgress] = []
    model, report = fit_multi_fidelity(shipped.surrogates, crystals, seen.append)
    assert model.shared is not None
    assert (model.members, model.n_members, len(model.parameters)) == ((), 9, 1)
    steps = {step: [one for one in seen if one.step == step] for step in dict.fromkeys(one.step for one in seen)}
    assert len(steps) == 2
    for updates in steps.values():
        done = [one.done for one in updates]
        assert done == sorted(done)
        assert updates[-1].done == updates[-1].total
    save_multi_fidelity(model, tmp_path, {"name": "shared"})
    assert json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))["architecture"]["n_members"] == 9
    loaded = load_multi_fidelity(tmp_path)
    new = shipped.data.descriptors[1::2]
    first, second = (each.predict(new) for each in (model, loaded))
    np.testing.assert_array_equal(second.members, first.members)
    np.testing.assert_array_equal(second.log10_std, first.log10_std)
    np.testing.assert_array_equal(loaded.log10_median(new), first.log10_median)
    assert first.members.shape == (9, len(new))
    # As good as members with hyperparameters of their own, on crystals that neither saw.
    monkeypatch.setattr(fit, "MAX_OWN", 600)
    own, _ = fit_multi_fidelity(shipped.surrogates, crystals)
    known = shipped.data.log10_kappa[1::2]
    errors = [np.abs(each.predict(new).log10_point - known).mean() for each in (model, own)]
    assert errors[0] < 1.1 * errors[1]
    assert len(nearest_training_crystals(model, new[0])) == 5
    assert np.abs(report.log10_mean - crystals.log10_kappa).mean() < 0.3


@pytest.mark.parametrize("name", ["shared.weights", "shared.root", "shared.basis"])
def test_parts_that_do_not_fit_together_are_refused(shipped: MultiFidelity, tmp_path: Path, name: str) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    from paraisite.errors import ModelFileError

    shared, _, _ = condition_shared(shipped.parameters[0], shipped.data, quiet)
    save_multi_fidelity(replace(shipped, members=(), shared=shared), tmp_path, {"name": "shared"})
    load_multi_fidelity(tmp_path)
    path = tmp_path / "model.safetensors"
    with safe_open(path, "np") as handle:
        metadata = handle.metadata()
    tensors = load_file(path)
    tensors[name] = tensors[name][:-1].copy()
    save_file(tensors, path, metadata)
    seal(tmp_path)
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_multi_fidelity(tmp_path)


def test_the_shipped_model_is_what_its_crystals_give(shipped: MultiFidelity) -> None:
    """A fit to as few crystals as the shipped model's goes as before: its numbers have not moved."""
    again, _ = fit_multi_fidelity(shipped.surrogates, TrainingCrystals.of(shipped))
    new = shipped.data.descriptors + 0.01 * np.random.default_rng(0).normal(size=shipped.data.descriptors.shape)
    first, second = shipped.predict(new), again.predict(new)
    for name in ("members", "log10_median", "log10_point", "log10_std"):
        np.testing.assert_allclose(getattr(second, name), getattr(first, name), rtol=0, atol=1e-6)
