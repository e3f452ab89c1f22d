"""The unit boundary: Quantities and text in, MD-unit floats out."""

from __future__ import annotations

import numpy as np
import pytest
from openmm import Vec3, unit

from nnpmm.core.constants import HARTREE_TO_KJ_PER_MOL
from nnpmm.core.errors import ConfigError
from nnpmm.core.units import in_md_units, parse_quantity

PS, NM, K = unit.picosecond, unit.nanometer, unit.kelvin


def test_hartree():
    # CODATA 2018: 2625.499 639 48 kJ/mol.
    assert pytest.approx(2625.4996394798, abs=1e-8) == HARTREE_TO_KJ_PER_MOL


@pytest.mark.parametrize(
    ("value", "md_unit", "expected"),
    [
        (2.0 * unit.femtosecond, PS, 0.002),
        (1.0 * unit.kilocalorie_per_mole, unit.kilojoule_per_mole, 4.184),
        (1, NM, 1.0),
        (np.float32(0.5), NM, 0.5),
        (1 * unit.atmosphere, unit.bar, 1.01325),
    ],
)
def test_scalars(value, md_unit, expected):
    found = in_md_units(value, md_unit)
    assert type(found) is float
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "value",
    [
        unit.Quantity(np.array([[1.0, 2.0, 3.0]]), unit.angstrom),
        unit.Quantity([Vec3(1, 2, 3)], unit.angstrom),
        [Vec3(1, 2, 3) * unit.angstrom],  # as a System gives its box
        [(0.1, 0.2, 0.3)],
        np.array([[0.1, 0.2, 0.3]], dtype=np.float32),
    ],
)
def test_arrays(value):
    found = in_md_units(value, NM)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [[0.1, 0.2, 0.3]], rtol=0, atol=2e-8)


def test_the_argument_is_not_changed():
    value = unit.Quantity(np.array([1.0, 2.0]), unit.angstrom)
    in_md_units(value, NM)
    np.testing.assert_array_equal(value.value_in_unit(unit.angstrom), [1.0, 2.0])


def test_a_quantity_of_another_dimension():
    with pytest.raises(ConfigError, match=r"quantity in kelvin, expected .* nanometer"):
        in_md_units(300 * K, NM)


@pytest.mark.parametrize(
    ("text", "md_unit", "expected"),
    [
        ("2 fs", PS, 0.002),
        ("2fs", PS, 0.002),
        (" 1.5e3  fs ", PS, 1.5),
        ("0.1 ns", PS, 100.0),
        ("1 us", PS, 1e6),
        ("310 K", K, 310.0),
        ("310", K, 310.0),
        (310, K, 310.0),
        (1.5, PS, 1.5),
        (".5 nm", NM, 0.5),
        ("10 A", NM, 1.0),
        ("10 angstrom", NM, 1.0),
        ("1 atm", unit.bar, 1.01325),
        ("3 amu", unit.dalton, 3.0),
        ("1/ps", PS**-1, 1.0),
        ("1 1/ps", PS**-1, 1.0),
        ("2 /ps", PS**-1, 2.0),
        ("2 ps^-1", PS**-1, 2.0),
        ("1 kcal/mol", unit.kilojoule_per_mole, 4.184),
        ("1 kcal/mol/A", unit.kilojoule_per_mole / NM, 41.84),
        ("1 kcal/mol/A^2", unit.kilojoule_per_mole / NM**2, 418.4),
        ("1000 kJ/mol/nm^2", unit.kilojoule_per_mole / NM**2, 1000.0),
        ("150 mM", unit.molar, 0.15),
        ("-5 K", K, -5.0),
    ],
)
def test_text(text, md_unit, expected):
    assert parse_quantity(text, md_unit) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("text", ["", "fast", "fs 2", "nan", "inf K", None, True, [1], "1,5 nm"])
def test_what_is_not_a_number(text):
    with pytest.raises(ConfigError) as caught:
        parse_quantity(text, K)
    assert "\n" not in str(caught.value)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["2 parsec", "2 FS", "1 Kelvin", "3 fs fs"])
def test_an_unknown_unit_lists_those_known(text):
    with pytest.raises(ConfigError, match="known units: fs, ps, ns"):
        parse_quantity(text, PS)


@pytest.mark.parametrize(("text", "md_unit"), [("2 fs", K), ("300 K", PS), ("1 nm", unit.bar)])
def test_a_unit_of_another_dimension(text, md_unit):
    with pytest.raises(ConfigError, match="expected a unit compatible with"):
        parse_quantity(text, md_unit)
