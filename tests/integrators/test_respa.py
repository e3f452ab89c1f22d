"""RESPA on systems with exact solutions: order, reversibility, temperature, constraints."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from openmm import app, unit
from scipy.integrate import solve_ivp

from nnpmm.core.errors import ConfigError
from nnpmm.integrators import create_respa_integrator

MASS, STIFF, SOFT, QUARTIC = 12.0, 4.0e4, 900.0, 2.0e4
PERIOD = 2 * np.pi * np.sqrt(MASS / (STIFF + SOFT))  # ps, of the stiff oscillation
THERMAL = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin) * 300.0


def oscillators(count: int = 1, quartic: float = QUARTIC) -> openmm.System:
    """Independent particles, each in a stiff well (group 0) and a soft one (group 3)."""
    system = openmm.System()
    stiff = openmm.CustomExternalForce(f"0.5*{STIFF}*(x^2+y^2+z^2)")
    soft = openmm.CustomExternalForce(f"0.5*{SOFT}*(x^2+y^2+z^2)+{quartic}*(x^4+y^4+z^4)")
    soft.setForceGroup(3)
    for _ in range(count):
        particle = system.addParticle(MASS)
        stiff.addParticle(particle, [])
        soft.addParticle(particle, [])
    system.addForce(stiff)
    system.addForce(soft)
    return system


def context_of(system, integrator, positions, velocities=None) -> openmm.Context:
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, integrator, platform)
    context.setPositions(positions)
    if velocities is not None:
        context.setVelocities(velocities)
    return context


def state_of(context) -> tuple[np.ndarray, np.ndarray]:
    state = context.getState(positions=True, velocities=True)
    return tuple(
        np.array(quantity.value_in_unit_system(unit.md_unit_system))
        for quantity in (state.getPositions(asNumpy=True), state.getVelocities(asNumpy=True))
    )


def exact(positions, velocities, time) -> np.ndarray:
    """Positions after some time, by an integrator of high order."""

    def derivative(_, y):
        x, v = y[:3], y[3:]
        return np.concatenate([v, -((STIFF + SOFT) * x + 4 * QUARTIC * x**3) / MASS])

    start = np.concatenate([positions[0], velocities[0]])
    return solve_ivp(derivative, (0, time), start, "DOP853", rtol=1e-12, atol=1e-14).y[:3, -1]


START = np.array([[0.05, -0.02, 0.03]]), np.array([[0.4, 0.7, -0.2]])


@pytest.mark.parametrize(
    "ratios", [[(1, [0, 3])], [(1, [3]), (4, [0])]], ids=["velocity Verlet", "two levels"]
)
def test_integrator_is_of_second_order(ratios):
    time = 2 * PERIOD
    expected = exact(*START, time)
    errors = []
    for steps in (80, 160, 320):
        splitting = [(time / steps / ratio, groups) for ratio, groups in ratios]
        system = oscillators()
        context = context_of(system, create_respa_integrator(system, splitting), *START)
        context.getIntegrator().step(steps)
        errors.append(np.abs(state_of(context)[0][0] - expected).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_soft_force_on_the_long_step_costs_little_accuracy():
    """With the soft force on the long step, the error is near that of the short step."""
    time, steps = 8 * PERIOD, 160
    expected = exact(*START, time)
    errors = []
    for splitting in (
        [(time / steps, [0, 3])],
        [(time / steps, [3]), (time / steps / 4, [0])],
        [(time / steps, [0]), (time / steps / 4, [3])],  # the soft force on the short step
    ):
        system = oscillators()
        context = context_of(system, create_respa_integrator(system, splitting), *START)
        context.getIntegrator().step(steps)
        errors.append(np.abs(state_of(context)[0][0] - expected).max())
    assert errors[1] < errors[0] / 4
    assert errors[2] > errors[0] / 2


def test_three_levels_are_reversible():
    system = oscillators()
    third = openmm.CustomExternalForce("30*x*y")
    third.setForceGroup(7)
    third.addParticle(0, [])
    system.addForce(third)
    integrator = create_respa_integrator(system, [(0.006, 7), (0.003, 3), (0.0005, 0)])
    assert [(level.substeps, level.groups) for level in integrator.levels] == [
        (1, (7,)), (2, (3,)), (6, (0,)),
    ]  # fmt: skip
    context = context_of(system, integrator, *START)
    integrator.step(200)
    positions, velocities = state_of(context)
    assert np.abs(positions - START[0]).max() > 0.01
    context.setVelocities(-velocities)
    integrator.step(200)
    positions, velocities = state_of(context)
    np.testing.assert_allclose(positions, START[0], atol=1e-9)
    np.testing.assert_allclose(velocities, -START[1], atol=1e-7)
    assert context.getTime().value_in_unit(unit.picosecond) == pytest.approx(2.4)


def test_number_of_force_evaluations_per_level():
    """Fast forces are evaluated once more in each step, as OpenMM keeps those of one group only."""
    calls = {0: 0, 3: 0}

    def counted(group):
        def call(state):
            calls[group] += 1
            positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
            return 0.0, -SOFT * positions

        return call

    system = openmm.System()
    system.addParticle(MASS)
    for group in calls:
        force = openmm.PythonForce(counted(group))
        force.setForceGroup(group)
        system.addForce(force)
    integrator = create_respa_integrator(system, [(0.004, [3]), (0.0005, [0])])
    context = context_of(system, integrator, *START)
    integrator.step(1)
    calls.update({0: 0, 3: 0})
    integrator.step(10)
    assert calls == {0: 90, 3: 10}
    del context


@pytest.mark.parametrize("fraction", [0.05, 0.25])
def test_baoab_samples_a_harmonic_well_exactly(fraction):
    """<x^2> = kT/k at any stable time step; the velocities' error is known, 1 - (w h / 2)^2.

    Leimkuhler and Matthews, J. Chem. Phys. 2013, 138, 174102.
    """
    count = 4000
    system = oscillators(count, quartic=0.0)
    step = fraction * PERIOD
    integrator = create_respa_integrator(
        system, [(step, [0, 3])], temperature=300, friction=1 / PERIOD, seed=5
    )
    context = context_of(system, integrator, np.zeros((count, 3)))
    integrator.step(round(10 / fraction))
    squares, kinetic = [], []
    for _ in range(10):
        integrator.step(round(1 / fraction) + 1)
        positions, velocities = state_of(context)
        squares.append((positions**2).mean())
        kinetic.append((velocities**2).mean())
    # Samples are more than a period apart: at least half of the 10 * 12,000 are independent.
    tolerance = 4 * np.sqrt(2 / (5 * 3 * count))
    assert np.mean(squares) * (STIFF + SOFT) / THERMAL == pytest.approx(1, abs=tolerance)
    bias = 1 - (np.pi * fraction) ** 2
    assert np.mean(kinetic) * MASS / THERMAL == pytest.approx(bias, abs=tolerance)


def test_baoab_with_two_levels_samples_the_sum_of_both_forces():
    count = 4000
    system = oscillators(count, quartic=0.0)
    step = 0.04 * PERIOD
    integrator = create_respa_integrator(
        system, [(4 * step, [3]), (step, [0])], temperature=300, friction=1 / PERIOD, seed=6
    )
    context = context_of(system, integrator, np.zeros((count, 3)))
    integrator.step(80)
    squares = []
    for _ in range(10):
        integrator.step(7)
        squares.append((state_of(context)[0] ** 2).mean())
    tolerance = 4 * np.sqrt(2 / (5 * 3 * count))
    assert np.mean(squares) * (STIFF + SOFT) / THERMAL == pytest.approx(1, abs=tolerance)


@pytest.fixture(scope="module")
def waters():
    """A small box of rigid water; direct space in group 1, reciprocal space in group 2."""
    field = app.ForceField("tip3p.xml")
    modeller = app.Modeller(app.Topology(), [])
    modeller.addSolvent(field, boxSize=openmm.Vec3(1.9, 1.9, 1.9))
    system = field.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=0.8, rigidWater=True
    )
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setForceGroup(1)
            force.setReciprocalSpaceForceGroup(2)
            force.setUseSwitchingFunction(True)
            force.setSwitchingDistance(0.65)
        else:
            force.setForceGroup(0)
    integrator = openmm.LangevinMiddleIntegrator(300, 5, 0.002)
    integrator.setRandomNumberSeed(1)
    simulation = app.Simulation(modeller.topology, system, integrator)
    simulation.context.setPositions(modeller.positions)
    simulation.minimizeEnergy(maxIterations=100)
    simulation.context.setVelocitiesToTemperature(300, 1)
    simulation.step(500)
    state = simulation.context.getState(positions=True, velocities=True)
    return system, state


@pytest.mark.slow
def test_rigid_water_conserves_energy_and_constraints(waters):
    system, start = waters
    integrator = create_respa_integrator(system, [(0.002, [2]), (0.001, [0, 1])])
    context = openmm.Context(system, integrator)
    context.setState(start)
    energies = []
    for _ in range(40):
        integrator.step(10)
        state = context.getState(energy=True)
        energies.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
    degrees_of_freedom = 2 * system.getNumParticles() - 3
    assert abs(np.mean(energies[-10:]) - np.mean(energies[:10])) < 0.01 * degrees_of_freedom
    positions, velocities = state_of(context)
    for i, j, length in (system.getConstraintParameters(k) for k in range(30)):
        bond = positions[i] - positions[j]
        assert np.linalg.norm(bond) == pytest.approx(length._value, rel=1e-4)
        # Velocities along constraints are zero.
        assert abs(bond @ (velocities[i] - velocities[j])) < 1e-3


@pytest.mark.slow
def test_temperature_of_rigid_water(waters):
    system, start = waters
    integrator = create_respa_integrator(
        system, [(0.002, [2]), (0.001, [0, 1])], temperature=300, friction=10, seed=2
    )
    context = openmm.Context(system, integrator)
    context.setState(start)
    integrator.step(250)
    degrees_of_freedom = 2 * system.getNumParticles()
    kinetic = []
    for _ in range(100):
        integrator.step(10)
        kinetic.append(context.getState(energy=True).getKineticEnergy()._value)
    temperature = 600 * np.mean(kinetic) / (degrees_of_freedom * THERMAL)
    # The standard error is 2 K, and the error of BAOAB velocities is about as large.
    assert temperature == pytest.approx(300, abs=10)


def test_temperature_can_be_changed():
    system = oscillators()
    integrator = create_respa_integrator(
        system, [(0.001, [0, 3])], temperature=300 * unit.kelvin, friction=1 / unit.picosecond
    )
    assert integrator.getTemperature().value_in_unit(unit.kelvin) == pytest.approx(300)
    integrator.setTemperature(310)
    assert integrator.getTemperature().value_in_unit(unit.kelvin) == pytest.approx(310)
    with pytest.raises(ConfigError, match="fixed"):
        integrator.setStepSize(0.002)
    with pytest.raises(ConfigError, match="has no temperature"):
        create_respa_integrator(system, [(0.001, [0, 3])]).getTemperature()


@pytest.mark.parametrize(
    ("splitting", "bath", "message"),
    [
        ([(0.001, 0)], {}, r"no time step for the force groups 3 \(CustomExternalForce\)"),
        ([(0.001, [0, 3]), (0.002, 3)], {}, r"groups \[3\] have more than one time step"),
        (
            [(0.001, [0, 3, 4])],
            {},
            r"groups \[4\] contain no force; those of the system are \[0, 3\]",
        ),
        ([(0.001, [0, 3, 40])], {}, "allowed: 0 to 31"),
        ([(0.001, 0), (0.0025, 3)], {}, "2.5 and 1 fs, of which one is 2.5 times the other"),
        ([(0.001, 0), (0.001, 3)], {}, "whole numbers from 2"),
        ([(0.0, [0, 3])], {}, "found a time step of 0 fs"),
        ([], {}, "no time step for the force groups 0"),
        ([(0.001, [0, 3])], {"temperature": 300}, "found only one of temperature and friction"),
        ([(0.001, [0, 3])], {"temperature": -1, "friction": 1}, "found a temperature of -1"),
        ([(0.001, [0, 3])], {"temperature": 300, "friction": 0}, "found a friction of 0"),
    ],
)
def test_invalid_arguments_are_refused(splitting, bath, message):
    with pytest.raises(ConfigError, match=message):
        create_respa_integrator(oscillators(), splitting, **bath)


def test_unassigned_reciprocal_space_is_refused(waters):
    with pytest.raises(ConfigError, match=r"2 .*NonbondedForce, reciprocal space"):
        create_respa_integrator(waters[0], [(0.001, [0, 1])])
