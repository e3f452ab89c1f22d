"""Works of switching on a system whose free energy difference is known."""

from __future__ import annotations

import numpy as np
import openmm
import pymbar
import pytest
from openmm import app

from nnpmm import create_hybrid_system
from nnpmm.coupling import LAMBDA_NNP, Mechanical
from nnpmm.errors import ConfigError, ForceFieldError
from nnpmm.freeenergy import forward_protocol, reverse_protocol, switch
from nnpmm.models import FunctionModel

KT = 2.4943387854  # kJ/mol at 300 K
K_MM, K_NNP, LENGTH = 4e4, 1.6e5, 0.11


def stiff_bond(positions, numbers, charge):
    """k/2 (r - r0)^2 of the only bond, with the network's force constant."""
    bond = positions[1] - positions[0]
    r = np.linalg.norm(bond)
    pull = K_NNP * (r - LENGTH) / r * bond
    return 0.5 * K_NNP * (r - LENGTH) ** 2, np.array([pull, -pull])


@pytest.fixture(scope="module")
def system():
    """Carbon monoxide without charges whose bond the network makes four times as stiff."""
    topology, mm = app.Topology(), openmm.System()
    residue = topology.addResidue("MOL", topology.addChain())
    nonbonded, bonds = openmm.NonbondedForce(), openmm.HarmonicBondForce()
    atoms = []
    for symbol, charge in (("C", 0.1), ("O", -0.1)):
        atoms.append(topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue))
        mm.addParticle(12.0)
        nonbonded.addParticle(charge, 0.3, 0.4)
    topology.addBond(*atoms)
    nonbonded.addException(0, 1, 0.0, 1.0, 0.0)
    bonds.addBond(0, 1, LENGTH, K_MM)
    mm.addForce(nonbonded)
    mm.addForce(bonds)
    coupling = Mechanical(interpolate=True)
    model = FunctionModel(stiff_bond, "stiff bond")
    return create_hybrid_system(mm, topology, [0, 1], model, coupling=coupling)


def context_of(system, seed, value):
    integrator = openmm.LangevinMiddleIntegrator(300, 20.0, 0.002)
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions([[0, 0, 0], [LENGTH, 0, 0]])
    context.setParameter(LAMBDA_NNP, value)
    context.setVelocitiesToTemperature(300, seed)
    return context


def exact_difference():
    """-kT ln of the ratio of the integrals of r^2 exp(-V/kT), kJ/mol."""
    r = np.linspace(0.05, 0.17, 20001)
    integrals = [np.sum(r**2 * np.exp(-0.5 * k * (r - LENGTH) ** 2 / KT)) for k in (K_MM, K_NNP)]
    return -KT * np.log(integrals[1] / integrals[0])


def works(system, protocol, seed, n_switches):
    """Works of switches that start at equilibrium, (n,)."""
    context = context_of(system, seed, protocol[0])
    found = []
    context.getIntegrator().step(200)
    for _ in range(n_switches):
        context.setParameter(LAMBDA_NNP, protocol[0])
        context.getIntegrator().step(60)
        start = context.getState(positions=True, velocities=True)
        found.append(switch(context, protocol, steps_per_change=2)[-1])
        context.setState(start)
    return np.array(found)


def test_works_of_both_directions_give_the_exact_difference(system):
    forward = works(system, forward_protocol(10), 1, 150)
    backward = works(system, reverse_protocol(10), 2, 150)
    result = pymbar.bar(forward / KT, backward / KT)
    found, error = KT * result["Delta_f"], KT * result["dDelta_f"]
    assert error < 0.25
    assert abs(found - exact_difference()) < 4 * error
    # Work is lost on the way: both means lie above the free energy that they would gain.
    assert forward.mean() > exact_difference() > -backward.mean()


def test_an_instantaneous_switch_is_the_energy_difference(system):
    context = context_of(system, 3, 0.0)
    context.setPositions([[0, 0, 0], [0.12, 0, 0]])
    work = switch(context, [0.0, 1.0])
    np.testing.assert_allclose(work, [0, 0.5 * (K_NNP - K_MM) * 1e-4], rtol=0, atol=1e-3)
    assert context.getParameter(LAMBDA_NNP) == 1.0


def test_protocols():
    np.testing.assert_allclose(forward_protocol(4), [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(reverse_protocol(2), [1, 0.5, 0])
    with pytest.raises(ConfigError, match="found 0 changes"):
        forward_protocol(0)


@pytest.mark.parametrize("protocol", [[], [0.5], [0, 1.5], [-0.1, 1.0], [[0, 1]]])
def test_what_is_no_protocol(system, protocol):
    with pytest.raises(ConfigError, match=r"found the protocol .*allowed: two or more values"):
        switch(context_of(system, 1, 0.0), protocol)


def test_no_steps(system):
    with pytest.raises(ConfigError, match="found 0 steps per change"):
        switch(context_of(system, 1, 0.0), [0, 1], steps_per_change=0)


def test_a_system_that_is_not_interpolated(system):
    plain = openmm.System()
    plain.addParticle(1.0)
    context = openmm.Context(plain, openmm.VerletIntegrator(0.001))
    context.setPositions([[0, 0, 0]])
    with pytest.raises(ForceFieldError, match="has no parameter 'lambda_nnp'"):
        switch(context, [0, 1])
