"""Hydrogen mass repartitioning and scaled masses."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest
from openmm import app, unit

from nnpmm.core.errors import ConfigError, ForceFieldError, InputFileError
from nnpmm.integrators import apply_hydrogen_mass, scale_masses
from nnpmm.structures import molecule_from_smiles, parameterize, solvate


@pytest.fixture(scope="module")
def box():
    molecule = molecule_from_smiles("CC(=O)Nc1ccc(O)cc1", seed=1)
    return solvate(molecule, parameterize(molecule), padding=0.5, nonbonded_cutoff=0.6, seed=1)


def masses(system):
    return np.array(
        [
            system.getParticleMass(i).value_in_unit(unit.dalton)
            for i in range(system.getNumParticles())
        ]
    )


@pytest.mark.parametrize("mass", [3.0, 2.5 * unit.dalton])
def test_total_mass_is_conserved_and_hydrogens_have_the_mass(box, mass):
    system = copy.deepcopy(box.system)
    before = masses(system)
    apply_hydrogen_mass(system, box.topology, mass)
    after = masses(system)
    np.testing.assert_allclose(after.sum(), before.sum(), rtol=1e-12)
    ligand = set(box.ligand_atoms)
    value = mass if isinstance(mass, float) else mass._value
    for atom in box.topology.atoms():
        if atom.index in ligand and atom.element.symbol == "H":
            assert after[atom.index] == value
        if atom.index not in ligand:
            assert after[atom.index] == before[atom.index]
    for residue in box.topology.residues():  # the mass of each molecule is conserved
        rows = [atom.index for atom in residue.atoms()]
        np.testing.assert_allclose(after[rows].sum(), before[rows].sum(), rtol=1e-12)


def test_repartitioning_is_idempotent(box):
    system = copy.deepcopy(box.system)
    apply_hydrogen_mass(system, box.topology, 3.0)
    once = masses(system)
    apply_hydrogen_mass(system, box.topology, 3.0)
    np.testing.assert_allclose(masses(system), once, rtol=1e-12)


def molecule(symbol, n_hydrogens, bonds=1):
    topology, system = app.Topology(), openmm.System()
    residue = topology.addResidue("MOL", topology.addChain())
    heavy = topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    system.addParticle(heavy.element.mass)
    for i in range(n_hydrogens):
        atom = topology.addAtom(f"H{i}", app.Element.getBySymbol("H"), residue)
        system.addParticle(atom.element.mass)
        for _ in range(bonds):
            topology.addBond(heavy, atom)
    return topology, system


def test_too_large_hydrogen_mass_is_refused():
    topology, system = molecule("C", 4)
    apply_hydrogen_mass(system, topology, 3.2)
    topology, system = molecule("C", 4)
    before = masses(system)
    with pytest.raises(ForceFieldError, match=r"MOL1:C would keep only 2\.\d+ amu, less than"):
        apply_hydrogen_mass(system, topology, 3.5)
    np.testing.assert_array_equal(masses(system), before)


@pytest.mark.parametrize("bonds", [0, 2])
def test_hydrogen_without_exactly_one_bond_is_refused(bonds):
    topology, system = molecule("C", 3, bonds)
    with pytest.raises(ForceFieldError, match=f"MOL1:H0 has {bonds} bonds in the topology"):
        apply_hydrogen_mass(system, topology, 3.0)


@pytest.mark.parametrize("mass", [-1.0, 0.0, float("nan"), float("inf")])
def test_invalid_masses_are_refused(mass):
    topology, system = molecule("C", 4)
    before = masses(system)
    with pytest.raises(ConfigError, match=f"found a hydrogen mass of {mass:g} amu, allowed: more"):
        apply_hydrogen_mass(system, topology, mass)
    np.testing.assert_array_equal(masses(system), before)


def test_topology_with_wrong_number_of_atoms_is_refused():
    topology, system = molecule("C", 4)
    system.addParticle(1.0)
    with pytest.raises(InputFileError, match="the topology has 5 atoms, but the system has 6"):
        apply_hydrogen_mass(system, topology, 3.0)


def test_scaled_masses():
    system = openmm.System()
    for mass in (1.0, 12.0, 16.0):
        system.addParticle(mass)
    scale_masses(system, [0, 1], 2)
    assert [system.getParticleMass(i)._value for i in range(3)] == [2.0, 24.0, 16.0]
    with pytest.raises(ConfigError, match="allowed: 1 or more"):
        scale_masses(system, [0], 0.5)
    system.addConstraint(1, 2, 0.1)
    with pytest.raises(ForceFieldError, match="give whole molecules"):
        scale_masses(system, [0, 1], 2)


def test_scaled_masses_do_not_change_the_configurational_distribution():
    """The variance of a particle in a harmonic well is kT/k for any mass."""
    variances = []
    for factor in (1, 4):
        system = openmm.System()
        system.addParticle(1.0)
        well = openmm.CustomExternalForce("50*x^2")
        well.addParticle(0)
        system.addForce(well)
        scale_masses(system, [0], factor)
        integrator = openmm.LangevinMiddleIntegrator(300, 5, 0.05)
        integrator.setRandomNumberSeed(4)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, integrator, platform)
        context.setPositions([[0, 0, 0]])
        places = []
        for _ in range(6000):
            integrator.step(10)
            places.append(context.getState(positions=True).getPositions(asNumpy=True)._value[0, 0])
        variances.append(np.var(places))
    assert variances == pytest.approx([2.494 / 100] * 2, rel=0.08)
