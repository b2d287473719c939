"""Distances of a crystal that are one distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraisite.graphs.quotient import MAX_CLUSTER_WIDTHS, cluster_distances

TOLERANCE = 1e-3
WIDTH = MAX_CLUSTER_WIDTHS * TOLERANCE


def clusters(distances: list[float] | np.ndarray, crystal: list[int] | None = None) -> list[int]:
    values = np.array(distances, dtype=float)
    owner = np.zeros(len(values), dtype=np.int64) if crystal is None else np.array(crystal)
    return cluster_distances(values, owner, TOLERANCE).tolist()


def test_gap_decides() -> None:
    assert clusters([2.0, 2.0009, 2.0021, 2.5]) == [0, 0, 1, 2]


def test_order_of_the_distances_does_not_matter() -> None:
    assert clusters([2.5, 2.0009, 2.0021, 2.0]) == [2, 0, 1, 0]


@pytest.mark.parametrize("centre", [2.0, 2.0005, 2.001, 2.0015, 2.5 * TOLERANCE, 1024 * TOLERANCE])
def test_equal_distances_are_one_wherever_a_rounding_edge_lies(centre: float) -> None:
    # Rounding to the tolerance would split these at every edge of its bins.
    around = centre + np.array([-1e-13, 0.0, 1e-13])
    assert clusters(around) == [0, 0, 0]


def test_crystals_do_not_share_a_cluster() -> None:
    assert clusters([2.0, 2.0, 2.0, 3.0], [0, 1, 1, 1]) == [0, 1, 1, 2]


def test_same_distances_in_other_crystals_do_not_change_the_clusters() -> None:
    dense = np.linspace(2, 2.02, 50)
    alone = np.array(clusters(dense))
    beside = np.array(clusters(np.concatenate([[1.0, 9.0], dense, [2.001]]), [0, 0, *[1] * 50, 2]))
    np.testing.assert_array_equal(beside[2:52] - beside[2], alone)


def test_empty() -> None:
    assert clusters([]) == []


@pytest.mark.parametrize("step", [0.1, 0.5, 0.9])
def test_dense_distances_are_not_merged_into_one(step: float) -> None:
    distances = np.arange(2.0, 2.1, step * TOLERANCE)
    found = np.array(clusters(distances))
    for number in np.unique(found):
        assert np.ptp(distances[found == number]) <= WIDTH * (1 + 1e-9)  # float64 rounding of the edges
    # The chain is 0.1 Å long: no fewer clusters than it has widths, and not a cluster each either.
    assert round(0.1 / WIDTH) <= len(np.unique(found)) < len(distances)


def test_equal_distances_at_the_edge_of_a_cut_chain_stay_together() -> None:
    # A chain wider than the limit is cut; equal distances that differ by rounding lie on the cut itself.
    chain = np.arange(2.0, 2.0 + 0.999 * WIDTH, 0.9 * TOLERANCE)
    edge = 2.0 + WIDTH + np.array([-1e-13, 0.0, 1e-13])
    found = clusters(np.concatenate([chain, edge, [2.0 + 1.2 * WIDTH]]))
    assert len(set(found[len(chain) : len(chain) + 3])) == 1
    assert len(set(found)) == 2


@settings(max_examples=100, deadline=None, derandomize=True)
@given(distances=st.lists(st.floats(0.4, 4.0), min_size=1, max_size=60), closer=st.integers(1, 200))
def test_clusters_are_intervals_of_bounded_width_cut_only_at_gaps_or_edges(distances: list[float], closer: int) -> None:
    values = 2.0 + np.array(distances) / closer
    found = np.array(clusters(values))
    order = np.argsort(values, kind="stable")
    steps = np.diff(found[order])
    assert set(steps.tolist()) <= {0, 1}
    gaps = np.diff(values[order])
    assert (steps[gaps > TOLERANCE] == 1).all()
    assert (steps[gaps == 0] == 0).all()
    for number in np.unique(found):
        assert np.ptp(values[found == number]) <= WIDTH * (1 + 1e-9)  # float64 rounding of the edges


@settings(max_examples=50, deadline=None, derandomize=True)
@given(distances=st.lists(st.floats(0.4, 4.0), min_size=1, max_size=40))
def test_far_apart_distances_are_all_kept(distances: list[float]) -> None:
    values = np.unique(np.round(distances, 2))
    assert clusters(values) == list(range(len(values)))
