"""Well-tempered metadynamics with OpenMM's Metadynamics, and a bias that can be restored.

Barducci, Bussi and Parrinello, Phys. Rev. Lett. 2008, 100, 020603. The bias is the sum of the
deposited Gaussians, so a run can continue exactly from a record of these and the state of the
context.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openmm
from numpy.typing import ArrayLike, NDArray
from openmm import app, unit

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.sampling.grids import BiasGrid, check_grids

__all__ = ["Gaussian", "WellTempered"]

_KJ = unit.kilojoule_per_mole


@dataclass(frozen=True)
class Gaussian:
    """A deposited Gaussian.

    Attributes:
        values: of the biased variables at its centre, (d,).
        bias: at these values before the deposition, kJ/mol.
        height: kJ/mol.
    """

    values: tuple[float, ...]
    bias: float
    height: float


class WellTempered(app.Metadynamics):
    """Deposits Gaussians in one to three variables of a System.

    A CustomCVForce in a separate force group is added to the System. It contains the table of the
    bias and, for variables that are not periodic, harmonic walls at the ends of their range.

    Args:
        system: the force is added to it, so the context must be created afterwards.
        grids: of the variables.
        temperature: of the simulation, K.
        bias_factor: (T + dT) / T, above 1.
        height: of the first Gaussian, kJ/mol.

    Raises:
        ConfigError: variables that cannot be biased together, or numbers out of bounds.
    """

    def __init__(
        self,
        system: openmm.System,
        grids: Sequence[BiasGrid],
        *,
        temperature: float,
        bias_factor: float,
        height: float,
    ) -> None:
        check_grids(grids)
        if not (bias_factor > 1 and height > 0):
            raise ConfigError(
                f"found a bias factor of {bias_factor:g} and a height of {height:g} kJ/mol, "
                "allowed: more than 1 and more than 0 kJ/mol"
            )
        variables = [grid.bias_variable() for grid in grids]
        super().__init__(system, variables, temperature, bias_factor, height, frequency=1)
        self.grids = tuple(grids)
        self._force.setName("metadynamics")
        walls = [
            f"{0.5 * grid.wall!r}*max(0, max(cv{n} - {grid.high!r}, {grid.low!r} - cv{n}))^2"
            for n, grid in enumerate(grids)
            if not grid.periodic
        ]
        self._force.setEnergyFunction(" + ".join([self._force.getEnergyFunction(), *walls]))

    @property
    def bias(self) -> NDArray[np.float64]:
        """The table of the bias, kJ/mol, the first variable along the first axis."""
        return np.array(self._totalBias.T)

    @property
    def free_energy(self) -> NDArray[np.float64]:
        """The surface that the bias estimates, -g/(g - 1) V, kJ/mol, as `bias`."""
        return -self.biasFactor / (self.biasFactor - 1) * self.bias

    def deposit(self, context: openmm.Context) -> Gaussian:
        """Add a Gaussian where the context is, and return it.

        Raises:
            SimulationError: a variable is beyond its table.
        """
        values = tuple(self._force.getCollectiveVariableValues(context))
        walls = 0.0
        for grid, value in zip(self.grids, values, strict=True):
            walls += grid.wall_energy(value)
            if grid.left(value):
                shown = grid.variable.shown
                raise SimulationError(
                    f"{grid.variable.name} is {shown(value)}, beyond the walls at "
                    f"{shown(grid.low)} and {shown(grid.high)}: start from a structure within this "
                    "range, or widen it"
                )
        group = {self._force.getForceGroup()}
        energy = context.getState(energy=True, groups=group).getPotentialEnergy()
        bias = energy.value_in_unit(_KJ) - walls
        scale = (unit.MOLAR_GAS_CONSTANT_R * self._deltaT).value_in_unit(_KJ)
        height = self.height.value_in_unit(_KJ) * float(np.exp(-bias / scale))
        self._addGaussian(values, height * _KJ, context)
        return Gaussian(values, bias, height)

    def restore(
        self, values: ArrayLike, heights: ArrayLike, context: openmm.Context | None = None
    ) -> None:
        """Make the bias the sum of Gaussians, bit by bit that of the run that deposited them.

        Args:
            values: (n, d) their centres, in the order in which they were deposited.
            heights: (n,) kJ/mol.
            context: takes over the bias.
        """
        total = np.zeros([variable.gridWidth for variable in reversed(self.variables)])
        for centre, height in zip(np.asarray(values), np.asarray(heights), strict=True):
            total += height * self._shape(centre)
        self._selfBias, self._totalBias = total, total.copy()
        sizes = self._widths if len(self.grids) > 1 else []
        self._table.setFunctionParameters(*sizes, total.flatten(), *self._limits)
        if context is not None:
            self._force.updateParametersInContext(context)

    def _shape(self, centre: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a Gaussian of height 1 on the table, as `app.Metadynamics` makes it."""
        axes = []
        for variable, value in zip(self.variables, centre, strict=True):
            x = (value - variable.minValue) / (variable.maxValue - variable.minValue)
            if variable.periodic:
                x = x % 1.0
            distance = np.abs(np.linspace(0, 1.0, num=variable.gridWidth) - x)
            if variable.periodic:
                distance = np.min(np.array([distance, np.abs(distance - 1)]), axis=0)
                distance[-1] = distance[0]
            axes.append(np.exp(-0.5 * distance * distance / variable._scaledVariance))
        return np.asarray(functools.reduce(np.multiply.outer, reversed(axes)))
