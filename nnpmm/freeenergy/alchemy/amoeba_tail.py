"""The long-range correction of buffered 14-7 pairs that involve a region.

OpenMM's correction of an AmoebaVdwForce is C / V for a box of volume V, with C a sum over all pairs
of particles. It has no alchemical parameter: the region's contribution to C stays in every state,
and an additional force subtracts it.
"""

from __future__ import annotations

import openmm

from nnpmm.coupling import Role

__all__ = ["create_amoeba_tail"]

_SPACING = 1.2  # cutoffs between the particles of a dilute gas without pair energies


def create_amoeba_tail(
    force: openmm.AmoebaVdwForce, own: list[int], parameter: str
) -> openmm.CustomVolumeForce | None:
    """Return -(1 - l) times the region's contribution to the long-range correction.

    Args:
        force: of all particles.
        own: indices of the region's particles.
        parameter: name of l, a global parameter that is 1 at full interaction.

    Returns:
        The force, or None if the AmoebaVdwForce has no correction.
    """
    periodic = force.getNonbondedMethod() == openmm.AmoebaVdwForce.CutoffPeriodic
    if not (periodic and force.getUseDispersionCorrection()):
        return None
    members = set(own)
    rest = [index for index in range(force.getNumParticles()) if index not in members]
    share = _coefficient(force, [*own, *rest]) - _coefficient(force, rest)
    if share == 0:
        return None
    tail = openmm.CustomVolumeForce(f"({parameter}-1)*alchemical_tail/v")
    tail.addGlobalParameter(parameter, 1.0)
    tail.addGlobalParameter("alchemical_tail", share)
    tail.setName(Role.ALCHEMICAL_TAIL.value)
    return tail


def _coefficient(force: openmm.AmoebaVdwForce, particles: list[int]) -> float:
    """Return C, kJ/mol nm^3, of some of a force's particles, as OpenMM calculates it.

    The particles are placed farther from each other than the cutoff, so that C / V is their only
    energy.
    """
    if not particles:
        return 0.0
    gas, system = _without_particles(force), openmm.System()
    for row, index in enumerate(particles):
        _, sigma, epsilon, _, _, kind, scale = force.getParticleParameters(index)
        if force.getUseParticleTypes():
            gas.addParticle(row, kind, 1.0, False, scale)
        else:
            gas.addParticle(row, sigma, epsilon, 1.0, False, scale)
        system.addParticle(1.0)
    system.addForce(gas)
    edge = 2  # particles along an edge; the box has to be wider than two cutoffs
    while edge**3 < len(particles):
        edge += 1
    width = _SPACING * force.getCutoffDistance()._value
    length = edge * width
    vectors = [openmm.Vec3(length, 0, 0), openmm.Vec3(0, length, 0), openmm.Vec3(0, 0, length)]
    system.setDefaultPeriodicBoxVectors(*vectors)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    rows = range(len(particles))
    context.setPositions(
        [openmm.Vec3(row // edge**2, row // edge % edge, row % edge) * width for row in rows]
    )
    energy = context.getState(energy=True).getPotentialEnergy()._value
    return float(energy * length**3)


def _without_particles(force: openmm.AmoebaVdwForce) -> openmm.AmoebaVdwForce:
    """Return a force with the same rules, types and cutoff, and no particles."""
    new = openmm.AmoebaVdwForce()
    new.setPotentialFunction(force.getPotentialFunction())
    new.setSigmaCombiningRule(force.getSigmaCombiningRule())
    new.setEpsilonCombiningRule(force.getEpsilonCombiningRule())
    new.setNonbondedMethod(force.getNonbondedMethod())
    new.setCutoffDistance(force.getCutoffDistance())
    for index in range(force.getNumParticleTypes()):
        new.addParticleType(*force.getParticleTypeParameters(index))
    for index in range(force.getNumTypePairs()):
        new.addTypePair(*force.getTypePairParameters(index))
    return new
