"""What happens to each force class of an MM system under mechanical embedding."""

from __future__ import annotations

import openmm

from nnpmm.core.errors import ForceFieldError, RegionError
from nnpmm.coupling.callback import callback_of
from nnpmm.coupling.interpolation import LAMBDA_EMBEDDING
from nnpmm.coupling.roles import NETWORKS, Role, forces_by_role, role_of
from nnpmm.coupling.terms import BONDED

__all__ = [
    "FORCELESS",
    "UNTOUCHED",
    "check_forces",
    "find_nonbonded_force",
    "has_inner_potential",
    "refuse_earlier_regions",
]

#: Forces without an energy: they act on velocities or on the box.
FORCELESS = (
    openmm.CMMotionRemover,
    openmm.AndersenThermostat,
    openmm.MonteCarloBarostat,
    openmm.MonteCarloAnisotropicBarostat,
    openmm.MonteCarloMembraneBarostat,
    openmm.MonteCarloFlexibleBarostat,
)
#: Forces that coupling leaves unchanged: they belong neither to bonded terms nor to pairs.
UNTOUCHED = (
    *FORCELESS,
    # Implicit solvent: the region stays in the Born sum and in the surface.
    openmm.GBSAOBCForce,
    openmm.CustomGBForce,
    openmm.LCPOForce,
    # Restraints and biases on positions, groups of atoms, or the box.
    openmm.CustomExternalForce,
    openmm.CustomCentroidBondForce,
    openmm.CustomVolumeForce,
    openmm.OrientationRestraintForce,
    openmm.RGForce,
    openmm.RMSDForce,
)
_REMEDY = "; for AMOEBA use coupling.Subtractive()"
_COUPLED = (*BONDED, openmm.NonbondedForce, openmm.CustomNonbondedForce)


def check_forces(system: openmm.System, members: set[int]) -> None:
    """Check that mechanical embedding supports the class of every force.

    Forces of an earlier coupling are allowed, because a system may have several regions.

    Raises:
        ForceFieldError: names a class that is not supported.
        RegionError: an atom of the region already belongs to an earlier region.
    """
    known = (*_COUPLED, *UNTOUCHED)
    refuse_earlier_regions(system, members)
    for force in system.getForces():
        if type(force) in known or role_of(force) is not None:
            continue
        raise ForceFieldError(
            f"found a {type(force).__name__} named {force.getName()!r}, which mechanical embedding "
            f"does not support; supported: {', '.join(kind.__name__ for kind in known)}"
            f"{_REMEDY if 'Amoeba' in type(force).__name__ else ''}"
        )


def find_nonbonded_force(system: openmm.System) -> openmm.NonbondedForce:
    """Return the system's only NonbondedForce.

    Raises:
        ForceFieldError: there is none, or more than one.
    """
    found = [f for f in system.getForces() if type(f) is openmm.NonbondedForce]
    if len(found) != 1:
        raise ForceFieldError(
            f"found {len(found)} NonbondedForces, expected one with charges and Lennard-Jones "
            "parameters for every atom"
        )
    return found[0]


def has_inner_potential(system: openmm.System) -> bool:
    """Whether a region has an inner potential, as multiple time steps require."""
    roles = forces_by_role(system)
    inner = {Role.NEGATED_INNER_POTENTIAL, Role.INNER_NETWORK}
    if Role.NETWORK_LESS_FORCE_FIELD in roles:
        return True
    return Role.NETWORK in roles and not inner.isdisjoint(roles)


def _earlier_regions(system: openmm.System) -> set[int]:
    """Return the atoms of earlier regions, including neighbours at capped bonds.

    A TorchForce does not list its atoms, but the force that connects its region does.
    """
    taken: set[int] = set()
    for force in system.getForces():
        role = role_of(force)
        if type(force) is openmm.PythonForce and LAMBDA_EMBEDDING in force.getGlobalParameters():
            taken |= set(force.getParticles()[: callback_of(force).n_region])
        elif role in NETWORKS and hasattr(force, "getParticles"):
            taken |= set(force.getParticles()) or set(range(system.getNumParticles()))
        elif role is Role.CONNECTIVITY:
            pairs = (force.getBondParameters(index)[:2] for index in range(force.getNumBonds()))
            taken.update(*pairs)
    return taken


def refuse_earlier_regions(system: openmm.System, members: set[int]) -> None:
    """Check that no atom of a region is part of an earlier one.

    Raises:
        RegionError: one is.
    """
    shared = sorted(members & _earlier_regions(system))
    if shared:
        raise RegionError(
            f"{len(shared)} atoms of the region (the first is {shared[0]}) belong to an earlier "
            "region of this system, or end a bond that it cuts; regions must not share atoms"
        )
