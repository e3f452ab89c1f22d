"""The Boresch restraint: energy, forces, and the free energy of its release."""

from __future__ import annotations

import itertools

import numpy as np
import openmm
import pytest
from scipy.spatial.transform import Rotation
from small_ladders import TEMPERATURE
from test_known_ladders import KT, particles

from nnpmm.core.errors import ConfigError
from nnpmm.freeenergy import solve_ladder
from nnpmm.freeenergy.binding.boresch import (
    LAMBDA_RESTRAINTS,
    BoreschRestraint,
    anchor_coordinates,
    create_restraint_force,
    mean_restraint_energy,
    release_free_energy,
    require_no_collinear_anchors,
    restraint_energies,
    stiff_release_free_energy,
)

REFERENCE = (0.45, 1.4, 1.9, 0.6, -2.9, 3.0)
# Two rigid triangles: the receptor at the origin, and the ligand.
RECEPTOR = np.array([[0.0, 0.25, 0.0], [-0.2, 0.0, 0.0], [0.0, 0.0, 0.0]])
LIGAND = np.array([[0.0, 0.0, 0.0], [0.15, 0.05, 0.0], [0.1, 0.2, 0.0]])


def restraint(distance=4184.0, angle=83.68, reference=REFERENCE) -> BoreschRestraint:
    return BoreschRestraint(
        atoms=(0, 1, 2, 3, 4, 5),
        reference=reference,
        distance_constant=distance,
        angle_constant=angle,
    )


def context_of(system) -> openmm.Context:
    return openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )


def restrained_context(periodic=False, width=2.0):
    system = particles(6)
    system.setDefaultPeriodicBoxVectors(*(np.eye(3) * width))
    system.addForce(create_restraint_force(restraint(), periodic=periodic))
    context = context_of(system)
    context.setParameter(LAMBDA_RESTRAINTS, 1.0)
    return context


def energy_of(context, positions) -> float:
    context.setPositions(positions)
    return context.getState(energy=True).getPotentialEnergy()._value


@pytest.mark.parametrize("periodic", [False, True])
def test_openmm_energy_matches_the_numpy_reference(periodic):
    """This includes molecules in different periodic images."""
    context, generator = restrained_context(periodic), np.random.default_rng(4)
    for _ in range(50):
        places = generator.uniform(0, 0.7, (6, 3))
        expected = restraint_energies(restraint(), anchor_coordinates(places))
        assert energy_of(context, places) == pytest.approx(float(expected), abs=1e-6, rel=1e-9)
        context.setParameter(LAMBDA_RESTRAINTS, 0.3)
        assert energy_of(context, places) == pytest.approx(0.3 * float(expected), abs=1e-6)
        context.setParameter(LAMBDA_RESTRAINTS, 1.0)
        if periodic:
            moved = places + np.array([[0, 0, 0]] * 3 + [[2.0, -2.0, 4.0]] * 3)
            assert energy_of(context, moved) == pytest.approx(float(expected), abs=1e-6, rel=1e-9)
            coordinates = anchor_coordinates(moved, np.eye(3) * 2.0)
            np.testing.assert_allclose(coordinates, anchor_coordinates(places), atol=1e-9, rtol=0)


def test_torsions_are_periodic():
    """phi_C is -179 degrees where the reference is 172: 9 degrees away, not 351."""
    near = np.array(REFERENCE)
    near[5] = np.radians(-179.0)
    expected = 0.5 * 83.68 * (2 * np.pi + near[5] - REFERENCE[5]) ** 2
    assert float(restraint_energies(restraint(), near)) == pytest.approx(expected)


def test_forces_are_the_negative_gradient():
    context, step = restrained_context(), 1e-6
    places = np.random.default_rng(8).uniform(0, 0.6, (6, 3))
    context.setPositions(places)
    forces = context.getState(forces=True).getForces(asNumpy=True)._value
    for atom, axis in np.ndindex(6, 3):
        ends = []
        for sign in (1, -1):
            moved = places.copy()
            moved[atom, axis] += sign * step
            ends.append(energy_of(context, moved))
        assert -(ends[0] - ends[1]) / (2 * step) == pytest.approx(
            forces[atom, axis], abs=1e-2, rel=1e-5
        )


def test_integral_converges_to_the_stiff_spring_formula():
    """The integral approaches it as the springs stiffen; at usual springs it differs by < 2 %."""
    gaps = []
    for factor in (1, 10, 100, 1000):
        stiff = restraint(4184.0 * factor, 83.68 * factor)
        gap = release_free_energy(stiff, TEMPERATURE) - stiff_release_free_energy(
            stiff, TEMPERATURE
        )
        gaps.append(abs(gap))
    assert gaps[0] < 0.3  # kJ/mol of -29
    assert all(later < 0.2 * before for before, later in itertools.pairwise(gaps))
    assert gaps[-1] < 1e-3


def test_release_of_soft_springs_matches_riemann_sums():
    """Riemann sums over the coordinates of a restraint far from the stiff limit."""
    soft = restraint(50.0, 2.0)
    widths = (4.0, np.pi, np.pi, 2 * np.pi, 2 * np.pi, 2 * np.pi)
    total = 0.0
    for index, width in enumerate(widths):
        x = (np.arange(200_000) + 0.5) * width / 200_000
        middle = REFERENCE[index]
        if index >= 3:
            x, middle = x - np.pi, 0.0
        measure = x**2 if index == 0 else np.sin(x) if index < 3 else np.ones_like(x)
        energy = 0.5 * soft.constants[index] * (x - middle) ** 2
        total += np.log((measure * np.exp(-energy / KT)).sum() * width / 200_000)
    expected = -KT * (np.log(8 * np.pi**2 * 1.66053907) - total)
    assert release_free_energy(soft, TEMPERATURE) == pytest.approx(expected, abs=1e-3)


def test_stiff_spring_formula_matches_the_published_expression():
    """r0 is 0.5 nm, both angles are 90 degrees, at 300 K; in the units of the literature."""
    chosen = restraint(4184.0, 41.84, (0.5, np.pi / 2, np.pi / 2, 0.0, 0.0, 0.0))
    kt = 0.0019872043 * TEMPERATURE  # kcal/mol
    volume, r0 = 1660.539, 5.0  # cubic angstrom, angstrom
    springs = np.sqrt(10.0 * 10.0**5)  # kcal/mol/A^2 and kcal/mol/rad^2
    expected = -kt * np.log(8 * np.pi**2 * volume * springs / (r0**2 * (2 * np.pi * kt) ** 3))
    found = stiff_release_free_energy(chosen, TEMPERATURE) / 4.184
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("degrees", [20, 40, 150])
def test_collinear_anchors_are_refused(degrees):
    bad = restraint(reference=(0.4, 1.5, np.radians(degrees), 0.0, 0.0, 0.0))
    with pytest.raises(ConfigError, match=rf"found angles of 86 and {degrees} degrees .* 10 kT"):
        require_no_collinear_anchors(bad, TEMPERATURE)
    require_no_collinear_anchors(restraint(), TEMPERATURE)


def sample_rigid_pair(rng, chosen, scales, width, chains):
    """Energies (chains, states), kJ/mol, of every state of two rigid molecules.

    Independent Metropolis chains of rigid-body moves, with the receptor fixed in a cubic box. Only
    the scaled restraint acts between the molecules. Near collinear anchors, its torsions are too
    stiff for molecular dynamics.
    """
    scale = np.repeat(scales, chains)
    place = np.tile([0.3, 0.1, 0.1], (len(scale), 1))
    turn = Rotation.identity(len(scale))

    def energy_at(place, turn):
        ligand = np.stack([turn.apply(atom) for atom in LIGAND], axis=1) + place[:, None]
        receptor = np.broadcast_to(RECEPTOR, ligand.shape)
        return restraint_energies(
            chosen, anchor_coordinates(np.concatenate([receptor, ligand], axis=1))
        )

    energy = energy_at(place, turn)
    for step in range(900):
        size = (1.0, 0.3, 0.1)[step % 3]
        moved = place + rng.normal(0, 0.5 * size, place.shape)
        moved = (moved + width / 2) % width - width / 2
        turned = Rotation.from_rotvec(rng.normal(0, 2 * size, place.shape)) * turn
        trial = energy_at(moved, turned)
        accepted = rng.exponential(size=len(scale)) > scale * (trial - energy) / KT
        place, energy = np.where(accepted[:, None], moved, place), np.where(accepted, trial, energy)
        turn = Rotation.from_quat(np.where(accepted[:, None], turned.as_quat(), turn.as_quat()))
    return [np.outer(part, scales) for part in energy.reshape(len(scales), chains)]


@pytest.mark.slow
def test_release_of_two_rigid_molecules_from_sampling():
    """A ladder from two free molecules in a box to restrained ones.

    The box is wide enough that the full restraint keeps the ligand inside.
    """
    width, chosen = 1.6, restraint(800.0, 20.0, (0.35, 1.3, 1.7, 0.6, -2.9, 3.0))
    scales = (0.0, 0.02, 0.08, 0.25, 0.6, 1.0)
    windows = sample_rigid_pair(np.random.default_rng(3), chosen, scales, width, 1000)
    found = solve_ladder(windows, temperature=TEMPERATURE).between(-1, 0)
    in_the_box = -KT * np.log(width**3 / 1.66053907)
    exact = release_free_energy(chosen, TEMPERATURE) + in_the_box
    assert found.error < 0.25
    assert abs(found.value - exact) < 4 * found.error
    restrained = windows[-1][:, -1]
    expected = mean_restraint_energy(chosen, TEMPERATURE)
    error = restrained.std() / np.sqrt(len(restrained))
    assert abs(restrained.mean() - expected) < 4 * error < 0.6
    assert expected == pytest.approx(3 * KT, rel=0.1)
