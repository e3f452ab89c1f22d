"""Which forces of a hybrid system are fast and which are slow."""

from __future__ import annotations

from typing import Any

import openmm

from nnpmm.core.errors import ConfigError
from nnpmm.coupling import Role, role_of
from nnpmm.coupling.forces import FORCELESS
from nnpmm.coupling.nonbonded import EWALD_METHODS
from nnpmm.coupling.terms import VALENCE
from nnpmm.integrators.direct_space import split_direct_space

__all__ = ["split_time_scales"]

_FAST, _MIDDLE, _SLOW = 0, 1, 2
# The networks, and the forces that subtract again what a faster level has added.
_SLOW_ROLES = (
    Role.NETWORK,
    Role.NETWORK_LESS_FORCE_FIELD,
    Role.NEGATED_INNER_POTENTIAL,
    Role.NEGATED_SHORT_RANGE,
)


def split_time_scales(
    system: openmm.System,
    *,
    inner: Any,
    outer: Any,
    middle: Any = None,
    short_range: tuple[Any, Any] | None = None,
) -> list[tuple[Any, int]]:
    """Put a system's forces into force groups by how fast they change, in place.

    Bonded terms are fast. The network, minus its inner potential, and the reciprocal space of Ewald
    sums are slow. All other forces, mainly the direct space, have the middle time step, or the slow
    one if there is no middle step. Each time step has one group, because OpenMM evaluates a group
    at once.

    For a region in a system made with ``Mechanical(inside=MultipleTimeSteps())`` the fast forces
    also contain the inner potential of the region, and the slow forces subtract it again.

    Args:
        system: MM or hybrid system.
        inner: time step of the fast forces, ps or a Quantity.
        outer: time step of the slow forces.
        middle: time step of all others; None for that of the slow ones.
        short_range: with a middle time step, the two distances (nm or Quantities) between which
            pairs are switched over from it to the slow one, see
            `nnpmm.integrators.direct_space.split_direct_space`; otherwise the whole direct space
            has the middle one.

    Returns:
        the splitting for `create_respa_integrator`.

    Raises:
        ConfigError: a short range without a middle time step, or out of bounds.
        ForceFieldError: the non-bonded force has no short range.
    """
    if short_range is not None:
        if middle is None:
            raise ConfigError("found a short range without a middle time step; give both")
        split_direct_space(system, *short_range)
    other = _SLOW if middle is None else _MIDDLE
    steps = {_FAST: inner, _SLOW: outer} | ({} if middle is None else {_MIDDLE: middle})
    used = set()
    for force in system.getForces():
        if isinstance(force, FORCELESS):
            continue
        role = role_of(force)
        if role in _SLOW_ROLES:
            group = _SLOW
        elif short_range is not None and isinstance(force, openmm.NonbondedForce):
            group = _SLOW
        elif type(force) in VALENCE or role is Role.INNER_NETWORK:
            group = _FAST
        else:
            group = other
        force.setForceGroup(group)
        used.add(group)
        if isinstance(force, openmm.NonbondedForce) and force.getNonbondedMethod() in EWALD_METHODS:
            force.setReciprocalSpaceForceGroup(_SLOW)
            used.add(_SLOW)
    return [(steps[group], group) for group in sorted(used)]
