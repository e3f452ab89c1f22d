"""Soft-core Lennard-Jones interactions between a region and its environment.

U(r; l) = 4 l epsilon (x^2 - x),  x = sigma^6 / (alpha (1 - l) sigma^6 + r^6)

of Beutler et al., Chem. Phys. Lett. 1994, 222, 529, with alpha = 0.5. This is l times the
Lennard-Jones energy at a distance of (alpha (1 - l) sigma^6 + r^6)^(1/6).
"""

from __future__ import annotations

import re

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.coupling import Role
from nnpmm.freeenergy.alchemy.states import LAMBDA_STERICS

__all__ = ["create_sterics_force", "soften"]

_ALPHA = 0.5
# nm: used as sigma for energy expressions without such a parameter, such as A/r^12 - B/r^6. 0.3 nm
# is between the diameters of hydrogen and carbon, and the default of GROMACS' sc-sigma.
_SIGMA = 0.3
_LENNARD_JONES = (
    f"4*{LAMBDA_STERICS}*epsilon*x*(x-1);"
    f"x=sigma6/({_ALPHA}*(1-{LAMBDA_STERICS})*sigma6+r^6);"
    "sigma6=(0.5*(sigma1+sigma2))^6;"
    "epsilon=sqrt(epsilon1*epsilon2)"
)


def create_sterics_force(
    force: openmm.NonbondedForce, own: NDArray[np.int64]
) -> openmm.CustomNonbondedForce | None:
    """Return the soft-core interaction of a region with all other particles.

    Cutoff and switching are those of the NonbondedForce, so that the energy at full coupling is
    the same.

    Args:
        force: with the Lennard-Jones parameters of all particles.
        own: sorted indices of the region's particles.

    Returns:
        The force, or None if the region has no Lennard-Jones parameters there.
    """
    members = set(own.tolist())
    parameters = [force.getParticleParameters(i)[1:] for i in range(force.getNumParticles())]
    if not any(parameters[i][1]._value for i in members):
        return None
    sterics = openmm.CustomNonbondedForce(_LENNARD_JONES)
    sterics.addGlobalParameter(LAMBDA_STERICS, 1.0)
    sterics.addEnergyParameterDerivative(LAMBDA_STERICS)
    sterics.addPerParticleParameter("sigma")
    sterics.addPerParticleParameter("epsilon")
    for sigma, epsilon in parameters:
        sterics.addParticle([sigma._value, epsilon._value])
    # GPU platforms require that all non-bonded forces exclude the same pairs.
    excluded = set()
    for index in range(force.getNumExceptions()):
        i, j = force.getExceptionParameters(index)[:2]
        excluded.add((min(i, j), max(i, j)))
    excluded.update((i, j) for row, j in enumerate(own.tolist()) for i in own[:row].tolist())
    for i, j in sorted(excluded):
        sterics.addExclusion(i, j)
    others = set(range(force.getNumParticles())) - members
    sterics.addInteractionGroup(members, {i for i in others if parameters[i][1]._value})
    _same_cutoff(sterics, force)
    sterics.setName(Role.ALCHEMICAL_STERICS.value)
    return sterics


def _same_cutoff(sterics: openmm.CustomNonbondedForce, force: openmm.NonbondedForce) -> None:
    if force.usesPeriodicBoundaryConditions():
        sterics.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffPeriodic)
    elif force.getNonbondedMethod() == openmm.NonbondedForce.CutoffNonPeriodic:
        sterics.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffNonPeriodic)
    sterics.setCutoffDistance(force.getCutoffDistance())
    sterics.setUseSwitchingFunction(force.getUseSwitchingFunction())
    sterics.setSwitchingDistance(force.getSwitchingDistance())


def soften(force: openmm.CustomNonbondedForce, members: set[int]) -> None:
    """Give the pairs between a region and the rest a soft core, in place, whatever their energy.

    In a pair that joins region and rest, r in the energy expression becomes
    (alpha (1 - l) sigma^6 + r^6)^(1/6), and the energy is multiplied by l. For Lennard-Jones this
    is Beutler's soft core. Other pairs keep their energy, and OpenMM's long-range correction
    follows the expression.

    Args:
        force: such as CHARMM's tables for NBFIX.
        members: the region's particles.
    """
    energy, *definitions = re.sub(r"\br\b", "alchemical_r", force.getEnergyFunction()).split(";")
    parts = [
        f"(1-alchemical_off)*({energy})",
        *definitions,
        "alchemical_r=(alchemical_shift*alchemical_off+r^6)^(1/6)",
        f"alchemical_off=(1-{LAMBDA_STERICS})*abs(alchemical1-alchemical2)",
        f"alchemical_shift={_ALPHA * _SIGMA**6}",
    ]
    force.setEnergyFunction(";".join(part for part in parts if part.strip()))
    force.addGlobalParameter(LAMBDA_STERICS, 1.0)
    force.addPerParticleParameter("alchemical")
    for index in range(force.getNumParticles()):
        parameters = force.getParticleParameters(index)
        force.setParticleParameters(index, [*parameters, float(index in members)])
    force.addEnergyParameterDerivative(LAMBDA_STERICS)
