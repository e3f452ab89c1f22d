"""The range in which a variable is biased: its grid, and walls at its ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openmm import app

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError
from nnpmm.sampling.variables import Variable

__all__ = ["BiasGrid", "check_grids", "grid_of"]

_POINTS_PER_WIDTH = 5
_MARGIN = 3.0  # widths of the table beyond each end of the range, where the walls act
_MOST_POINTS = 4_000_000  # of a table, 32 MB
_MOST_VARIABLES = 3  # a limit of OpenMM's tabulated functions


@dataclass(frozen=True)
class BiasGrid:
    """Where a variable is biased by metadynamics.

    Attributes:
        variable: that is biased.
        low: end of the range.
        high: end of the range.
        width: standard deviation of the Gaussians.
        wall: force constant of the harmonic walls at both ends, kJ/mol per unit squared; 0 for a
            periodic variable.
    """

    variable: Variable
    low: float
    high: float
    width: float
    wall: float

    @property
    def periodic(self) -> bool:
        """Whether the range is the variable's whole period."""
        return self.variable.period is not None

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the table, which with walls are beyond the ends of the range."""
        margin = 0.0 if self.periodic else _MARGIN * self.width
        return self.low - margin, self.high + margin

    @property
    def points(self) -> NDArray[np.float64]:
        """Points (m,) of the table, both limits included."""
        low, high = self.limits
        count = math.ceil(_POINTS_PER_WIDTH * (high - low) / self.width) + 1
        return np.linspace(low, high, count)

    def wall_energy(self, value: float) -> float:
        """Return the energy of the walls at a value, kJ/mol."""
        beyond = max(0.0, value - self.high, self.low - value)
        return 0.5 * self.wall * beyond**2

    def left(self, value: float) -> bool:
        """Return whether a value is outside the table, where there is no bias."""
        low, high = self.limits
        return not self.periodic and not low <= value <= high

    def bias_variable(self) -> app.BiasVariable:
        """Return the variable for OpenMM's Metadynamics."""
        low, high = self.limits
        return app.BiasVariable(
            self.variable.create_force(),
            low,
            high,
            self.width,
            self.periodic,
            gridWidth=len(self.points),
        )


def grid_of(
    variable: Variable,
    width: float,
    ends: tuple[float, float] | None,
    *,
    temperature: float,
) -> BiasGrid:
    """Return the grid of a variable, with walls of kT at half a width beyond its ends.

    Args:
        variable: that is biased.
        width: standard deviation of the Gaussians, in the variable's unit.
        ends: of its range; None for the whole period.
        temperature: K.

    Raises:
        ConfigError: a variable without a period has no range, the range is empty or out of bounds,
            or the width is more than a quarter of it.
    """
    name, wall = variable.name, 0.0
    if variable.period is not None:
        if ends is not None:
            raise ConfigError(
                f"ranges.{name}: found a range of a periodic variable, which is biased over its "
                "full period; leave it out"
            )
        assert variable.bounds is not None
        low, high = variable.bounds
    elif ends is None:
        raise ConfigError(
            f"ranges.{name}: is missing; give the two values between which {name} is biased"
        )
    else:
        low, high = ends
        wall = 2 * GAS_CONSTANT * temperature / (0.5 * width) ** 2
    if variable.bounds is not None and not variable.bounds[0] <= low < high <= variable.bounds[1]:
        raise ConfigError(
            f"ranges.{name}: found {variable.shown(low)} to {variable.shown(high)}, allowed: "
            f"between {variable.shown(variable.bounds[0])} and {variable.shown(variable.bounds[1])}"
        )
    if not 0 < width <= (high - low) / 4:
        raise ConfigError(
            f"widths.{name}: found {variable.shown(width)}, allowed: up to a quarter of the range, "
            f"{variable.shown((high - low) / 4)}"
        )
    return BiasGrid(variable, low, high, width, wall)


def check_grids(grids: Sequence[BiasGrid]) -> None:
    """Check that variables can be biased together.

    Raises:
        ConfigError: no or too many variables, periodic and other variables, or too large a table.
    """
    names = ", ".join(grid.variable.name for grid in grids)
    if not 1 <= len(grids) <= _MOST_VARIABLES:
        raise ConfigError(f"widths: found {len(grids)} variables, allowed: 1 to {_MOST_VARIABLES}")
    if len({grid.periodic for grid in grids}) > 1:
        raise ConfigError(
            f"widths: found periodic variables and others in {names}, which OpenMM's Metadynamics "
            "cannot bias together; bias one kind and record the other"
        )
    points = math.prod(len(grid.points) for grid in grids)
    if points > _MOST_POINTS:
        raise ConfigError(
            f"widths: found a table of {points} points for {names}, allowed: {_MOST_POINTS}; use "
            "wider Gaussians, smaller ranges or fewer variables"
        )
