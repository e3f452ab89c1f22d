"""Time scales of the network and an inner force field: sums, and energy conservation."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from boxes import solvated, state_of, total_energies

from nnpmm import couple, create_hybrid_system
from nnpmm.core.errors import ConfigError, ForceFieldError
from nnpmm.coupling import Mechanical, MultipleTimeSteps, Role, role_of
from nnpmm.integrators import create_respa_integrator, respa, split_time_scales
from nnpmm.models import load_model

RESPA = Mechanical(inside=MultipleTimeSteps())


@pytest.fixture(scope="module")
def box():
    """Methanol in water, without constraints inside methanol, and its network."""
    return solvated("CO")


@pytest.fixture(scope="module")
def network():
    return load_model("ANI-1x", members=[0])


def hybrid(box, network, coupling=RESPA):
    return create_hybrid_system(
        box.system, box.topology, box.ligand_atoms, network, coupling=coupling
    )


def assert_sum_is(system, splitting, expected, box):
    """The groups of a splitting add up to an energy and forces."""
    parts = [state_of(system, box.positions, {group}) for _, group in splitting]
    assert sum(energy for energy, _ in parts) == pytest.approx(expected[0], abs=1e-3)
    np.testing.assert_allclose(sum(forces for _, forces in parts), expected[1], rtol=0, atol=0.02)


@pytest.mark.parametrize("middle", [None, 0.001])
def test_time_scales_add_up_to_the_hybrid_system(box, network, middle):
    single = state_of(hybrid(box, network, Mechanical()), box.positions)
    system = hybrid(box, network)
    splitting = split_time_scales(system, inner=0.0005, middle=middle, outer=0.002)
    assert [group for _, group in splitting] == ([0, 2] if middle is None else [0, 1, 2])
    assert_sum_is(system, splitting, single, box)


def test_missing_negated_inner_potential_changes_the_sum(box, network):
    """Without the negated inner potential, the force field is counted twice."""
    single = state_of(hybrid(box, network, Mechanical()), box.positions)
    system = hybrid(box, network)
    names = [force.getName() for force in system.getForces()]
    system.removeForce(names.index(Role.NEGATED_INNER_POTENTIAL.value))
    splitting = split_time_scales(system, inner=0.0005, outer=0.002)
    with pytest.raises(AssertionError):
        assert_sum_is(system, splitting, single, box)


def test_fast_forces_are_the_bonded_forces_of_the_force_field(box, network):
    """The fast forces on the region equal the bonded forces of the force field."""
    fast = hybrid(box, network)
    split_time_scales(fast, inner=0.0005, outer=0.002)
    alone = ligands_bonded(box)
    expected = state_of(alone, box.positions)[1][box.ligand_atoms]
    np.testing.assert_allclose(
        state_of(fast, box.positions, {0})[1][box.ligand_atoms], expected, rtol=0, atol=1e-6
    )
    assert np.abs(expected).max() > 100


def ligands_bonded(box) -> openmm.System:
    """The bonded forces of the MM system alone."""
    system = openmm.System()
    for index in range(box.system.getNumParticles()):
        system.addParticle(box.system.getParticleMass(index))
    for force in box.system.getForces():
        if isinstance(
            force,
            (openmm.HarmonicBondForce, openmm.HarmonicAngleForce, openmm.PeriodicTorsionForce),
        ):
            system.addForce(openmm.XmlSerializer.clone(force))
    return system


def test_energy_is_conserved(box, network):
    """Without a thermostat. Outer steps of 2 fs can be resonant."""
    system = hybrid(box, network)
    splitting = split_time_scales(system, inner=0.00025, outer=0.001)
    integrator = create_respa_integrator(system, splitting)
    energies, kinetic = total_energies(system, integrator, box.positions, 50)
    assert energies.std() < 0.002 * kinetic
    assert abs(energies[25:].mean() - energies[:25].mean()) < 0.01 * kinetic


def test_options_of_the_coupling_must_be_objects():
    with pytest.raises(ConfigError, match=r"found inside='respa', allowed: Replaced\(\)"):
        Mechanical(inside="respa")
    with pytest.raises(ConfigError, match=r"found boundary=True, allowed: None, LinkAtoms\(\)"):
        Mechanical(boundary=True)


def test_bonds_without_a_term_are_refused(network):
    box = solvated("CO", constrained=True)
    with pytest.raises(
        ForceFieldError, match="that have neither a bond nor an angle term, so only"
    ):
        hybrid(box, network)
    kept = hybrid(box, network, Mechanical(inside=MultipleTimeSteps(), constraints="keep"))
    assert any(role_of(force) is Role.NEGATED_INNER_POTENTIAL for force in kept.getForces())


@pytest.mark.parametrize(
    "arguments",
    [
        {"inner": 0.0005, "outer": 0.002},
        {"inner": 0.0005, "outer": 0.004, "middle": 0.002, "short_range": (0.4, 0.55)},
    ],
)
def test_respa_matches_split_and_create(box, network, arguments):
    """One call gives the same levels and force groups as two."""
    hybrid_system = couple(box.system, box.topology, box.ligand_atoms, network, coupling=RESPA)
    found = respa(hybrid_system, **arguments, temperature=310, friction=2, seed=3)
    system = hybrid(box, network)
    splitting = split_time_scales(system, **arguments)
    expected = create_respa_integrator(system, splitting, temperature=310, friction=2)
    assert found.levels == expected.levels
    assert found.getTemperature() == expected.getTemperature()
    name = "friction_factor"
    assert found.getGlobalVariableByName(name) == expected.getGlobalVariableByName(name)
    groups = [force.getForceGroup() for force in hybrid_system.system.getForces()]
    assert groups == [force.getForceGroup() for force in system.getForces()]
    assert found.getRandomNumberSeed() == 3


def test_refused_thermostat_does_not_change_force_groups(box, network):
    found = couple(box.system, box.topology, box.ligand_atoms, network, coupling=RESPA)
    groups = [force.getForceGroup() for force in found.system.getForces()]
    with pytest.raises(ConfigError, match="one of temperature and friction"):
        respa(found, inner=0.0005, outer=0.002, temperature=310)
    assert [force.getForceGroup() for force in found.system.getForces()] == groups


def test_respa_needs_an_inner_potential(box, network):
    plain = couple(
        box.system, box.topology, box.ligand_atoms, network, coupling=Mechanical(constraints="keep")
    )
    with pytest.raises(ConfigError, match=r"without an inner potential; couple it with inside="):
        respa(plain, inner=0.0005, outer=0.002)
