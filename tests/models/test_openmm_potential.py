"""A System of a molecule as a potential: the contract of potentials, and coupling."""

from __future__ import annotations

import pickle

import numpy as np
import openmm
import pytest
from contracts import (
    assert_conserves_energy,
    assert_forces_match_energy,
    assert_invariant,
    assert_no_net_force_or_torque,
)

import nnpmm
from nnpmm import structures
from nnpmm.core.errors import ConfigError, ForceFieldError, RegionError, SimulationError
from nnpmm.models import Evaluator, OpenMMPotential, Potential


@pytest.fixture(scope="module")
def acetamide():
    molecule = structures.molecule_from_smiles("CC(N)=O", seed=1)
    topology, positions = structures.to_openmm_topology(molecule)
    system = structures.create_ligand_system(molecule, structures.parameterize(molecule))
    numbers = [atom.element.atomic_number for atom in topology.atoms()]
    return topology, positions, system, numbers


@pytest.fixture(scope="module")
def evaluator(acetamide):
    return OpenMMPotential(acetamide[2]).bind(acetamide[3])


def test_implements_the_potential_protocol(acetamide, evaluator):
    assert isinstance(OpenMMPotential(acetamide[2]), Potential)
    assert isinstance(evaluator, Evaluator)


def test_energy_and_forces_match_the_system(acetamide, evaluator):
    _, positions, system, _ = acetamide
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    energy, forces = evaluator(positions)
    assert energy == pytest.approx(state.getPotentialEnergy()._value, abs=1e-9)
    np.testing.assert_allclose(forces, state.getForces(asNumpy=True)._value, rtol=0, atol=1e-9)


def test_contract(acetamide, evaluator):
    positions = acetamide[1] + np.random.default_rng(2).normal(0, 0.003, acetamide[1].shape)
    assert_forces_match_energy(evaluator, positions, atol=0.05)
    assert_invariant(evaluator, positions, atol=1e-6)
    assert_no_net_force_or_torque(evaluator(positions)[1], positions, atol=1e-6)
    masses = np.array([atom.element.mass._value for atom in acetamide[0].atoms()])
    assert_conserves_energy(evaluator, positions, masses)


def test_batches_and_copies(acetamide, evaluator):
    positions = acetamide[1]
    geometries = np.stack([positions, 1.01 * positions])
    found = evaluator.batch(geometries)
    copy = pickle.loads(pickle.dumps(evaluator))
    for k, geometry in enumerate(geometries):
        energy, forces = copy(geometry)
        assert found.energies[k] == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(found.forces[k], forces, rtol=0, atol=1e-9)
    assert found.member_energies.shape == (2, 1)


def test_coupling_to_itself_reproduces_the_force_field(acetamide):
    """The region's own force field in place of the network: nothing changes."""
    topology, positions, system, _ = acetamide
    region = range(topology.getNumAtoms())
    hybrid = nnpmm.couple(system, topology, region, OpenMMPotential(system))
    reference = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(hybrid.system, openmm.VerletIntegrator(0.001), reference)
    context.setPositions(positions)
    energy = context.getState(energy=True).getPotentialEnergy()._value
    assert energy == pytest.approx(hybrid.evaluator(positions)[0], abs=1e-6)


def test_other_systems_are_refused(acetamide):
    *_, system, numbers = acetamide
    with pytest.raises(RegionError, match="found 3 atoms, but the System of force field has 9;"):
        OpenMMPotential(system).bind([6, 1, 1])
    with pytest.raises(RegionError, match=r"found a charge of \+1 e, the System .* has [+-]0\.000"):
        OpenMMPotential(system).bind(numbers, charge=1)
    with pytest.raises(ConfigError, match="found platform 'GPU', allowed: "):
        OpenMMPotential(system, platform="GPU")
    periodic = openmm.System()
    periodic.addParticle(1.0)
    force = openmm.NonbondedForce()
    force.addParticle(0.0, 1.0, 0.0)
    force.setNonbondedMethod(openmm.NonbondedForce.PME)
    periodic.addForce(force)
    with pytest.raises(ForceFieldError, match="found a periodic System"):
        OpenMMPotential(periodic)
    sites = openmm.System()
    for mass in (1.0, 0.0, 1.0):
        sites.addParticle(mass)
    sites.setVirtualSite(1, openmm.TwoParticleAverageSite(0, 2, 0.5, 0.5))
    with pytest.raises(ForceFieldError, match="virtual site before an atom"):
        OpenMMPotential(sites)


def test_box_is_refused(acetamide, evaluator):
    with pytest.raises(SimulationError, match="has no periodic box"):
        evaluator(acetamide[1], 3 * np.eye(3))
