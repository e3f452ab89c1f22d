"""The error message if induced dipoles do not converge: a polarization catastrophe."""

from __future__ import annotations

import copy

import numpy as np
import openmm
from openmm import unit

__all__ = ["diverged_dipoles"]

_OPENMM_SAYS = "Induced dipoles did not converge"
_NAMED = 3  # atoms
_DEBYE = 0.0208194  # e nm


def diverged_dipoles(context: openmm.Context, error: openmm.OpenMMException) -> str | None:
    """Return which atoms are polarized most, and what to do, or None for another error.

    Args:
        context: where dipoles that polarize each other did not converge.
        error: that OpenMM raised.
    """
    if _OPENMM_SAYS not in str(error):
        return None
    return (
        "the induced dipoles did not converge (polarization catastrophe), which atoms too close to "
        f"each other cause; polarized most by the permanent multipoles: {_most_polarized(context)}"
        ": minimise further, use a smaller timestep, or set system.polarization to extrapolated"
    )


def _most_polarized(context: openmm.Context) -> str:
    """Return the atoms with the largest dipoles of direct polarization, which always exist."""
    system = context.getSystem()
    alone = openmm.System()
    for _ in range(system.getNumParticles()):
        alone.addParticle(1.0)
    (multipoles,) = [f for f in system.getForces() if isinstance(f, openmm.AmoebaMultipoleForce)]
    direct = copy.deepcopy(multipoles)
    direct.setPolarizationType(openmm.AmoebaMultipoleForce.Direct)
    alone.addForce(direct)
    platform = openmm.Platform.getPlatformByName("Reference")
    other = openmm.Context(alone, openmm.VerletIntegrator(0.001), platform)
    state = context.getState(positions=True)
    if system.usesPeriodicBoundaryConditions():
        other.setPeriodicBoxVectors(*state.getPeriodicBoxVectors())
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    if not np.isfinite(positions).all():
        return f"atom {int(np.argwhere(~np.isfinite(positions))[0][0]) + 1}, lost in space"
    other.setPositions(positions)
    (force,) = other.getSystem().getForces()
    dipoles = np.linalg.norm([list(d) for d in force.getInducedDipoles(other)], axis=1)
    worst = np.argsort(dipoles)[::-1][:_NAMED]
    return ", ".join(f"atom {int(k) + 1} ({dipoles[k] / _DEBYE:.2g} D)" for k in worst)
