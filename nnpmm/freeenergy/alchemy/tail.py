"""The long-range correction of Lennard-Jones pairs that involve a region.

OpenMM's correction of a NonbondedForce (Shirts et al., J. Phys. Chem. B 2007, 111, 13052) is C / V
for a box of volume V. The region's contribution to C is scaled with its Lennard-Jones interactions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.coupling import Role
from nnpmm.freeenergy.alchemy.states import LAMBDA_STERICS

__all__ = ["create_tail_force"]

_NODES = 64  # of the quadrature over the switched range, which is then exact to rounding


def create_tail_force(
    force: openmm.NonbondedForce, own: NDArray[np.int64]
) -> openmm.CustomVolumeForce | None:
    """Return the region's contribution to the long-range correction, times `LAMBDA_STERICS`.

    Args:
        force: with the Lennard-Jones parameters of all particles, those of the region included.
        own: indices of the region's particles.

    Returns:
        The force, or None if the NonbondedForce has no correction.
    """
    if not (force.usesPeriodicBoundaryConditions() and force.getUseDispersionCorrection()):
        return None
    n_particles, members = force.getNumParticles(), set(own.tolist())
    parameters = [
        tuple(p._value for p in force.getParticleParameters(i)[1:]) for i in range(n_particles)
    ]
    environment = (pair for i, pair in enumerate(parameters) if i not in members)
    share = _coefficient(force, parameters) - _coefficient(force, environment)
    if share == 0:
        return None
    tail = openmm.CustomVolumeForce(f"{LAMBDA_STERICS}*alchemical_tail/v")
    tail.addGlobalParameter(LAMBDA_STERICS, 1.0)
    tail.addGlobalParameter("alchemical_tail", share)
    tail.setName(Role.ALCHEMICAL_TAIL.value)
    return tail


def _coefficient(force: openmm.NonbondedForce, parameters: Iterable[tuple[float, float]]) -> float:
    """Return C, in kJ/mol nm^3, of particles with the given sigma (nm) and epsilon (kJ/mol).

    As in OpenMM, the average runs over all pairs of particles and of particles with themselves.
    """
    counts = Counter(pair for pair in parameters if pair[1] > 0)
    if not counts:
        return 0.0
    sigmas, epsilons = np.array(list(counts)).T
    numbers = np.array(list(counts.values()), dtype=float)
    pairs = np.triu(np.outer(numbers, numbers), 1) + np.diag(numbers * (numbers + 1) / 2)
    sigma = 0.5 * (sigmas[:, None] + sigmas)
    energy = np.sqrt(np.outer(epsilons, epsilons)) * _integral(force, sigma)
    n_particles = force.getNumParticles()
    average = (pairs * energy).sum() / (n_particles * (n_particles + 1) / 2)
    return float(8 * np.pi * n_particles**2 * average)


def _integral(force: openmm.NonbondedForce, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the integral of r^2 ((sigma/r)^12 - (sigma/r)^6) that the cutoff leaves out, nm^3."""
    cutoff = force.getCutoffDistance()._value
    outside = sigma**12 / (9 * cutoff**9) - sigma**6 / (3 * cutoff**3)
    if not force.getUseSwitchingFunction():
        return np.asarray(outside)
    start = force.getSwitchingDistance()._value
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    x = 0.5 * (nodes + 1)
    r = start + (cutoff - start) * x
    switched_off = 10 * x**3 - 15 * x**4 + 6 * x**5
    ratio = (sigma[..., None] / r) ** 6
    inner = (0.5 * (cutoff - start) * weights * switched_off * r**2 * (ratio**2 - ratio)).sum(-1)
    return np.asarray(outside + inner)
