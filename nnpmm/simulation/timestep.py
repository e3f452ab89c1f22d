"""The longest time step that a system's hydrogens allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import openmm
from numpy.typing import ArrayLike
from openmm import unit

from nnpmm.coupling.terms import BONDED, CONNECTIVITY
from nnpmm.errors import ConfigError
from nnpmm.units import in_md_units

__all__ = ["check_timestep", "hydrogen_limit"]

# Below: hydrogen. Repartitioned hydrogens reach 4.1 amu, the lightest heavy atom in use is lithium.
_HYDROGEN_BELOW = 5.0
_REPARTITIONED_FROM = 2.9
# A free hydrogen of 3 amu takes single steps of 2.5 fs (benchmarks/respa_stability.py), so one of
# four times that mass takes 5 fs.
_FREE_FROM = 12.0


def check_timestep(system: openmm.System, dt: Any, region: ArrayLike = ()) -> None:
    """Check that a time step resolves the fastest motion of a system.

    Limits: 1 fs with free hydrogens, 2 fs with free hydrogens of 2.9 amu or more, 2 fs with every
    bond to hydrogen constrained, 4 fs with constrained hydrogens of 2.9 amu or more (rigid water
    may keep its masses). 5 fs (benchmarks/respa_faithful.py) where the region's masses are at least
    so much larger that constrained hydrogens have 5 amu and free atoms 12, and nothing but rigid
    molecules is around it.

    Args:
        system: the hybrid system, or the MM system that it will be made from.
        dt: time step in ps, or a Quantity.
        region: 0-based indices of the atoms whose constraints the coupling will release; none
            where it keeps them, or has released them already.

    Raises:
        ConfigError: the time step is over the limit.
    """
    timestep = in_md_units(dt, unit.picosecond)
    limit, reason, remedy = hydrogen_limit(system, {int(i) for i in np.asarray(region).ravel()})
    if timestep > limit * (1 + 1e-9):
        raise ConfigError(
            f"found a time step of {timestep * 1000:g} fs, the limit is {limit * 1000:g} fs: "
            f"{reason}; {remedy}"
        )


def hydrogen_limit(system: openmm.System, region: set[int]) -> tuple[float, str, str]:
    """Return the longest time step in ps that hydrogens allow, what sets it, and what to do."""
    masses = np.array(
        [
            system.getParticleMass(i).value_in_unit(unit.dalton)
            for i in range(system.getNumParticles())
        ]
    )
    count = np.zeros(len(masses), dtype=int)
    for k in range(system.getNumConstraints()):
        i, j, _ = system.getConstraintParameters(k)
        if not (i in region and j in region):
            count[[i, j]] += 1
    hydrogens = np.flatnonzero((masses > 0) & (masses < _HYDROGEN_BELOW))
    free = hydrogens[count[hydrogens] == 0]
    # A hydrogen held by two constraints belongs to a rigid water, whose mass does not matter.
    held = hydrogens[count[hydrogens] == 1]
    if len(free):
        atom = int(free[np.argmin(masses[free])])
        reason = f"atom {atom} of {masses[atom]:.3f} amu moves without a constraint"
        if atom in region:
            reason += ", as the network moves the region's hydrogens"
        if masses[atom] < _REPARTITIONED_FROM:
            remedy = "set timestep to 1 fs, or hydrogen masses of 3 amu and at most 2 fs"
            return 0.001, reason, remedy
        return 0.002, reason, "set timestep to 2 fs"
    if len(held) and masses[held].min() < _REPARTITIONED_FROM:
        atom = int(held[np.argmin(masses[held])])
        reason = f"atom {atom} of {masses[atom]:.3f} amu is a hydrogen at the end of a constraint"
        return 0.002, reason, "set timestep to 2 fs, or hydrogen masses of 3 amu and at most 4 fs"
    light = (masses > 0) & (masses < _FREE_FROM) & (count == 0)
    if len(held) == 0 and not light.any() and not _has_bonded_terms(system):
        return 0.005, "no longer time step has been validated", "set timestep to 5 fs"
    return (
        0.004,
        "bonds of the force field, or hydrogens at the end of a constraint, set it",
        "set timestep to 4 fs, or, in rigid water, region.mass_factor to 2 and at most 5 fs",
    )


def _has_bonded_terms(system: openmm.System) -> bool:
    """Whether the force field bends or stretches anything; a network's region has no terms."""
    return any(
        getattr(force, f"getNum{BONDED[type(force)]}")()
        for force in system.getForces()
        if type(force) in BONDED and force.getName() != CONNECTIVITY
    )
