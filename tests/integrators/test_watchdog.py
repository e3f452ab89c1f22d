"""The watchdog of multiple time steps: the measured gap, warnings, cost."""

from __future__ import annotations

import logging

import numpy as np
import openmm
import pytest
from boxes import solvated
from openmm import app, unit

from nnpmm import create_hybrid_system
from nnpmm.core.errors import ConfigError, ModelError, RegionError, SimulationError
from nnpmm.coupling import Mechanical, MultipleTimeSteps, make_whole, topology_bonds
from nnpmm.integrators import (
    RespaWatchdog,
    WatchdogRanges,
    apply_hydrogen_mass,
    create_respa_integrator,
    split_time_scales,
)
from nnpmm.integrators.gap import GapMeter
from nnpmm.models import FunctionModel, load_model

STEP, KELVIN = 0.004, 300.0  # ps, K
KT = 2.4943387854  # kJ/mol
BONDED = (openmm.HarmonicBondForce, openmm.HarmonicAngleForce, openmm.PeriodicTorsionForce)
CALLS = []


def springs(positions, numbers, charge):
    """A soft harmonic force to the centre that counts its calls."""
    CALLS.append(len(numbers))
    away = positions - positions.mean(axis=0)
    return 5.0 * float((away**2).sum()), -10.0 * away


@pytest.fixture(scope="module")
def network():
    return load_model("ANI-1x", members=[0])


@pytest.fixture(scope="module")
def free():
    """Methanol in water without constraints inside methanol."""
    return solvated("CO", constrained=False)


@pytest.fixture(scope="module")
def kept():
    """The same with constrained bonds to hydrogen."""
    return solvated("CO", constrained=True)


def respa_system(box, model, constraints="none"):
    coupling = Mechanical(inside=MultipleTimeSteps(), constraints=constraints)
    return create_hybrid_system(
        box.system, box.topology, box.ligand_atoms, model, coupling=coupling
    )


def positions_of(box):
    """Positions, a little disturbed, and the box, nm."""
    vectors = np.array(box.box_vectors, dtype=float)
    positions = np.array(box.positions)
    rng = np.random.default_rng(1)
    return positions + rng.normal(0, 0.003, positions.shape), vectors


def watchdog(box, system, **settings):
    defaults = {"timestep": STEP, "temperature": KELVIN, "interval": 5}
    return RespaWatchdog(system, box.topology, box.ligand_atoms, **{**defaults, **settings})


def difference_by_hand(box, network, positions, vectors):
    """Energy and forces of the network minus those of the force field's bonded terms."""
    region, atoms = box.ligand_atoms, list(box.topology.atoms())
    whole = make_whole(positions[region], vectors, topology_bonds(box.topology, region))
    energy, forces = network.bind([atoms[i].element.atomic_number for i in region])(whole)
    alone = openmm.System()
    for _ in range(box.system.getNumParticles()):
        alone.addParticle(1.0)
    for force in box.system.getForces():
        if isinstance(force, BONDED):
            alone.addForce(openmm.XmlSerializer.clone(force))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(alone, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    bonded = state.getForces(asNumpy=True)._value[region]
    return energy - state.getPotentialEnergy()._value, forces - bonded


def test_gap_matches_separate_evaluations(free, network):
    positions, vectors = positions_of(free)
    meter = GapMeter(
        respa_system(free, network), free.ligand_atoms, timestep=STEP, temperature=KELVIN
    )
    found = meter.measure(positions, vectors)
    energy, forces = difference_by_hand(free, network, positions, vectors)
    np.testing.assert_allclose(found.energy, energy, rtol=0, atol=1e-2)
    np.testing.assert_allclose(found.forces, forces, rtol=0, atol=0.05)
    lengths = np.linalg.norm(forces, axis=1)
    masses = np.array([free.system.getParticleMass(i)._value for i in free.ligand_atoms])
    kicks = STEP * lengths / np.sqrt(masses * KT)  # of each atom, in thermal momenta
    np.testing.assert_allclose(found.rms_force, np.sqrt(np.mean(lengths**2)), rtol=1e-3)
    np.testing.assert_allclose(found.kick, np.sqrt((kicks**2).sum() / 18), rtol=1e-3)
    assert found.worst == kicks.argmax()
    assert found.rms_force > 100


def test_gap_to_an_inner_network(kept, network):
    """The inner potential is a second network, so the force field does not contribute."""
    inner_potential, positions = FunctionModel(springs, "springs"), positions_of(kept)
    coupling = Mechanical(inside=MultipleTimeSteps(inner_potential))
    system = create_hybrid_system(
        kept.system, kept.topology, kept.ligand_atoms, network, coupling=coupling
    )
    meter = GapMeter(system, kept.ligand_atoms, timestep=STEP, temperature=KELVIN)
    found = meter.measure(*positions)
    region, atoms = kept.ligand_atoms, list(kept.topology.atoms())
    numbers = [atoms[i].element.atomic_number for i in region]
    (energy, forces), (inner_energy, inner_forces) = (
        model.bind(numbers)(positions[0][region]) for model in (network, inner_potential)
    )
    np.testing.assert_allclose(found.energy, energy - inner_energy, rtol=0, atol=1e-2)
    np.testing.assert_allclose(found.forces, forces - inner_forces, rtol=0, atol=0.05)


def test_forces_along_constraints_are_removed(kept, network):
    """The reference: OpenMM applies the constraints to forces that are set as velocities."""
    system = respa_system(kept, network, constraints="keep")
    apply_hydrogen_mass(system, kept.topology, 3.0)
    region = kept.ligand_atoms
    meter = GapMeter(system, region, timestep=STEP, temperature=KELVIN)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(kept.positions)
    context.applyConstraints(1e-8)
    state = context.getState(positions=True)
    positions = state.getPositions(asNumpy=True)._value
    vectors = state.getPeriodicBoxVectors(asNumpy=True)._value
    found = meter.measure(positions, vectors)
    _, forces = difference_by_hand(kept, network, positions, vectors)
    masses = np.array([system.getParticleMass(int(i))._value for i in region])
    velocities = np.zeros_like(positions)
    velocities[region] = forces / masses[:, None]
    context.setVelocities(velocities)
    context.applyVelocityConstraints(1e-10)
    constrained = context.getState(velocities=True).getVelocities(asNumpy=True)._value[region]
    expected = constrained * masses[:, None]
    assert np.abs(expected - forces).max() > 50  # the constraints matter here
    np.testing.assert_allclose(found.forces, expected, rtol=0, atol=0.1)
    kick = STEP * np.sqrt((expected**2 / masses[:, None]).sum() / (KT * (18 - 4)))
    np.testing.assert_allclose(found.kick, kick, rtol=1e-3)


def test_check_costs_one_evaluation_and_does_not_change_the_dynamics(free):
    """Thirty steps, with and without a check at every tenth."""
    counts, final_positions = [], []
    for watched in (False, True):
        system = respa_system(free, FunctionModel(springs, "springs"))
        simulation = simulate(free, system)
        if watched:
            simulation.reporters.append(watchdog(free, system, interval=10))
        CALLS.clear()
        simulation.step(30)
        counts.append(len(CALLS))
        final_positions.append(
            simulation.context.getState(positions=True).getPositions(asNumpy=True)._value
        )
    assert counts[1] == counts[0] + 3
    np.testing.assert_array_equal(*final_positions)


def simulate(box, system, temperature=KELVIN):
    splitting = split_time_scales(system, inner=0.0005, outer=0.002)
    integrator = create_respa_integrator(
        system, splitting, temperature=temperature, friction=1, seed=1
    )
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(box.topology, system, integrator, platform)
    simulation.context.setPositions(box.positions)
    simulation.context.setVelocitiesToTemperature(temperature, 1)
    return simulation


def test_stable_dynamics_gives_no_warning(kept, network, caplog):
    """A picosecond at 300 K with constraints and steps of 2 and 4 fs: fifty checks, no warning."""
    system = respa_system(kept, network, constraints="keep")
    apply_hydrogen_mass(system, kept.topology, 3.0)
    splitting = split_time_scales(system, inner=0.002, outer=0.004)
    integrator = create_respa_integrator(system, splitting, temperature=KELVIN, friction=1, seed=1)
    simulation = app.Simulation(kept.topology, system, integrator)
    simulation.context.setPositions(kept.positions)
    simulation.minimizeEnergy(maxIterations=50)
    simulation.context.setVelocitiesToTemperature(KELVIN, 1)
    monitor = watchdog(kept, system)
    simulation.reporters.append(monitor)
    with caplog.at_level(logging.WARNING, "nnpmm.integrators.watchdog"):
        simulation.step(250)
    assert caplog.messages == []
    assert monitor.last.step == 250 and monitor.last.changes == []
    assert 0.05 < monitor.last.gap.kick < 1.0


def moved_proton(box, positions):
    """Positions with the hydroxyl proton at the carbon, off the axis so that angles are defined."""
    atoms = list(box.topology.atoms())
    bonds = {frozenset((b.atom1.index, b.atom2.index)) for b in box.topology.bonds()}
    region = [int(i) for i in box.ligand_atoms]
    (carbon,) = [i for i in region if atoms[i].element.symbol == "C"]
    (oxygen,) = [i for i in region if atoms[i].element.symbol == "O"]
    (proton,) = [
        i for i in region if atoms[i].element.symbol == "H" and frozenset((i, oxygen)) in bonds
    ]
    moved = positions.copy()
    way = positions[carbon] - positions[oxygen]
    moved[proton] = positions[carbon] + 0.11 * way / np.linalg.norm(way) + [0.01, 0.02, 0.0]
    return moved


def test_transferred_proton_is_reported(free, network, caplog):
    positions, vectors = positions_of(free)
    monitor = watchdog(free, respa_system(free, network))
    assert monitor.check(positions, vectors, step=10).complaints == ()
    with caplog.at_level(logging.WARNING, "nnpmm.integrators.watchdog"):
        reading = monitor.check(moved_proton(free, positions), vectors, step=20)
    assert reading.gap.kick > 5
    assert [change.formed for change in reading.changes].count(False) == 1
    (message,) = caplog.messages
    for words in (
        "step 20: ",
        "a bond has formed between MOL1:C1 and MOL1:H4, 0.1",
        "a bond broke between MOL1:O1 and MOL1:H4, 0.2",
        "kick ",
        "allowed up to 1 (RMS force difference",
        "multiple time steps are not valid here",
    ):
        assert words in message


def test_stop_raises_an_error(free, network):
    positions, vectors = positions_of(free)
    monitor = watchdog(free, respa_system(free, network), stop=True)
    monitor.check(positions, vectors, step=10)
    with pytest.raises(SimulationError, match=r"step 20: a bond .*not valid here"):
        monitor.check(moved_proton(free, positions), vectors, step=20)


def test_warning_is_not_repeated_until_the_state_is_normal(free, network, caplog):
    positions, vectors = positions_of(free)
    moved = moved_proton(free, positions)
    monitor = watchdog(free, respa_system(free, network))
    with caplog.at_level(logging.WARNING, "nnpmm.integrators.watchdog"):
        for step, frame in enumerate((moved, moved, positions, moved)):
            monitor.check(frame, vectors, step=step)
    assert [message.split(":")[0] for message in caplog.messages] == ["step 0", "step 3"]


def test_ranges_are_printed(free, caplog):
    ranges = WatchdogRanges(kick=0.5, broken=1.6, formed=1.3)
    with caplog.at_level(logging.INFO, "nnpmm.integrators.watchdog"):
        watchdog(free, respa_system(free, FunctionModel(springs)), ranges=ranges)
    assert caplog.messages == [
        "watching 6 atoms every 5 steps: kick up to 0.5 thermal momenta in an outer step, bonds up "
        "to 1.6 and other atoms from 1.3 times the covalent radii"
    ]


def test_narrow_kick_range_gives_a_warning(free, network, caplog):
    positions, vectors = positions_of(free)
    monitor = watchdog(free, respa_system(free, network), ranges=WatchdogRanges(kick=0.01))
    with caplog.at_level(logging.WARNING, "nnpmm.integrators.watchdog"):
        reading = monitor.check(positions, vectors, step=0)
    assert reading.changes == []
    assert f"kick {reading.gap.kick:.2f}, allowed up to 0.01" in caplog.text


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"interval": 0}, "found an interval of 0 steps"),
        ({"timestep": -1 * unit.femtosecond}, "found a timestep of -0.001, allowed: more than 0"),
        ({"temperature": 0}, "found a temperature of 0, allowed: more than 0"),
    ],
)
def test_invalid_settings_are_refused(free, settings, found):
    with pytest.raises(ConfigError, match=found):
        watchdog(free, respa_system(free, FunctionModel(springs)), **settings)


@pytest.mark.parametrize(
    ("ranges", "found"),
    [
        ({"kick": 0}, "found kick=0, allowed: more than 0"),
        ({"broken": float("nan")}, "found broken=nan"),
        ({"formed": 1.5}, r"found formed=1.5 and broken=1.5, allowed: formed below broken"),
    ],
)
def test_invalid_ranges_are_refused(ranges, found):
    with pytest.raises(ConfigError, match=found):
        WatchdogRanges(**ranges)


def test_system_without_multiple_time_steps_is_refused(free, network):
    single = create_hybrid_system(free.system, free.topology, free.ligand_atoms, network)
    for system in (single, free.system):
        with pytest.raises(ConfigError, match=r"expected one made with .*MultipleTimeSteps"):
            watchdog(free, system)


@pytest.mark.parametrize("region", [[], [0, 1, 50]])
def test_atoms_outside_the_region_are_refused(free, region):
    system = respa_system(free, FunctionModel(springs))
    with pytest.raises(RegionError, match=r"outside the network's regions; give the atoms that"):
        RespaWatchdog(system, free.topology, region, timestep=STEP, temperature=KELVIN)


def test_failing_network_is_an_error(free, network):
    positions, vectors = positions_of(free)
    monitor = watchdog(free, respa_system(free, network))
    with pytest.raises(SimulationError, match=r"cannot watch the network: .* less than 50%"):
        monitor.check(positions, 0.2 * vectors, step=0)


def test_lambda_as_network_is_watched(free):
    model = FunctionModel(lambda positions, numbers, charge: springs(positions, numbers, charge))
    watchdog(free, respa_system(free, model))


def test_network_that_cannot_be_copied_is_refused(free, monkeypatch):
    def refuse(evaluator):
        raise TypeError("cannot be pickled")

    model = FunctionModel(springs)
    monkeypatch.setattr("nnpmm.models.function.FunctionEvaluator.__reduce__", refuse)
    with pytest.raises(ModelError, match="cannot be copied"):
        watchdog(free, respa_system(free, model))
