from __future__ import annotations

import openmm
import pytest
from openmm import unit

from nnpmm.errors import ConfigError
from nnpmm.simulation import check_timestep, parse_config
from nnpmm.simulation.runner import prepare_system


def make(hydrogen=1.008, constrained=True, water=False):
    """A C-H pair, and perhaps a rigid water, whose hydrogens keep 1 amu."""
    system = openmm.System()
    system.addParticle(12.0)
    system.addParticle(hydrogen)
    if constrained:
        system.addConstraint(0, 1, 0.11)
    if water:
        for mass in (16.0, 1.008, 1.008):
            system.addParticle(mass)
        for pair in ((2, 3), (2, 4), (3, 4)):
            system.addConstraint(*pair, 0.1)
    return system


@pytest.mark.parametrize(
    ("system", "region", "limit_fs"),
    [
        (make(constrained=False), (), 1),
        (make(2.0, constrained=False), (), 1),
        (make(3.0, constrained=False), (), 2),
        (make(), (), 2),
        (make(3.0), (), 4),
        (make(3.0, water=True), (), 4),
        (make(), (0, 1), 1),
        (make(3.0), (0, 1), 2),
        (make(3.0), (0,), 4),
        (make(6.0, water=True), (), 5),
        (make(6.0, constrained=False, water=True), (), 4),
        (make(12.1, constrained=False, water=True), (), 5),
    ],
)
def test_limit_follows_the_hydrogens(system, region, limit_fs):
    check_timestep(system, limit_fs * unit.femtosecond, region)
    with pytest.raises(ConfigError, match=rf"the limit is {limit_fs} fs: .*; set timestep to"):
        check_timestep(system, (limit_fs + 0.5) * 1e-3, region)


@pytest.mark.parametrize(("choice", "limit_fs"), [("none", 1), ("keep", 2)])
def test_a_run_heeds_the_constraints_that_its_region_keeps(choice, limit_fs, tmp_path):
    """nnpmm run checks the step before it loads the network, and couples as the settings say."""

    def prepare(step):
        settings = {
            "system": {"type": "build", "smiles": "CO", "padding": "0.6 nm", "cutoff": "0.7 nm"},
            "region": {"model": "ANI-1x", "members": 0, "constraints": choice},
            "timestep": f"{step} fs",
            "output": {"directory": str(tmp_path)},
        }
        return prepare_system(parse_config(settings))

    with pytest.raises(ConfigError, match=f"the limit is {limit_fs} fs"):
        prepare(4)
    prepared = prepare(limit_fs)
    region = set(prepared.region.tolist())
    pairs = [
        prepared.system.getConstraintParameters(k)[:2]
        for k in range(prepared.system.getNumConstraints())
    ]
    inside = [pair for pair in pairs if region.issuperset(pair)]
    assert len(inside) == (4 if choice == "keep" else 0)


def test_bonded_terms_of_the_force_field_keep_the_limit():
    def bonded(name, force, add, *parameters):
        system = make(6.0, water=True)
        getattr(force, add)(*parameters)
        force.setName(name)
        system.addForce(force)
        return system

    bond = ("addBond", 0, 1, 0.1, 0.0)
    check_timestep(bonded("region connectivity", openmm.HarmonicBondForce(), *bond), 0.005)
    angle = ("addAngle", 0, 1, 2, 2.0, 100.0)
    for system in (
        bonded("bonds", openmm.HarmonicBondForce(), *bond),
        bonded("angles", openmm.HarmonicAngleForce(), *angle),
    ):
        with pytest.raises(ConfigError, match="the limit is 4 fs: bonds of the force field"):
            check_timestep(system, 0.005)


def test_heavier_regions_run_with_longer_steps():
    """Benzene as in benchmarks/respa_faithful.py; without the factor 5 fs are refused."""

    def prepare(factor):
        settings = {
            "system": {
                "type": "build",
                "smiles": "c1ccccc1",
                "padding": "0.6 nm",
                "cutoff": "0.7 nm",
                "hydrogen_mass": "3 amu",
            },
            "region": {
                "model": "ANI-1x",
                "members": 0,
                "constraints": "keep",
                "mass_factor": factor,
            },
            "timestep": "5 fs",
        }
        return prepare_system(parse_config(settings))

    prepared = prepare(2)
    masses = [prepared.system.getParticleMass(int(i))._value for i in prepared.region]
    assert sorted(masses) == pytest.approx([6.0] * 6 + [20.05] * 6, abs=0.1)
    with pytest.raises(ConfigError, match=r"the limit is 4 fs: .*region\.mass_factor to 2"):
        prepare(1)
