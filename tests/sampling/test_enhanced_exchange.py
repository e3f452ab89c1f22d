"""Replica exchange of temperatures, of umbrella windows, and of a heated region."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from cases import solvated_ligand
from openmm import app
from systems import particle
from test_metadynamics import coordinate
from toy import TOY

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.coupling import couple
from nnpmm.sampling import (
    ExchangeRecord,
    ExchangeSettings,
    ReplicaExchange,
    UmbrellaVariable,
    create_umbrella,
    read_samples,
    scale_region,
    scaling_states,
    umbrella_states,
    unbiased_state,
)

PLATFORM = openmm.Platform.getPlatformByName("Reference")
PARTICLES = 4
TEMPERATURES = (300.0, 400.0, 540.0)


def tempered(folder, *, resume=False) -> ReplicaExchange:
    """Independent particles in a harmonic well at three temperatures."""
    topology, system = particle("500*(x^2 + y^2 + z^2)", PARTICLES)
    integrator = openmm.LangevinMiddleIntegrator(300, 10.0, 0.01)
    integrator.setRandomNumberSeed(3)
    simulation = app.Simulation(topology, system, integrator, PLATFORM)
    simulation.context.setPositions(np.zeros((PARTICLES, 3)))
    simulation.context.setVelocitiesToTemperature(300, 1)
    settings = ExchangeSettings(
        states=tuple({"temperature": t} for t in TEMPERATURES),
        **{"temperature": 300.0, "timestep": 0.01, "steps": 25, "n_atoms": PARTICLES},
        observables=("x",),
        seed=5,
    )
    record = ExchangeRecord(folder, settings, resume=resume)

    def observe(context):
        return context.getState(positions=True).getPositions(asNumpy=True)._value[0, :1]

    return ReplicaExchange(simulation, record, observe=observe)


@pytest.fixture(scope="module")
def hot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hot")
    sampler = tempered(folder)
    sampler.equilibrate(500)
    sampler.sample(1500)
    return read_samples(folder)


def test_every_state_has_the_energy_of_its_temperature(hot):
    """Equipartition: 3/2 kT for each particle in a harmonic well."""
    for state, temperature in enumerate(TEMPERATURES):
        found = hot.energies[:, state, state]
        expected = 1.5 * PARTICLES * GAS_CONSTANT * temperature
        error = found.std() / np.sqrt(len(found) / 3)
        assert abs(found.mean() - expected) < 4 * error
        variance = hot.observables[:, state, 0].var()
        assert variance == pytest.approx(GAS_CONSTANT * temperature / 1000, rel=0.15)
    assert hot.mixing[0, 1] > 0.1
    assert hot.temperatures == TEMPERATURES


def test_acceptance_has_the_ratio_of_boltzmann_weights(tmp_path):
    """Populations of the states of two fixed configurations after many exchanges."""
    sampler = tempered(tmp_path)
    energies = np.array([10.0, 11.5, 12.0])
    table = np.repeat(energies[:, None], 3, axis=1)
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(3000):
        sampler._exchange(table)
        key = tuple(sampler.replicaStateIndex)
        counts[key] = counts.get(key, 0) + 1
    beta = 1 / (GAS_CONSTANT * np.array(TEMPERATURES))
    weights = {key: np.exp(-(beta[list(key)] * energies).sum()) for key in counts}
    total = sum(weights.values())
    for key, count in counts.items():
        p = weights[key] / total
        assert abs(count / 3000 - p) < 5 * np.sqrt(p * (1 - p) / 3000)


def test_resumed_exchange_rescales_velocities(tmp_path):
    """A replica that changed its temperature just before the checkpoint is rescaled once."""
    sampler = tempered(tmp_path)
    sampler.equilibrate(50)
    sampler.replicaStateIndex[:] = [2, 1, 0]
    sampler.checkpoint()
    again = tempered(tmp_path, resume=True)
    before = again.replicaConformation[0].getVelocities(asNumpy=True)._value.copy()
    again.simulateReplica(0, 0)
    after = again.replicaConformation[0].getVelocities(asNumpy=True)._value
    np.testing.assert_allclose(after, before * np.sqrt(540 / 300), rtol=1e-9)


def test_barostat_is_refused(tmp_path):
    topology, system = particle("0*periodicdistance(x, y, z, 0, 0, 0)", PARTICLES)
    system.addForce(openmm.MonteCarloBarostat(1.0, 300.0))
    simulation = app.Simulation(
        topology, system, openmm.LangevinMiddleIntegrator(300, 10.0, 0.01), PLATFORM
    )
    simulation.context.setPositions(np.zeros((PARTICLES, 3)))
    settings = ExchangeSettings(
        states=({"temperature": 300.0}, {"temperature": 400.0}),
        **{"temperature": 300.0, "timestep": 0.01, "steps": 25, "n_atoms": PARTICLES},
    )
    with pytest.raises(ConfigError, match="constant volume"):
        ReplicaExchange(simulation, ExchangeRecord(tmp_path, settings, resume=False))


def test_umbrella_uses_the_shortest_difference():
    free = UmbrellaVariable(coordinate("x"), (0.1, 0.3), 100.0)
    turning = UmbrellaVariable(coordinate("y", 2.0), (0.9, -0.9), 50.0)
    system = particle("0*x")[1]
    system.addForce(create_umbrella([free, turning]))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), PLATFORM)
    context.setPositions(np.array([[0.5, -0.8, 0.0]]))
    states = umbrella_states([free, turning])
    assert len(states) == 4
    for state in states:
        for name, value in state.items():
            context.setParameter(name, value)
        found = context.getState(energy=True).getPotentialEnergy()._value
        far = (-0.8 - state["umbrella_center_y"] + 1) % 2 - 1
        expected = 50 * (0.5 - state["umbrella_center_x"]) ** 2 + 25 * far**2
        assert found == pytest.approx(expected, abs=1e-9)
    for name, value in unbiased_state([free, turning]).items():
        context.setParameter(name, value)
    assert context.getState(energy=True).getPotentialEnergy()._value == 0


@pytest.fixture(scope="module")
def scaled_ligand():
    ligand = solvated_ligand("CO")
    for force in ligand.system.getForces():
        if isinstance(force, openmm.NonbondedForce):  # OpenMM's correction knows no offsets
            force.setUseDispersionCorrection(False)
    hybrid = couple(ligand.system, ligand.topology, ligand.region, TOY)
    return ligand, hybrid


def test_scaled_region_has_the_rest2_energy(scaled_ligand):
    """l network + l^(1/2) (region, environment) + environment, from Systems without a part."""
    ligand, hybrid = scaled_ligand
    system = copy.deepcopy(hybrid.system)
    scale_region(system, hybrid.region.atoms.tolist())
    atoms = hybrid.region.atoms.tolist()

    def energy(of, **parameters):
        context = ligand.context(of)
        for name, value in parameters.items():
            context.setParameter(name, value)
        return context.getState(energy=True).getPotentialEnergy()._value

    unscaled = energy(hybrid.system)
    assert energy(system) == pytest.approx(unscaled, abs=1e-6)
    low = scaling_states(300.0, 600.0, 2)[1]
    by_hand = copy.deepcopy(hybrid.system)
    (nonbonded,) = (f for f in by_hand.getForces() if isinstance(f, openmm.NonbondedForce))
    for atom in atoms:
        charge, sigma, depth = nonbonded.getParticleParameters(atom)
        nonbonded.setParticleParameters(atom, charge * 0.5**0.5, sigma, depth * 0.5)
    network = hybrid.evaluator.evaluate(ligand.whole_region).energy
    expected = energy(by_hand) - 0.5 * network
    assert energy(system, **low) == pytest.approx(expected, abs=1e-2)
    assert abs(expected - unscaled) > 1


def test_regions_that_cannot_be_scaled_are_refused(scaled_ligand):
    _, hybrid = scaled_ligand
    with pytest.raises(ForceFieldError, match="0 networks"):
        scale_region(openmm.System(), [0])
    system = copy.deepcopy(hybrid.system)
    torsions = openmm.PeriodicTorsionForce()
    torsions.addTorsion(*hybrid.region.atoms.tolist()[:4], 1, 0.0, 1.0)
    system.addForce(torsions)
    with pytest.raises(ForceFieldError, match="PeriodicTorsionForce on the region"):
        scale_region(system, hybrid.region.atoms.tolist())
    with pytest.raises(ConfigError, match=r"300 K of the bath"):
        scaling_states(300.0, 290.0, 4)


def test_states_are_spaced_by_equal_factors():
    scales = [state["region_scale"] for state in scaling_states(300.0, 1200.0, 3)]
    np.testing.assert_allclose(scales, [1, 0.5, 0.25])
