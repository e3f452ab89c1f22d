"""A hybrid system whose potential is the force field, under a barostat, against the MM system."""

from __future__ import annotations

import copy

import numpy as np
import openmm
import pytest

import nnpmm
from nnpmm import structures
from nnpmm.models import OpenMMPotential


@pytest.fixture(scope="module")
def box():
    """Methanol with free bonds in a small box of water; the MM system and the hybrid one."""
    molecule = structures.molecule_from_smiles("CO", seed=1)
    parameters = structures.parameterize(molecule)
    solvated = structures.solvate(
        molecule,
        parameters,
        padding=0.6,
        nonbonded_cutoff=0.5,
        seed=1,
        constrain_hydrogens=False,
    )
    alone = OpenMMPotential(structures.create_ligand_system(molecule, parameters))
    hybrid = nnpmm.couple(solvated.system, solvated.topology, solvated.ligand_atoms, alone)
    return solvated, hybrid.system


def npt_context(box, system, *, seed, platform, minimize=100):
    """A context of a minimized box at 300 K and 1 bar, with a barostat move every other step."""
    system = copy.deepcopy(system)
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 2)
    barostat.setRandomNumberSeed(seed)
    system.addForce(barostat)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 5.0, 0.001)
    integrator.setRandomNumberSeed(seed)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(platform))
    context.setPeriodicBoxVectors(*np.array(box.box_vectors, dtype=float))
    context.setPositions(box.positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10, minimize)
    context.setVelocitiesToTemperature(300.0, seed)
    return context


def volumes(context, n_volumes, *, spacing):
    """Volumes (nm^3) after every ``spacing`` steps."""
    found = []
    for _ in range(n_volumes):
        context.getIntegrator().step(spacing)
        found.append(context.getState().getPeriodicBoxVolume()._value)
    return np.array(found)


def test_molecules_are_those_of_the_mm_system(box):
    """The barostat moves molecules as a whole; the coupling removes the region's bond terms."""
    solvated, hybrid = box
    found, expected = (
        openmm.Context(system, openmm.VerletIntegrator(0.001)).getMolecules()
        for system in (hybrid, solvated.system)
    )
    assert found == expected


def test_barostat_moves_match_the_mm_system(box):
    """With equal energies and random numbers, short runs have equal volumes and positions."""
    solvated, hybrid = box

    def volumes_and_positions(system):
        # Contexts of the Reference platform share a random number generator, so run one at a time.
        context = npt_context(solvated, system, seed=4, platform="Reference", minimize=5)
        found = volumes(context, 30, spacing=2)
        return found, context.getState(positions=True).getPositions(asNumpy=True)._value

    expected = volumes_and_positions(solvated.system)
    assert len(set(expected[0])) > 5  # some moves are accepted
    found = volumes_and_positions(hybrid)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_mean_volumes_agree(box):
    """Four independent runs each, after 0.4 ps of equilibration."""
    solvated, hybrid = box

    def mean_volume(system, seed):
        context = npt_context(solvated, system, seed=seed, platform="CPU")
        return volumes(context, 80, spacing=20)[20:].mean()

    expected = np.array([mean_volume(solvated.system, seed) for seed in range(1, 5)])
    found = np.array([mean_volume(hybrid, seed) for seed in range(5, 9)])
    error = np.sqrt((expected.var(ddof=1) + found.var(ddof=1)) / 4)
    assert error < 0.03 * expected.mean()
    # Student's t with six degrees of freedom: chance exceeds 4.3 for one choice of seeds in 200.
    assert abs(found.mean() - expected.mean()) < 4.3 * error
