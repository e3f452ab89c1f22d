"""Which forces of a hybrid system are fast and which are slow."""

from __future__ import annotations

from typing import Any

import openmm

from nnpmm.coupling.forces import NEGATED_MM_FORCE_NAME
from nnpmm.coupling.terms import BONDED
from nnpmm.coupling.transports import NNP_FORCE_NAME
from nnpmm.integrators.splitting import EWALD_METHODS, FORCELESS

__all__ = ["split_time_scales"]

_FAST, _MIDDLE, _SLOW = 0, 1, 2


def split_time_scales(
    system: openmm.System, *, inner: Any, outer: Any, middle: Any = None
) -> list[tuple[Any, int]]:
    """Put a system's forces into force groups by how fast they change, in place.

    Fast are bonded terms. Slow are the network with what is taken off it, and the reciprocal space
    of Ewald sums. All others, direct space above all, are between the two, and slow if there is
    nothing between. One group for each time step: OpenMM evaluates a group at once.

    For a region in a system made with ``Mechanical(time_scales="respa")`` the fast forces hold the
    force field's bonded terms inside the region too, and the slow ones take them off again.

    Args:
        system: MM or hybrid system.
        inner: time step of the fast forces, ps or a Quantity.
        outer: time step of the slow forces.
        middle: time step of all others; without it that of the slow ones.

    Returns:
        the splitting for `create_respa_integrator`.
    """
    between = _SLOW if middle is None else _MIDDLE
    steps = {_FAST: inner, _SLOW: outer} | ({} if middle is None else {_MIDDLE: middle})
    found = set()
    for force in system.getForces():
        if isinstance(force, FORCELESS):
            continue
        if force.getName() in (NNP_FORCE_NAME, NEGATED_MM_FORCE_NAME):
            group = _SLOW
        else:
            group = _FAST if type(force) in BONDED else between
        force.setForceGroup(group)
        found.add(group)
        if isinstance(force, openmm.NonbondedForce) and force.getNonbondedMethod() in EWALD_METHODS:
            force.setReciprocalSpaceForceGroup(_SLOW)
            found.add(_SLOW)
    return [(steps[group], group) for group in sorted(found)]
