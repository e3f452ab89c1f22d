r"""Replica exchange in which only the region is heated: REST2 for the region of a network.

Wang, Friesner and Berne, J. Phys. Chem. B 2011, 115, 9431. At the bath's temperature T,

    V(x; l) = l V_NNP(R) + l^(1/2) V_Coulomb,LJ(R, E) + V(E),   l = T / T_R,

so that the region is sampled as if at T_R. Charges of the region are scaled by l^(1/2) and its
Lennard-Jones well depths by l. With Ewald sums, the region's interaction with its own images is
therefore scaled by l.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import openmm
from openmm import unit

from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.coupling import Role, role_of
from nnpmm.coupling.terms import BONDED, term_atoms

__all__ = ["scale_region", "scaling_states"]

_NETWORK = "region_scale"
_CHARGE, _DEPTH = "region_charge_change", "region_depth_change"


def scaling_states(temperature: float, highest: float, count: int) -> tuple[dict[str, float], ...]:
    """Return states in which the region's temperature increases by equal factors.

    Args:
        temperature: of the bath, K.
        highest: of the region in the last state, K.
        count: of states.

    Raises:
        ConfigError: fewer than two states, or the highest temperature is not above the bath's.
    """
    if count < 2 or not highest > temperature:
        raise ConfigError(
            f"found {count} states up to {highest:g} K, allowed: two or more, up to more than the "
            f"{temperature:g} K of the bath"
        )
    states = []
    for index in range(count):
        scale = (temperature / highest) ** (index / (count - 1))
        states.append({_NETWORK: scale, _CHARGE: math.sqrt(scale) - 1, _DEPTH: scale - 1})
    return tuple(states)


def scale_region(system: openmm.System, atoms: Iterable[int]) -> None:
    """Let context parameters scale the energy of a region and its interactions, in place.

    Args:
        system: a hybrid system with one region and without cut bonds.
        atoms: 0-based indices of the region's atoms.

    Raises:
        ForceFieldError: no or several regions, cut bonds, or a force between region and rest that
            cannot be scaled.
    """
    region = set(atoms)
    networks = [n for n, f in enumerate(system.getForces()) if role_of(f) is Role.NETWORK]
    if len(networks) != 1:
        raise ForceFieldError(
            f"found {len(networks)} networks, the scaling of a region needs a system with one"
        )
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            _scale_nonbonded(force, region)
        elif role_of(force) is None:
            _refuse_between(force, region)
    index = networks[0]
    network = system.getForce(index)
    scaled = openmm.CustomCVForce(f"{_NETWORK}*network")
    scaled.addGlobalParameter(_NETWORK, 1.0)
    scaled.addCollectiveVariable("network", copy.deepcopy(network))
    scaled.setForceGroup(network.getForceGroup())
    scaled.setName("scaled network")
    system.removeForce(index)
    system.addForce(scaled)


def _scale_nonbonded(force: openmm.NonbondedForce, region: set[int]) -> None:
    """Scale the charges and well depths of the region's atoms."""
    for index in range(force.getNumExceptions()):
        first, second, charge, _, depth = force.getExceptionParameters(index)
        strength = abs(charge._value) + abs(depth._value)
        if (first in region) != (second in region) and strength > 0:
            raise ForceFieldError(
                f"found a 1-4 pair of the atoms {first} and {second} across a cut bond, which the "
                "scaling of a region does not support; use a whole molecule as region"
            )
    if force.getNumParticleParameterOffsets():
        raise ForceFieldError(
            "found parameter offsets in the NonbondedForce, which the scaling of a region would "
            "change; remove one of the two"
        )
    force.addGlobalParameter(_CHARGE, 0.0)
    force.addGlobalParameter(_DEPTH, 0.0)
    for atom in sorted(region):
        charge, _, depth = force.getParticleParameters(atom)
        charge = charge.value_in_unit(unit.elementary_charge)
        depth = depth.value_in_unit(unit.kilojoule_per_mole)
        if charge:
            force.addParticleParameterOffset(_CHARGE, atom, charge, 0.0, 0.0)
        if depth:
            force.addParticleParameterOffset(_DEPTH, atom, 0.0, 0.0, depth)


def _refuse_between(force: openmm.Force, region: set[int]) -> None:
    """Refuse a force that acts on the region but cannot be scaled."""
    if isinstance(force, _INERT):
        return
    name = type(force).__name__
    if type(force) not in BONDED:
        raise ForceFieldError(f"found a {name}, which the scaling of a region does not support")
    if any(region & atoms for atoms in term_atoms(force)):
        raise ForceFieldError(
            f"found a term of {name} on the region, which the scaling of a region does not "
            "support; use a whole molecule as region"
        )


_INERT = (openmm.CMMotionRemover, openmm.MonteCarloBarostat)
