"""A System in which a region can be decoupled from its environment.

V(le, ls) = V(region) + V(environment) + le Coulomb(region, environment)
            + soft-core Lennard-Jones(region, environment; ls)

The region's internal energy, from the network or the force field, is complete in every state. The
decoupled state (0, 0) is therefore the molecule in vacuum next to the pure environment, and a
solvation free energy needs neither a second leg in vacuum nor a soft core inside the molecule.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.atom_indices import atom_indices
from nnpmm.core.errors import ForceFieldError, RegionError
from nnpmm.coupling import role_of
from nnpmm.coupling.boundary import attached_sites
from nnpmm.coupling.custom_pairs import exclude_custom_pairs, region_custom_pairs
from nnpmm.coupling.electrostatic import scale_embedding
from nnpmm.coupling.forces import find_nonbonded_force
from nnpmm.coupling.nonbonded import EWALD_METHODS, exclude_region_pairs
from nnpmm.coupling.pairs import region_pairs
from nnpmm.coupling.region_charge import CHARGE_ROUNDING, charges_of
from nnpmm.freeenergy.alchemy.soft_core import create_sterics_force, soften
from nnpmm.freeenergy.alchemy.states import LAMBDA_ELECTROSTATICS
from nnpmm.freeenergy.alchemy.tail import create_tail_force
from nnpmm.structures.bonds import constrained_pairs

__all__ = ["decouple", "refuse_joined"]

# Implicit solvent takes its charges from its own parameters, which have no scaled form here.
_REFUSED = (openmm.GBSAOBCForce, openmm.CustomGBForce, openmm.LCPOForce)


def decouple(
    system: openmm.System, region: Iterable[int] | NDArray[Any], *, charged: bool = False
) -> openmm.System:
    """Return a System whose region can be decoupled from its environment.

    It has two global parameters: `LAMBDA_ELECTROSTATICS` scales the charges of the region's atoms
    (with Ewald methods also its interaction with its own periodic images, by the square), and
    `LAMBDA_STERICS` their Lennard-Jones interaction by a soft core (Beutler et al., Chem. Phys.
    Lett. 1994, 222, 529; alpha 0.5, powers 1, 1 and 6). Both are 1 in the new System, whose energy
    is then equal to that of the given one. The long-range correction of the Lennard-Jones
    interaction is scaled as well, and with electrostatic embedding also the embedding energy.

    Args:
        system: an MM system, or a hybrid system (`nnpmm.coupling.HybridSystem.system`). It is not
            changed.
        region: 0-based indices of the atoms to decouple, whole molecules; or a mask.
        charged: allow a region with a net charge under an Ewald method. Its free energy depends on
            the size of the box; see `nnpmm.freeenergy.finite_size`.

    Raises:
        RegionError: the region cuts a bond, or is charged under an Ewald method without
            ``charged``, or with ions of the opposite charge in its environment.
        ForceFieldError: implicit solvent, LJPME, not exactly one NonbondedForce, a system that
            already has a decoupled region, or a region whose charges have parameter offsets.
    """
    atoms = atom_indices(region, system.getNumParticles())
    new = copy.deepcopy(system)
    nonbonded = _checked(new)
    members = set(atoms.tolist())
    own = np.sort(np.concatenate([atoms, attached_sites(new, members)]))
    members = set(own.tolist())
    refuse_joined(new, members)
    _refuse_charged(nonbonded, own, allowed=charged)
    sterics = [create_sterics_force(nonbonded, own), create_tail_force(nonbonded, own)]
    inside = _separate_inside(new, nonbonded, own)
    for force in new.getForces():
        if isinstance(force, openmm.CustomNonbondedForce) and role_of(force) is None:
            soften(force, members)
    _scale_charges(nonbonded, own)
    scale_embedding(new, own, LAMBDA_ELECTROSTATICS)
    for force in [*sterics, *inside]:
        if force is not None:
            force.setForceGroup(nonbonded.getForceGroup())
            new.addForce(force)
    return new


def _checked(system: openmm.System) -> openmm.NonbondedForce:
    for force in system.getForces():
        if isinstance(force, _REFUSED):
            raise ForceFieldError(
                f"found a {type(force).__name__}, which cannot be decoupled; allowed: explicit "
                "solvent, or none"
            )
    nonbonded = find_nonbonded_force(system)
    count = nonbonded.getNumGlobalParameters()
    if LAMBDA_ELECTROSTATICS in (nonbonded.getGlobalParameterName(i) for i in range(count)):
        raise ForceFieldError(
            "found a system with a decoupled region, allowed: one without; decouple both regions "
            "in one call"
        )
    if nonbonded.getNonbondedMethod() == openmm.NonbondedForce.LJPME:
        raise ForceFieldError(
            "found a NonbondedForce with LJPME, whose dispersion sum has no soft core; use PME"
        )
    return nonbonded


def refuse_joined(system: openmm.System, members: set[int]) -> None:
    """Refuse a region with a constraint to its environment.

    Raises:
        RegionError: there is such a constraint.
    """
    for i, j in constrained_pairs(system):
        if (i in members) != (j in members):
            raise RegionError(
                f"a constraint joins atom {i} and atom {j}, of which only one belongs to the "
                "region; select whole molecules"
            )


def _refuse_charged(force: openmm.NonbondedForce, own: NDArray[np.int64], *, allowed: bool) -> None:
    if force.getNonbondedMethod() not in EWALD_METHODS:
        return
    charges = charges_of(force, list(range(force.getNumParticles())))
    total = float(charges[own].sum())
    if abs(total) <= CHARGE_ROUNDING:
        return
    if not allowed:
        raise RegionError(
            f"the region has a charge of {total:+.3f} e; allowed: neutral regions, since the free "
            "energy of a net charge under Ewald methods depends on the size of the box"
        )
    rest = float(charges.sum()) - total
    if abs(rest) > CHARGE_ROUNDING:
        raise RegionError(
            f"the region has a charge of {total:+.3f} e and its environment one of {rest:+.3f} e; "
            "allowed: a neutral environment without counter-ions, as the correction for the size "
            "of the box is that of a charge in a pure solvent"
        )


def _separate_inside(
    system: openmm.System, nonbonded: openmm.NonbondedForce, own: NDArray[np.int64]
) -> list[openmm.Force]:
    """Exclude the region's own pairs, in place; return forces with these pairs at full strength.

    Raises:
        RegionError: the region cuts a 1-2, 1-3 or 1-4 pair.
    """
    inside: list[openmm.Force] = []
    if _has_own_pairs(nonbonded, own):
        inside += region_pairs(nonbonded, own)
        exclude_region_pairs(nonbonded, own)
    for force in system.getForces():
        if isinstance(force, openmm.CustomNonbondedForce) and role_of(force) is None:
            if _excludes_all(force, own):
                continue
            pairs = region_custom_pairs(force, own)
            inside += [pairs] if pairs is not None else []
            exclude_custom_pairs(force, own)
    return inside


def _has_own_pairs(force: openmm.NonbondedForce, own: NDArray[np.int64]) -> bool:
    """Return whether any pair of the region has an energy; in a network's region none has."""
    members, without_energy = set(own.tolist()), 0
    for index in range(force.getNumExceptions()):
        i, j, charges, _, epsilon = force.getExceptionParameters(index)
        if (i in members) != (j in members):
            raise RegionError(
                f"the region cuts the 1-2, 1-3 or 1-4 pair of atoms {i} and {j}; select whole "
                "molecules"
            )
        without_energy += i in members and charges._value == 0 and epsilon._value == 0
    return without_energy < len(own) * (len(own) - 1) // 2


def _excludes_all(force: openmm.CustomNonbondedForce, own: NDArray[np.int64]) -> bool:
    members = set(own.tolist())
    pairs = (force.getExclusionParticles(index) for index in range(force.getNumExclusions()))
    excluded = sum(members.issuperset(pair) for pair in pairs)
    return excluded == len(own) * (len(own) - 1) // 2


def _scale_charges(force: openmm.NonbondedForce, own: NDArray[np.int64]) -> None:
    """Give the region scaled charges and no Lennard-Jones, in place.

    Sigma is set to zero as well as epsilon: in single precision (sigma / r)^12 can overflow where a
    decoupled particle overlaps with another one, and zero times infinity would be nan.
    """
    force.addGlobalParameter(LAMBDA_ELECTROSTATICS, 1.0)
    for atom in own.tolist():
        charge = force.getParticleParameters(atom)[0]
        force.setParticleParameters(atom, 0.0, 0.0, 0.0)
        if charge._value != 0:
            force.addParticleParameterOffset(LAMBDA_ELECTROSTATICS, atom, charge, 0.0, 0.0)
