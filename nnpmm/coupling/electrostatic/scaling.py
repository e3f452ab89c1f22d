"""The force of an embedded region, and the global parameters that scale its embedding energy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import openmm
from numpy.typing import NDArray

from nnpmm.core.errors import ForceFieldError, RegionError
from nnpmm.coupling.callback import callback_of
from nnpmm.coupling.electrostatic.callback import ElectrostaticCallback
from nnpmm.coupling.interpolation import LAMBDA_EMBEDDING, linear_derivative
from nnpmm.coupling.roles import Role, groups_by_role

__all__ = ["create_embedded_force", "embedding_energy", "scale_embedding"]


def create_embedded_force(
    callback: ElectrostaticCallback, particles: Iterable[int]
) -> openmm.PythonForce:
    """Return the network's force, including the electrostatic embedding.

    Args:
        callback: network, charges, and the global parameters that scale them, all 1 by default.
        particles: the network's atoms, then the charged ones around them.
    """
    weight = callback.region.weight
    names = [*callback.embedding.factors, *([] if weight is None else [weight])]
    force = openmm.PythonForce(callback, dict.fromkeys(names, 1.0))
    force.setParticles(list(particles))
    force.setName(Role.NETWORK.value)
    return force


def embedding_energy(context: openmm.Context) -> float:
    """Return the energy that electrostatic embedding adds to mechanical embedding, kJ/mol.

    It is dV/d(lambda_electrostatic_embedding), at any value of this parameter.

    Args:
        context: of a system made with `nnpmm.coupling.Electrostatic`; its parameters do not change.

    Raises:
        ForceFieldError: the system has no such region.
    """
    if LAMBDA_EMBEDDING not in context.getParameters():
        raise ForceFieldError(
            f"the system has no parameter {LAMBDA_EMBEDDING!r}; make it with coupling=Electrostatic"
        )
    groups = groups_by_role(context.getSystem())[Role.NETWORK]
    return linear_derivative(context, LAMBDA_EMBEDDING, groups)


def scale_embedding(system: openmm.System, atoms: NDArray[np.int64], parameter: str) -> None:
    """Multiply the embedding energy by an additional global parameter, in place.

    Args:
        system: any; one without electrostatic embedding does not change.
        atoms: those whose charges the parameter scales in the NonbondedForce.
        parameter: its name; 1 by default.

    Raises:
        RegionError: the atoms do not contain the whole embedded region, or contain charges of its
            environment.
    """
    for index, force in reversed(list(enumerate(system.getForces()))):
        if type(force) is not openmm.PythonForce:
            continue
        if LAMBDA_EMBEDDING not in force.getGlobalParameters():
            continue
        callback: ElectrostaticCallback = callback_of(force)
        particles = list(force.getParticles())
        region, around = set(particles[: callback.n_region]), set(particles[callback.n_region :])
        if not region <= set(atoms.tolist()) or around & set(atoms.tolist()):
            raise RegionError(
                f"found {len(atoms)} atoms to scale the charges of, allowed with electrostatic "
                f"embedding: the {len(region)} atoms of its region"
            )
        embedding = callback.embedding._replace(factors=(*callback.embedding.factors, parameter))
        scaled = create_embedded_force(ElectrostaticCallback(callback.region, embedding), particles)
        scaled.setForceGroup(force.getForceGroup())
        scaled.setUsesPeriodicBoundaryConditions(force.usesPeriodicBoundaryConditions())
        system.removeForce(index)
        system.addForce(scaled)
