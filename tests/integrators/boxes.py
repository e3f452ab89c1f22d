"""Shared by tests of time integration: molecules in water, energies by force group."""

from __future__ import annotations

import numpy as np
import openmm

from nnpmm import structures


def solvated(smiles, *, cutoff=0.7, constrained=False):
    """Return a small box of water with a molecule."""
    molecule = structures.molecule_from_smiles(smiles, seed=1)
    return structures.solvate(
        molecule,
        structures.parameterize(molecule),
        padding=0.6,
        nonbonded_cutoff=cutoff,
        seed=1,
        constrain_hydrogens=constrained,
    )


def state_of(system, positions, groups=-1):
    """Return energy and forces of some force groups, in double precision."""
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True, groups=groups)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def total_energies(system, integrator, positions, n_energies):
    """Return total energies, every other step, of a run from 200 K, and its last kinetic energy."""
    context = openmm.Context(system, integrator)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10, 50)
    context.setVelocitiesToTemperature(200, 3)
    integrator.step(50)
    energies = []
    for _ in range(n_energies):
        integrator.step(2)
        state = context.getState(energy=True)
        energies.append((state.getPotentialEnergy() + state.getKineticEnergy())._value)
    return np.array(energies), state.getKineticEnergy()._value
