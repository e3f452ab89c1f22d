"""Works of switching on a system whose free energy difference is known."""

from __future__ import annotations

import numpy as np
import openmm
import pymbar
import pytest
from stiff_bond import K_MM, K_NNP, KT, LENGTH, exact_difference, interpolated_bond

from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.coupling import LAMBDA_NNP
from nnpmm.freeenergy import forward_protocol, reverse_protocol, switch


@pytest.fixture(scope="module")
def system():
    return interpolated_bond()


def context_of(system, seed, value):
    integrator = openmm.LangevinMiddleIntegrator(300, 20.0, 0.002)
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions([[0, 0, 0], [LENGTH, 0, 0]])
    context.setParameter(LAMBDA_NNP, value)
    context.setVelocitiesToTemperature(300, seed)
    return context


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


def test_bidirectional_works_give_the_exact_difference(system):
    forward = works(system, forward_protocol(10), 1, 150)
    backward = works(system, reverse_protocol(10), 2, 150)
    result = pymbar.bar(forward / KT, backward / KT)
    found, error = KT * result["Delta_f"], KT * result["dDelta_f"]
    assert error < 0.25
    assert abs(found - exact_difference()) < 4 * error
    # Work is dissipated, so both mean works exceed the free energy differences.
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
def test_invalid_protocols_are_refused(system, protocol):
    with pytest.raises(ConfigError, match=r"found the protocol .*allowed: two or more values"):
        switch(context_of(system, 1, 0.0), protocol)


def test_zero_steps_per_change_is_refused(system):
    with pytest.raises(ConfigError, match="found 0 steps per change"):
        switch(context_of(system, 1, 0.0), [0, 1], steps_per_change=0)


def test_system_without_lambda_nnp_is_refused(system):
    plain = openmm.System()
    plain.addParticle(1.0)
    context = openmm.Context(plain, openmm.VerletIntegrator(0.001))
    context.setPositions([[0, 0, 0]])
    with pytest.raises(ForceFieldError, match="has no parameter 'lambda_nnp'"):
        switch(context, [0, 1])
