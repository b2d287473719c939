"""The multi-fidelity model: its processes, its cautious estimate, its folds and its files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from paraisite.datasets.levels import Source
from paraisite.datasets.tables import load_hh143, load_literature, load_togo15
from paraisite.errors import ModelFileError
from paraisite.features.descriptors import DESCRIPTORS, describe_crystals
from paraisite.metrics import NORMAL_90
from paraisite.models.files import CARD_NAME, WEIGHTS_NAME, find_model, read_card, shipped_models
from paraisite.models.multi_fidelity.files import load_multi_fidelity, save_multi_fidelity
from paraisite.models.multi_fidelity.model import (
    JITTER,
    N_CORRECTION,
    CorrectionParameters,
    FirstPrinciples,
    Member,
    MultiFidelity,
    Surrogate,
    assign_folds,
    cautious_shift,
    prior_mean,
)
from paraisite.models.network.files import load_network
from sealed_files import seal

N_CRYSTALS, N_FOLDS = 40, 3
PARAMETERS = CorrectionParameters(amplitude=0.4, length=6.0, rho=(0.7,), noise={"first": 0.05, "second": 0.2})


def surrogate() -> Surrogate:
    generator = np.random.default_rng(1)
    sizes = ((65, 8), (8, 8), (8, 1))
    return Surrogate(
        offset=generator.normal(size=65),
        scale=generator.uniform(0.5, 2.0, 65),
        weights=tuple(
            # 16 bits, as they are stored.
            (generator.normal(size=(2, *size)) / sqrt(size[0])).astype(np.float16).astype(np.float32)
            for size in sizes
        ),
        biases=tuple(generator.normal(scale=0.1, size=(2, 1, size[1])).astype(np.float32) for size in sizes),
        target=(0.9, 0.6),
        source=Source("aflow_agl", "agl", low=True),
    )


def first_principles() -> FirstPrinciples:
    generator = np.random.default_rng(2)
    descriptors = generator.normal(size=(N_CRYSTALS, 65))
    compositions = np.array([f"A{number // 2 + 2}B" for number in range(N_CRYSTALS)])
    return FirstPrinciples(
        material_id=np.array([f"crystal-{number}" for number in range(N_CRYSTALS)]),
        composition=compositions,
        source=np.where(np.arange(N_CRYSTALS) % 3 == 0, "second", "first"),
        descriptors=descriptors,
        low=surrogate().predict(descriptors)[None],
        log10_kappa=generator.normal(1.0, 0.5, N_CRYSTALS),
        fold=assign_folds(compositions.tolist(), N_FOLDS, seed=0),
        scale=generator.uniform(0.5, 2.0, N_CORRECTION),
    )


def small_model(**changes: Any) -> MultiFidelity:
    data = first_principles()
    members = tuple(
        Member(replace(PARAMETERS, rho=(0.6 + 0.1 * fold,)), data, data.fold != fold) for fold in range(N_FOLDS)
    )
    widths, stated = {"first": 1.9, "second": 1.5}, {"first": 1.8, "second": 1.3}
    return replace(MultiFidelity((surrogate(),), data, members, widths, stated, caution=0.3), **changes)


@pytest.fixture(scope="module")
def model() -> MultiFidelity:
    return small_model()


@pytest.fixture(scope="module")
def shipped() -> MultiFidelity:
    return load_multi_fidelity(find_model())


@pytest.fixture
def folder(model: MultiFidelity, tmp_path: Path) -> Path:
    save_multi_fidelity(model, tmp_path / "model", {"name": "small", "κ": "300 K"})
    return tmp_path / "model"


# The surrogate


def test_the_surrogate_is_the_mean_of_its_networks() -> None:
    networks, inputs = surrogate(), np.random.default_rng(3).normal(size=(5, 65))
    scaled = (inputs - networks.offset) / networks.scale
    outputs = []
    for network in range(2):
        values = scaled
        for layer, (weight, bias) in enumerate(zip(networks.weights, networks.biases, strict=True)):
            values = values @ weight[network].astype(np.float64) + bias[network]
            values = values if layer == 2 else values / (1 + np.exp(-values))
        outputs.append(0.9 + 0.6 * values[:, 0])
    np.testing.assert_allclose(networks.predict(inputs), np.mean(outputs, axis=0), atol=1e-5)


def test_a_crystal_out_of_all_bounds_has_a_finite_surrogate() -> None:
    with np.errstate(over="raise", invalid="raise"):
        assert np.isfinite(surrogate().predict(np.full((1, 65), -1e4))).all()


# The processes


@pytest.mark.parametrize("source", ["first", "second", None])
def test_the_posterior_is_that_of_scikit_learn(source: str | None) -> None:
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    kernels = gaussian_process.kernels
    data = first_principles()
    known = data.fold != 0
    noise = np.array([PARAMETERS.noise[name] for name in data.source[known]])
    kernel = kernels.ConstantKernel(PARAMETERS.amplitude**2, "fixed") * kernels.Matern(
        PARAMETERS.length, "fixed", nu=2.5
    )
    reference = gaussian_process.GaussianProcessRegressor(kernel, alpha=noise**2 + JITTER, optimizer=None)
    prior = 1 + PARAMETERS.rho[0] * (data.low[0] - 1)
    reference.fit(data.inputs[known], (data.log10_kappa - prior)[known])

    expected, deviation = reference.predict(data.inputs, return_std=True)
    sources = None if source is None else np.full(N_CRYSTALS, source)
    mean, std, weights = Member(PARAMETERS, data, known).predict(data.inputs, data.low, sources)
    np.testing.assert_allclose(mean, prior + expected, rtol=0, atol=1e-8)
    rest = 1 - weights.sum(axis=1)
    # Without a source, a mean of both by likeness; the noisier one's, as far as a crystal is like none.
    added = weights @ np.array([0.05, 0.2]) ** 2 + rest * 0.2**2 if source is None else PARAMETERS.noise[source] ** 2
    np.testing.assert_allclose(std, np.sqrt(deviation**2 + added), rtol=0, atol=1e-8)


def test_far_from_every_crystal_the_prior_is_told() -> None:
    data = first_principles()
    member = Member(PARAMETERS, data, np.ones(N_CRYSTALS, dtype=bool))
    low = np.array([[-0.5, 1.0, 2.5]])
    mean, std, weights = member.predict(np.full((3, N_CORRECTION), 1e3), low)
    np.testing.assert_allclose(mean, 1 + 0.7 * (low[0] - 1), atol=1e-12)
    np.testing.assert_allclose(weights, 0, atol=1e-12)
    np.testing.assert_allclose(std, sqrt(0.4**2 + 0.2**2), atol=1e-12)  # the noisiest source's
    assert prior_mean((0.7,), np.ones((1, 1))) == 1


def test_a_member_does_not_look_at_what_it_holds_out() -> None:
    data = first_principles()
    known = data.fold != 1
    changed = replace(data, log10_kappa=np.where(known, data.log10_kappa, 99.0))
    for one, other in zip(
        *(Member(PARAMETERS, each, known).predict(data.inputs, data.low) for each in (data, changed)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_equal_crystals_do_no_harm() -> None:
    data = first_principles()
    row = np.zeros(N_CRYSTALS, dtype=np.int64)
    same = replace(data, descriptors=data.descriptors[row], low=data.low[:, row])
    quiet = replace(PARAMETERS, noise={"first": 0.0, "second": 0.0})
    mean, std, _ = Member(quiet, same, np.ones(N_CRYSTALS, dtype=bool)).predict(same.inputs[:1], same.low[:, :1])
    np.testing.assert_allclose(mean, data.log10_kappa.mean(), atol=1e-4)
    assert np.isfinite(std).all()


# The model


def test_interval_and_estimate_come_from_all_members(model: MultiFidelity) -> None:
    descriptors = model.data.descriptors[:7] + 0.3
    low = model.surrogates[0].predict(descriptors)[None]
    inputs = descriptors[:, :N_CORRECTION] / model.data.scale
    each = [member.predict(inputs, low) for member in model.members]
    means = np.array([mean for mean, _, _ in each])
    widths = [weights @ np.array([1.9, 1.5]) + (1 - weights.sum(axis=1)) * 1.9 for _, _, weights in each]
    deviations = np.array([std * width for (_, std, _), width in zip(each, widths, strict=True)]) / NORMAL_90
    prediction = model.predict(descriptors)
    np.testing.assert_allclose(prediction.members, means + cautious_shift(deviations, model.caution), rtol=1e-12)
    np.testing.assert_allclose(prediction.log10_point, np.median(prediction.members, axis=0), rtol=1e-12)
    spread = np.sqrt((deviations**2).mean(axis=0))
    bottom, top = prediction.interval()
    np.testing.assert_allclose((bottom + top) / 2, np.median(means, axis=0), rtol=1e-12)
    np.testing.assert_allclose(norm.cdf(0, -(top - bottom) / 2, spread), 0.95, rtol=1e-9)
    np.testing.assert_array_equal(prediction.low, low)


def test_the_interval_of_a_stated_source_has_its_noise_and_width() -> None:
    model, descriptors = small_model(caution=0.0), first_principles().descriptors[:5] + 0.3
    inputs = descriptors[:, :N_CORRECTION] / model.data.scale
    low = model.surrogates[0].predict(descriptors)[None]
    for name, width in model.stated_widths.items():
        source = np.full(5, name)
        said = model.predict(descriptors, source)
        std = np.array([member.predict(inputs, low, source)[1] for member in model.members])
        expected = np.sqrt(((std * width / NORMAL_90) ** 2).mean(axis=0))
        np.testing.assert_allclose(said.log10_std, expected, rtol=1e-12)
    with pytest.raises(KeyError, match="third"):
        model.predict(descriptors, np.full(5, "third"))


def test_noise_and_width_go_over_from_one_source_to_the_other_without_a_step() -> None:
    """Along the way from a crystal of one source to one of the other, and on to where nothing is alike."""
    data, model = first_principles(), small_model()

    def largest_change(n_steps: int) -> float:
        ways = np.linspace(0, 1, n_steps + 1)[:, None]
        to_the_other = data.descriptors[0] + ways * (data.descriptors[1] - data.descriptors[0])
        far_away = data.descriptors[1] + ways * 40.0
        std = model.predict(np.concatenate([to_the_other, far_away])).log10_std
        assert std.max() > 1.5 * std.min()
        return float(np.abs(np.diff(std)).max())

    # A step would stay as high.
    assert largest_change(16_000) < 0.3 * largest_change(4_000)


def test_without_caution_the_members_tell_their_medians() -> None:
    plain, descriptors = small_model(caution=0.0), first_principles().descriptors
    assert (small_model().predict(descriptors).members < plain.predict(descriptors).members).all()
    np.testing.assert_allclose(
        plain.predict(descriptors).log10_point, plain.predict(descriptors).log10_median, rtol=1e-12
    )


# The cautious estimate


def expected_loss(shift: float, deviation: float, caution: float) -> float:
    """E|ln κ̂/κ| + λ E|κ̂/κ - 1| where ln κ̂/κ is normal, by quadrature."""
    points, step = np.linspace(shift - 9 * deviation, shift + 9 * deviation, 6001, retstep=True)
    loss = (np.abs(points) + caution * np.abs(np.expm1(points))) * norm.pdf(points, shift, deviation)
    return float(loss.sum() * step)


@pytest.mark.parametrize("caution", [0.1, 0.5, 1.0, 20.0])
@pytest.mark.parametrize("log10_std", [0.03, 0.2, 0.7, 1.2])
def test_the_shift_minimises_the_expected_loss(log10_std: float, caution: float) -> None:
    deviation = log10_std * log(10)
    grid = np.linspace(-1.5 * deviation**2, 0.5 * deviation, 121)
    best = grid[int(np.argmin([expected_loss(float(shift), deviation, caution) for shift in grid]))]
    step = grid[1] - grid[0]
    found = minimize_scalar(
        expected_loss, bounds=(best - step, best + step), args=(deviation, caution), method="bounded"
    )
    shift = float(cautious_shift(np.array([log10_std]), caution)[0]) * log(10)
    assert shift == pytest.approx(found.x, abs=5e-3 * deviation)  # the loss is flat there
    assert expected_loss(shift, deviation, caution) <= found.fun * (1 + 1e-6)


def test_no_caution_is_no_shift() -> None:
    np.testing.assert_array_equal(cautious_shift(np.linspace(0, 3, 20), 0.0), 0)


def test_a_certain_prediction_is_not_shifted() -> None:
    np.testing.assert_allclose(cautious_shift(np.array([0.0, 1e-6]), 1.0), 0, atol=1e-11)


def test_more_doubt_and_more_caution_shift_further() -> None:
    deviation = np.linspace(0.001, 3, 400).reshape(2, 200)
    shifts = [cautious_shift(deviation, caution) for caution in (0.05, 0.1, 0.3, 1.0, 5.0)]
    for shift in shifts:
        assert shift.shape == deviation.shape
        assert (np.diff(shift.ravel()) < 0).all()
        # Never beyond the minimum of the second term alone.
        assert (shift.ravel() >= -(deviation.ravel() ** 2) * log(10)).all()
    for less, more in pairwise(shifts):
        assert (more < less).all()


# Folds


def test_folds_keep_compositions_together() -> None:
    compositions = [crystal.formula for crystal in load_togo15() + load_hh143() + load_literature()]
    fold = assign_folds(compositions, 9, seed=0)
    by_composition: dict[str, set[int]] = {}
    for composition, number in zip(compositions, fold.tolist(), strict=True):
        by_composition.setdefault(composition, set()).add(number)
    assert all(len(numbers) == 1 for numbers in by_composition.values())
    sizes = np.bincount([min(numbers) for numbers in by_composition.values()])
    assert len(sizes) == 9
    assert sizes.max() - sizes.min() <= 1


def test_folds_follow_the_seed_not_the_order_of_the_crystals() -> None:
    compositions = [f"A{number}B" for number in range(2, 40)]
    fold = assign_folds(compositions, 5, seed=0)
    np.testing.assert_array_equal(assign_folds(compositions[::-1], 5, seed=0), fold[::-1])
    assert (assign_folds(compositions, 5, seed=1) != fold).any()


# Files


def test_round_trip_predicts_the_same_bits(model: MultiFidelity, folder: Path) -> None:
    loaded = load_multi_fidelity(folder)
    descriptors = np.random.default_rng(4).normal(size=(20, 65))
    before, after = model.predict(descriptors), loaded.predict(descriptors)
    for name in ("members", "log10_median", "log10_std", "low"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)
    for name in ("material_id", "composition", "source", "descriptors", "low", "log10_kappa", "fold", "scale"):
        np.testing.assert_array_equal(getattr(loaded.data, name), getattr(model.data, name), err_msg=name)
    assert [member.parameters for member in loaded.members] == [member.parameters for member in model.members]
    assert (loaded.widths, loaded.stated_widths, loaded.caution) == (model.widths, model.stated_widths, model.caution)


def test_a_model_from_before_sources_were_calibrated_has_one_width(model: MultiFidelity, folder: Path) -> None:
    with safe_open(folder / WEIGHTS_NAME, framework="np") as handle:
        stored = json.loads(handle.metadata()["content"])
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    del stored["widths"], stored["stated_widths"]
    save_file(tensors, folder / WEIGHTS_NAME, {"content": json.dumps({**stored, "width": 1.7})})
    seal(folder)
    loaded = load_multi_fidelity(folder)
    assert loaded.widths == loaded.stated_widths == {"first": 1.7, "second": 1.7}
    descriptors = model.data.descriptors + 0.3
    expected = replace(model, widths=loaded.widths).predict(descriptors)
    np.testing.assert_array_equal(loaded.predict(descriptors).log10_std, expected.log10_std)


def test_saving_twice_gives_the_same_files(model: MultiFidelity, folder: Path, tmp_path: Path) -> None:
    save_multi_fidelity(load_multi_fidelity(folder), tmp_path / "again", {"name": "small", "κ": "300 K"})
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_the_card_says_what_it_is(folder: Path) -> None:
    card = read_card(folder)
    assert (card["kind"], card["name"], card["κ"]) == ("multi_fidelity", "small", "300 K")
    assert card["architecture"]["n_members"] == N_FOLDS
    assert card["data_sets"] == ["aflow_agl", "first", "second"]
    assert card["graph"]["cutoff_angstrom"] == 5.0


def test_the_shipped_model_knows_its_crystals(shipped: MultiFidelity) -> None:
    crystals = load_togo15() + load_hh143() + load_literature()
    assert shipped.data.material_id.tolist() == [crystal.material_id for crystal in crystals]
    np.testing.assert_allclose(describe_crystals(crystals), shipped.data.descriptors, rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        10**shipped.data.log10_kappa, [crystal.properties["kappa"] for crystal in crystals], rtol=1e-9
    )
    np.testing.assert_allclose(shipped.surrogates[0].predict(shipped.data.descriptors), shipped.data.low[0], atol=1e-5)
    card = read_card(find_model())
    assert card["data_sets"] == ["aflow_agl", "hh143", "literature", "togo15"]
    assert card["architecture"]["n_members"] == len(shipped.members) == 9


def refuse(folder: Path, words: str) -> None:
    with pytest.raises(ModelFileError, match=words) as caught:
        load_multi_fidelity(folder)
    assert "\n" not in str(caught.value)


def rewrite(folder: Path, *, content: dict[str, Any] | None = None, **tensors: np.ndarray | None) -> None:
    """Change parts of the stored weights; `data__scale` names the tensor `data.scale`, None takes it out."""
    with safe_open(folder / WEIGHTS_NAME, framework="np") as handle:
        stored = json.loads(handle.metadata()["content"])
        kept = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    for name, tensor in tensors.items():
        key = name.replace("__", ".")
        assert key in kept
        if tensor is None:
            del kept[key]
        else:
            kept[key] = tensor
    save_file(kept, folder / WEIGHTS_NAME, {"content": json.dumps(stored | (content or {}))})
    seal(folder)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights(folder: Path, kept: int) -> None:
    (folder / WEIGHTS_NAME).write_bytes((folder / WEIGHTS_NAME).read_bytes()[:kept])
    seal(folder)
    refuse(folder, "cannot be read")


def test_missing_weights(folder: Path) -> None:
    (folder / WEIGHTS_NAME).unlink()
    refuse(folder, "cannot be read")


def test_the_weights_of_a_network(folder: Path) -> None:
    shutil.copy(shipped_models()["FEAF"] / WEIGHTS_NAME, folder / WEIGHTS_NAME)
    seal(folder)
    refuse(folder, "cannot be read")


@pytest.mark.parametrize(
    "tensors",
    [
        {"data__scale": None},
        {"data__scale": np.zeros(3)},
        {"data__fold": np.zeros(3, dtype=np.int64)},
        {"data__log10_kappa": np.full(N_CRYSTALS, np.nan)},
        {"data__descriptors": np.zeros((N_CRYSTALS, 64))},
        {"surrogate__offset": np.zeros(64)},
        {"surrogate__1__weight": np.zeros((2, 8, 5), dtype=np.float16)},
        {"surrogate__1__weight": None},
        {"surrogate__2__bias": np.full((2, 1, 1), np.inf, dtype=np.float32)},
    ],
    ids="-".join,
)
def test_parts_that_do_not_fit(folder: Path, tensors: dict[str, np.ndarray | None]) -> None:
    rewrite(folder, **tensors)
    refuse(folder, "cannot be read")


@pytest.mark.parametrize(
    "content",
    [
        {"target": None},
        {"target": [1.0]},
        {"texts": {}},
        {"texts": []},
        {"members": []},
        {"members": 3},
        {"members": [{}]},
        {"members": [{"amplitude": 0.4, "length": 6.0, "rho": 0.7, "noise": {"first": 0.1}}]},
        {"members": [{"amplitude": 0.4, "length": 6.0, "rho": 0.7, "noise": 0.1}]},
        {"members": [{"amplitude": "much", "length": 6.0, "rho": 0.7, "noise": {"first": 0.1, "second": 0.1}}]},
        {"widths": None},
        {"widths": {"first": 1.0}},
        {"stated_widths": {"first": 1.0}},
        {"widths": {"first": 1.0, "second": None}},
        {"widths": {"first": 1.0, "second": float("nan")}},
        {"caution": "some"},
    ],
    ids=str,
)
def test_content_that_is_none(folder: Path, content: dict[str, Any]) -> None:
    rewrite(folder, content=content)
    refuse(folder, "cannot be read")


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ({"descriptors": list(DESCRIPTORS)[::-1]}, "other descriptors"),
        ({"descriptors": []}, "other descriptors"),
        ({"descriptors": None}, "cannot be used"),
        ([], "cannot be used"),
        ("MEGNet", "cannot be used"),
    ],
    ids=["turned round", "none", "null", "list", "text"],
)
def test_other_descriptors(folder: Path, architecture: Any, words: str) -> None:
    card = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    if isinstance(architecture, dict):
        architecture = {**card["architecture"], **architecture}
    (folder / CARD_NAME).write_text(json.dumps({**card, "architecture": architecture}), encoding="utf-8")
    refuse(folder, words)


def test_it_is_no_network(folder: Path) -> None:
    for name in (folder, "MultiFidelity"):
        with pytest.raises(ModelFileError, match="no network") as caught:
            load_network(name)
        assert "multi_fidelity" in str(caught.value)
