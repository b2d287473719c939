"""Crystals: checking them, and converting them from and to other packages."""

from paraisite.structures.checks import check_crystal as check_crystal
from paraisite.structures.convert import as_crystal as as_crystal
from paraisite.structures.convert import from_ase as from_ase
from paraisite.structures.convert import from_pymatgen as from_pymatgen
from paraisite.structures.convert import to_ase as to_ase
from paraisite.structures.convert import to_pymatgen as to_pymatgen
from paraisite.structures.crystal import Crystal as Crystal
from paraisite.structures.crystal import ReadFailure as ReadFailure
from paraisite.structures.crystal import ReadOptions as ReadOptions
from paraisite.structures.crystal import ReadWarning as ReadWarning
from paraisite.structures.formula import reduced_formula as reduced_formula
from paraisite.structures.limits import ReadingLimits as ReadingLimits
