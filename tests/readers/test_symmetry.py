"""Orbits of sites: the vectorised rule equals the plain one."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraisite.readers.cif_operations import (
    SITE_TOLERANCE,
    coincident_sites,
    expand,
    first_of_each_place,
    group_of_setting,
)


def plainly(images: np.ndarray, site: np.ndarray) -> list[int]:
    """Indices kept by comparing each image with all that are kept so far."""
    kept: list[int] = []
    for index, image in enumerate(images):
        shift = images[kept] - image
        shift -= np.round(shift)
        same = (np.abs(shift) < SITE_TOLERANCE).all(axis=1) & (site[kept] == site[index])
        if not same.any():
            kept.append(index)
    return kept


near = st.sampled_from([0.0, 1e-5, 0.9e-4, 1.1e-4, 2e-4, 1 - 1e-5, 1 - 1.5e-4, 1 - 2.5e-4, 0.25, 1 / 3, 0.5, 0.75])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(near, near, near, st.integers(0, 2)), min_size=1, max_size=30))
def test_places_are_told_apart_as_by_comparing_all_pairs(rows: list[tuple[float, float, float, int]]) -> None:
    images = np.array([row[:3] for row in rows])
    site = np.array([row[3] for row in rows])
    assert first_of_each_place(images, site).tolist() == plainly(images, site)


@pytest.mark.parametrize("number", [1, 2, 14, 62, 139, 166, 194, 216, 225, 227, 230])
def test_orbits_have_the_size_of_the_group_over_the_site_symmetry(number: int) -> None:
    group = gemmi.find_spacegroup_by_number(number)
    operations = group_of_setting(group.xhm()).operations
    order = len(operations[0])
    for position in ([0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25], [0.137, 0.291, 0.387]):
        atoms, site = expand(np.array([position]), np.eye(3) * 6.0, operations)
        assert order % len(atoms) == 0
        assert not site.any()
        assert coincident_sites(atoms, site) is None
    assert len(atoms) == order


def test_two_sites_at_one_place_are_found() -> None:
    operations = group_of_setting("F m -3 m").operations
    atoms, site = expand(np.array([[0.1, 0.1, 0.1], [0.5, 0.5, 0.5], [0.0, 0.00005, 0.5]]), np.eye(3) * 6.0, operations)
    assert coincident_sites(atoms, site) == (1, 2)
