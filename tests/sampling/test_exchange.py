"""Replica exchange: correct distributions, and a folder that can be resumed after a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import openmm
import pytest
from cases import solvated_ligand
from openmm import app
from toy import TOY

from nnpmm import create_hybrid_system
from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.core.errors import ConfigError, InputFileError, SimulationError
from nnpmm.coupling import Mechanical
from nnpmm.freeenergy import solve_ladder
from nnpmm.freeenergy.alchemy import decouple, decoupling_schedule
from nnpmm.sampling import (
    ExchangeRecord,
    ExchangeSettings,
    ReplicaExchange,
    StateEnergies,
    read_samples,
    separate_groups,
    write_samples,
)

TEMPERATURE, TIMESTEP = 300.0, 0.01
CONSTANTS = (1000.0, 2000.0, 4000.0, 8000.0)  # kJ/mol/nm^2
PARTICLES = 5


def springs() -> app.Simulation:
    """Independent particles in a harmonic well whose force constant is a parameter."""
    topology, system = app.Topology(), openmm.System()
    residue = topology.addResidue("X", topology.addChain())
    well = openmm.CustomExternalForce("0.5*spring*(x^2+y^2+z^2)")
    well.addGlobalParameter("spring", 1000.0)
    for index in range(PARTICLES):
        topology.addAtom("X", app.element.carbon, residue)
        system.addParticle(12.0)
        well.addParticle(index)
    system.addForce(well)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 10.0, TIMESTEP)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(topology, system, integrator, platform)
    simulation.context.setPositions(np.zeros((PARTICLES, 3)))
    simulation.context.setVelocitiesToTemperature(TEMPERATURE, 1)
    return simulation


def settings(**changes) -> ExchangeSettings:
    values = {
        "states": tuple({"spring": k} for k in CONSTANTS),
        "temperature": TEMPERATURE,
        "timestep": TIMESTEP,
        "steps": 20,
        "n_atoms": PARTICLES,
        "seed": 7,
    }
    return ExchangeSettings(**{**values, **changes})


def exchange(folder, *, resume=False, **changes) -> ReplicaExchange:
    record = ExchangeRecord(folder, settings(**changes), resume=resume)
    return ReplicaExchange(springs(), record)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("springs")
    sampler = exchange(folder)
    sampler.equilibrate(200)
    sampler.sample(600)
    return read_samples(folder)


@pytest.mark.parametrize("from_last", [False, True])
def test_equilibration_starts_from_the_first_or_last_state(tmp_path, monkeypatch, from_last):
    sampler, order = exchange(tmp_path), []
    simulate = sampler.simulateReplica

    def recorded(index, *arguments):
        order.append(index)
        simulate(index, *arguments)

    monkeypatch.setattr(sampler, "simulateReplica", recorded)
    sampler.equilibrate(5, from_last=from_last)
    assert order == ([3, 2, 1, 0] if from_last else [0, 1, 2, 3])


def test_every_state_has_its_distribution(samples):
    """The mean energy of each state is that of 3 N quadratic terms, within its error."""
    expected = 1.5 * PARTICLES * GAS_CONSTANT * TEMPERATURE
    for state, window in enumerate(samples.windows):
        own = window[:, state]
        blocks = own[len(own) % 10 :].reshape(10, -1).mean(axis=1)
        error = blocks.std(ddof=1) / np.sqrt(len(blocks))
        assert abs(blocks.mean() - expected) < 4 * error
        assert error < 0.03 * expected


def test_state_energies_match_the_configuration(samples):
    """In a harmonic well the energies are proportional to the force constants."""
    for state, window in enumerate(samples.windows):
        ratios = window / window[:, [state]]
        expected = np.array(CONSTANTS) / CONSTANTS[state]
        np.testing.assert_allclose(ratios, np.tile(expected, (len(window), 1)), rtol=1e-9)


def test_replicas_mix(samples):
    mixing = samples.mixing
    np.testing.assert_allclose(mixing.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(mixing, mixing.T, atol=0.1)
    assert (np.diag(mixing, 1) > 0.05).all()
    assert {tuple(sorted(row)) for row in samples.replicas.tolist()} == {(0, 1, 2, 3)}


def test_without_exchange_replicas_keep_their_states(tmp_path):
    record = ExchangeRecord(tmp_path, settings(), resume=False)
    ReplicaExchange(springs(), record, exchange=False).sample(5)
    assert (read_samples(tmp_path).replicas == np.arange(4)).all()


def test_a_run_resumes_from_its_last_checkpoint(tmp_path):
    sampler = exchange(tmp_path)
    sampler.sample(6, checkpoint_every=4)
    before = read_samples(tmp_path)
    sampler.sample(9, checkpoint_every=100)  # each call ends with a checkpoint
    assert len(read_samples(tmp_path).energies) == 9
    again = exchange(tmp_path, resume=True)
    assert again.currentIteration == 9
    again.sample(12)
    after = read_samples(tmp_path)
    assert len(after.energies) == 12
    np.testing.assert_array_equal(after.energies[:6], before.energies)


def test_separate_windows_are_joined(tmp_path):
    """States that are sampled in separate folders, and resumed, are joined to one ladder."""
    for state in range(4):
        folder = tmp_path / f"state-{state}"
        exchange(folder, sampled=(state,)).sample(20)
        exchange(folder, sampled=(state,), resume=True).sample(200)
    parts = [read_samples(tmp_path / f"state-{state}") for state in range(4)]
    assert all(part.energies.shape == (200, 1, 4) for part in parts)
    energies = np.concatenate([part.energies for part in parts], axis=1)
    volumes = np.concatenate([part.volumes for part in parts], axis=1)
    write_samples(tmp_path / "whole", settings(), energies, volumes)
    whole = read_samples(tmp_path / "whole")
    np.testing.assert_array_equal(whole.energies, energies)
    np.testing.assert_array_equal(whole.mixing, np.eye(4))
    expected = 1.5 * PARTICLES * GAS_CONSTANT * TEMPERATURE
    means = [window[20:, state].mean() for state, window in enumerate(whole.windows)]
    np.testing.assert_allclose(means, expected, rtol=0.2)
    found = solve_ladder(whole.windows, temperature=TEMPERATURE, equilibration=True).between()
    exact = 1.5 * PARTICLES * GAS_CONSTANT * TEMPERATURE * np.log(CONSTANTS[-1] / CONSTANTS[0])
    assert abs(found.value - exact) < 4 * found.error < 4
    write_samples(tmp_path / "whole", settings(), energies[:150], volumes[:150])
    assert len(read_samples(tmp_path / "whole").energies) == 150


def test_iterations_after_the_last_checkpoint_are_dropped(tmp_path):
    exchange(tmp_path).sample(4)
    before = read_samples(tmp_path)
    path = tmp_path / "energies.bin"
    path.write_bytes(path.read_bytes() + b"half an iteration")
    again = exchange(tmp_path, resume=True)
    again.sample(8)
    after = read_samples(tmp_path)
    np.testing.assert_array_equal(after.energies[:4], before.energies)
    assert path.stat().st_size == 8 * 4 * (4 + 2) * 8


@pytest.mark.slow
def test_killed_exchange_loses_and_repeats_no_iteration(tmp_path):
    """kill -9 three times; in the end every iteration is there once, and the wells are right."""
    script = (
        "import sys; from pathlib import Path;"
        "from test_exchange import exchange;"
        "s = exchange(Path(sys.argv[1]), resume=True); s.sample(400, checkpoint_every=3)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    reached = []
    for _ in range(3):
        process = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done = _iterations(tmp_path)
            if process.poll() is not None or done >= (reached[-1] if reached else 0) + 20:
                break
            time.sleep(0.02)
        process.kill()
        process.wait()
        reached.append(_iterations(tmp_path))
    assert reached == sorted(reached)
    assert subprocess.run(command, env=environment).returncode == 0
    samples = read_samples(tmp_path)
    assert len(samples.energies) == 400
    assert {tuple(sorted(row)) for row in samples.replicas.tolist()} == {(0, 1, 2, 3)}
    expected = 1.5 * PARTICLES * GAS_CONSTANT * TEMPERATURE
    means = [window[50:, state].mean() for state, window in enumerate(samples.windows)]
    np.testing.assert_allclose(means, expected, rtol=0.2)


def _iterations(folder) -> int:
    try:
        return len(read_samples(folder).energies)
    except InputFileError:
        return 0


def test_an_existing_run_is_not_overwritten(tmp_path):
    exchange(tmp_path).sample(1)
    with pytest.raises(ConfigError, match="contains a replica exchange; resume it"):
        exchange(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("states", ({"spring": 1.0},)), ("steps", 30), ("fingerprint", "another molecule")],
)
def test_a_run_resumes_only_with_its_own_settings(tmp_path, name, value):
    exchange(tmp_path).sample(1)
    with pytest.raises(ConfigError, match=f"started with other {name}"):
        ExchangeRecord(tmp_path, settings(**{name: value}), resume=True)


def test_damaged_folders_are_named(tmp_path):
    exchange(tmp_path).sample(2)
    (tmp_path / "energies.bin").write_bytes(b"")
    with pytest.raises(InputFileError, match=r"energies\.bin: is shorter"):
        exchange(tmp_path, resume=True)
    with pytest.raises(InputFileError, match="contains 0 of 2 iterations"):
        read_samples(tmp_path)
    (tmp_path / "exchange.json").write_text(json.dumps({"states": []}))
    with pytest.raises(InputFileError, match=r"exchange\.json: states"):
        read_samples(tmp_path)


def test_unknown_parameters_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"parameters \['springs'\], allowed: .*spring"):
        exchange(tmp_path, states=({"springs": 1.0},))


def test_integrator_of_another_temperature_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="integrator of 300 K"):
        exchange(tmp_path, temperature=310.0)


def test_non_finite_energies_stop_the_run(tmp_path):
    sampler = exchange(tmp_path)
    with pytest.raises(SimulationError, match=r"iteration 1: .* state 0 is not finite"):
        sampler.energies._plan = {0: [((("spring", np.nan),), [0, 1, 2, 3])]}
        sampler.sample(1)


@pytest.mark.parametrize("separate", [False, True])
def test_state_energies_equal_separate_evaluations(separate, monkeypatch):
    """Compare with an evaluation of all forces in every state; the network is called once."""
    case = solvated_ligand("CO")
    hybrid = create_hybrid_system(
        case.system, case.topology, case.region, TOY, coupling=Mechanical(constraints="keep")
    )
    system = decouple(hybrid, case.region)
    states = [state.parameters for state in decoupling_schedule((1, 0.5, 0), (0.6, 0.3, 0))]
    if separate:
        separate_groups(system, states[0])
    context = case.context(system)
    expected = []
    for state in states:
        for name, value in state.items():
            context.setParameter(name, value)
        expected.append(context.getState(energy=True).getPotentialEnergy()._value)
    found = StateEnergies(context, states)
    np.testing.assert_allclose(found.evaluate(), expected, rtol=0, atol=1e-6)
    evaluations = sum(len(cases) for cases in found._plan.values())
    assert evaluations < (12 if separate else 20)
