"""Two polarizable particles whose free energies of interaction are integrals over a distance."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from small_ladders import TEMPERATURE, sample

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.freeenergy.alchemy import AMOEBA_STERICS, LAMBDA_ELECTROSTATICS, decouple_amoeba
from nnpmm.freeenergy.ladders import solve_ladder
from nnpmm.sampling import separate_groups

KT = GAS_CONSTANT * TEMPERATURE
TETHER = 300.0  # kJ/mol/nm^2
LADDERS = {
    "electrostatics": (LAMBDA_ELECTROSTATICS, (1.0, 0.5, 0.0)),
    "sterics": (AMOEBA_STERICS, (1.0, 0.75, 0.5, 0.0)),
}


def system(stage):
    """An ion and a neutral polarizable atom, tethered to each other, with one of the stages."""
    made, multipoles = openmm.System(), openmm.AmoebaMultipoleForce()
    sterics = openmm.AmoebaVdwForce()
    sterics.setSigmaCombiningRule("CUBIC-MEAN")
    sterics.setEpsilonCombiningRule("HHG")
    none = multipoles.NoAxisType
    for index, (charge, polarizability) in enumerate([(1.0, 0.0005), (0.0, 0.002)]):
        made.addParticle(39.9)
        frame = (none, -1, -1, -1, 0.39, polarizability ** (1 / 6))
        multipoles.addMultipole(charge, [0.0] * 3, [0.0] * 9, *frame, polarizability)
        multipoles.setCovalentMap(index, multipoles.PolarizationCovalent11, [index])
        sterics.addParticle(index, 0.3, 1.0, 1.0)
        sterics.setParticleExclusions(index, [index])
    multipoles.setMutualInducedTargetEpsilon(1e-6)
    tether = openmm.HarmonicBondForce()
    tether.addBond(0, 1, 0.26, TETHER)
    for force in (multipoles, sterics, tether):
        made.addForce(force)
    return decouple_amoeba(made, [0], stage)


def integral(stage):
    """G(1) - G(0), kJ/mol, from the energies of a grid of distances."""
    name, _ = LADDERS[stage]
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system(stage), openmm.VerletIntegrator(0.001), platform)
    r = np.linspace(0.005, 0.9, 600)
    free = []
    for value in (1.0, 0.0):
        context.setParameter(name, value)
        energies = []
        for distance in r:
            context.setPositions([[0, 0, 0], [distance, 0, 0]])
            energies.append(context.getState(energy=True).getPotentialEnergy()._value)
        free.append(-KT * np.log(np.sum(r**2 * np.exp(-np.array(energies) / KT))))
    return free[0] - free[1]


@pytest.mark.slow
@pytest.mark.parametrize("stage", LADDERS)
def test_replica_exchange_matches_the_exact_integral(tmp_path, stage):
    name, values = LADDERS[stage]
    made = system(stage)
    states = tuple({name: value} for value in values)
    separate_groups(made, states[0])
    positions = [[0, 0, 0], [0.32, 0, 0]]
    windows = sample(tmp_path, made, positions, states, iterations=1000)
    found = solve_ladder(windows, temperature=TEMPERATURE).between(-1, 0)
    expected = integral(stage)
    assert abs(expected) > 1
    assert found.error < 0.3
    assert abs(found.value - expected) < 3.5 * found.error
