"""Conversion at the public boundary, from Quantities to plain floats in OpenMM's MD units.

MD units are nm, ps, amu, K, kJ/mol, elementary charge and, for pressure, bar.
"""

from __future__ import annotations

import re
import reprlib
from typing import Any

import numpy as np
from openmm import unit

from nnpmm.core.errors import ConfigError

__all__ = ["in_md_units", "parse_quantity"]

_NUMBER = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")

# Unit names that a YAML file may use, in the spellings of the field.
_UNITS: dict[str, unit.Unit] = {
    "fs": unit.femtosecond,
    "ps": unit.picosecond,
    "ns": unit.nanosecond,
    "us": unit.microsecond,
    "nm": unit.nanometer,
    "angstrom": unit.angstrom,
    "A": unit.angstrom,
    "deg": unit.degree,
    "rad": unit.radian,
    "K": unit.kelvin,
    "kelvin": unit.kelvin,
    "bar": unit.bar,
    "atm": unit.atmosphere,
    "amu": unit.dalton,
    "dalton": unit.dalton,
    "1/ps": unit.picosecond**-1,
    "/ps": unit.picosecond**-1,
    "ps^-1": unit.picosecond**-1,
    "kJ/mol": unit.kilojoule_per_mole,
    "kcal/mol": unit.kilocalorie_per_mole,
    "kJ/mol/nm": unit.kilojoule_per_mole / unit.nanometer,
    "kcal/mol/A": unit.kilocalorie_per_mole / unit.angstrom,
    "kJ/mol/nm^2": unit.kilojoule_per_mole / unit.nanometer**2,
    "kcal/mol/A^2": unit.kilocalorie_per_mole / unit.angstrom**2,
    "kJ/mol/rad^2": unit.kilojoule_per_mole / unit.radian**2,
    "kcal/mol/rad^2": unit.kilocalorie_per_mole / unit.radian**2,
    "M": unit.molar,
    "mM": unit.millimolar,
    "uM": unit.micromolar,
    "nM": unit.nanomolar,
}

_LONGEST_SHOWN = 60  # characters


def in_md_units(value: Any, md_unit: unit.Unit) -> Any:
    """Return a Quantity, a float or an array as a plain float or float64 array in ``md_unit``.

    Args:
        value: an ``openmm.unit.Quantity``, a list of them, or numbers in ``md_unit``.
        md_unit: the unit of the result.

    Raises:
        ConfigError: the Quantity has another dimension.
    """
    if unit.is_quantity(value):
        if not value.unit.is_compatible(md_unit):
            raise ConfigError(
                f"found a quantity in {value.unit}, expected a unit compatible with {md_unit}"
            )
        value = value.value_in_unit(md_unit)
    if isinstance(value, (list, tuple)) and any(unit.is_quantity(item) for item in value):
        value = [in_md_units(item, md_unit) for item in value]  # box vectors of a System
    if isinstance(value, (list, tuple, np.ndarray)):
        return np.asarray(value, dtype=np.float64)
    return float(value)


def _shown(value: Any) -> str:
    """Return a value as a message shows it: whole if it is short, without following references."""
    short = isinstance(value, str) and len(value) <= _LONGEST_SHOWN
    return repr(value) if short else reprlib.repr(value)


def parse_quantity(text: str | float | int, md_unit: unit.Unit) -> float:
    """Parse ``"2 fs"``, ``"310 K"`` or a plain number in ``md_unit`` and return it in ``md_unit``.

    Raises:
        ConfigError: not a number, an unknown unit, or a unit of another dimension.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        try:
            return float(text)
        except OverflowError:
            raise ConfigError("found a number beyond 1e308, expected a smaller one") from None
    match = _NUMBER.match(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(
            f"found {_shown(text)}, expected a number with a unit such as "
            f"'1 {md_unit.get_symbol()}'"
        )
    number, name = float(match.group(1)), match.group(2)
    if not name:
        return number
    if name not in _UNITS:
        raise ConfigError(
            f"found the unit {_shown(name)} in {_shown(text)}, known units: {', '.join(_UNITS)}"
        )
    return float(in_md_units(number * _UNITS[name], md_unit))
