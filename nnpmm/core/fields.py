"""Field types of settings: quantities with units, and paths relative to the settings file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from openmm import unit
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializationInfo,
    ValidationInfo,
)

from nnpmm.core.section import Section, first_problem
from nnpmm.core.units import in_md_units, parse_quantity

__all__ = [
    "MODEL_FILES",
    "AngleConstant",
    "Concentration",
    "Energy",
    "ForceConstant",
    "Friction",
    "Length",
    "Mass",
    "ModelName",
    "Pressure",
    "Rms",
    "Section",
    "SettingsPath",
    "Temperature",
    "Time",
    "first_problem",
]


def _quantity(md_unit: unit.Unit, symbol: str) -> tuple[BeforeValidator, PlainSerializer]:
    """Return the validator and the serializer of a float in ``md_unit``."""

    def parse(value: Any) -> float:
        if unit.is_quantity(value):
            return float(in_md_units(value, md_unit))
        return parse_quantity(value, md_unit)

    def write(value: float) -> str:
        return f"{value!r} {symbol}"

    return BeforeValidator(parse), PlainSerializer(write, return_type=str, when_used="json")


_finite = Field(allow_inf_nan=False)
_time = _quantity(unit.picosecond, "ps")
_temperature = _quantity(unit.kelvin, "K")
_pressure = _quantity(unit.bar, "bar")
_length = _quantity(unit.nanometer, "nm")
_mass = _quantity(unit.dalton, "amu")
_friction = _quantity(unit.picosecond**-1, "1/ps")
_force_constant = _quantity(unit.kilojoule_per_mole / unit.nanometer**2, "kJ/mol/nm^2")
_angle_constant = _quantity(unit.kilojoule_per_mole / unit.radian**2, "kJ/mol/rad^2")
_energy = _quantity(unit.kilojoule_per_mole, "kJ/mol")
_rms = _quantity(unit.kilojoule_per_mole / unit.nanometer, "kJ/mol/nm")
_concentration = _quantity(unit.molar, "M")

Time = Annotated[float, _time[0], _time[1], _finite]
Temperature = Annotated[float, _temperature[0], _temperature[1], _finite]
Pressure = Annotated[float, _pressure[0], _pressure[1], _finite]
Length = Annotated[float, _length[0], _length[1], _finite]
Mass = Annotated[float, _mass[0], _mass[1], _finite]
Friction = Annotated[float, _friction[0], _friction[1], _finite]
ForceConstant = Annotated[float, _force_constant[0], _force_constant[1], _finite]
AngleConstant = Annotated[float, _angle_constant[0], _angle_constant[1], _finite]
Energy = Annotated[float, _energy[0], _energy[1], _finite]
Rms = Annotated[float, _rms[0], _rms[1], _finite]
Concentration = Annotated[float, _concentration[0], _concentration[1], _finite]


# Bytes: the limits of the common file systems, less what nnpmm's own file names add.
_LONGEST_NAME, _LONGEST_PATH = 255, 4000


def _resolve(path: Path, info: ValidationInfo) -> Path:
    """Make a path absolute; relative ones are relative to the folder of the settings file."""
    base = (info.context or {}).get("base", Path())
    if any(ord(character) < 32 or ord(character) == 127 for character in str(path)):
        raise ValueError(f"found {str(path)[:60]!r}, allowed: a path without control characters")
    try:
        expanded = path.expanduser()
    except RuntimeError:
        raise ValueError(
            f"found {str(path)[:60]!r}, but there is no such user: write out the folder, or './~' "
            "if its name begins with that character"
        ) from None
    absolute = os.path.abspath(Path(base) / expanded)
    length = len(os.fsencode(absolute))
    longest = max(len(os.fsencode(name)) for name in absolute.split(os.sep))
    if longest > _LONGEST_NAME or length > _LONGEST_PATH:
        raise ValueError(
            f"found a path with {length} bytes and a name in it with {longest}, "
            f"allowed: at most {_LONGEST_PATH} and {_LONGEST_NAME}"
        )
    return Path(absolute)


def _not_empty(path: Any) -> Any:
    """Refuse an empty text, which would mean the folder of the settings file."""
    if path == "":
        raise ValueError("found an empty text, expected a path")
    return path


def _write_path(path: Path, info: SerializationInfo) -> str:
    """Write a path relative to ``base`` of the context, so that a moved run still finds it."""
    base = (info.context or {}).get("base")
    return str(path) if base is None else os.path.relpath(path, base)


SettingsPath = Annotated[
    Path,
    BeforeValidator(_not_empty),
    AfterValidator(_resolve),
    PlainSerializer(_write_path, return_type=str, when_used="json"),
]


#: Suffixes by which `nnpmm.models.load_model` tells a file from a name.
MODEL_FILES = (".json", ".pt")


def _resolve_model(name: str, info: ValidationInfo) -> str:
    return str(_resolve(Path(name), info)) if name.endswith(MODEL_FILES) else name


def _write_model(name: str, info: SerializationInfo) -> str:
    return _write_path(Path(name), info) if name.endswith(MODEL_FILES) else name


#: The name of a network, or the path of its file, which is treated like any other path.
ModelName = Annotated[
    str,
    AfterValidator(_resolve_model),
    PlainSerializer(_write_model, return_type=str, when_used="json"),
]
