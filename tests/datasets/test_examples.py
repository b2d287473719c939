"""The example crystals: composition, symmetry, sane distances, and honest references."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import ase.io
import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.formula import Formula
from vesin import NeighborList

from paraisite.datasets.examples import load_examples
from paraisite.structures.crystal import Crystal

EXAMPLES = load_examples()
IDS = [crystal.material_id for crystal in EXAMPLES]


def lengths(cell: np.ndarray, positions: np.ndarray, radius: float) -> np.ndarray:
    """Sorted distances within the radius, in Å."""
    neighbours = NeighborList(cutoff=radius, full_list=True)
    (length,) = neighbours.compute(points=positions, box=cell, periodic=True, quantities="d")
    return np.sort(length)


def read_one(path: Path, material_id: str) -> Atoms:
    """The frame of a compressed extxyz file that has this identifier; the others are not parsed."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    comment = next(k for k, line in enumerate(lines) if f"material_id={material_id} " in line)
    frame = "\n".join(lines[comment - 1 : comment + 1 + int(lines[comment - 1])])
    return ase.io.read(io.StringIO(frame + "\n"), format="extxyz")


def test_ids_are_unique() -> None:
    assert len(set(IDS)) == len(EXAMPLES) == 12


@pytest.mark.parametrize("crystal", EXAMPLES, ids=IDS)
def test_example_is_what_it_is_named(crystal: Crystal) -> None:
    properties = crystal.properties
    assert Formula(crystal.formula).count() == Formula(properties["formula"]).count()
    found = spglib.get_symmetry_dataset((crystal.cell, crystal.fractional, crystal.numbers), symprec=1e-5)
    assert found is not None
    assert found.number == properties["spacegroup"]
    assert 1.5 < lengths(crystal.cell, crystal.positions, 4.0)[0] < 3.6
    assert properties["note"]
    assert properties["structure_source"]


@pytest.mark.parametrize("crystal", EXAMPLES, ids=IDS)
def test_reference_has_a_source(crystal: Crystal) -> None:
    assert ("kappa_reference" in crystal.properties) == ("kappa_source" in crystal.properties)
    if "kappa_reference" in crystal.properties:
        assert crystal.properties["kappa_reference"] > 0
        assert "doi 10." in crystal.properties["kappa_source"]


def test_barium_antimonate_agrees_with_the_scanned_cell(shared: Path) -> None:
    reference = read_one(shared / "data" / "mp_scan.extxyz.gz", "mp-9127")
    crystal = EXAMPLES[IDS.index("mp-9127")]
    assert sorted(crystal.numbers) == sorted(reference.numbers)
    expected = lengths(reference.cell.array, reference.positions, 4.0)
    built = lengths(crystal.cell, crystal.positions, 4.0)
    assert built == pytest.approx(expected, abs=5e-3)
