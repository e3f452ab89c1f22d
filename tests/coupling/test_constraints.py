"""What becomes of constraints inside the region."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import openmm
import pytest
from cases import energy_and_forces, solvated_ligand
from toy import TOY

from nnpmm import create_hybrid_system
from nnpmm.coupling import Mechanical
from nnpmm.errors import ConfigError
from nnpmm.integrators import apply_hydrogen_mass
from nnpmm.simulation import check_timestep


@pytest.fixture(scope="module")
def case():
    return solvated_ligand("CCO")


def constraints(system, region):
    found = [system.getConstraintParameters(i) for i in range(system.getNumConstraints())]
    members = set(region.tolist())
    return {(i, j): length._value for i, j, length in found if i in members and j in members}


def coupled(case, system, choice):
    coupling = Mechanical(constraints=choice)
    return create_hybrid_system(system, case.topology, case.region, TOY, coupling=coupling)


def test_bonds_to_hydrogen_are_kept_at_their_lengths(case):
    before = constraints(case.system, case.region)
    assert len(before) == 6
    assert constraints(coupled(case, case.system, "keep"), case.region) == before
    assert constraints(coupled(case, case.system, "none"), case.region) == {}


def test_other_constraints_are_released(case):
    """C-C, C-O and the H-H distances of constrained angles."""
    system = copy.deepcopy(case.system)
    symbols = [atom.element.symbol for atom in case.topology.atoms()]
    heavy = [i for i in case.region.tolist() if symbols[i] != "H"]
    hydrogens = [i for i in case.region.tolist() if symbols[i] == "H"]
    system.addConstraint(heavy[0], heavy[1], 0.15)
    system.addConstraint(hydrogens[0], hydrogens[1], 0.18)
    kept = constraints(coupled(case, system, "keep"), case.region)
    assert kept == constraints(case.system, case.region)


def test_energy_does_not_depend_on_constraints(case):
    kept, released = (case.context(coupled(case, case.system, c)) for c in ("keep", "none"))
    np.testing.assert_allclose(
        energy_and_forces(kept)[0], energy_and_forces(released)[0], rtol=0, atol=1e-9
    )


def test_unknown_choice():
    with pytest.raises(ConfigError, match="found constraints='hbonds', allowed: 'none', 'keep'"):
        Mechanical(constraints="hbonds")


def test_constraints_outside_stay(case):
    outside = np.setdiff1d(np.arange(case.system.getNumParticles()), case.region)
    expected = constraints(case.system, outside)
    assert expected and constraints(coupled(case, case.system, "keep"), outside) == expected


def test_constrained_dynamics_holds_the_lengths(case):
    system = coupled(case, case.system, "keep")
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.LangevinMiddleIntegrator(300, 1, 0.001), platform)
    context.setPeriodicBoxVectors(*case.box)
    context.setPositions(case.positions)
    context.applyConstraints(1e-8)
    context.getIntegrator().step(5)
    x = context.getState(positions=True).getPositions(asNumpy=True)._value
    for (i, j), length in constraints(system, case.region).items():
        np.testing.assert_allclose(np.linalg.norm(x[i] - x[j]), length, rtol=0, atol=1e-5)


def test_longest_time_step_follows_constraints_and_masses(case):
    limits = {}
    for choice in ("none", "keep"):
        hybrid = coupled(case, case.system, choice)
        limits[choice, 1] = longest_step(hybrid)
        apply_hydrogen_mass(hybrid, case.topology, 3.0)
        limits[choice, 3] = longest_step(hybrid)
    assert limits == {("none", 1): 1, ("none", 3): 2, ("keep", 1): 2, ("keep", 3): 4}


def longest_step(system):
    """Longest of 1...5 fs that the check lets pass."""
    for femtoseconds in range(5, 0, -1):
        with contextlib.suppress(ConfigError):
            check_timestep(system, femtoseconds / 1000)
            return femtoseconds
    return 0
