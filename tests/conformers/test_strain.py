"""Strain of a pose, its restraint, and implicit water."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import openmm
import pytest
from conftest import shared_data
from openmm import app, unit
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from nnpmm.conformers import (
    Ensemble,
    FlatBottom,
    SumPotential,
    bind_implicit_water,
    relax_pose,
    strain_of,
)
from nnpmm.core.errors import ForceFieldError
from nnpmm.models import OpenMMPotential
from nnpmm.structures import create_ligand_system, molecule_from_smiles, parameterize
from nnpmm.torsions import relax_all, valence_terms


def force_field(molecule):
    system = create_ligand_system(molecule, parameterize(molecule, provider="fallback"))
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    return OpenMMPotential(system).bind(numbers, Chem.GetFormalCharge(molecule))


def positions_of(molecule):
    return 0.1 * np.array(molecule.GetConformer().GetPositions())


def numeric_forces(potential, positions, step=1e-6):
    flat = step * np.eye(positions.size).reshape(-1, *positions.shape)
    up, down = (potential.batch(positions + sign * flat).energies for sign in (1, -1))
    return -((up - down) / (2 * step)).reshape(positions.shape)


def test_the_restraint_is_flat_within_its_width_and_harmonic_beyond():
    reference = np.zeros((3, 3))
    restraint = FlatBottom(reference, np.array([0, 2]), 0.03, 1000.0)
    inside, outside = np.zeros((2, 3, 3))
    inside[0, 0], inside[1] = 0.029, 5.0  # atom 1 is free
    outside[2, 1] = 0.05
    found = restraint.batch(np.array([inside, outside]))
    assert found.energies == pytest.approx([0.0, 0.5 * 1000 * 0.02**2])
    assert not found.forces[0].any()
    numeric = numeric_forces(restraint, outside)
    assert np.abs(found.forces[1] - numeric).max() < 1e-5


def test_the_sum_adds_up_members_too():
    molecule = molecule_from_smiles("CO", seed=1)
    one = force_field(molecule)
    restraint = FlatBottom(np.zeros((6, 3)), np.arange(6), 0.0, 10.0)
    geometry = positions_of(molecule)[None]
    potentials = SumPotential(one, (restraint,)), one, restraint
    both, alone, more = (potential.batch(geometry) for potential in potentials)
    assert both.energies == pytest.approx(alone.energies + more.energies)
    assert both.member_energies == pytest.approx(alone.member_energies + more.energies[:, None])
    assert np.abs(both.forces - alone.forces - more.forces).max() < 1e-9


@pytest.mark.data
def test_implicit_water_is_that_of_openmm_for_amber_files():
    """A guest of CB7: OpenMM reads radii and scales from the Amber topology."""
    folder = shared_data("cb7-b2")
    prmtop = app.AmberPrmtopFile(str(folder / "ligand.prmtop"))
    positions = app.AmberInpcrdFile(str(folder / "ligand.inpcrd")).positions
    system = prmtop.createSystem(implicitSolvent=app.OBC2)
    (force,) = [f for f in system.getForces() if isinstance(f, openmm.GBSAOBCForce)]
    force.setForceGroup(7)
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(positions)
    expected = context.getState(energy=True, groups={7}).getPotentialEnergy()._value

    from nnpmm.structures.ligands.amber import molecule_from_amber

    molecule, parameters = molecule_from_amber(folder / "ligand.prmtop", folder / "ligand.inpcrd")
    # nnpmm rounds the total charge to a whole number.
    rows = (force.getParticleParameters(i) for i in range(force.getNumParticles()))
    charges = np.array([charge._value for charge, *_ in rows])
    assert np.abs(charges - parameters.charges).max() < 1e-3
    water = bind_implicit_water(molecule, replace(parameters, charges=charges))
    geometry = np.array(positions.value_in_unit(unit.nanometer))
    found = water.batch(geometry[None])
    assert found.energies[0] == pytest.approx(expected, abs=0.01)
    numeric = numeric_forces(water, geometry, step=1e-5)
    assert np.abs(found.forces[0] - numeric).max() < 0.05


def test_an_ion_is_solvated_by_borns_energy():
    """A charge q in a sphere of radius a gains q^2/(8 pi eps0 a) (1 - 1/78.5)."""
    molecule = molecule_from_smiles("[NH4+]", seed=1)
    parameters = parameterize(molecule, provider="fallback")
    water = bind_implicit_water(molecule, parameters)
    energy = water.batch(positions_of(molecule)[None]).energies[0]
    # Between the Born energies of spheres of 0.16 and 0.25 nm.
    born = [-0.5 * 138.935 * (1 - 1 / 78.5) / radius for radius in (0.16, 0.25)]
    assert born[0] < energy < born[1]


def test_an_element_without_a_radius_is_refused():
    molecule = molecule_from_smiles("CCBr", seed=1)
    parameters = parameterize(molecule, provider="fallback")
    with pytest.raises(ForceFieldError, match=r"found Br.*use vacuum"):
        bind_implicit_water(molecule, parameters)


def minimum_at(molecule, angle):
    """Return butane's minimum next to an angle, and its energy."""
    rdMolTransforms.SetDihedralDeg(molecule.GetConformer(), 0, 1, 2, 3, angle)
    found = relax_all(force_field(molecule), positions_of(molecule)[None], valence_terms(molecule))
    return found.positions[0], found.energies[0]


def test_strain_of_gauche_and_of_twisted_butane():
    """A gauche pose is strained by gauche less anti; one at 95 degrees by more, until released."""
    molecule = molecule_from_smiles("CCCC", seed=1)
    anti, lowest = minimum_at(molecule, 180.0)
    gauche, higher = minimum_at(molecule, 65.0)
    members = np.array([[lowest]])
    ensemble = Ensemble(molecule, anti[None], np.array([lowest]), members, np.ones(1), 298.15)
    potential = force_field(molecule)

    molecule.GetConformer().SetPositions(10 * gauche)
    pose = relax_pose(molecule, potential, width=0.03, constant=10_000.0)
    strain = strain_of(pose, ensemble)
    assert strain.restrained == pytest.approx(higher - lowest, abs=0.02)
    assert strain.minimum == pytest.approx(higher - lowest, abs=0.02)
    assert pose.moved < 1e-3 and pose.minimum_moved < 1e-3

    rdMolTransforms.SetDihedralDeg(molecule.GetConformer(), 0, 1, 2, 3, 95.0)
    strains = []
    for width in (0.0, 0.002, 0.005):
        pose = relax_pose(molecule, potential, width=width, constant=100_000.0)
        strains.append(strain_of(pose, ensemble))
        assert strains[-1].minimum == pytest.approx(higher - lowest, abs=0.02)
        assert pose.moved < pose.minimum_moved
    energies = [s.restrained for s in strains]
    assert energies[0] > energies[1] > energies[2] > strains[0].minimum + 0.1
