"""Time steps that nnpmm run refuses, and mass factors that it chooses."""

from __future__ import annotations

import logging

import pytest
from toys import water_box

from nnpmm.core.errors import ConfigError
from nnpmm.integrators import RegionMotion, TimestepLimit, Vibration, choose_mass_factor
from nnpmm.simulation import parse_config
from nnpmm.simulation.preparation.timestep import check_timestep
from nnpmm.simulation.runner import prepare_system
from nnpmm.simulation.stages.integration import check_integrator


def settings(smiles, step, *, hydrogen_mass=None, **region):
    built = {"type": "build", "smiles": smiles, "padding": "0.6 nm", "cutoff": "0.7 nm"}
    return parse_config(
        {
            "system": built | {"hydrogen_mass": hydrogen_mass},
            "region": {"model": "ANI-1x", "members": 0, **region},
            "timestep": step,
            "stages": dict.fromkeys(("warmup", "equilibrate", "production")),
            "output": dict.fromkeys(
                ("trajectory_interval", "log_interval", "checkpoint_interval"), "60 ps"
            ),
        }
    )


def checked(config):
    prepared = prepare_system(config)
    check_integrator(prepared.hybrid.system, config)
    return prepared


def masses(prepared):
    hybrid = prepared.hybrid
    return sorted(hybrid.system.getParticleMass(int(i))._value for i in hybrid.region.atoms)


def test_free_hydrogens_are_limited_by_their_vibration():
    checked(settings("CO", "1 fs"))
    with pytest.raises(ConfigError, match=r"timestep: found 2 fs, the limit is 1\.2 fs: .*O1-.*H4"):
        checked(settings("CO", "2 fs"))


def test_refused_4_fs_names_the_remedy():
    with pytest.raises(ConfigError, match=r"region\.constraints to keep, .*mass_factor to auto"):
        checked(settings("CC#N", "4 fs", hydrogen_mass="3 amu"))


def test_free_hydrogens_of_6_amu_count_as_free():
    """Hydrogens are recognised by their element, not their mass."""
    with pytest.raises(ConfigError, match=r"found 4 fs, the limit is .* 7 steps per period"):
        checked(settings("CO", "4 fs", hydrogen_mass="3 amu", mass_factor=2))


@pytest.mark.parametrize(
    ("smiles", "step", "least", "most"),
    [
        ("CC#N", "4 fs", 3.8, 4.0),
        ("CC#N", "5 fs", 4.0, 4.0),
        ("CC(C)=O", "4 fs", 2.2, 2.9),
        ("CO", "4 fs", 1.3, 1.5),
    ],
)
def test_auto_chooses_the_mass_factor_for_the_step(smiles, step, least, most, caplog):
    """Every ligand runs at 4 fs, and in rigid water at 5 fs."""
    with caplog.at_level(logging.INFO, logger="nnpmm"):
        prepared = checked(settings(smiles, step, hydrogen_mass="3 amu", constraints="keep"))
    factor = prepared.model_provenance["mass_factor"]
    assert least <= factor <= most
    assert ("masses are multiplied" in caplog.text) == (factor > 1)
    plain = checked(settings(smiles, "1 fs", hydrogen_mass="3 amu", constraints="keep"))
    assert plain.model_provenance["mass_factor"] == 1
    assert masses(prepared) == pytest.approx([factor * mass for mass in masses(plain)])


def test_limit_of_the_water_is_reported():
    """Masses of the region do not help, so the message gives the limit of the water."""
    config = settings("CO", "8 fs", hydrogen_mass="3 amu", constraints="keep")
    with pytest.raises(ConfigError, match=r"timestep: found 8 fs, .*at most 5 fs$"):
        prepare_system(config)


def test_given_mass_factor_is_checked():
    config = settings("CC#N", "4 fs", hydrogen_mass="3 amu", constraints="keep", mass_factor=1.2)
    with pytest.raises(ConfigError, match=r"limit is (2\.9|3) fs: .* region.mass_factor to auto"):
        checked(config)


@pytest.mark.parametrize("value", [0.5, 11, "twice", True, None])
def test_invalid_mass_factors_are_refused(value):
    with pytest.raises(ConfigError, match=r"mass_factor: found .*allowed: auto, or a number"):
        settings("CO", "1 fs", mass_factor=value)


def motion(period, *, free=False):
    return RegionMotion(Vibration(period, (0, 1)), ("A:C1", "A:N1"), free)


def test_mass_factors_above_four_are_refused():
    with pytest.raises(ConfigError, match=r"6\.25 times as large, .* set timestep to at most 4 fs"):
        choose_mass_factor(motion(0.010), "auto", 0.005)
    assert choose_mass_factor(motion(0.010), 1.0, 0.005) == 1


@pytest.mark.parametrize(
    ("period", "factor", "steps"),
    [(0.040, 1, 10), (0.020, 1.96, 7), (0.014, 4, 7), (0.011, 4, 5.5)],
)
def test_auto_targets_seven_steps_per_period(period, factor, steps, caplog):
    """With the largest factor of four, fewer steps are accepted, down to five."""
    with caplog.at_level(logging.INFO, logger="nnpmm"):
        found = choose_mass_factor(motion(period), "auto", 0.004)
    assert found == pytest.approx(factor)
    assert motion(period).scaled(found).vibration.period / 0.004 == pytest.approx(steps)
    assert (f"then has {steps:.1f} steps of 4 fs per period" in caplog.text) == (factor > 1)


def test_auto_targets_five_steps_per_period_for_respa():
    for free in (False, True):
        found = choose_mass_factor(motion(0.010, free=free), "auto", 0.004, respa=True)
        assert found == pytest.approx(4)
        assert choose_mass_factor(motion(0.020, free=free), "auto", 0.004, respa=True) == 1
    assert choose_mass_factor(motion(0.010, free=True), "auto", 0.004) == 1


def test_surroundings_are_checked_before_the_network_is_loaded(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("the network was loaded")

    monkeypatch.setattr("nnpmm.models.registry.load_model", fail)
    flexible = water_box()
    for index in reversed(range(flexible.system.getNumConstraints())):
        flexible.system.removeConstraint(index)
    config = settings("CO", "2 fs", selection="resid 0")
    with pytest.raises(ConfigError, match=r"limit is 1 fs: the hydrogen HOH2:H1 of .*rigid_water"):
        prepare_system(config, flexible)


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        ("free hydrogen", "system.constraints"),
        ("light hydrogen", "system.hydrogen_mass to 3 amu"),
        ("free vibration", "region.constraints to keep"),
        ("vibration", "region.mass_factor to auto"),
        ("bonded terms", "at most 2.3 fs$"),
        ("not validated", "at most 2.3 fs$"),
    ],
)
def test_each_cause_has_its_remedy(cause, remedy):
    limit = TimestepLimit(0.00237, cause, "this and that")
    check_timestep(limit, 0.00237)
    with pytest.raises(ConfigError, match=f"the limit is 2.3 fs: this and that; .*{remedy}"):
        check_timestep(limit, 0.0025)
