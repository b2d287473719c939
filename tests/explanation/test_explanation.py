"""Explanations: their parts add up, and tell what the prediction rests on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import paraisite
from paraisite.datasets.tables import load_togo15
from paraisite.errors import ModelFileError, ParaisiteError
from paraisite.features.descriptors import DESCRIPTORS, describe_crystals
from paraisite.features.vocabulary import GROUPS, WORDS
from paraisite.models.explanation import Explanation
from paraisite.models.multi_fidelity.attribution import Attributor
from paraisite.reporting.attributions import plot_attributions
from paraisite.structures.convert import from_ase
from paraisite.structures.crystal import ReadFailure

GAAS = bulk("GaAs", "zincblende", a=5.70)
III_V = {f"{metal}{other}" for metal in ("B", "Al", "Ga", "In") for other in ("N", "P", "As", "Sb")}


@pytest.fixture(scope="module")
def explained() -> list[Explanation | ReadFailure]:
    """A stream of GaAs, a molecule, and a supercell of GaAs."""
    before = np.random.get_state()  # noqa: NPY002 - shap's own
    found = list(paraisite.explain([GAAS, Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]), GAAS.repeat((2, 1, 1))]))
    after = np.random.get_state()  # noqa: NPY002
    assert str(after) == str(before), "the caller's random numbers go on as before"
    assert np.array_equal(after[1], before[1])
    return found


@pytest.fixture(scope="module")
def gaas(explained: list[Explanation | ReadFailure]) -> Explanation:
    assert isinstance(explained[0], Explanation)
    return explained[0]


@pytest.fixture
def no_shap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)


def test_the_parts_are_those_of_the_prediction(gaas: Explanation) -> None:
    row = paraisite.predict([GAAS], members=True).iloc[0]
    np.testing.assert_allclose(gaas.kappa, row["kappa"])
    np.testing.assert_allclose(gaas.members, row[[f"kappa_{member}" for member in range(1, 10)]].to_numpy(float))
    np.testing.assert_allclose([gaas.kappa_low, gaas.kappa_high], row[["kappa_low", "kappa_high"]].to_list())
    np.testing.assert_allclose(gaas.fall_back_kappa * 10**gaas.correction, gaas.median_kappa)
    np.testing.assert_allclose(gaas.median_kappa * 10**gaas.shift, gaas.kappa)
    assert gaas.shift <= 0
    # ρ < 1 draws the AGL value towards 10 W/(m K).
    assert abs(np.log10(gaas.fall_back_kappa) - 1) < abs(np.log10(gaas.agl_kappa) - 1)


def test_the_attributions_add_up_to_the_prediction(gaas: Explanation) -> None:
    model = paraisite.load_model().multi_fidelity
    attributor = Attributor.of(model)
    assert attributor is not None
    assert {tuple(row) for row in attributor.background} <= {tuple(row) for row in model.data.descriptors}
    background = model.predict(attributor.background).log10_median.mean()
    total = sum(part.log10_kappa for part in gaas.attributions)
    assert len(gaas.attributions) == len(DESCRIPTORS)
    # The surrogate counts in single precision.
    np.testing.assert_allclose(np.log10(gaas.background_kappa or 0), background, atol=1e-5)
    np.testing.assert_allclose(background + total, np.log10(gaas.median_kappa), atol=1e-5)
    np.testing.assert_allclose(
        sum(gaas.groups.values()), np.log10(gaas.median_kappa / gaas.background_kappa), atol=1e-5
    )
    sizes = [abs(part.log10_kappa) for part in gaas.attributions]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 0.02


def test_what_alone_differs_from_the_background_has_all_of_the_difference() -> None:
    attributor = Attributor.of(paraisite.load_model().multi_fidelity)
    assert attributor is not None
    descriptors = describe_crystals([from_ase(GAAS)])[0]
    other, column = descriptors.copy(), DESCRIPTORS.index("ln volume per atom")
    other[column] += 0.2
    alone = Attributor(attributor.library, attributor.model, other[None])
    base, values = alone.attribute(descriptors)
    said, before = attributor.model.predict(np.array([descriptors, other])).log10_median
    np.testing.assert_allclose(base, before, atol=1e-5)
    np.testing.assert_allclose(values[column], said - before, atol=1e-5)
    assert abs(values[column]) > 1e-3
    assert np.abs(np.delete(values, column)).max() < 1e-5


def test_the_nearest_crystals_of_gaas_are_iii_v_compounds(gaas: Explanation) -> None:
    assert gaas.neighbours[0].formula == "GaAs"
    assert len({one.formula for one in gaas.neighbours} & (III_V - {"GaAs"})) >= 1
    correlations = [one.correlation for one in gaas.neighbours]
    assert correlations == sorted(correlations, reverse=True)
    assert 0 < correlations[-1] < correlations[0] <= 1
    assert len(gaas.neighbours) == 5
    togo15 = {crystal.material_id: crystal.properties["kappa"] for crystal in load_togo15()}
    known = [one for one in gaas.neighbours if one.source == "togo15"]
    assert known
    for one in known:
        assert one.kappa == pytest.approx(togo15[one.material_id])


def test_a_training_crystal_is_its_own_nearest(no_shap: None) -> None:
    crystal = load_togo15()[10]
    (found,) = paraisite.explain([crystal])
    assert isinstance(found, Explanation)
    nearest = found.neighbours[0]
    assert (nearest.material_id, nearest.source) == (crystal.material_id, "togo15")
    assert nearest.distance < 1e-3
    assert nearest.correlation > 0.999


def test_a_supercell_has_the_same_explanation(gaas: Explanation, explained: list[Explanation | ReadFailure]) -> None:
    supercell = explained[2]
    assert isinstance(supercell, Explanation)
    assert supercell.kappa == pytest.approx(gaas.kappa, rel=1e-5)
    assert [one.material_id for one in supercell.neighbours] == [one.material_id for one in gaas.neighbours]
    parts = {part.descriptor: part.log10_kappa for part in supercell.attributions}
    for part in gaas.attributions:
        assert parts[part.descriptor] == pytest.approx(part.log10_kappa, abs=1e-5)


def test_what_cannot_be_predicted_is_a_failure_in_its_place(explained: list[Explanation | ReadFailure]) -> None:
    failure = explained[1]
    assert isinstance(failure, ReadFailure)
    assert failure.code == "no_cell"
    assert "Structure 2" in failure.message


def test_descriptors_are_told_in_their_units(gaas: Explanation) -> None:
    told = {part.descriptor: (part.value, part.unit) for part in gaas.attributions}
    for name, value, unit in (
        ("mean mass", (69.723 + 74.922) / 2, "u"),
        ("nearest-neighbour distance", 5.70 * 3**0.5 / 4, "Å"),
        ("volume per atom", 5.70**3 / 8, "Å³"),
        ("mean coordination number", 4, ""),
        ("smallest melting point", 302.91, "K"),
        ("mean electronegativity", (1.81 + 2.18) / 2, ""),
        ("distinct surroundings", 2, ""),
    ):
        assert told[name][0] == pytest.approx(value, rel=1e-3), name
        assert told[name][1] == unit, name
    assert len(told) == len(WORDS) == len({word.label for word in WORDS})
    assert {word.group for word in WORDS} == set(GROUPS)


def test_a_network_is_refused_at_once() -> None:
    with pytest.raises(ModelFileError, match="ensemble of networks; take MultiFidelity"):
        paraisite.explain([GAAS], model="FEAF")


def test_without_the_library_the_rest_is_told(no_shap: None, gaas: Explanation, tmp_path: Path) -> None:
    (found,) = paraisite.explain([GAAS])
    assert isinstance(found, Explanation)
    assert found.neighbours == gaas.neighbours
    assert found.kappa == gaas.kappa
    assert (found.attributions, found.groups, found.background_kappa) == ((), {}, None)
    assert "pip install 'paraisite[explain]'" in found.note
    with pytest.raises(ParaisiteError, match="pip install"):
        plot_attributions(found, tmp_path / "none.png")
    assert list(tmp_path.iterdir()) == []
