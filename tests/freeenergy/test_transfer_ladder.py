"""Ladders of transfers whose free energies are known."""

from __future__ import annotations

import numpy as np
import openmm
import pytest
from contracts import random_rotation
from small_ladders import TEMPERATURE, sample

from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.freeenergy import solve_ladder
from nnpmm.freeenergy.relative import create_transfer_system, transfer_schedule
from nnpmm.freeenergy.relative.restraints import Restraints, add_restraints
from nnpmm.sampling import (
    separate_groups,
)

KT = GAS_CONSTANT * TEMPERATURE
HALF = ((0, 0), (0, 0.25), (0, 0.5), (0.25, 0.5), (0.5, 0.5))
STATES = tuple(state.parameters for state in transfer_schedule(HALF))
# One atom of a receptor, and two ligands of one atom each.
SIGMA, RECEPTOR, CUTOFF, BOX = 0.3, 4.0, 0.6, 3.0
RESTRAINTS = Restraints(
    first=(1, 1, 1),
    second=(2, 2, 2),
    site=(0,),
    radius=0.45,
    receptor=(0,),
    clearance=1.15,
    alignment=0.0,
    strength=10000.0,
)


def sample_transfer(folder, system, positions, iterations=600) -> list[np.ndarray]:
    separate_groups(system, STATES[0])
    return sample(folder, system, positions, STATES, iterations)


def atoms_and_site(epsilons, sigmas=(SIGMA, SIGMA)) -> openmm.System:
    """A receptor of one atom fixed at the origin, and two ligands, in an otherwise empty box.

    There is nothing within the cutoff of the ligand in the solvent.
    """
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*(np.eye(3) * BOX))
    force = openmm.NonbondedForce()
    force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
    force.setCutoffDistance(CUTOFF)
    force.setUseDispersionCorrection(False)
    system.addParticle(0.0)
    force.addParticle(0.0, SIGMA, RECEPTOR)
    for epsilon, sigma in zip(epsilons, sigmas, strict=True):
        system.addParticle(16.0)
        force.addParticle(0.0, sigma, epsilon)
    system.addForce(force)
    return system


def bound(epsilon, sigma) -> float:
    """Free energy of a ligand in the site, kJ/mol: -kT ln of the integral over its distance."""
    r = np.linspace(0.05, CUTOFF, 20000)
    sixth = (0.5 * (SIGMA + sigma) / r) ** 6
    energy = 4 * np.sqrt(RECEPTOR * epsilon) * (sixth**2 - sixth)
    energy += 0.5 * RESTRAINTS.strength * np.maximum(0, r - RESTRAINTS.radius) ** 2
    return float(-KT * np.log(np.trapezoid(r**2 * np.exp(-energy / KT), r)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epsilons", "sigmas"), [((4.0, 49.0), (0.3, 0.24)), ((16.0, 16.0), (0.3, 0.3))]
)
def test_transfer_free_energy_of_two_atoms_is_exact(tmp_path, epsilons, sigmas):
    """The exact value is the difference of two integrals, and zero for equal ligands."""
    system = create_transfer_system(atoms_and_site(epsilons, sigmas), [1], [2], (1, 2))
    add_restraints(system, RESTRAINTS)
    start = np.array([[0.0, 0.0, 0.0], [0.34, 0.0, 0.0], [1.4, 0.3, 0.0]])
    found = solve_ladder(
        sample_transfer(tmp_path, system, start), temperature=TEMPERATURE
    ).between()
    exact = bound(epsilons[1], sigmas[1]) - bound(epsilons[0], sigmas[0])
    assert found.error < 0.5
    assert abs(found.value - exact) < 4 * found.error
    assert (abs(exact) > 3) == (epsilons[0] != epsilons[1])


def aligned_energy(first, second) -> float:
    """Energy, kJ/mol, of the alignment of two triangles (3, 3), nm."""
    system = openmm.System()
    for _ in range(6):
        system.addParticle(12.0)
    places = {"site": (), "receptor": (), "radius": 0.0, "clearance": 0.0, "strength": 0.0}
    add_restraints(system, Restraints((0, 1, 2), (3, 4, 5), alignment=200.0, **places))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(np.concatenate([first, second]))
    return context.getState(energy=True).getPotentialEnergy()._value


def test_alignment_energy_depends_only_on_the_relative_orientation():
    """It does not depend on positions, common rotations or shapes of the triangles."""
    triangle = np.array([[0.0, 0.0, 0.0], [0.15, 0.0, 0.0], [0.05, 0.12, 0.0]])
    other = np.array([[0.0, 0.0, 0.0], [0.23, 0.0, 0.0], [-0.03, 0.2, 0.0]])
    random = np.random.default_rng(2)
    turn, both = random_rotation(random), random_rotation(random)
    assert aligned_energy(triangle, other + np.array([1.0, 2.0, 3.0])) == pytest.approx(0, abs=1e-9)
    expected = aligned_energy(triangle, other @ turn.T)
    assert expected > 1
    assert aligned_energy(other, triangle @ turn.T) == pytest.approx(expected, abs=1e-6)
    assert aligned_energy(triangle @ turn.T, other) == pytest.approx(
        aligned_energy(triangle, other @ turn), abs=1e-6
    )
    turned = aligned_energy(triangle @ both.T, other @ turn.T @ both.T + np.array([0.5, 0.0, 0.0]))
    assert turned == pytest.approx(aligned_energy(triangle @ both.T, other @ (both @ turn).T))
    flat = np.diag([1.0, -1.0, -1.0])  # the axis stays, the normal turns over
    assert aligned_energy(triangle, other @ flat) == pytest.approx(200.0, abs=1e-6)
    assert aligned_energy(triangle, other @ np.diag([-1.0, -1.0, 1.0])) == pytest.approx(200.0)
