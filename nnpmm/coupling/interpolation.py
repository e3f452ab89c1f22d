"""Linear interpolation of a region between force field and network.

V(lambda) = V_MM(rest) + V_MM(region-rest) + (1 - lambda) V_MM(region) + lambda V_NNP(region)
"""

from __future__ import annotations

from collections.abc import Iterable

import openmm
from openmm import unit

from nnpmm.core.errors import ForceFieldError
from nnpmm.coupling.roles import Role, groups_by_role

__all__ = [
    "LAMBDA_EMBEDDING",
    "LAMBDA_NNP",
    "check_interpolated",
    "create_region_mm_force",
    "linear_derivative",
    "nnp_derivative",
]

#: Global parameter of an interpolated system: 0 is the force field, 1 (its default) NNP/MM.
LAMBDA_NNP = "lambda_nnp"
#: Global parameter of electrostatic embedding: 0 is mechanical embedding, 1 (its default) is full.
LAMBDA_EMBEDDING = "lambda_electrostatic_embedding"


def create_region_mm_force(forces: list[openmm.Force]) -> openmm.CustomCVForce:
    """Return one force with (1 - lambda_nnp) times the energy of forces of any class.

    A CustomCVForce contains them, because not every class can be rewritten with a factor (a CMAP
    cannot). It contains only terms of the force field, never the network.

    Args:
        forces: the terms inside the region, which the new force takes over.
    """
    names = [f"region{index}" for index in range(len(forces))]
    weighted = openmm.CustomCVForce(f"(1-{LAMBDA_NNP})*({'+'.join(names)})")
    weighted.addGlobalParameter(LAMBDA_NNP, 1.0)
    for name, force in zip(names, forces, strict=True):
        weighted.addCollectiveVariable(name, force)
    weighted.setName(Role.REGION_FORCE_FIELD.value)
    return weighted


def check_interpolated(context: openmm.Context) -> None:
    """Raise a ForceFieldError if a context's system is not interpolated."""
    if LAMBDA_NNP not in context.getParameters():
        raise ForceFieldError(
            f"the system has no parameter {LAMBDA_NNP!r}; make it with "
            "coupling=Mechanical(inside=Interpolated())"
        )


def nnp_derivative(context: openmm.Context) -> float:
    """Return dV/dlambda_nnp = V_NNP(region) - V_MM(region) at a context's positions, kJ/mol.

    The value in the context does not change. This takes one evaluation of the network.

    Args:
        context: of a system made with ``Mechanical(inside=Interpolated())``; with several
            interpolated regions it is the sum over them, as they share the parameter.

    Raises:
        ForceFieldError: the system is not interpolated.
    """
    check_interpolated(context)
    by_role = groups_by_role(context.getSystem())
    groups = by_role[Role.NETWORK] | by_role.get(Role.REGION_FORCE_FIELD, set())
    return linear_derivative(context, LAMBDA_NNP, groups)


def linear_derivative(context: openmm.Context, parameter: str, groups: Iterable[int]) -> float:
    """Return dV/d(parameter) of an energy that is linear in a global parameter, kJ/mol.

    It is the difference between the energies at 1 and 0; the value in the context does not change.

    Args:
        context: of a system with this parameter.
        parameter: its name.
        groups: the force groups that depend on it.
    """
    current = context.getParameter(parameter)
    ends = []
    try:
        for value in (0.0, 1.0):
            context.setParameter(parameter, value)
            energy = context.getState(energy=True, groups=set(groups)).getPotentialEnergy()
            ends.append(float(energy.value_in_unit(unit.kilojoule_per_mole)))
    finally:
        context.setParameter(parameter, current)
    return ends[1] - ends[0]
