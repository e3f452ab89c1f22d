"""The published protocol: equilibrate, then a short production with the solute at the midplane.

Two runs per solute: in the membrane, its centre restrained to the bilayer's midplane by a harmonic
restraint on the height above the lipids' centre of mass, and free in a small cube of water.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field, ValidationError, model_validator
from typing_extensions import Self

from nnpmm.core.errors import ConfigError
from nnpmm.core.fields import Length, Pressure, Section, Temperature, Time, first_problem
from nnpmm.permeation.martini.engines import Restraint, whole_steps

__all__ = ["PRESETS", "ProtocolSettings", "changed_settings", "parse_changes", "preset"]

#: Between them, in K, a temperature is one of a fluid membrane in water; 27 is degrees Celsius.
COLDEST, HOTTEST = 200.0, 500.0
_LONGEST = 1e8  # ps

_Settings = TypeVar("_Settings", bound=Section)


class ProtocolSettings(Section):
    """Lengths and conditions of the runs of one solute."""

    lipids_per_leaflet: int = Field(
        64, ge=9, le=10_000, description="number of lipids in each leaflet"
    )
    waters_per_lipid: float = Field(
        15.0, ge=4, le=1_000, description="beads of water for each lipid"
    )
    water_box: Length = Field(3.0, gt=0, le=50, description="edge of the cube of water, in nm")
    temperature: Temperature = Field(
        300.0,
        ge=COLDEST,
        le=HOTTEST,
        description="temperature, in K; water and membranes must be fluid",
    )
    pressure: Pressure = Field(1.0, description="in bar")
    bilayer_relaxation: Time = Field(
        20_000.0,
        gt=0,
        le=_LONGEST,
        description="NPT run of a bilayer without solute, once per lipid, in ps",
    )
    nvt: Time = Field(2_000.0, gt=0, le=_LONGEST, description="NVT run with the solute, in ps")
    npt: Time = Field(5_000.0, gt=0, le=_LONGEST, description="NPT run with the solute, in ps")
    production: Time = Field(
        21_000.0, gt=0, le=_LONGEST, description="length of the production, in ps"
    )
    frame_interval: Time = Field(
        60.0, gt=0, description="time between frames of the production, in ps"
    )
    equilibration_timestep: Time = Field(
        0.02, gt=0, le=0.04, description="time step of the equilibration, in ps"
    )
    production_timestep: Time = Field(
        0.03, gt=0, le=0.04, description="time step of the production, in ps"
    )
    restraint: Restraint = Field(Restraint(), description="restraint of the solute's height")

    @property
    def n_frames(self) -> int:
        """Number of frames of a production, not counting its start, as the engines write them."""
        steps = whole_steps(self.production, self.production_timestep)
        return steps // whole_steps(self.frame_interval, self.production_timestep)

    @property
    def simulated_ns(self) -> float:
        """Length of the runs of one solute in one place, ns."""
        return (self.nvt + self.npt + self.production) / 1000.0

    @model_validator(mode="after")
    def _check_frames(self) -> Self:
        if self.n_frames < 2:
            raise ValueError(
                f"a production of {self.production:g} ps with a frame every "
                f"{self.frame_interval:g} ps has {self.n_frames} frames, expected 2 or more"
            )
        return self


PRESETS: dict[str, ProtocolSettings] = {
    # 350 frames, as published.
    "paper": ProtocolSettings(),
    # 100 frames; a start from an equilibrated bilayer needs less time to settle.
    "short": ProtocolSettings(nvt=200.0, npt=1_000.0, production=6_000.0),
}


def preset(name: str, **changes: object) -> ProtocolSettings:
    """Return a preset, with some fields changed; unknown fields are refused.

    Raises:
        ConfigError: an unknown preset or field, or a value out of range.
    """
    if name not in PRESETS:
        raise ConfigError(f"found the preset {name!r}, known presets: {', '.join(PRESETS)}")
    return changed_settings(PRESETS[name], **changes)


def changed_settings(settings: _Settings, **changes: object) -> _Settings:
    """Return settings with some fields changed; unknown fields are refused.

    Raises:
        ConfigError: an unknown field, or a value out of range.
    """
    try:
        return type(settings).model_validate({**settings.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        known = ""
        if first["type"] == "extra_forbidden":
            known = f"; known settings: {', '.join(type(settings).model_fields)}"
        raise ConfigError(f"settings: {first_problem(error)}{known}") from None


def parse_changes(texts: Sequence[str]) -> dict[str, str]:
    """Return the fields that lines such as ``production=6 ns`` change.

    Raises:
        ConfigError: a line is not of that form.
    """
    changes = {}
    for text in texts:
        key, found, value = text.partition("=")
        if not found or not key.strip():
            raise ConfigError(f"found {text!r}, expected a setting such as production='6 ns'")
        changes[key.strip()] = value.strip()
    return changes
