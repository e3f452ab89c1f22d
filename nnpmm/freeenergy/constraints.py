"""Positions that satisfy the constraints and virtual sites of a System."""

from __future__ import annotations

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

__all__ = ["constrained_positions"]


def constrained_positions(
    system: openmm.System, positions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return positions with the distances of a System's constraints, and its virtual sites.

    Args:
        system: with the constraints. It is not changed.
        positions: (n, 3), nm; those of virtual sites are ignored.

    Returns:
        Positions (n, 3), nm.
    """
    # Forces take no part in this, and may not exist on the Reference platform.
    without_forces = openmm.XmlSerializer.clone(system)
    while without_forces.getNumForces():
        without_forces.removeForce(0)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(without_forces, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    context.applyConstraints(1e-6)
    context.computeVirtualSites()
    state = context.getState(positions=True)
    return np.asarray(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
