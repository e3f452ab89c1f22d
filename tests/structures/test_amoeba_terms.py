"""AMOEBA's out-of-plane and in-plane angles are the same energies in internal coordinates."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from openmm.app.internal import amoebaforces

from nnpmm.structures.amoeba_terms import shorten_amoeba_terms

COEFFICIENTS = (-0.014, 0.000056, -0.0000007, 0.000000022)  # of all AMOEBA force fields


def state(system, positions):
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    found = []
    for geometry in positions:
        context.setPositions(geometry)
        one = context.getState(energy=True, forces=True)
        found.append((one.getPotentialEnergy()._value, one.getForces(asNumpy=True)._value))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "parameters"),
    [
        (amoebaforces.AmoebaOutOfPlaneBendForceBuilder, [0.05]),
        (amoebaforces.AmoebaInPlaneAngleForceBuilder, [119.0, 0.05]),
    ],
    ids=["out of plane", "in plane"],
)
def test_shortened_terms_have_the_same_energy_and_forces(builder, parameters):
    """At geometries around a planar one, and at some that are far from it."""
    system = openmm.System()
    for _ in range(4):
        system.addParticle(1.0)
    force = builder(*COEFFICIENTS).getForce(system)
    force.addBond([0, 1, 2, 3], parameters)
    planar = np.array([[0.11, 0, 0], [0, 0, 0], [-0.06, 0.09, 0], [-0.05, -0.087, 0]])
    draw = np.random.default_rng(1).normal
    positions = [planar + draw(0, width, (4, 3)) for width in (0.002, 0.01, 0.01, 0.03, 0.03)]
    positions.append(planar)
    short = copy.deepcopy(system)
    shorten_amoeba_terms(short)
    (changed,) = short.getForces()
    assert changed.getEnergyFunction() != force.getEnergyFunction()
    assert changed.getName() == force.getName()
    for found, expected in zip(state(short, positions), state(system, positions), strict=True):
        np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-5)


def test_other_energy_expressions_are_not_changed():
    system = openmm.System()
    for _ in range(3):
        system.addParticle(1.0)
    force = openmm.CustomCompoundBondForce(3, "angle(p1,p2,p3)")
    force.addBond([0, 1, 2])
    system.addForce(force)
    shorten_amoeba_terms(system)
    (found,) = system.getForces()
    assert found.getEnergyFunction() == "angle(p1,p2,p3)"
