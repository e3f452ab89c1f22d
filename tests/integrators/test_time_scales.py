"""The network and the force field's terms beside it: sums over time scales, energy in dynamics."""

from __future__ import annotations

import numpy as np
import openmm
import pytest

from nnpmm import create_hybrid_system, ligands
from nnpmm.coupling import Mechanical
from nnpmm.coupling.forces import NEGATED_MM_FORCE_NAME
from nnpmm.errors import ConfigError, ForceFieldError
from nnpmm.integrators import create_respa_integrator, split_time_scales
from nnpmm.models import load_model

RESPA = Mechanical(time_scales="respa")


@pytest.fixture(scope="module")
def box():
    """Methanol in water, without constraints inside methanol, and its network."""
    molecule = ligands.molecule_from_smiles("CO", seed=1)
    return ligands.solvate(
        molecule,
        ligands.parameterize(molecule),
        padding=0.6,
        nonbonded_cutoff=0.7,
        seed=1,
        constrain_hydrogens=False,
    )


@pytest.fixture(scope="module")
def network():
    return load_model("ANI-1x", members=[0])


def hybrid(box, network, coupling=RESPA):
    return create_hybrid_system(
        box.system, box.topology, box.ligand_atoms, network, coupling=coupling
    )


def state_of(system, box, groups=-1):
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(box.positions)
    state = context.getState(energy=True, forces=True, groups=groups)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def assert_sum_is(system, splitting, expected, box):
    """The groups of a splitting add up to an energy and forces."""
    parts = [state_of(system, box, {group}) for _, group in splitting]
    assert sum(energy for energy, _ in parts) == pytest.approx(expected[0], abs=1e-3)
    np.testing.assert_allclose(sum(forces for _, forces in parts), expected[1], atol=0.02)


@pytest.mark.parametrize("middle", [None, 0.001])
def test_the_sum_over_time_scales_is_the_hybrid_system(box, network, middle):
    single = state_of(hybrid(box, network, Mechanical()), box)
    system = hybrid(box, network)
    splitting = split_time_scales(system, inner=0.0005, middle=middle, outer=0.002)
    assert [group for _, group in splitting] == ([0, 2] if middle is None else [0, 1, 2])
    assert_sum_is(system, splitting, single, box)


def test_a_wrong_splitting_is_noticed(box, network):
    """Fast terms that nobody takes off again."""
    single = state_of(hybrid(box, network, Mechanical()), box)
    system = hybrid(box, network)
    names = [force.getName() for force in system.getForces()]
    system.removeForce(names.index(NEGATED_MM_FORCE_NAME))
    splitting = split_time_scales(system, inner=0.0005, outer=0.002)
    with pytest.raises(AssertionError):
        assert_sum_is(system, splitting, single, box)


def test_fast_forces_hold_the_ligand_together(box, network):
    """Their forces on the region are the force field's bonded ones, to the last digit."""
    fast = hybrid(box, network)
    split_time_scales(fast, inner=0.0005, outer=0.002)
    alone = ligands_bonded(box)
    expected = state_of(alone, box)[1][box.ligand_atoms]
    np.testing.assert_allclose(
        state_of(fast, box, {0})[1][box.ligand_atoms], expected, rtol=0, atol=1e-6
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


def test_energy_is_kept(box, network):
    """Four inner steps to one outer step, without a thermostat."""
    system = hybrid(box, network)
    splitting = split_time_scales(system, inner=0.0005, outer=0.002)
    context = openmm.Context(system, create_respa_integrator(system, splitting))
    context.setPositions(box.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10, 50)
    context.setVelocitiesToTemperature(200, 3)
    context.getIntegrator().step(50)
    energies = []
    for _ in range(50):
        context.getIntegrator().step(2)
        state = context.getState(energy=True)
        energies.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
    kinetic = state.getKineticEnergy()._value
    assert np.std(energies) < 0.01 * kinetic
    assert abs(np.mean(energies[25:]) - np.mean(energies[:25])) < 0.01 * kinetic


def test_interpolation_has_no_time_scales():
    with pytest.raises(ConfigError, match="allowed: one of them"):
        Mechanical(interpolate=True, time_scales="respa")
    with pytest.raises(ConfigError, match="allowed: 'single', 'respa'"):
        Mechanical(time_scales="both")


def test_bonds_without_a_term_are_refused(network):
    molecule = ligands.molecule_from_smiles("CO", seed=1)
    box = ligands.solvate(
        molecule, ligands.parameterize(molecule), padding=0.6, nonbonded_cutoff=0.7, seed=1
    )
    with pytest.raises(ForceFieldError, match="no bond term, so nothing but the network"):
        hybrid(box, network)
    kept = hybrid(box, network, Mechanical(time_scales="respa", constraints="keep"))
    assert any(force.getName() == NEGATED_MM_FORCE_NAME for force in kept.getForces())
