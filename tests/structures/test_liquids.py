"""Boxes of organic liquids: packed without overlap, with the molecule's own parameters."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from openmm import unit
from scipy.spatial.distance import pdist

from nnpmm.core.errors import ConfigError
from nnpmm.structures import (
    create_ligand_system,
    create_liquid,
    dissolve,
    molecule_from_smiles,
    parameterize,
    typical_density,
)
from nnpmm.structures.packing import pack

# g/ml at 20 or 25 C: CRC Handbook of Chemistry and Physics.
DENSITIES = {
    "Cc1ccccc1": 0.8623,
    "CC#N": 0.7766,
    "CS(C)=O": 1.0955,
    "ClC(Cl)Cl": 1.4788,
    "CCCCCC": 0.6606,
    "CCCCCCCCO": 0.8262,
}


def molecule(smiles: str):
    found = molecule_from_smiles(smiles, seed=1)
    return found, parameterize(found, provider="fallback")


def nearest(first: np.ndarray, second: np.ndarray, width: float) -> float:
    difference = first[:, None] - second[None]
    difference -= width * np.round(difference / width)
    return float(np.linalg.norm(difference, axis=-1).min())


def test_packed_molecules_are_rigid_and_apart():
    shape = np.random.default_rng(1).uniform(0, 0.4, (6, 3))
    fixed = np.array([[0.05, 1.0, 1.0]])  # next to a face, whose image is across
    placed = pack(shape, 25, 2.0, fixed=fixed, distance=0.25, seed=2)
    assert placed.shape == (25, 6, 3)
    for one in placed:
        np.testing.assert_allclose(pdist(one), pdist(shape), rtol=0, atol=1e-12)
    for index, one in enumerate(placed):
        assert nearest(one, fixed, 2.0) >= 0.25
        for other in placed[:index]:
            assert nearest(one, other, 2.0) >= 0.25
    again = pack(shape, 25, 2.0, fixed=fixed, distance=0.25, seed=2)
    np.testing.assert_array_equal(again, placed)


def test_orientations_are_uniform():
    rod = np.array([[-0.05, 0, 0], [0.05, 0, 0]])
    placed = pack(rod, 800, 4.0, distance=0.05, seed=3)
    axes = (placed[:, 1] - placed[:, 0]) / 0.1
    assert np.abs(axes.mean(axis=0)).max() < 4 * (1 / 3 / 800) ** 0.5
    np.testing.assert_allclose(axes.T @ axes / 800, np.eye(3) / 3, rtol=0, atol=0.05)


def test_a_full_or_narrow_box_is_refused():
    with pytest.raises(ConfigError, match=r"found room for \d+ of 100 molecules"):
        pack(np.zeros((1, 3)), 100, 1.0, distance=0.4)
    with pytest.raises(ConfigError, match=r"a molecule 1\.50 nm long"):
        pack(np.array([[0.0, 0, 0], [1.5, 0, 0]]), 1, 1.0)


@pytest.mark.parametrize("smiles", DENSITIES)
def test_typical_density(smiles):
    found, _ = molecule(smiles)
    assert typical_density(found) == pytest.approx(DENSITIES[smiles], rel=0.15)


def test_a_solute_in_a_liquid():
    solute, solvent = molecule("CO"), molecule("CC#N")
    box = dissolve(*solute, *solvent, padding=0.6, nonbonded_cutoff=0.65, hydrogen_mass=3.0)
    residues = list(box.topology.residues())
    assert [residue.name for residue in residues] == ["MOL"] + ["SLV"] * (len(residues) - 1)
    assert box.ligand_atoms.tolist() == list(range(6))
    (force,) = (f for f in box.system.getForces() if isinstance(f, openmm.NonbondedForce))
    assert force.getUseDispersionCorrection()
    assert force.getNonbondedMethod() == openmm.NonbondedForce.PME
    charges = [force.getParticleParameters(i)[0]._value for i in range(force.getNumParticles())]
    np.testing.assert_allclose(charges[:6], solute[1].charges, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        np.reshape(charges[6:], (-1, 6)), [solvent[1].charges] * (len(residues) - 1), atol=1e-9
    )
    # Half the density of the liquid: whole box, without the solute's share.
    mass = (len(residues) - 1) * 41.05 + 32.04
    density = 1.66054e-3 * mass / box.box_vectors[0, 0] ** 3
    assert 0.4 < density / typical_density(solvent[0]) < 0.6
    np.testing.assert_allclose(
        box.topology.getPeriodicBoxVectors().value_in_unit(unit.nanometer), box.box_vectors
    )


def test_each_molecule_has_its_own_bonded_energy():
    """Rigid copies: N times the bonded energy of one molecule in vacuum."""
    solvent = molecule("CC(C)=O")
    box = create_liquid(*solvent, 40, nonbonded_cutoff=0.6, constrain_hydrogens=False)
    alone = create_ligand_system(*solvent)
    positions = solvent[0].GetConformer().GetPositions() * 0.1
    for force in (openmm.HarmonicBondForce, openmm.HarmonicAngleForce, openmm.PeriodicTorsionForce):
        whole = _energy(box.system, box.positions, force)
        assert whole == pytest.approx(40 * _energy(alone, positions, force), abs=1e-3, rel=0)


def _energy(system: openmm.System, positions: np.ndarray, kind: type) -> float:
    for force in system.getForces():
        force.setForceGroup(1 if isinstance(force, kind) else 0)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    return context.getState(energy=True, groups={1}).getPotentialEnergy()._value


def test_a_molecule_in_its_own_liquid():
    toluene = molecule("Cc1ccccc1")
    box = dissolve(*toluene, *toluene, padding=0.6, nonbonded_cutoff=0.6)
    assert box.system.getNumParticles() == 15 * box.topology.getNumResidues()


def test_invalid_solvents():
    charged, toluene = molecule("C[NH3+]"), molecule("Cc1ccccc1")
    with pytest.raises(ConfigError, match=r"molecule of charge \+1, allowed: neutral"):
        create_liquid(*charged, 100)
    with pytest.raises(ConfigError, match=r"about 1\.5. nm wide, .* 1\.98 nm or more; use more"):
        create_liquid(*toluene, 20, nonbonded_cutoff=0.9)


def test_a_box_is_wide_enough_for_the_cutoff():
    methane, acetonitrile = molecule("C"), molecule("CC#N")
    box = dissolve(*methane, *acetonitrile, padding=0.1, nonbonded_cutoff=0.9)
    measured = 41.05 / 0.777 / 602.2  # nm^3 of a molecule, from the density at 298 K
    assert (box.topology.getNumResidues() * measured) ** (1 / 3) > 1.8
