import pytest

from nnpmm.structures.formula import hill_formula


@pytest.mark.parametrize(
    ("symbols", "formula"),
    [
        (["O", "H", "C", "H", "H", "H"], "CH4O"),
        (["H", "O", "H"], "H2O"),
        (["Na", "Cl"], "ClNa"),
        (["C"] * 2 + ["Br", "H", "Cl", "F", "N"], "C2HBrClFN"),
    ],
)
def test_hill_order(symbols, formula):
    assert hill_formula(symbols) == formula
