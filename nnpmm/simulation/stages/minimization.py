"""Energy minimisation with a bounded number of iterations, which keeps the geometry reached."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Sequence

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from nnpmm.core.errors import SimulationError
from nnpmm.core.interrupts import StopFlag
from nnpmm.coupling.roles import NETWORKS, role_of
from nnpmm.simulation.settings.config import MinimizeConfig
from nnpmm.simulation.stages.progress import ProgressDisplay, Status

__all__ = ["minimize", "potential_energy"]

_LOGGER = logging.getLogger(__name__)
# kJ/mol/nm^2. The first is about three times a force field's bond to hydrogen: lengths end within
# 2 % of the constraint, and the minimisation does not become slower. Stiffer springs are needed
# where hydrogens of rigid water, which have no repulsion of their own, fall onto a neighbour's
# charge.
_SPRING_CONSTANTS = (1e6, 1e7, 1e8)
_CONSTRAINT_TOLERANCE = 1e-6


class _Monitor(openmm.MinimizationReporter):
    """Shows progress, and ends a minimisation at its bound or on a signal."""

    def __init__(self, bound: int, display: ProgressDisplay, stop: StopFlag):
        super().__init__()
        self.count = 0
        self.pass_bound: int | None = None
        self._bound, self._display, self._stop = bound, display, stop
        self._last = 0.0

    def report(self, iteration: int, x: object, grad: object, args: object) -> bool:
        self.count += 1
        now = time.monotonic()
        if now - self._last > 0.2:
            self._last = now
            done = min(self.count, self._bound)
            self._display.update(Status("minimize", done, self._bound, "iterations"))
        return self.over() or self.count == self.pass_bound

    def over(self) -> bool:
        """True if a signal came or the bound is reached."""
        return bool(self._stop) or self.count >= self._bound


def minimize(
    context: openmm.Context,
    settings: MinimizeConfig,
    display: ProgressDisplay,
    stop: StopFlag,
    region: Sequence[int] | NDArray[np.int64] = (),
) -> None:
    """Minimise the energy of a context, in place, within a bounded number of iterations.

    OpenMM's minimiser replaces constraints by springs. If the result does not satisfy the
    constraints, it returns to the first positions and starts again with stiffer springs. A box of
    water then needs several times the requested iterations, or loses all progress. Here, each
    stiffness continues from the lowest energy so far that satisfies the constraints.

    The first pass moves only the surroundings, with the force field and a frozen region. Otherwise
    a clash could bend the region into geometries on which the network was not trained.

    Args:
        context: contains the starting positions; afterwards the lowest ones found.
        settings: bound and tolerance.
        display: shows the iterations.
        stop: ends the minimisation early.
        region: atoms that are frozen in the first pass.

    Raises:
        SimulationError: the energy at the start is not finite, or no pass succeeded.
    """
    lowest = start = potential_energy(context)
    best = context.getState(positions=True)
    monitor = _Monitor(settings.max_iterations, display, stop)
    failure: openmm.OpenMMException | None = None
    for constant, frozen in _passes(context.getSystem(), region):
        if monitor.over():
            break
        relaxed = _with_springs(context, constant, frozen)
        relaxed.setPositions(best.getPositions())
        monitor.pass_bound = settings.max_iterations // 2 if frozen else None
        try:
            openmm.LocalEnergyMinimizer.minimize(relaxed, settings.tolerance, 0, monitor)
            energy = _satisfy_constraints(context, relaxed)
        except openmm.OpenMMException as error:
            failure = error
            continue
        if energy < lowest:
            lowest, best = energy, context.getState(positions=True)
    if lowest == start and failure is not None:
        raise SimulationError(f"minimize: stopped after {monitor.count} iterations: {failure}")
    context.setPositions(best.getPositions())
    _LOGGER.info(
        "minimised from %.1f to %.1f kJ/mol in %d iterations", start, lowest, monitor.count
    )
    display.update(Status("minimize", monitor.count, monitor.count, "iterations"))


def _passes(
    system: openmm.System, region: Sequence[int] | NDArray[np.int64]
) -> list[tuple[float, frozenset[int]]]:
    """Return spring constant and frozen atoms of each pass."""
    frozen = frozenset(int(atom) for atom in region)
    softest, *stiffer = _SPRING_CONSTANTS
    first = [(softest, frozen)] if frozen and len(frozen) < system.getNumParticles() else []
    rest = stiffer if system.getNumConstraints() else []
    return [*first, (softest, frozenset()), *((constant, frozenset()) for constant in rest)]


def _with_springs(
    context: openmm.Context, constant: float, frozen: frozenset[int]
) -> openmm.Context:
    """Return a context in which harmonic springs replace the constraints.

    Args:
        context: which system, platform and box.
        constant: of the springs, kJ/mol/nm^2.
        frozen: atoms that do not move, the network's; then it is left out.
    """
    system = copy.deepcopy(context.getSystem())
    springs = openmm.HarmonicBondForce()
    springs.setUsesPeriodicBoundaryConditions(system.usesPeriodicBoundaryConditions())
    for index in reversed(range(system.getNumConstraints())):
        i, j, length = system.getConstraintParameters(index)
        springs.addBond(i, j, length, constant)
        system.removeConstraint(index)
    system.addForce(springs)
    for atom in frozen:
        system.setParticleMass(atom, 0.0)
    for index in reversed(range(system.getNumForces())):
        if frozen and role_of(system.getForce(index)) in NETWORKS:
            system.removeForce(index)
    platform = context.getPlatform()
    properties = {
        name: platform.getPropertyValue(context, name) for name in platform.getPropertyNames()
    }
    relaxed = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, properties)
    relaxed.setPeriodicBoxVectors(*context.getState().getPeriodicBoxVectors())
    return relaxed


def _satisfy_constraints(context: openmm.Context, relaxed: openmm.Context) -> float:
    """Take over positions, satisfy the constraints, and return the energy (inf if not finite)."""
    context.setPositions(relaxed.getState(positions=True).getPositions())
    context.applyConstraints(_CONSTRAINT_TOLERANCE)
    context.computeVirtualSites()
    energy = context.getState(energy=True).getPotentialEnergy()
    value = float(energy.value_in_unit(unit.kilojoule_per_mole))
    return value if np.isfinite(value) else np.inf


def potential_energy(context: openmm.Context) -> float:
    """Return the potential energy of a context in kJ/mol.

    Raises:
        SimulationError: it cannot be computed, or is not finite.
    """
    try:
        state = context.getState(energy=True)
    except openmm.OpenMMException as error:
        raise SimulationError(f"minimize: the energy cannot be computed: {error}") from error
    energy = float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole))
    if not np.isfinite(energy):
        raise SimulationError(
            f"minimize: the potential energy is {energy}: atoms overlap in the input; give better "
            "starting coordinates"
        )
    return energy
