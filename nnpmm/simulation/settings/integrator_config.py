"""Settings of the time integration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Length, Section, Time

__all__ = ["IntegratorConfig", "WatchdogConfig"]


class WatchdogConfig(Section):
    """Checks of the gap between network and inner potential, and of the region's bonds."""

    interval: Time = Field(0.5, gt=0, description="time between checks, in ps")
    stop: bool = Field(
        False, description="end the run if several time steps are not valid; otherwise warn"
    )


class IntegratorConfig(Section):
    """Time integration: one time step, or several."""

    type: Literal["langevin", "respa"] = Field(
        "langevin",
        description="langevin: one time step (LangevinMiddle); respa: several time steps (BAOAB)",
    )
    inner: Time | None = Field(
        None,
        gt=0,
        description="respa: step of bonded terms and of the inner potential, in ps",
        examples=["0.5 fs"],
    )
    middle: Time | None = Field(
        None,
        gt=0,
        description="respa: step of the direct space, in ps; null: the outer one",
        examples=["2 fs"],
    )
    outer: Time | None = Field(
        None,
        gt=0,
        description="respa: step of the network and of the reciprocal space, in ps",
        examples=["4 fs"],
    )
    short_range: tuple[Length, Length] | None = Field(
        None,
        description="respa: only pairs within this distance have the middle step, switched off "
        "from the first to the second, in nm; null: the complete direct space",
        examples=["[0.5 nm, 0.7 nm]"],
    )
    inner_potential: Literal["force-field", "fit", "network"] = Field(
        "force-field",
        description="respa: inner potential, which acts between evaluations of the network: the "
        "force field's bonded terms, terms fitted to its Hessian, or the first network of the "
        "ensemble",
    )
    watchdog: WatchdogConfig | None = Field(
        WatchdogConfig(),
        description="respa: checks whether several time steps are valid; null: no check",
    )

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        several = ("inner", "middle", "outer", "short_range")
        if self.type == "langevin":
            given = [name for name in several if getattr(self, name) is not None]
            if given:
                raise ValueError(f"found '{given[0]}' with type langevin; set type to respa")
            return self
        if self.inner is None or self.outer is None:
            raise ValueError("type respa requires 'inner' and 'outer'")
        if self.short_range is not None and self.middle is None:
            raise ValueError("found 'short_range' without 'middle'; give both")
        return self
