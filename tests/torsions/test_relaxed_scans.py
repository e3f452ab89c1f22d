"""Relaxed scans: known profiles, both directions, interruptions, other potentials."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from rdkit.Chem import rdMolTransforms
from torsions.molecules import force_field, molecule_and_force_field, positions_of

from nnpmm.core.errors import ConfigError, SimulationError
from nnpmm.structures import create_ligand_system, molecule_from_smiles, parameterize
from nnpmm.torsions import (
    energies_along,
    find_rotatable_bonds,
    relax_along,
    rotatable_bond,
    scan_torsions,
    valence_terms,
)
from nnpmm.torsions.scan import Chains, grid


@pytest.fixture(scope="module")
def pentane():
    molecule, evaluator = molecule_and_force_field("CCCCC")
    for torsion in ((0, 1, 2, 3), (1, 2, 3, 4)):
        rdMolTransforms.SetDihedralDeg(molecule.GetConformer(), *torsion, 180.0)
    bonds, terms = find_rotatable_bonds(molecule), valence_terms(molecule)
    scan = scan_torsions(evaluator, positions_of(molecule), bonds, terms, spacing=30.0)
    return molecule, evaluator, bonds, terms, scan


def test_profile_of_a_molecule_with_one_torsion_term():
    """Two planar rotors that interact through one Fourier term alone: the profile is that term."""
    molecule = molecule_from_smiles("OO", seed=1)
    system = create_ligand_system(molecule, parameterize(molecule, provider="fallback"))
    for index, force in enumerate(system.getForces()):
        if isinstance(force, openmm.PeriodicTorsionForce):
            torsion = index
    system.removeForce(torsion)
    nonbonded = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    for index in range(nonbonded.getNumExceptions()):
        i, j, *_ = nonbonded.getExceptionParameters(index)
        nonbonded.setExceptionParameters(index, i, j, 0.0, 0.1, 0.0)
    term = openmm.PeriodicTorsionForce()
    bond = rotatable_bond(molecule, 0, 1)
    term.addTorsion(*bond.torsion, 3, 0.4, 9.0)
    system.addForce(term)
    scan = scan_torsions(
        force_field(molecule, system), positions_of(molecule), [bond], valence_terms(molecule)
    )
    expected = 9.0 * (1 + np.cos(3 * np.radians(scan.angles) - 0.4))
    np.testing.assert_allclose(scan.energies[0], expected, atol=1e-3, rtol=0)
    assert scan.hysteresis.max() < 1e-3


def test_symmetric_bonds_have_one_profile(pentane):
    *_, scan = pentane
    np.testing.assert_allclose(scan.energies[0], scan.energies[1], atol=0.1, rtol=0)
    mirrored = np.concatenate([scan.energies[0, -2::-1], scan.energies[0, -1:]])
    np.testing.assert_allclose(scan.energies[0], mirrored, atol=0.1, rtol=0)
    assert scan.angles[scan.energies[0].argmin()] == 180.0


def test_energies_belong_to_the_geometries(pentane):
    _, evaluator, _, _, scan = pentane
    np.testing.assert_allclose(energies_along(evaluator, scan), scan.energies, atol=1e-6, rtol=0)


def test_bonds_together_as_alone(pentane):
    molecule, evaluator, bonds, terms, scan = pentane
    alone = scan_torsions(evaluator, positions_of(molecule), bonds[1:], terms, spacing=30.0)
    np.testing.assert_allclose(alone.energies[0], scan.energies[1], atol=0.05, rtol=0)


def test_a_scan_goes_on_where_it_stopped(pentane):
    molecule, evaluator, bonds, terms, scan = pentane
    kept: list[Chains] = []

    def stop(chains):
        if chains.done == 4:
            kept.append(chains)
            raise KeyboardInterrupt

    x = positions_of(molecule)
    with pytest.raises(KeyboardInterrupt):
        scan_torsions(evaluator, x, bonds, terms, spacing=30.0, report=stop)
    steps: list[int] = []
    rest = scan_torsions(
        evaluator, x, bonds, terms, spacing=30.0, chains=kept[0],
        report=lambda chains: steps.append(chains.done),
    )  # fmt: skip
    assert steps == list(range(5, 13))
    np.testing.assert_allclose(rest.energies, scan.energies, atol=1e-6, rtol=0)


def test_the_lower_of_both_directions_is_kept():
    """Turning an acid past its hydrogen bond leaves the hydroxyl group behind."""
    molecule, evaluator = molecule_and_force_field("OCCC(=O)O")
    bonds, terms = find_rotatable_bonds(molecule), valence_terms(molecule)
    chains: list[Chains] = []
    scan = scan_torsions(evaluator, positions_of(molecule), bonds, terms, report=chains.append)
    both = chains[-1].energies
    np.testing.assert_allclose(scan.hysteresis, np.abs(both[:, 0] - both[:, 1]), rtol=0)
    assert scan.hysteresis.max() > 1.0
    assert (scan.energies <= both.min(axis=1) + 1e-9).all()


def test_other_potential_on_the_same_conformers(pentane):
    molecule, _, _, terms, scan = pentane
    system = create_ligand_system(molecule, parameterize(molecule, provider="fallback"))
    bonds = next(f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce))
    for index in range(bonds.getNumBonds()):
        i, j, length, k = bonds.getBondParameters(index)
        bonds.setBondParameters(index, i, j, 1.02 * length, k)
    other = force_field(molecule, system)
    again = relax_along(other, scan, terms)
    assert (again.energies < energies_along(other, scan) - 1.0).all()
    assert np.ptp(again.energies - scan.energies) < 0.3 * np.ptp(scan.energies)
    assert (again.hysteresis == 0).all()


@pytest.mark.parametrize("spacing", [0.0, -15.0, 7.0, 90.0, 0.5])
def test_spacings_that_do_not_divide_the_circle(spacing):
    with pytest.raises(ConfigError, match="divisor of 360"):
        grid(spacing)


def test_a_broken_bond_is_an_error(pentane):
    molecule, _, _, terms, scan = pentane
    broken = openmm.System()
    for atom in molecule.GetAtoms():
        broken.addParticle(1.0 + atom.GetIdx())
    force = openmm.CustomBondForce("500*(r-0.4)^2")
    for i, j in terms.bonds:
        force.addBond(int(i), int(j))
    broken.addForce(force)
    with pytest.raises(SimulationError, match="broke the bond"):
        relax_along(force_field(molecule, broken), scan, terms)
