"""Derivatives of the energy with respect to the alchemical parameters."""

from __future__ import annotations

import openmm
from openmm import unit

from nnpmm.core.errors import ForceFieldError
from nnpmm.coupling import Role, role_of
from nnpmm.freeenergy.alchemy.polarizable import AMOEBA_STERICS
from nnpmm.freeenergy.alchemy.states import LAMBDA_ELECTROSTATICS, LAMBDA_STERICS

__all__ = ["lambda_gradient"]


def lambda_gradient(context: openmm.Context) -> dict[str, float]:
    """Return dV/dlambda of the two alchemical parameters at a context's positions, kJ/mol.

    Use it for thermodynamic integration. The energy is a polynomial of second degree in
    `LAMBDA_ELECTROSTATICS`, so three energies give its derivative exactly. With AMOEBA it is
    linear, and there is no other derivative. OpenMM calculates the derivative with respect to
    `LAMBDA_STERICS`; the derivative of the long-range correction, which is linear, is added. The
    context's parameters do not change.

    Args:
        context: of a System from `decouple`, or of the first stage of `decouple_amoeba`.

    Raises:
        ForceFieldError: the System has no alchemical parameters, or it has AMOEBA's soft core,
            whose derivative OpenMM does not calculate.
    """
    present = dict(context.getParameters())
    if LAMBDA_ELECTROSTATICS not in present and AMOEBA_STERICS in present:
        raise ForceFieldError(
            "found AMOEBA without scaled multipoles; OpenMM gives no derivative of its soft core: "
            "use the energies of several states (MBAR)"
        )
    if LAMBDA_ELECTROSTATICS not in present:
        raise ForceFieldError(
            f"the system has no parameter {LAMBDA_ELECTROSTATICS!r}; make it with decouple()"
        )
    system = context.getSystem()
    groups = {force.getForceGroup() for force in system.getForces() if _has_charges(force)}
    at = present[LAMBDA_ELECTROSTATICS]
    try:
        off, half, full = (
            _energy(context, groups, LAMBDA_ELECTROSTATICS, value) for value in (0.0, 0.5, 1.0)
        )
    finally:
        context.setParameter(LAMBDA_ELECTROSTATICS, at)
    electrostatics = 4 * half - 3 * off - full + 4 * at * (full + off - 2 * half)
    if any(role_of(force) is Role.ALCHEMICAL_MULTIPOLES for force in system.getForces()):
        return {LAMBDA_ELECTROSTATICS: electrostatics}
    state = context.getState(parameterDerivatives=True, parameters=True)
    sterics = dict(state.getEnergyParameterDerivatives()).get(LAMBDA_STERICS, 0.0)
    if "alchemical_tail" in present:
        sterics += present["alchemical_tail"] / state.getPeriodicBoxVolume()._value
    return {LAMBDA_ELECTROSTATICS: electrostatics, LAMBDA_STERICS: float(sterics)}


def _has_charges(force: openmm.Force) -> bool:
    """Return whether a force depends on `LAMBDA_ELECTROSTATICS`."""
    if isinstance(force, openmm.PythonForce):
        return LAMBDA_ELECTROSTATICS in force.getGlobalParameters()
    multipoles = role_of(force) is Role.ALCHEMICAL_MULTIPOLES
    return multipoles or isinstance(force, openmm.NonbondedForce)


def _energy(context: openmm.Context, groups: set[int], name: str, value: float) -> float:
    context.setParameter(name, value)
    energy = context.getState(energy=True, groups=groups).getPotentialEnergy()
    return float(energy.value_in_unit(unit.kilojoule_per_mole))
