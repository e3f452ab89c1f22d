"""Settings of biased production: metadynamics, umbrella windows, replica exchange."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import Self

from nnpmm.core.errors import ConfigError
from nnpmm.core.fields import Energy, Section, Temperature, Time
from nnpmm.sampling.variables import VariableSettings
from nnpmm.sampling.variables.settings import check_names

__all__ = [
    "ExchangeConfig",
    "LadderConfig",
    "MetadynamicsConfig",
    "RegionScalingConfig",
    "SamplingConfig",
    "TemperaturesConfig",
    "UmbrellaConfig",
    "WindowsConfig",
]


def _check_names(variables: dict[str, Any]) -> dict[str, Any]:
    try:
        check_names(variables)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return variables


Variables = Annotated[dict[str, VariableSettings], AfterValidator(_check_names)]
#: A number with a unit, which depends on the variable.
Number = str | float


class _Sampling(Section):
    """Settings that all kinds of sampling share."""

    variables: Variables = Field({}, description="collective variables by name, all recorded")
    interval: Time

    def times(self) -> Iterator[tuple[str, float]]:
        """Yield the dotted name and the value (ps) of every time that must be whole steps."""
        yield "sampling.interval", self.interval

    def check(self, settings: Any) -> None:
        """Check these settings against the others of a run.

        Args:
            settings: the ``ProtocolConfig`` that contains them.

        Raises:
            ValueError: two settings contradict each other.
        """
        if settings.integrator.type == "respa":
            raise ValueError("sampling: found integrator.type respa, allowed: langevin")
        if settings.ensemble.friction == 0:
            raise ValueError("ensemble.friction: found 0, sampling needs a heat bath: above 0 1/ps")

    def _require_variables(self, setting: str, names: Any) -> None:
        unknown = sorted(set(names) - set(self.variables))
        if unknown:
            raise ValueError(
                f"{setting}: found {unknown[0]!r}, which is none of the variables "
                f"{', '.join(self.variables) or '(none)'}"
            )


class MetadynamicsConfig(_Sampling):
    """Well-tempered metadynamics in one to three of the variables."""

    type: Literal["metadynamics"] = "metadynamics"
    widths: dict[str, Number] = Field(
        min_length=1,
        description="variables that are biased, and the standard deviation of their Gaussians",
    )
    ranges: dict[str, tuple[Number, Number]] = Field(
        {}, description="ranges of biased variables that are not periodic, with walls at their ends"
    )
    height: Energy = Field(1.0, gt=0, description="height of the first Gaussian, in kJ/mol")
    bias_factor: float = Field(
        10.0, gt=1, description="(T + dT)/T; in the end barriers appear lower by this factor"
    )
    interval: Time = Field(
        0.5, gt=0, description="time between Gaussians, and between records, in ps"
    )

    @model_validator(mode="after")
    def _check_variables(self) -> Self:
        self._require_variables("widths", self.widths)
        unbiased = sorted(set(self.ranges) - set(self.widths))
        if unbiased:
            raise ValueError(f"ranges: found {unbiased[0]!r}, which is not in widths")
        return self


class WindowsConfig(Section):
    """Umbrella windows along a variable."""

    centers: tuple[Number, ...] | None = Field(
        None, min_length=1, description="centres of the windows"
    )
    range: tuple[Number, Number] | None = Field(
        None, description="instead of centers: the first and the last centre"
    )
    count: int | None = Field(None, ge=2, le=200, description="number of windows, with range")
    force_constant: str = Field(
        description="force constant k of k/2 (s - c)^2, in kJ/mol/nm^2, kJ/mol/rad^2, or kJ/mol "
        "for a variable without unit"
    )

    @model_validator(mode="after")
    def _check_centers(self) -> Self:
        both_or_neither = (self.centers is None) == (self.range is None)
        if both_or_neither or (self.range is None) != (self.count is None):
            raise ValueError("give either 'centers', or 'range' and 'count'")
        return self


class ExchangeConfig(_Sampling):
    """Common settings of replica exchange; production.length is that of each replica."""

    interval: Time = Field(
        1.0, gt=0, description="time between exchange attempts, and between records, in ps"
    )
    equilibrate: Time = Field(
        10.0,
        gt=0,
        description="equilibration of each replica in its state before the first record, in ps; "
        "the replicas follow one another, and each starts where the previous one ended",
    )
    trajectory: Literal["states", "replicas", "none"] = Field(
        "states", description="DCD files of all atoms: one for each state or replica, or none"
    )

    def times(self) -> Iterator[tuple[str, float]]:
        """Yield the dotted name and the value (ps) of every time that must be whole steps."""
        yield from super().times()
        yield "sampling.equilibrate", self.equilibrate

    def check(self, settings: Any) -> None:
        """Check these settings against the others of a run.

        Args:
            settings: the ``ProtocolConfig`` that contains them.

        Raises:
            ValueError: two settings contradict each other.
        """
        super().check(settings)
        production, times = settings.stages.production, {}
        if self.trajectory != "none":
            times["output.trajectory_interval"] = settings.output.trajectory_interval
        if production is not None:
            times["stages.production.length"] = production.length
        for name, time in times.items():
            if abs(time / self.interval - round(time / self.interval)) > 1e-6 or time <= 0:
                raise ValueError(
                    f"{name}: found {time:g} ps, allowed: multiples of sampling.interval, "
                    f"{self.interval:g} ps"
                )


class UmbrellaConfig(ExchangeConfig):
    """Umbrella windows along one or more variables: all combinations of their centres."""

    type: Literal["umbrella"] = "umbrella"
    windows: dict[str, WindowsConfig] = Field(
        min_length=1, description="windows of each restrained variable"
    )
    exchange: bool = Field(True, description="whether windows exchange their replicas")

    @model_validator(mode="after")
    def _check_variables(self) -> Self:
        self._require_variables("windows", self.windows)
        return self


class LadderConfig(ExchangeConfig):
    """Settings of replica exchange from ensemble.temperature to a higher temperature."""

    highest: Temperature = Field(gt=0, description="temperature of the last replica, in K")
    count: int = Field(
        ge=2,
        le=64,
        description="number of replicas; their temperatures have equal ratios",
    )

    def check(self, settings: Any) -> None:
        """Check these settings against the others of a run.

        Args:
            settings: the ``ProtocolConfig`` that contains them.

        Raises:
            ValueError: two settings contradict each other.
        """
        super().check(settings)
        lowest = settings.ensemble.temperature
        if self.highest <= lowest:
            raise ValueError(
                f"sampling.highest: found {self.highest:g} K, allowed: more than "
                f"ensemble.temperature, {lowest:g} K"
            )


class TemperaturesConfig(LadderConfig):
    """Replica exchange of temperatures, NVT."""

    type: Literal["temperatures"] = "temperatures"

    def check(self, settings: Any) -> None:
        """Check these settings against the others of a run.

        Args:
            settings: the ``ProtocolConfig`` that contains them.

        Raises:
            ValueError: two settings contradict each other.
        """
        super().check(settings)
        if settings.ensemble.type == "NPT":
            raise ValueError("sampling.type: found temperatures with NPT; set ensemble.type to NVT")


class RegionScalingConfig(LadderConfig):
    """Replica exchange in which only the region is heated, as in REST2."""

    type: Literal["region-scaling"] = "region-scaling"


SamplingConfig = Annotated[
    MetadynamicsConfig | UmbrellaConfig | TemperaturesConfig | RegionScalingConfig,
    Field(discriminator="type"),
]
