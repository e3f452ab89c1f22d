"""Field types of the permeation settings: quantities with units, unknown keys refused."""

from __future__ import annotations

from typing import Annotated, Any

from openmm import unit
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from nnpmm.units import in_md_units, parse_quantity

__all__ = ["ForceConstant", "Length", "Pressure", "Section", "Temperature", "Time"]


class Section(BaseModel):
    """Base of every settings model: unknown keys are refused and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _quantity(md_unit: unit.Unit, symbol: str) -> tuple[BeforeValidator, PlainSerializer]:
    """Return the validator and the serializer of a float held in ``md_unit``."""

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
_force_constant = _quantity(unit.kilojoule_per_mole / unit.nanometer**2, "kJ/mol/nm^2")

Time = Annotated[float, _time[0], _time[1], _finite]
Temperature = Annotated[float, _temperature[0], _temperature[1], _finite]
Pressure = Annotated[float, _pressure[0], _pressure[1], _finite]
Length = Annotated[float, _length[0], _length[1], _finite]
ForceConstant = Annotated[float, _force_constant[0], _force_constant[1], _finite]
