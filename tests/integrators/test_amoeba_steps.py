"""Multiple time steps with AMOEBA and a region coupled by subtraction."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import openmm
import pytest
from amoeba_systems import amoeba_case
from conftest import load_aimnet, model_directory, shared_data
from toy import TOY

from nnpmm import couple, load_model
from nnpmm.core.errors import ConfigError, RegionError, SimulationError
from nnpmm.coupling import MultipleTimeSteps, Role, Subtractive
from nnpmm.integrators import (
    RespaWatchdog,
    WatchdogRanges,
    create_respa_integrator,
    respa,
    split_time_scales,
)
from nnpmm.models import OpenMMPotential
from nnpmm.models.ignoring_charge import IgnoringCharge
from nnpmm.simulation.stages.dynamics import StageLoop
from nnpmm.simulation.stages.polarization import diverged_dipoles
from nnpmm.structures.inputs import TinkerSystem, load_system


@pytest.fixture(scope="module")
def water():
    return amoeba_case("water", openmm.app.NoCutoff, waters=4, polarization="extrapolated")


@pytest.fixture
def hybrid(water):
    """A water whose network is its own force field."""
    coupling = Subtractive(inside=MultipleTimeSteps())
    model = OpenMMPotential(water.alone)
    return couple(water.system, water.topology, water.region, model, coupling=coupling)


def test_valence_terms_are_in_the_fast_group(hybrid):
    respa(hybrid, inner=0.00025, outer=0.002)
    by_group = {}
    for force in hybrid.system.getForces():
        by_group.setdefault(force.getForceGroup(), set()).add(force.getName())
    assert by_group[2] == {
        "AmoebaMultipoleForce",
        "AmoebaVdwForce",
        Role.NETWORK_LESS_FORCE_FIELD.value,
    }
    assert {"AmoebaBondForce", "AmoebaAngleForce", "HarmonicBondForce"} <= by_group[0]


def test_middle_step_evaluates_multipoles_and_vdw(hybrid):
    """RESPA1: the network less the force field is outermost."""
    respa(hybrid, inner=0.00025, middle=0.002, outer=0.004)
    groups = {force.getName(): force.getForceGroup() for force in hybrid.system.getForces()}
    assert groups["AmoebaMultipoleForce"] == groups["AmoebaVdwForce"] == 1
    assert groups[Role.NETWORK_LESS_FORCE_FIELD.value] == 2


def total_energies(hybrid, positions, integrator, steps, every):
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(hybrid.system, integrator, platform)
    context.setPositions(positions)
    context.setVelocitiesToTemperature(300, 1)
    found = []
    for _ in range(steps // every):
        integrator.step(every)
        state = context.getState(energy=True)
        found.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
    return np.array(found)


def test_energy_is_conserved_with_multiple_time_steps(water, hybrid):
    """Total energies over 0.1 ps fluctuate by less than 2 kJ/mol."""
    minimum = openmm.Context(hybrid.system, openmm.VerletIntegrator(0.001))
    minimum.setPositions(water.positions)
    openmm.LocalEnergyMinimizer.minimize(minimum, 10.0, 100)
    start = minimum.getState(positions=True).getPositions(asNumpy=True)
    several = total_energies(hybrid, start, respa(hybrid, inner=0.00025, outer=0.001), 100, 2)
    groups = {force.getForceGroup() for force in hybrid.system.getForces()}
    single = create_respa_integrator(hybrid.system, [(0.00025, groups)])
    short = total_energies(hybrid, start, single, 400, 8)
    assert np.ptp(short) < 0.5
    assert np.ptp(several) < 2.0
    assert abs(several.mean() - short.mean()) < 1.0


def test_watchdog_measures_the_gap_between_network_and_force_field(water):
    """The gap is zero for the force field as the network, and large for the toy."""
    readings = []
    for model in (OpenMMPotential(water.alone), TOY):
        coupling = Subtractive(inside=MultipleTimeSteps())
        coupled = couple(water.system, water.topology, water.region, model, coupling=coupling)
        split_time_scales(coupled.system, inner=0.00025, outer=0.002)
        watchdog = RespaWatchdog(
            coupled.system,
            water.topology,
            water.region,
            timestep=0.002,
            temperature=300,
            ranges=WatchdogRanges(kick=0.1),
        )
        readings.append(watchdog.check(water.positions, None, step=1))
    assert readings[0].gap.kick == pytest.approx(0, abs=1e-9)
    assert readings[1].gap.kick > 0.1
    assert "the network is far from the inner potential" in " ".join(readings[1].complaints)


def test_polarization_catastrophe_reports_its_atoms():
    context = catastrophe(amoeba_case("water", openmm.app.NoCutoff, waters=4))
    with pytest.raises(openmm.OpenMMException) as caught:
        context.getState(energy=True)
    text = diverged_dipoles(context, caught.value)
    assert text is not None
    named = {int(part.split()[0]) for part in text.split("atom ")[1:]}
    assert named <= {1, 2, 3, 4, 5, 6}
    assert diverged_dipoles(context, openmm.OpenMMException("Particle coordinate is NaN")) is None


def catastrophe(case):
    """Two overlapping waters, and few iterations for their dipoles."""
    system = copy.deepcopy(case.system)
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.AmoebaMultipoleForce)]
    force.setMutualInducedMaxIterations(2)
    positions = case.positions.copy()
    positions[3:6] = positions[:3] + np.array([0.0, 0.0, 0.03])
    return case.context(system, positions)


def test_polarization_catastrophe_reports_stage_and_step():
    context = catastrophe(amoeba_case("water", openmm.app.NoCutoff, waters=4))
    context.setStepCount(12)
    stage = SimpleNamespace(name="production")
    loop = SimpleNamespace(
        context=context, stage=stage, _loop=lambda: context.getIntegrator().step(1)
    )
    with pytest.raises(
        SimulationError,
        match=r"production, after step 12: the induced dipoles did not .* atom \d+ \(.+ D\)",
    ):
        StageLoop.run(loop)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("example", [4, 5])
@pytest.mark.parametrize("network", ["AIMNet2", "ANI-2x"])
def test_published_inputs_of_deep_hp(example, network, tmp_path):
    """p-Xylylenediammonium (2+) in water, and in cucurbit[7]uril: built, minimised, and run."""
    folder = shared_data("deep-hp")
    key = folder / f"Deep-HP_example{example}.key"
    settings = {
        "type": "tinker",
        "xyz": folder / f"Deep-HP_example{example}.xyz",
        "parameters": (folder / "openeye.prm",),
        "polarization": "direct",  # 12 times as fast as mutual dipoles
    }
    if example == 5:  # its restraint between host and guest is not supported
        with pytest.raises(ConfigError, match="line 77: found the key word 'restrain-groups'"):
            load_system(TinkerSystem(**settings, key=key))
        lines = [line for line in key.read_text().splitlines() if "restrain-groups" not in line]
        key = tmp_path / "unrestrained.key"
        key.write_text("\n".join(lines) + "\n")
    mm = load_system(TinkerSystem(**settings, key=key))
    assert mm.ligand_atoms is not None and len(mm.ligand_atoms) == 24
    coupling = Subtractive(inside=MultipleTimeSteps())
    arguments = (mm.system, mm.topology, mm.ligand_atoms)
    if network == "AIMNet2":
        model = load_aimnet()
    else:
        ani = load_model("ANI-2x", members=0, weights=model_directory())
        with pytest.raises(RegionError, match=r"the region has charge \+2 e"):
            couple(*arguments, ani, coupling=coupling)
        model = IgnoringCharge(ani)
    hybrid = couple(*arguments, model, coupling=coupling)
    assert hybrid.region.charge == 2
    integrator = respa(hybrid, inner=0.0002, outer=0.002, temperature=300, friction=1)
    context = openmm.Context(hybrid.system, integrator, openmm.Platform.getPlatformByName("CPU"))
    context.setPositions(mm.positions)
    before = context.getState(energy=True).getPotentialEnergy()._value
    openmm.LocalEnergyMinimizer.minimize(context, 100.0, 3)
    after = context.getState(energy=True).getPotentialEnergy()._value
    assert after < before
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(3)
    assert np.isfinite(context.getState(energy=True).getPotentialEnergy()._value)
