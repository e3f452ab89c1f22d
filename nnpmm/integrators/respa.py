"""Multiple time steps: RESPA with velocity Verlet, and with Langevin dynamics as BAOAB.

A step of a level is half a kick by its forces, the steps of the next faster level, and half a kick
(Tuckerman, Berne, Martyna, J. Chem. Phys. 1992, 97, 1990). The fastest level moves the positions; a
thermostat acts in the middle of that move (Leimkuhler and Matthews, Appl. Math. Res. Express 2013,
34; with multiple time steps Lagardere et al., J. Phys. Chem. Lett. 2019, 10, 2593). Constraints are
solved once for each move, and the velocities follow from the displacement, as in the middle scheme
of Zhang et al., J. Phys. Chem. A 2019, 123, 6056.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import openmm
from openmm import unit

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError
from nnpmm.core.units import in_md_units
from nnpmm.integrators.splitting import Level, parse_splitting

__all__ = ["RespaIntegrator", "create_respa_integrator", "heat_bath"]


class RespaIntegrator(openmm.CustomIntegrator):
    """An OpenMM integrator made by `create_respa_integrator`.

    One step is one step of the slowest level, whose forces are evaluated once in it. The forces of
    a faster level with r steps in it are evaluated r + 1 times on the CPU and Reference platforms,
    which store only the forces of the last evaluated group.

    Systems with virtual sites are not supported, because these platforms place the sites only at
    the end of a step.

    Args:
        levels: from slow to fast.
        temperature: K; None for constant energy.
        friction: 1/ps; None without a temperature.
    """

    def __init__(
        self, levels: tuple[Level, ...], temperature: float | None, friction: float | None
    ) -> None:
        super().__init__(levels[0].timestep)
        self.levels = levels
        self._thermal = temperature is not None and friction is not None
        self.addPerDofVariable("x1", 0)
        if temperature is not None and friction is not None:
            move = levels[-1].timestep
            self.addGlobalVariable("kT", GAS_CONSTANT * temperature)
            self.addGlobalVariable("friction_factor", math.exp(-friction * move))
            self.addGlobalVariable("noise_factor", math.sqrt(-math.expm1(-2 * friction * move)))
        self.addUpdateContextState()
        self._add_steps()
        self.addConstrainVelocities()

    def getTemperature(self) -> unit.Quantity:
        """Return the temperature of the heat bath."""
        self._refuse_without_bath()
        return self.getGlobalVariableByName("kT") / GAS_CONSTANT * unit.kelvin

    def setTemperature(self, temperature: Any) -> None:
        """Set the temperature of the heat bath, K or a Quantity."""
        self._refuse_without_bath()
        kelvin = _positive("temperature", temperature, unit.kelvin)
        self.setGlobalVariableByName("kT", GAS_CONSTANT * kelvin)

    def setStepSize(self, size: Any) -> None:
        """Refuse, as the coefficients of the heat bath depend on the given time steps."""
        raise ConfigError("the time steps of a RespaIntegrator are fixed; create a new one")

    def _refuse_without_bath(self) -> None:
        if not self._thermal:
            raise ConfigError("this RespaIntegrator conserves the energy and has no temperature")

    def _add_steps(self) -> None:
        """Add the moves of one step, with the kicks before, between and after them.

        Two consecutive half kicks of a level, at the same positions, are one whole kick.
        """
        counts = np.cumprod([level.substeps for level in self.levels]).tolist()  # in one step
        moves = counts[-1]
        for place in range(moves + 1):
            kicks = [
                (level, n)
                for level, n in zip(self.levels, counts, strict=True)
                if place * n % moves == 0
            ]
            share = "" if 0 < place < moves else "0.5*"
            # The slowest level is last in a step and first in the next: its forces are reused.
            for level, n in kicks if place == 0 else reversed(kicks):
                for group in level.groups:
                    self.addComputePerDof("v", f"v+{share}(dt/{n})*f{group}/m")
            if place < moves:
                self._add_move(moves)

    def _add_move(self, moves: int) -> None:
        """Move the positions, with the thermostat in the middle, and stay on the constraints.

        The kicks since the last move, all at the same positions, are projected together.
        """
        move = f"(dt/{moves})"
        self.addConstrainVelocities()
        if self._thermal:
            self.addComputePerDof("x", f"x+0.5*{move}*v")
            self.addComputePerDof("v", "friction_factor*v+noise_factor*sqrt(kT/m)*gaussian")
            self.addComputePerDof("x", f"x+0.5*{move}*v")
        else:
            self.addComputePerDof("x", f"x+{move}*v")
        self.addComputePerDof("x1", "x")
        self.addConstrainPositions()
        self.addComputePerDof("v", f"v+(x-x1)/{move}")


def create_respa_integrator(
    system: openmm.System,
    splitting: Sequence[tuple[Any, int | Iterable[int]]],
    *,
    temperature: Any = None,
    friction: Any = None,
    seed: int | None = None,
) -> RespaIntegrator:
    """Return an integrator with a time step for each force group.

    Args:
        system: whose force groups are split; every one of them needs a time step. It must not have
            virtual sites, as in four-site water: OpenMM's CPU and Reference platforms move them
            only at the end of a step, so forces within the step would heat the system.
        splitting: pairs of a time step (ps or a Quantity) and the force groups that are integrated
            with it, in any order; each time step is a multiple of the next shorter one. One pair
            gives velocity Verlet or BAOAB.
        temperature: of the heat bath, K or a Quantity; None for constant energy.
        friction: of the heat bath, 1/ps or a Quantity; with a temperature.
        seed: of the random numbers.

    Raises:
        ConfigError: the system has virtual sites; the splitting leaves out a force group, gives it
            twice or names one without forces; time steps that are not whole multiples; temperature
            or friction not positive, or one without the other.
    """
    levels = parse_splitting(system, splitting)
    integrator = RespaIntegrator(levels, *heat_bath(temperature, friction))
    if seed is not None:
        integrator.setRandomNumberSeed(seed)
    return integrator


def heat_bath(temperature: Any, friction: Any) -> tuple[float, float] | tuple[None, None]:
    """Return temperature (K) and friction (1/ps), or neither.

    Raises:
        ConfigError: one without the other, or one that is not positive.
    """
    if (temperature is None) != (friction is None):
        raise ConfigError(
            "found only one of temperature and friction; give both, or neither for NVE"
        )
    if temperature is None:
        return None, None
    return (
        _positive("temperature", temperature, unit.kelvin),
        _positive("friction", friction, unit.picosecond**-1),
    )


def _positive(name: str, value: Any, md_unit: unit.Unit) -> float:
    number = float(in_md_units(value, md_unit))
    if not 0 < number < float("inf"):
        raise ConfigError(f"found a {name} of {number:g} {md_unit}, allowed: more than 0")
    return number
