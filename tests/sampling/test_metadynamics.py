"""Metadynamics: known surfaces, a bias that is restored bit by bit, and walls."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from openmm import app, unit
from systems import particle

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.sampling import WellTempered, grid_of
from nnpmm.sampling.variables import Distance, Structure, Variable

KT = GAS_CONSTANT * 300.0
PLATFORM = openmm.Platform.getPlatformByName("Reference")


def coordinate(axis="x", period=None) -> Variable:
    """The coordinate of the first particle, which may be periodic."""

    def create_force():
        force = openmm.CustomExternalForce(axis)
        force.addParticle(0, [])
        return force

    bounds = None if period is None else (-period / 2, period / 2)
    return Variable(
        axis, "nm", period, bounds, create_force, lambda p, box: p[0, "xyz".index(axis)]
    )


def simulation(energy, grids, *, bias_factor=8.0, height=0.5, seed=1):
    topology, system = particle(energy)
    bias = WellTempered(system, grids, temperature=300.0, bias_factor=bias_factor, height=height)
    integrator = openmm.LangevinMiddleIntegrator(300, 10 / unit.picosecond, 0.01)
    integrator.setRandomNumberSeed(seed)
    found = app.Simulation(topology, system, integrator, PLATFORM)
    found.context.setPositions(np.array([[-0.5, 0.0, 0.0]]))
    found.context.setVelocitiesToTemperature(300, seed)
    return found, bias


def run(found, bias, count, every=20):
    records = []
    for _ in range(count):
        found.step(every)
        records.append(bias.deposit(found.context))
    return records


def test_surface_of_a_double_well():
    """F(x) of a barrier of 10 kT in one dimension, from the bias alone."""
    barrier = 10 * KT
    energy = f"{barrier}*((x/0.5)^2 - 1)^2 + 500*(y^2 + z^2)"
    grid = grid_of(coordinate(), 0.05, (-0.8, 0.8), temperature=300.0)
    found, bias = simulation(energy, [grid])
    run(found, bias, 8000)
    x = grid.points
    inside = (np.abs(x) <= 0.8) & (barrier * ((x / 0.5) ** 2 - 1) ** 2 < 20)
    exact = barrier * ((x[inside] / 0.5) ** 2 - 1) ** 2
    surface = bias.free_energy[inside]
    difference = (surface - surface.mean()) - (exact - exact.mean())
    assert np.sqrt((difference**2).mean()) < 1.5  # kJ/mol; of a barrier of 25


def test_bias_is_restored_exactly():
    grids = [grid_of(coordinate(a, 2.0), 0.1, None, temperature=300.0) for a in "xy"]
    found, bias = simulation("5*cos(pi*x)*cos(pi*y) + 500*z^2; pi=3.14159265", grids)
    records = run(found, bias, 40)
    other, again = simulation("5*cos(pi*x)*cos(pi*y) + 500*z^2; pi=3.14159265", grids)
    values = [record.values for record in records]
    again.restore(values, [record.height for record in records], other.context)
    np.testing.assert_array_equal(again.bias, bias.bias)
    other.context.setPositions(found.context.getState(positions=True).getPositions())
    groups = {bias._force.getForceGroup()}
    energies = [
        each.context.getState(energy=True, groups=groups).getPotentialEnergy()._value
        for each in (found, other)
    ]
    assert energies[0] == energies[1] != 0
    assert bias.bias.shape == (len(grids[0].points), len(grids[1].points))


def test_heights_follow_the_bias():
    grid = grid_of(coordinate(), 0.05, (-0.8, 0.8), temperature=300.0)
    found, bias = simulation("500*((x+0.5)^2 + y^2 + z^2)", [grid], bias_factor=5.0, height=1.0)
    for record in run(found, bias, 30):
        expected = np.exp(-record.bias / (KT * 4.0))
        assert record.height == pytest.approx(expected, rel=1e-9)
    assert record.bias > 1.0


def test_walls_act_only_beyond_the_range():
    grid = grid_of(coordinate(), 0.05, (-0.4, 0.4), temperature=300.0)
    found, bias = simulation("0*x", [grid])
    group = {bias._force.getForceGroup()}

    def energy(x):
        found.context.setPositions(np.array([[x, 0, 0]]))
        state = found.context.getState(energy=True, groups=group)
        return state.getPotentialEnergy()._value

    assert energy(0.39) == 0
    assert energy(0.4 + 0.05) == pytest.approx(grid.wall_energy(0.45), abs=1e-6)
    assert grid.wall_energy(0.4 + 0.5 * 0.05) == pytest.approx(KT)
    found.context.setPositions(np.array([[0.6, 0, 0]]))
    with pytest.raises(SimulationError, match="beyond the walls"):
        bias.deposit(found.context)


def test_invalid_biases_are_refused():
    free, turning = coordinate("x"), coordinate("y", 2.0)
    with pytest.raises(ConfigError, match=r"ranges.x: is missing"):
        grid_of(free, 0.1, None, temperature=300.0)
    with pytest.raises(ConfigError, match="quarter of the range"):
        grid_of(free, 1.0, (0.0, 1.0), temperature=300.0)
    with pytest.raises(ConfigError, match="full period"):
        grid_of(turning, 0.1, (0.0, 1.0), temperature=300.0)
    topology, system = particle("0*x", 2)
    structure = Structure.of(topology, np.zeros((2, 3)), system)
    distance = Distance(atoms=(0, 1)).bind("d", structure)
    with pytest.raises(ConfigError, match=r"ranges.d: found") as caught:
        angle = Variable("d", "rad", None, (0.0, 3.0), distance.create_force, distance.evaluate)
        grid_of(angle, 0.1, (-1.0, 2.0), temperature=300.0)
    assert "degrees" in str(caught.value)
    mixed = [
        grid_of(free, 0.1, (0.0, 1.0), temperature=300.0),
        grid_of(turning, 0.1, None, temperature=300.0),
    ]
    with pytest.raises(ConfigError, match="cannot bias together"):
        WellTempered(system, mixed, temperature=300.0, bias_factor=5.0, height=1.0)
