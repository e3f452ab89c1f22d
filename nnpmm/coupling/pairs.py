"""The pairs inside a region of a NonbondedForce, as separate forces with the same energy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.errors import ForceFieldError

__all__ = ["LENNARD_JONES", "pair_force", "region_pairs"]

#: Energy of a pair in OpenMM's expressions.
LENNARD_JONES = "4*epsilon*((sigma/r)^12-(sigma/r)^6)"


def region_pairs(force: openmm.NonbondedForce, region: NDArray[np.int64]) -> list[openmm.Force]:
    """Return forces with the region's Coulomb and Lennard-Jones pairs and its 1-4 pairs.

    What a pair has in the NonbondedForce depends on its method and distance r: Coulomb 1/r without
    cutoff; OpenMM's reaction field inside the cutoff; under Ewald methods 1/r inside the cutoff and
    erf(alpha r)/r, which the reciprocal sum leaves, beyond. Lennard-Jones ends at the cutoff,
    switched off before it where the force is. Exceptions know no cutoff.

    Args:
        force: as the force field made it, before the pairs are excluded.
        region: sorted atom indices.

    Raises:
        ForceFieldError: the method is LJPME, whose dispersion sum has no pairs of its own.
    """
    if force.getNonbondedMethod() == openmm.NonbondedForce.LJPME:
        raise ForceFieldError(
            "found a NonbondedForce with LJPME, which cannot be interpolated; use PME, or "
            "Replaced()"
        )
    members = set(region.tolist())
    special = {}
    for index in range(force.getNumExceptions()):
        i, j, charges, sigma, epsilon = force.getExceptionParameters(index)
        if i in members and j in members:
            special[min(i, j), max(i, j)] = (charges._value, sigma._value, epsilon._value)
    periodic = force.usesPeriodicBoundaryConditions()
    exceptions = pair_force(f"{COULOMB_CONSTANT}*qq/r + {LENNARD_JONES}", periodic=periodic)
    for (i, j), parameters in special.items():
        exceptions.addBond(i, j, parameters)
    plain = pair_force(_energy(force), periodic=periodic)
    atoms = {
        i: tuple(value._value for value in force.getParticleParameters(i)) for i in region.tolist()
    }
    for i, j in itertools.combinations(region.tolist(), 2):
        if (i, j) not in special:
            (q1, s1, e1), (q2, s2, e2) = atoms[i], atoms[j]
            plain.addBond(i, j, (q1 * q2, 0.5 * (s1 + s2), math.sqrt(e1 * e2)))
    return [pairs for pairs in (exceptions, plain) if pairs.getNumBonds()]


def pair_force(energy: str, *, periodic: bool) -> openmm.CustomBondForce:
    """Return a force without pairs yet, each of which has the parameters qq, sigma and epsilon."""
    pairs = openmm.CustomBondForce(energy)
    pairs.setUsesPeriodicBoundaryConditions(periodic)
    for name in ("qq", "sigma", "epsilon"):
        pairs.addPerBondParameter(name)
    return pairs


def _energy(force: openmm.NonbondedForce) -> str:
    method, cutoff = force.getNonbondedMethod(), force.getCutoffDistance()._value
    if method == openmm.NonbondedForce.NoCutoff:
        return f"{COULOMB_CONSTANT}*qq/r + {LENNARD_JONES}"
    near = f"step({cutoff}-r)"
    dispersion = f"{near}*{_switch(force, cutoff)}{LENNARD_JONES}"
    if method in (openmm.NonbondedForce.CutoffPeriodic, openmm.NonbondedForce.CutoffNonPeriodic):
        dielectric = force.getReactionFieldDielectric()
        k_rf = (dielectric - 1) / (2 * dielectric + 1) / cutoff**3
        c_rf = 3 * dielectric / (2 * dielectric + 1) / cutoff
        return f"{near}*{COULOMB_CONSTANT}*qq*(1/r + {k_rf}*r^2 - {c_rf}) + {dispersion}"
    alpha = force.getPMEParameters()[0]._value
    if alpha == 0:  # OpenMM chooses it from the tolerance (user guide, section on Ewald summation)
        alpha = math.sqrt(-math.log(2 * force.getEwaldErrorTolerance())) / cutoff
    return f"{COULOMB_CONSTANT}*qq/r*select({near}, 1, erf({alpha}*r)) + {dispersion}"


def _switch(force: openmm.NonbondedForce, cutoff: float) -> str:
    """Factor that takes Lennard-Jones to zero between switching distance and cutoff."""
    if not force.getUseSwitchingFunction():
        return ""
    start = force.getSwitchingDistance()._value
    x = f"max(0, (r-{start})/{cutoff - start})"
    return f"(1-10*{x}^3+15*{x}^4-6*{x}^5)*"
