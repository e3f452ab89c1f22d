"""Ladders whose free energies are known: springs, and a Lennard-Jones particle in a box."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from small_ladders import TEMPERATURE, sample

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.freeenergy import solve_ladder
from nnpmm.freeenergy.alchemy import decouple, decoupling_schedule

KT = GAS_CONSTANT * TEMPERATURE


def particles(count: int, mass: float = 16.0) -> openmm.System:
    system = openmm.System()
    for _ in range(count):
        system.addParticle(mass)
    return system


def test_ladder_of_harmonic_springs(tmp_path):
    """G(k) - G(k0) = 3/2 kT ln(k/k0) for a particle on a spring."""
    system = particles(1)
    well = openmm.CustomExternalForce("0.5*spring*(x^2+y^2+z^2)")
    well.addGlobalParameter("spring", 500.0)
    well.addParticle(0)
    system.addForce(well)
    constants = (500.0, 1000.0, 2000.0, 4000.0)
    states = tuple({"spring": k} for k in constants)
    windows = sample(tmp_path, system, np.zeros((1, 3)), states, 1500)
    found = solve_ladder(windows, temperature=TEMPERATURE)
    exact = 1.5 * KT * np.log(np.array(constants) / constants[0])
    assert (found.error[0, 1:] < 0.12).all()
    assert (np.abs(found.delta[0] - exact)[1:] < 4 * found.error[0, 1:]).all()


@pytest.mark.slow
@pytest.mark.parametrize("charge", [0.0, 0.12])
def test_decoupling_a_lennard_jones_particle(tmp_path, charge):
    """G(full) - G(none) = -kT ln <exp(-U/kT)> over the box, an integral over one distance.

    Within the cutoff U is the Lennard-Jones energy plus that of opposite charges in a reaction
    field; the long-range correction adds its constant.
    """
    sigma, epsilon, cutoff, width = 0.34, 2.0, 0.9, 1.9
    system = particles(2)
    system.setDefaultPeriodicBoxVectors(*(np.eye(3) * width))
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(cutoff)
    for sign in (1, -1):
        force.addParticle(sign * charge, sigma, epsilon)
    system.addForce(force)
    states = tuple(
        state.parameters for state in decoupling_schedule((1, 0.5, 0), (0.75, 0.5, 0.25, 0))
    )
    start = np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    windows = sample(tmp_path, decouple(system, [0]), start, states, 700)
    found = solve_ladder(windows, temperature=TEMPERATURE).between(-1, 0)

    contexts = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    distances = np.linspace(0.15, cutoff, 1500, endpoint=False)
    energies = []
    for r in distances:
        contexts.setPositions([[0, 0, 0], [r, 0, 0]])
        energies.append(contexts.getState(energy=True).getPotentialEnergy()._value)
    contexts.setPositions([[0, 0, 0], [0.5 * width, 0, 0]])
    beyond = contexts.getState(energy=True).getPotentialEnergy()._value
    inside = np.trapezoid(
        4 * np.pi * distances**2 * (np.exp(-np.array(energies) / KT) - np.exp(-beyond / KT)),
        distances,
    )
    hole = 4 / 3 * np.pi * distances[0] ** 3 * np.exp(-beyond / KT)  # not accessible
    average = np.exp(-beyond / KT) + (inside - hole) / width**3
    with_own_correction = openmm.Context(  # its constant for the remaining particle
        decouple(system, [0]),
        openmm.VerletIntegrator(0.001),
        openmm.Platform.getPlatformByName("Reference"),
    )
    with_own_correction.setPositions(start)
    for name in states[-1]:
        with_own_correction.setParameter(name, 0.0)
    left = with_own_correction.getState(energy=True).getPotentialEnergy()._value
    exact = -KT * np.log(average) - left
    assert found.error < 0.06
    assert abs(found.value - exact) < 4 * found.error
