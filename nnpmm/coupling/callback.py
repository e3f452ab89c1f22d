"""The bridge from OpenMM's PythonForce to an evaluator."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.coupling.whole import WholeRegion
from nnpmm.errors import ForceFieldError, SimulationError
from nnpmm.models.protocol import Evaluator

__all__ = ["NNP_FORCE_NAME", "RegionCallback", "add_region_force"]

NNP_FORCE_NAME = "NNP"
_log = logging.getLogger(__name__)


class RegionCallback:
    """Called by OpenMM with the State of the region's atoms; returns energy and forces.

    Args:
        evaluator: the potential bound to the region's atoms.
        bonds: pairs of row numbers within the region, (m, 2).
        periodic: the system has a periodic box.
        exact_to_half_box: excluded pairs are taken out of an Ewald sum at their nearest
            image, which is the pair itself only while the region spans less than half the box.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        bonds: NDArray[np.int64],
        *,
        periodic: bool,
        exact_to_half_box: bool,
    ) -> None:
        self.evaluator = evaluator
        self.bonds = bonds
        self.periodic = periodic
        self.exact_to_half_box = exact_to_half_box
        self._whole = WholeRegion(len(evaluator.atomic_numbers), bonds)

    def __call__(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        """Return the energy (kJ/mol) and forces (n, 3) in kJ/mol/nm on the region's atoms."""
        try:
            return self._compute(state)
        except Exception:
            # OpenMM hands on the text of the exception alone.
            _log.debug("evaluation of the region failed", exc_info=True)
            raise

    def _compute(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        positions = state.getPositions(asNumpy=True)._value
        if self.periodic:
            box = state.getPeriodicBoxVectors(asNumpy=True)._value
            positions = self._whole(positions, box)
            if self.exact_to_half_box:
                self._check_span(positions, box)
        energy, forces = self.evaluator(positions)
        if not np.isfinite(energy):
            raise SimulationError(
                "the network returned a non-finite energy; take a smaller time step"
            )
        return energy, forces

    def _check_span(self, positions: NDArray[np.float64], box: NDArray[np.float64]) -> None:
        span = np.ptp(positions, axis=0) / np.diag(box)
        if (span >= 0.5).any():
            raise SimulationError(
                f"the region spans {span.max():.0%} of the periodic box, allowed: less than 50%; "
                "use a larger box"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.evaluator, self.bonds, self.periodic, self.exact_to_half_box))


def _rebuild(
    evaluator: Evaluator, bonds: NDArray[np.int64], periodic: bool, exact_to_half_box: bool
) -> RegionCallback:
    return RegionCallback(evaluator, bonds, periodic=periodic, exact_to_half_box=exact_to_half_box)


def add_region_force(
    system: openmm.System, region: NDArray[np.int64], callback: RegionCallback
) -> int:
    """Add the region's potential in a force group of its own, in place; return the group.

    Raises:
        ForceFieldError: all 32 force groups are taken.
    """
    force = openmm.PythonForce(callback)
    force.setName(NNP_FORCE_NAME)
    force.setParticles([int(atom) for atom in region])
    # A non-periodic force in a periodic system is handed corrupted positions (openmm issue 5421).
    force.setUsesPeriodicBoundaryConditions(callback.periodic)
    group = _free_group(system)
    force.setForceGroup(group)
    system.addForce(force)
    return group


def _free_group(system: openmm.System) -> int:
    taken = {force.getForceGroup() for force in system.getForces()}
    for group in range(1, 32):
        if group not in taken:
            return group
    raise ForceFieldError("all 32 force groups are taken; free one for the network")
