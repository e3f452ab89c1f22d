"""Multiple time steps in the settings of ``nnpmm run``."""

from __future__ import annotations

import numpy as np
import openmm
import pytest

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.coupling import Role
from nnpmm.integrators import RespaIntegrator, WatchdogRanges
from nnpmm.simulation import parse_config, run
from nnpmm.simulation.preparation.platform import choose_platform
from nnpmm.simulation.record.energy_log import read_log
from nnpmm.simulation.runner import prepare_system
from nnpmm.simulation.stages.integration import check_integrator, create_watchdog
from nnpmm.simulation.stages.stages import create_stage_context, plan_stages

RESPA = {"type": "respa", "inner": "0.5 fs", "outer": "2 fs"}


def settings(integrator=RESPA, *, region=None, system=None, **changes):
    built = {"type": "build", "smiles": "CO", "padding": "0.6 nm", "cutoff": "0.7 nm"}
    return parse_config(
        {
            "system": built | (system or {}),
            "region": {"model": "ANI-1x", "members": [0, 1]} | (region or {}),
            "integrator": {"watchdog": {"interval": "0.02 ps"}} | integrator,
            "stages": {
                "minimize": {"max_iterations": 20},
                "warmup": {"length": "0.02 ps"},
                "equilibrate": None,
                "production": {"length": "0.06 ps"},
            },
            "output": {
                "trajectory_interval": "0.02 ps",
                "log_interval": "0.02 ps",
                "checkpoint_interval": "0.02 ps",
            },
        }
        | changes
    )


def test_run_writes_log_and_report(tmp_path):
    config = in_folder(settings(ensemble={"type": "NPT"}), tmp_path / "run")
    assert config.timestep == pytest.approx(0.002)
    result = run(config, progress=False)
    _, log = read_log(result.log)
    assert np.isfinite(log["nnp_energy_kj_mol"]).all()
    assert len(log["step"]) == 4
    assert result.report.is_file()


def in_folder(config, folder):
    output = config.output.model_copy(update={"directory": folder})
    return config.model_copy(update={"output": output})


@pytest.mark.parametrize("stop", [False, True])
def test_watchdog_warns_or_stops_a_run(tmp_path, monkeypatch, caplog, stop):
    """With a range that every molecule leaves."""
    monkeypatch.setattr(WatchdogRanges.__init__, "__defaults__", (1e-6, 1.5, 1.2))
    watched = RESPA | {"watchdog": {"interval": "0.02 ps", "stop": stop}}
    config = in_folder(settings(watched), tmp_path / "run")
    if stop:
        with pytest.raises(
            SimulationError, match="step 10: the network is far from the inner potential"
        ):
            run(config, progress=False)
        return
    run(config, progress=False)
    assert "the network is far from the inner potential" in caplog.text


def test_no_watchdog_with_a_single_time_step_or_if_disabled():
    for integrator in ({"type": "langevin"}, RESPA | {"watchdog": None}):
        config = settings(integrator)
        prepared = prepare_system(config)
        assert create_watchdog(prepared.hybrid, config) is None


@pytest.mark.parametrize(
    ("inner_potential", "name"),
    [
        ("force-field", Role.NEGATED_INNER_POTENTIAL.value),
        ("fit", Role.NEGATED_INNER_POTENTIAL.value),
        ("network", Role.INNER_NETWORK.value),
    ],
)
def test_inner_potentials_do_not_change_the_energy(inner_potential, name):
    config = settings(RESPA | {"inner_potential": inner_potential})
    prepared = prepare_system(config)
    assert name in {force.getName() for force in prepared.hybrid.system.getForces()}
    platform = choose_platform(config.platform)
    context = create_stage_context(prepared, plan_stages(config)[-1], config, platform)
    assert isinstance(context.getIntegrator(), RespaIntegrator)
    plain = prepare_system(settings({"type": "langevin"}))
    context.setPositions(prepared.mm.positions)
    reference = openmm.Context(plain.hybrid.system, openmm.VerletIntegrator(0.001), platform[0])
    reference.setPositions(prepared.mm.positions)
    energies = [
        each.getState(energy=True).getPotentialEnergy()._value for each in (context, reference)
    ]
    assert energies[0] == pytest.approx(energies[1], abs=0.05)


def test_network_is_in_the_slow_group():
    config = settings(RESPA | {"middle": "1 fs", "short_range": ["0.45 nm", "0.6 nm"]})
    prepared = prepare_system(config)
    before = [force.getForceGroup() for force in prepared.hybrid.system.getForces()]
    context = create_stage_context(
        prepared, plan_stages(config)[-1], config, choose_platform(config.platform)
    )
    groups = {force.getName(): force.getForceGroup() for force in context.getSystem().getForces()}
    levels = context.getIntegrator().levels
    assert [level.timestep for level in levels] == pytest.approx([0.002, 0.001, 0.0005])
    assert (
        groups[Role.NETWORK.value]
        == groups[Role.NEGATED_INNER_POTENTIAL.value]
        == levels[0].groups[0]
    )
    assert groups["short range"] == levels[1].groups[0]
    assert [force.getForceGroup() for force in prepared.hybrid.system.getForces()] == before


@pytest.mark.parametrize(
    ("integrator", "message"),
    [
        ({"type": "respa", "inner": "0.5 fs"}, "respa requires 'inner' and 'outer'"),
        ({"type": "langevin", "inner": "1 fs"}, "found 'inner' with type langevin"),
        (RESPA | {"short_range": [0.5, 0.6]}, "'short_range' without 'middle'"),
        ({"type": "verlet"}, "integrator.type"),
    ],
)
def test_contradictory_settings_are_refused(integrator, message):
    with pytest.raises(ConfigError, match=message):
        settings(integrator)


def test_timestep_with_respa_is_refused():
    with pytest.raises(ConfigError, match="leave out timestep"):
        settings(timestep="1 fs")


@pytest.mark.parametrize(
    ("integrator", "message"),
    [
        (RESPA | {"outer": "4 fs"}, r"found 4 fs, for which .* 5\.\d+ times as large"),
        (
            RESPA | {"inner": "2 fs"},
            r"integrator.inner: found 2 fs, the limit is .*O1-.*H4.* 7 steps per period",
        ),
        (RESPA | {"inner": "0.8 fs"}, "2.5 times the other"),
    ],
)
def test_unstable_steps_are_refused(integrator, message):
    config = settings(integrator)
    with pytest.raises(ConfigError, match=message):
        check_integrator(prepare_system(config).hybrid.system, config)


def test_slow_forces_have_five_steps_per_period():
    """Scaled masses allow 3 fs with free hydrogens; with unscaled masses 2 fs is refused."""
    output = dict.fromkeys(("trajectory_interval", "log_interval", "checkpoint_interval"), "3 ps")
    stages = {"production": {"length": "3 ps"}, "warmup": None, "equilibrate": None}
    respa = RESPA | {"outer": "3 fs", "watchdog": None}
    prepared = prepare_system(settings(respa, output=output, stages=stages))
    assert prepared.motion.vibration.period == pytest.approx(0.015, abs=2e-4)
    config = settings(region={"mass_factor": 1})
    with pytest.raises(ConfigError, match=r"outer: found 2 fs, .* 1\.[678] fs: .* 5 steps"):
        check_integrator(prepare_system(config).hybrid.system, config)


@pytest.mark.parametrize(("inner_potential", "mass_factor"), [("force-field", 1), ("network", 2)])
def test_heavy_constrained_hydrogens_allow_longer_steps(inner_potential, mass_factor):
    config = settings(
        {"type": "respa", "inner": "2 fs", "outer": "4 fs", "inner_potential": inner_potential},
        region={"constraints": "keep", "mass_factor": mass_factor},
        system={"hydrogen_mass": "3 amu"},
        output={
            "trajectory_interval": "0.02 ps",
            "log_interval": "0.02 ps",
            "checkpoint_interval": "0.02 ps",
        },
    )
    check_integrator(prepare_system(config).hybrid.system, config)


def test_resume_continues_the_log(tmp_path):
    """The log of a resumed run has the rows of both parts."""
    longer = {"minimize": None, "warmup": None, "equilibrate": None}
    for length, resume in (("0.04 ps", False), ("0.08 ps", True)):
        stages = longer | {"production": {"length": length}}
        config = in_folder(settings(stages=stages), tmp_path / "run")
        result = run(config, progress=False, resume=resume)
    _, log = read_log(result.log)
    assert log["time_ps"].tolist() == pytest.approx([0.02, 0.04, 0.06, 0.08])
    assert np.isfinite(log["potential_energy_kj_mol"]).all()


def test_system_without_inner_potential_is_refused():
    plain = prepare_system(settings({"type": "langevin"}))
    with pytest.raises(ConfigError, match="the region has no inner potential"):
        check_integrator(plain.hybrid.system, settings())


def test_thermostat_is_required():
    config = settings(ensemble={"friction": 0})
    with pytest.raises(ConfigError, match=r"ensemble.friction: found 0"):
        check_integrator(prepare_system(config).hybrid.system, config)


def test_inner_network_requires_two_members():
    with pytest.raises(ConfigError, match="two members or more"):
        prepare_system(settings(RESPA | {"inner_potential": "network"}, region={"members": 0}))
