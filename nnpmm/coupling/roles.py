"""The roles of forces in a hybrid system, which their names carry through copies and XML files.

This is the only place that compares names: everything else asks for a role.
"""

from __future__ import annotations

from enum import Enum

import openmm

__all__ = ["NETWORKS", "Role", "forces_by_role", "groups_by_role", "role_of"]


class Role(Enum):
    """What a force of a hybrid system is for; the value is the name of the force."""

    #: The network on its region; with an inner network, the difference of the two.
    NETWORK = "NNP"
    #: A network that is integrated between evaluations of another one.
    INNER_NETWORK = "NNP, inner"
    #: The network less the force field of the region alone, which stays in the system.
    NETWORK_LESS_FORCE_FIELD = "NNP, less region MM"
    #: The force field's terms inside an interpolated region.
    REGION_FORCE_FIELD = "region MM"
    #: Minus the inner potential, so that the sum is the network.
    NEGATED_INNER_POTENTIAL = "region MM, negated"
    #: Bonds with zero force constant, by which OpenMM recognizes the region's molecules.
    CONNECTIVITY = "region connectivity"
    #: Non-bonded pairs within a short range, for a time step of their own.
    SHORT_RANGE = "short range"
    #: Minus these pairs, so that the sum is the whole non-bonded force.
    NEGATED_SHORT_RANGE = "short range, negated"
    #: Soft-core Lennard-Jones interaction of a region that can be decoupled.
    ALCHEMICAL_STERICS = "alchemical sterics"
    #: Its share of the long-range correction.
    ALCHEMICAL_TAIL = "alchemical tail"
    #: AMOEBA's multipoles and polarization, from which a region can be decoupled.
    ALCHEMICAL_MULTIPOLES = "alchemical multipoles"
    #: Multipoles and polarization of a decoupled region alone.
    REGION_MULTIPOLES = "region multipoles"


# The classes that a role's force may have. OpenMM returns a force of openmm-torch from a system as
# a plain Force.
_NETWORKS = ("PythonForce", "TorchForce", "PythonTorchForce", "Force")
_CLASSES: dict[Role, tuple[str, ...]] = {
    Role.NETWORK: _NETWORKS,
    Role.INNER_NETWORK: _NETWORKS,
    Role.NETWORK_LESS_FORCE_FIELD: _NETWORKS,
    Role.REGION_FORCE_FIELD: ("CustomCVForce",),
    Role.NEGATED_INNER_POTENTIAL: ("CustomCVForce",),
    Role.CONNECTIVITY: ("HarmonicBondForce",),
    Role.SHORT_RANGE: ("CustomNonbondedForce",),
    Role.NEGATED_SHORT_RANGE: ("CustomNonbondedForce",),
    Role.ALCHEMICAL_STERICS: ("CustomNonbondedForce",),
    Role.ALCHEMICAL_TAIL: ("CustomVolumeForce",),
    Role.ALCHEMICAL_MULTIPOLES: ("CustomCVForce",),
    Role.REGION_MULTIPOLES: ("PythonForce",),
}
#: Roles of forces that call a network.
NETWORKS = (Role.NETWORK, Role.INNER_NETWORK, Role.NETWORK_LESS_FORCE_FIELD)
_BY_NAME = {role.value: role for role in Role}


def role_of(force: openmm.Force) -> Role | None:
    """Return the role of a force, None if it belongs to the force field."""
    role = _BY_NAME.get(force.getName())
    return role if role is not None and type(force).__name__ in _CLASSES[role] else None


def forces_by_role(system: openmm.System) -> dict[Role, list[openmm.Force]]:
    """Return the forces of a system that have a role; several regions have several of a role."""
    found: dict[Role, list[openmm.Force]] = {}
    for force in system.getForces():
        role = role_of(force)
        if role is not None:
            found.setdefault(role, []).append(force)
    return found


def groups_by_role(system: openmm.System) -> dict[Role, set[int]]:
    """Return the force groups of each role that occurs in a system."""
    return {
        role: {force.getForceGroup() for force in forces}
        for role, forces in forces_by_role(system).items()
    }
