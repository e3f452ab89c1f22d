"""Divide non-bonded forces into a short range, which changes fast, and the rest.

V = V_short + [V - V_short] with V_short the Coulomb and Lennard-Jones energy of each pair times a
switch that falls smoothly from 1 to 0 between two distances: the split of RESPA1 (Tuckerman, Berne,
Martyna, J. Chem. Phys. 1992, 97, 1990; Zhou, Berne, J. Chem. Phys. 1995, 103, 9444). The sum is
exactly the original energy.
"""

from __future__ import annotations

from typing import Any

import openmm
from openmm import unit

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.core.units import in_md_units
from nnpmm.coupling import Role
from nnpmm.coupling.nonbonded import EWALD_METHODS
from nnpmm.coupling.pairs import LENNARD_JONES, pair_force

__all__ = ["split_direct_space"]

_PAIR = f"{COULOMB_CONSTANT}*charge1*charge2/r + {LENNARD_JONES}"
_MIXED = "sigma=0.5*(sigma1+sigma2); epsilon=sqrt(epsilon1*epsilon2)"


def split_direct_space(system: openmm.System, start: Any, end: Any) -> None:
    """Add the short range of a system's NonbondedForce, and subtract it again, in place.

    The two are forces named ``"short range"`` and ``"short range, negated"``, for different time
    steps; the second has the same time step as the NonbondedForce. Pairs three bonds apart move
    from the NonbondedForce into a separate bonded force. The total energy and forces do not change.

    Args:
        system: MM or hybrid system with a cutoff or Ewald sum.
        start: distance where the switch begins, nm or a Quantity.
        end: where it has reached zero, at most the cutoff.

    Raises:
        ForceFieldError: not one NonbondedForce with a cutoff, or parameters with offsets.
        ConfigError: distances that are not 0 < start < end <= cutoff.
    """
    force = _nonbonded(system)
    begin, stop = (float(in_md_units(value, unit.nanometer)) for value in (start, end))
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    if not 0 < begin < stop <= cutoff:
        raise ConfigError(
            f"found a short range from {begin:g} to {stop:g} nm, allowed: 0 < start < end <= "
            f"{cutoff:g} nm, the cutoff"
        )
    exceptions = _move_exceptions(force)
    if exceptions.getNumBonds():
        system.addForce(exceptions)
    for role, sign in ((Role.SHORT_RANGE, "1"), (Role.NEGATED_SHORT_RANGE, "-1")):
        short = _short_range(force, sign, begin, stop)
        short.setName(role.value)
        system.addForce(short)


def _nonbonded(system: openmm.System) -> openmm.NonbondedForce:
    found = [force for force in system.getForces() if type(force) is openmm.NonbondedForce]
    methods = (
        *EWALD_METHODS,
        openmm.NonbondedForce.CutoffPeriodic,
        openmm.NonbondedForce.CutoffNonPeriodic,
    )
    if len(found) != 1 or found[0].getNonbondedMethod() not in methods:
        raise ForceFieldError(
            f"found {len(found)} NonbondedForces; a short range needs exactly one, with a cutoff"
        )
    if found[0].getNumParticleParameterOffsets() or found[0].getNumExceptionParameterOffsets():
        raise ForceFieldError(
            "found a NonbondedForce with parameter offsets, which a short range cannot follow"
        )
    return found[0]


def _move_exceptions(force: openmm.NonbondedForce) -> openmm.CustomBondForce:
    """Move pairs with their own parameters from the NonbondedForce to the force returned."""
    periodic = force.getExceptionsUsePeriodicBoundaryConditions()
    pairs = pair_force(f"{COULOMB_CONSTANT}*qq/r + {LENNARD_JONES}", periodic=periodic)
    pairs.setName("1-4 pairs")
    for index in range(force.getNumExceptions()):
        i, j, charges, sigma, epsilon = force.getExceptionParameters(index)
        if charges._value == 0 and epsilon._value == 0:
            continue
        pairs.addBond(i, j, (charges._value, sigma._value, epsilon._value))
        force.setExceptionParameters(index, i, j, 0.0, 1.0, 0.0)
    return pairs


def _short_range(
    force: openmm.NonbondedForce, sign: str, start: float, end: float
) -> openmm.CustomNonbondedForce:
    short = openmm.CustomNonbondedForce(f"{sign}*({_PAIR}); {_MIXED}")
    for name in ("charge", "sigma", "epsilon"):
        short.addPerParticleParameter(name)
    for index in range(force.getNumParticles()):
        parameters = force.getParticleParameters(index)
        short.addParticle([value._value for value in parameters])
    for index in range(force.getNumExceptions()):
        i, j, *_ = force.getExceptionParameters(index)
        short.addExclusion(i, j)
    method = openmm.CustomNonbondedForce.CutoffPeriodic
    if force.getNonbondedMethod() == openmm.NonbondedForce.CutoffNonPeriodic:
        method = openmm.CustomNonbondedForce.CutoffNonPeriodic
    short.setNonbondedMethod(method)
    short.setCutoffDistance(end)
    short.setUseSwitchingFunction(True)
    short.setSwitchingDistance(start)
    return short
