"""The network as a candidate: trained in a folder that is gone, with a spread that its held-out errors enter."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from paraisite.comparison.candidates.kinds import KindCandidate
from paraisite.comparison.candidates.registry import CANDIDATES, make_candidate, trained_on
from paraisite.datasets.catalogue import load_data_set
from paraisite.models.registry import find_kind
from paraisite.training.network.trainer import NetworkTrainer


def test_the_network_is_fine_tuned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = load_data_set("togo15")
    part, kappa, others = data.crystals[::4], data.kappa[::4], data.crystals[1::4]
    candidate = KindCandidate(find_kind("network"), NetworkTrainer(epochs=4))
    candidate.fit(part, kappa)
    first = candidate.predict(others)
    assert list(tmp_path.glob("paraisite_*")) == []
    assert first.log10_std is not None
    assert first.log10_low is not None
    assert first.log10_high is not None
    rms = candidate.settings()["held_out_rms"]
    assert 0.05 < rms < 1
    assert (first.log10_std > rms).all()
    assert (first.log10_low < first.log10_kappa).all()
    assert (first.log10_kappa < first.log10_high).all()
    untouched = KindCandidate(find_kind("network"), NetworkTrainer(epochs=4))
    untouched.fit(part, 10 * kappa)
    shift = untouched.predict(others).log10_kappa - first.log10_kappa
    np.testing.assert_allclose(shift, 1, atol=0.2)
    candidate.fit(part, 10 * kappa)
    np.testing.assert_array_equal(candidate.predict(others).log10_kappa, untouched.predict(others).log10_kappa)


def test_it_is_made_by_name_and_knows_the_aflow_data() -> None:
    assert make_candidate("network").name == "network"
    assert "aflow_agl" in trained_on("network")
    assert "network" not in CANDIDATES  # the study trains it by recipes of its own
