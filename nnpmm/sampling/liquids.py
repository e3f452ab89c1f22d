"""Compression of a loosely packed box to a liquid, and checks that the result is one."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from nnpmm.core.constants import DALTON_PER_NM3_IN_G_PER_ML
from nnpmm.core.errors import SimulationError
from nnpmm.structures import MMSystem
from nnpmm.structures.amoeba_terms import copied_system

__all__ = ["Compression", "compress_liquid", "replace_box", "require_liquid"]

_LOGGER = logging.getLogger(__name__)
_INTERVAL = 1.0  # ps between two frames
_BAROSTAT_INTERVAL = 25  # steps
_MINIMIZATION_TOLERANCE = 50.0  # kJ/mol/nm
# Fractions of the typical density. Liquids have 0.88 (pentane) to 1.28 (glycerol) of it, a gas at
# 1 bar less than 0.01; 0.75 allows for a force field that is wrong by 10 %.
_LEAST, _GAS = 0.75, 0.2
# Largest relative difference between the second and the last third of the densities, in addition to
# their errors from blocks, because densities of small boxes fluctuate by some per cent.
_DRIFT, _BLOCKS = 0.03, 5
# nm^2 in 100 ps. Toluene's molecules move 1.4 nm^2, 1-octanol's 0.08 (D of 2.3e-9 and 1.4e-10 m^2/s
# at 298 K); molecules that only rattle in their cages, 0.03 or less.
_LEAST_MOTION = 0.05


@dataclass(frozen=True)
class Compression:
    """The course of a compression.

    Attributes:
        densities: of each ps, (n,), g/ml.
        motion: mean squared displacement of the molecules' centres in the second half, nm^2, and
            its length, ps.
    """

    densities: NDArray[np.float64]
    motion: tuple[float, float]

    @property
    def density(self) -> float:
        """Mean of the last third, g/ml."""
        return float(self.densities[-max(1, len(self.densities) // 3) :].mean())


def compress_liquid(
    simulation: app.Simulation,
    *,
    time: float,
    typical: float,
    report: Callable[[int, int], None] = lambda *_: None,
) -> Compression:
    """Minimise a loose box, and simulate it until it has the density of its liquid.

    Args:
        simulation: with positions and box; its System has a barostat, its integrator a temperature.
        time: ps.
        typical: density of such liquids, g/ml; far below it, the box is an expanding gas.
        report: called with the elapsed time and the whole time, ps.

    Raises:
        SimulationError: the box expands as a gas does, shrinks below twice the cutoff, or blows up.
    """
    context, integrator = simulation.context, simulation.integrator
    step = integrator.getStepSize().value_in_unit(unit.picosecond)
    temperature = integrator.getTemperature().value_in_unit(unit.kelvin)
    frames, steps = max(3, round(time / _INTERVAL)), max(1, round(_INTERVAL / step))
    mass = _mass(simulation.system)
    molecules = _molecules(context)
    densities, moved, before = [], np.zeros((len(molecules), 3)), None
    try:
        openmm.LocalEnergyMinimizer.minimize(context, _MINIMIZATION_TOLERANCE)
        context.setVelocitiesToTemperature(temperature, integrator.getRandomNumberSeed())
        for frame in range(frames):
            integrator.step(steps)
            state = context.getState(positions=True)
            box = state.getPeriodicBoxVectors(asNumpy=True)._value
            densities.append(DALTON_PER_NM3_IN_G_PER_ML * mass / float(np.linalg.det(box)))
            if frame >= frames // 2:
                centres = _centres(state, molecules)
                if before is not None:
                    step_moved = centres - before
                    moved += step_moved - np.diag(box) * np.round(step_moved / np.diag(box))
                before = centres
            elif frame > frames // 4 and densities[-1] < _GAS * typical:
                break
            report(frame + 1, frames)
    except openmm.OpenMMException as error:
        raise SimulationError(f"compression of the solvent ended: {error}") from error
    span = (frames - 1 - frames // 2) * _INTERVAL
    return Compression(np.array(densities), (float((moved**2).sum(axis=1).mean()), span))


def require_liquid(found: Compression, *, typical: float, temperature: float) -> None:
    """Refuse a box that is not liquid, and warn of one whose molecules do not move.

    Args:
        found: the course of its compression.
        typical: density of such liquids as estimated from the molecule's volume, g/ml.
        temperature: K, for the messages.

    Raises:
        SimulationError: the mean density of the last third is less than three quarters of the
            typical one, or differs by more than 3 % and two standard errors from that of the second
            third.
    """
    third, time = len(found.densities) // 3, len(found.densities) * _INTERVAL
    if found.density < _LEAST * typical:
        raise SimulationError(
            f"the solvent is not liquid at {temperature:g} K as built: found {found.density:.3f} "
            f"g/ml after {time:g} ps, allowed: {_LEAST * typical:.3f} g/ml or more for molecules "
            "of this size; use another solvent, temperature or pressure, or other parameters"
        )
    middle = found.densities[third : 2 * third]
    errors = [_block_error(part) for part in (middle, found.densities[-third:])]
    allowed = _DRIFT + 2 * float(np.hypot(errors[0], errors[1])) / found.density
    if abs(found.density / middle.mean() - 1) > allowed:
        raise SimulationError(
            f"the solvent's density still changes: found {middle.mean():.3f}, then "
            f"{found.density:.3f} g/ml in the second and last third of {time:g} ps, allowed: a "
            f"difference of {allowed:.1%}; equilibrate it longer"
        )
    motion, span = found.motion
    if span >= 10 and motion / span * 100 < _LEAST_MOTION:
        _LOGGER.warning(
            "the solvent's molecules moved %.2f nm in %g ps (root of the mean square): at %g K it "
            "is solid or very viscous, and solvation free energies in it do not converge",
            motion**0.5,
            span,
            temperature,
        )


def replace_box(
    mm: MMSystem, positions: NDArray[np.float64], box_vectors: NDArray[np.float64]
) -> MMSystem:
    """Return an MM system with other positions (n_atoms, 3) and box rows (3, 3), nm."""
    system, topology = copied_system(mm.system), copy.deepcopy(mm.topology)
    vectors = [openmm.Vec3(*row) for row in box_vectors] * unit.nanometer
    system.setDefaultPeriodicBoxVectors(*vectors)
    topology.setPeriodicBoxVectors(vectors)
    return dataclasses.replace(
        mm, topology=topology, positions=positions, box_vectors=box_vectors, system=system
    )


def _block_error(series: NDArray[np.float64]) -> float:
    """Return the standard error of the mean of a series (n,), from means of blocks."""
    means = [block.mean() for block in np.array_split(series, min(_BLOCKS, len(series)))]
    return float(np.std(means, ddof=1) / len(means) ** 0.5) if len(means) > 1 else 0.0


def _mass(system: openmm.System) -> float:
    masses = (system.getParticleMass(i)._value for i in range(system.getNumParticles()))
    return float(sum(masses))


def _molecules(context: openmm.Context) -> list[NDArray[np.int64]]:
    return [np.array(atoms) for atoms in context.getMolecules()]


def _centres(state: openmm.State, molecules: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    positions = state.getPositions(asNumpy=True)._value
    return np.array([positions[atoms].mean(axis=0) for atoms in molecules])
