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

    The energy of a pair in the NonbondedForce depends on its method and distance r. Coulomb is 1/r
    without a cutoff, and OpenMM's reaction field inside a cutoff. With Ewald methods it is 1/r
    inside the cutoff and, from the reciprocal sum, erf(alpha r)/r beyond it. Lennard-Jones ends at
    the cutoff, with the force's switching function if it has one. Exceptions have no cutoff.

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
    exceptions = {}
    for index in range(force.getNumExceptions()):
        i, j, charges, sigma, epsilon = force.getExceptionParameters(index)
        if i in members and j in members:
            exceptions[min(i, j), max(i, j)] = (charges._value, sigma._value, epsilon._value)
    periodic = force.usesPeriodicBoundaryConditions()
    uncut = pair_force(f"{COULOMB_CONSTANT}*qq/r + {LENNARD_JONES}", periodic=periodic)
    for (i, j), parameters in exceptions.items():
        uncut.addBond(i, j, parameters)
    plain = pair_force(_energy(force), periodic=periodic)
    atoms = {
        i: tuple(value._value for value in force.getParticleParameters(i)) for i in region.tolist()
    }
    for i, j in itertools.combinations(region.tolist(), 2):
        if (i, j) not in exceptions:
            (q1, s1, e1), (q2, s2, e2) = atoms[i], atoms[j]
            plain.addBond(i, j, (q1 * q2, 0.5 * (s1 + s2), math.sqrt(e1 * e2)))
    return [pairs for pairs in (uncut, plain) if pairs.getNumBonds()]


def pair_force(energy: str, *, periodic: bool) -> openmm.CustomBondForce:
    """Return an empty force for pairs with the parameters qq, sigma and epsilon."""
    pairs = openmm.CustomBondForce(energy)
    pairs.setUsesPeriodicBoundaryConditions(periodic)
    for name in ("qq", "sigma", "epsilon"):
        pairs.addPerBondParameter(name)
    return pairs


def _energy(force: openmm.NonbondedForce) -> str:
    """Return the expression for the energy of a pair that is not an exception."""
    method, cutoff = force.getNonbondedMethod(), force.getCutoffDistance()._value
    if method == openmm.NonbondedForce.NoCutoff:
        return f"{COULOMB_CONSTANT}*qq/r + {LENNARD_JONES}"
    inside = f"step({cutoff}-r)"
    dispersion = f"{inside}*{_switch(force, cutoff)}{LENNARD_JONES}"
    if method in (openmm.NonbondedForce.CutoffPeriodic, openmm.NonbondedForce.CutoffNonPeriodic):
        dielectric = force.getReactionFieldDielectric()
        k_rf = (dielectric - 1) / (2 * dielectric + 1) / cutoff**3
        c_rf = 3 * dielectric / (2 * dielectric + 1) / cutoff
        return f"{inside}*{COULOMB_CONSTANT}*qq*(1/r + {k_rf}*r^2 - {c_rf}) + {dispersion}"
    alpha = force.getPMEParameters()[0]._value
    if alpha == 0:  # OpenMM chooses it from the tolerance (user guide, section on Ewald summation)
        alpha = math.sqrt(-math.log(2 * force.getEwaldErrorTolerance())) / cutoff
    return f"{COULOMB_CONSTANT}*qq/r*select({inside}, 1, erf({alpha}*r)) + {dispersion}"


def _switch(force: openmm.NonbondedForce, cutoff: float) -> str:
    """Return OpenMM's switching function as a factor of the Lennard-Jones energy, or nothing."""
    if not force.getUseSwitchingFunction():
        return ""
    start = force.getSwitchingDistance()._value
    x = f"max(0, (r-{start})/{cutoff - start})"
    return f"(1-10*{x}^3+15*{x}^4-6*{x}^5)*"
