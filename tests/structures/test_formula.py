"""Formulas as chemists write them."""

from __future__ import annotations

import re

import pytest
from ase.data import atomic_numbers

from paraisite.structures.formula import composition_key, reduced_formula

_NAMES = """
PbTe NaCl GaAs SiC SiGe BN ZnS CdTe HgTe InSb NiAl Ni3Al TiAl FeSi2 Mg2Si Bi2Te3 Cu2O NH3 CH4 SiH4 H2O LiAlH4 NaH
ZrNiSn TiCoSb NbFeSb LaPtSb LiZnAs Co2MnSi Fe2VAl Cu2MnAl BaSb2O6 PbTiO3 BaTiO3 SrTiO3 BiFeO3 BiVO4 LaAlO3 LaCoO3
La2CuO4 ZnFe2O4 NiFe2O4 MnFe2O4 FeTiO3 CuFeO2 CuFeS2 CuAlO2 ZnAl2O4 MgAl2O4 LiCoO2 LiFePO4 LiNbO3 AgNbO3 PbWO4 CdCr2S4
AgSbTe2 CuInSe2 Cu2ZnSnS4 AgBiSe2 CsPbI3 Cs2AgBiBr6 K2NaAlF6 KMgF3 CaCO3 NaNO3 BaSO4 KClO4 NaBrO3 BiOCl LaOBr La2O2S
Bi2O2Se SbSI BiTeI KH2PO4 NaHCO3 H3BO3 AlHO2 ZrSiO4 KAlSi3O8 AlPO4 ZnGeP2 InGaAs2 AlGaN2 Ca5P3O12F
"""
USUAL = _NAMES.split()
"""Each as the literature writes it."""


@pytest.mark.parametrize("formula", USUAL)
def test_formulas_are_written_as_in_the_literature(formula: str) -> None:
    assert reduced_formula(_numbers(formula)) == formula


def test_counts_are_reduced_and_the_key_keeps_its_order() -> None:
    assert reduced_formula(_numbers("Pb4Te4")) == "PbTe"
    assert composition_key(_numbers("Pb4Te4")) == "TePb"


def _numbers(formula: str) -> list[int]:
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    return [atomic_numbers[symbol] for symbol, count in parts for _ in range(int(count or 1))]
