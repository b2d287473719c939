"""The domain: distances against a plain computation, and what makes a crystal fall out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import paraisite.uncertainty.domain as domain_module
from paraisite.datasets.prototypes import build
from paraisite.datasets.splits import published_splits
from paraisite.datasets.tables import load_togo15
from paraisite.graphs.build import build_store
from paraisite.graphs.store import GraphStore
from paraisite.models.network.paraisite import ParAIsite, ParAIsiteSettings
from paraisite.structures.crystal import Crystal
from paraisite.training.network.calibration import store_features
from paraisite.uncertainty.domain import Domain, element_presence, fit_domain, formula_type, held_out_distance

CRYSTALS = load_togo15()
FORMULAS = [crystal.formula for crystal in CRYSTALS]
SPLITS = published_splits([len(CRYSTALS)], (1, 2))


@pytest.fixture(scope="module")
def store() -> GraphStore:
    return build_store(CRYSTALS)


@pytest.fixture(scope="module")
def model() -> ParAIsite:
    made = ParAIsite(ParAIsiteSettings(n_members=2))
    made.reset([1, 2])
    return made.eval()


@pytest.fixture(scope="module")
def features(model: ParAIsite, store: GraphStore) -> np.ndarray:
    return store_features(model, store)


@pytest.fixture(scope="module")
def domain(features: np.ndarray, store: GraphStore) -> Domain:
    return fit_domain(
        "togo15", features, element_presence(store), FORMULAS, known=SPLITS.train, held_out=SPLITS.validation
    )


def distances(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Distance of each point to each known one, features scaled by the known ones' spread."""
    return np.sqrt((((points[:, None] - known[None]) / known.std(axis=0)) ** 2).sum(axis=2))


def test_distances_equal_a_plain_computation(domain: Domain, features: np.ndarray) -> None:
    found = domain.distances(features)
    for member, values in enumerate(features.astype(np.float64)):
        known, held_out = values[SPLITS.train[member]], values[SPLITS.validation[member]]
        among = distances(known, known)
        np.fill_diagonal(among, np.inf)
        typical = np.sort(among.min(axis=1))[(len(known) - 1) // 2]  # PyTorch's median is the lower one of two
        expected = distances(held_out, known).min(axis=1) / typical
        # float32 scaled features, of order 1, against float64.
        np.testing.assert_allclose(found[member, SPLITS.validation[member]], expected, rtol=1e-4, atol=1e-5 / typical)
        assert float(found[member, SPLITS.train[member]].max()) < 1e-5 / typical


def test_limits_are_those_of_the_held_out_crystals(domain: Domain, features: np.ndarray) -> None:
    distance = held_out_distance(domain, features, SPLITS.validation)
    held_out = SPLITS.validation.any(axis=0)
    assert np.array_equal(np.isnan(distance), ~held_out)
    beyond = [float((distance[held_out] > limit).mean()) for limit in domain.limits]
    assert beyond == pytest.approx([0.05, 1 / held_out.sum()], abs=0.03)


def test_training_crystals_are_inside(domain: Domain, features: np.ndarray, store: GraphStore) -> None:
    level, distance, reasons = domain.judge(features, store, FORMULAS)
    learned = SPLITS.train.all(axis=0)
    assert set(level[learned].tolist()) == {0}
    assert {reason for reason, inside in zip(reasons, learned, strict=True) if inside} == {""}
    assert float(distance[learned].max()) < 1e-3


@pytest.mark.parametrize(
    ("crystal", "words"),
    [
        (build("perovskite", ["Sr", "Ti", "O"], {"a": 3.905}), ["element Ti not", "formula type ABC3"]),
        (build("diamond", ["C"], {"a": 3.567}), ["no crystal of the formula type A in togo15"]),
        (build("rocksalt", ["Fe", "U"], {"a": 5.0}), ["elements Fe, U not in togo15"]),
    ],
    ids=["SrTiO3", "C", "FeU"],
)
def test_strange_crystals_fall_out_with_a_reason(
    domain: Domain, model: ParAIsite, crystal: Crystal, words: list[str]
) -> None:
    store = build_store([crystal])
    level, _, (reason,) = domain.judge(store_features(model, store), store, [crystal.formula])
    assert level[0] > 0
    for text in words:
        assert text in reason


def test_a_far_crystal_says_how_far(domain: Domain, features: np.ndarray, store: GraphStore) -> None:
    near = replace(domain, limits=(1e-4, 2e-4))
    level, distance, reasons = near.judge(features, store, FORMULAS)
    row = int(np.argmax(distance))
    assert level[row] == 2
    assert f"{distance[row]:.1f} times the usual distance from togo15" in reasons[row]


@pytest.mark.parametrize(("share", "level"), [(0.0, 2), (0.01, 1), (0.2, 0)])
def test_a_sign_counts_by_how_rare_it_is_among_held_out_crystals(
    domain: Domain, features: np.ndarray, store: GraphStore, share: float, level: int
) -> None:
    """With many formula types, a new one is no news."""
    strange = replace(domain, formula_types=frozenset({"A"}), unseen_formula_type=share, limits=(1e9, 1e9))
    assert set(strange.judge(features, store, FORMULAS)[0].tolist()) == {level}


def test_a_judgement_does_not_depend_on_the_batch(domain: Domain, features: np.ndarray) -> None:
    alone = np.concatenate([domain.distances(features[:, k : k + 5]) for k in range(0, features.shape[1], 5)], axis=1)
    np.testing.assert_allclose(alone, domain.distances(features), rtol=1e-5, atol=1e-5)


def test_parts_of_different_sizes(features: np.ndarray, store: GraphStore) -> None:
    known = SPLITS.train.copy()
    known[0, np.flatnonzero(known[0])[:30]] = False
    found = fit_domain("togo15", features, element_presence(store), FORMULAS, known=known, held_out=SPLITS.validation)
    whole = fit_domain(
        "togo15", features, element_presence(store), FORMULAS, known=SPLITS.train, held_out=SPLITS.validation
    )
    np.testing.assert_allclose(found.distances(features)[1], whole.distances(features)[1], rtol=1e-6)
    assert found.centres.shape[1] == SPLITS.train.sum(axis=1).max()


def test_large_sets_are_kept_as_centres(
    monkeypatch: pytest.MonkeyPatch, features: np.ndarray, store: GraphStore
) -> None:
    monkeypatch.setattr(domain_module, "MAX_CENTRES", 20)
    found = fit_domain(
        "togo15", features, element_presence(store), FORMULAS, known=SPLITS.train, held_out=SPLITS.validation
    )
    assert found.centres.shape == (2, 20, 16)
    distance = found.distances(features)
    for member in range(2):
        assert float(np.quantile(distance[member, SPLITS.train[member]], 0.5, method="lower")) == pytest.approx(
            1, rel=1e-3
        )
    again = fit_domain(
        "togo15", features, element_presence(store), FORMULAS, known=SPLITS.train, held_out=SPLITS.validation
    )
    assert np.array_equal(found.centres, again.centres)


def test_a_diverged_member_does_no_harm(features: np.ndarray, store: GraphStore) -> None:
    spoilt = features.copy()
    spoilt[1] = np.nan
    found = fit_domain(
        "togo15", spoilt, element_presence(store), FORMULAS, known=SPLITS.train, held_out=SPLITS.validation
    )
    assert np.isfinite(found.distances(spoilt)).all()
    assert np.isfinite(found.limits).all()


def test_unseen_shares_are_those_of_the_members(domain: Domain) -> None:
    elements = [{int(number) for number in crystal.numbers} for crystal in CRYSTALS]
    pairs = [
        bool(elements[crystal] - set().union(*(elements[other] for other in np.flatnonzero(SPLITS.train[member]))))
        for member in range(2)
        for crystal in np.flatnonzero(SPLITS.validation[member])
    ]
    assert domain.unseen_elements == pytest.approx(np.mean(pairs))
    assert domain.unseen_formula_type == 0


@pytest.mark.parametrize(
    ("formula", "kind"),
    [("BaSb2O6", "AB2C6"), ("NaCl", "AB"), ("Si", "A"), ("Mg2Si", "AB2"), ("Bi2Te3", "A2B3"), ("", "")],
)
def test_formula_types(formula: str, kind: str) -> None:
    assert formula_type(formula) == kind
