"""Switched potentials, and their factorisation into well depths and phi."""

import numpy as np
import pytest
from martini_cases import membrane

from nnpmm.permeation.martini import Configuration, MartiniSystem, interaction, parse_solute, water
from nnpmm.permeation.martini.pair_energy import (
    channels,
    reaction_field,
    solute_epsilons,
    solute_phi,
    unit_lennard_jones,
)


def _numeric_force(r, sigma, h=1e-6):
    return -(unit_lennard_jones(r + h, sigma) - unit_lennard_jones(r - h, sigma)) / (2 * h)


@pytest.mark.parametrize("sigma", [0.47, 0.57, 0.62])
def test_force_is_plain_inside_and_switched_smoothly(sigma):
    r = np.array([0.4, 0.5, 0.7, 0.89])
    plain = 4 * (12 * sigma**12 / r**13 - 6 * sigma**6 / r**7)
    np.testing.assert_allclose(_numeric_force(r, sigma), plain, rtol=1e-5, atol=1e-6)
    edge = np.array([0.9, 1.2 - 1e-5])
    np.testing.assert_allclose(unit_lennard_jones(edge, sigma)[1], 0.0, atol=1e-8)
    np.testing.assert_allclose(_numeric_force(edge[1:], sigma), 0.0, atol=1e-4)
    near = np.array([0.9 - 1e-4, 0.9 + 1e-4])
    forces = _numeric_force(near, sigma)
    assert forces[0] == pytest.approx(forces[1], rel=2e-3)
    np.testing.assert_array_equal(unit_lennard_jones(np.array([1.2, 1.5]), sigma), 0.0)


def test_force_matches_the_formula_of_the_gromacs_manual():
    """F = p/r^(p+1) + A (r - r1)^2 + B (r - r1)^3 for each power, evaluated by hand at 1.0 nm."""
    r1, rc, r = 0.9, 1.2, 1.0
    forces = {}
    for p in (6, 12):
        a = -p * ((p + 4) * rc - (p + 1) * r1) / (rc ** (p + 2) * (rc - r1) ** 2)
        b = p * ((p + 3) * rc - (p + 1) * r1) / (rc ** (p + 2) * (rc - r1) ** 3)
        forces[p] = p / r ** (p + 1) + a * (r - r1) ** 2 + b * (r - r1) ** 3
    expected = 4 * (0.47**12 * forces[12] - 0.47**6 * forces[6])
    assert _numeric_force(np.array(r), 0.47) == pytest.approx(expected, rel=1e-6)


def test_reaction_field_vanishes_at_the_cutoff():
    r = np.array([1.2 - 1e-9, 0.6])
    energy = reaction_field(r, np.array([1.0, -1.0]))
    assert energy[0] == pytest.approx(0.0, abs=1e-6)
    by_hand = -138.935458 / 15 * (1 / 0.6 + 0.36 * 0.5 / 1.728 - 1.25)
    assert energy[1] == pytest.approx(by_hand)


@pytest.mark.parametrize("solute", ["C1-C3-P4", "P4-P5-Nda", "C2-N0-C5"])
def test_phi_times_epsilon_is_the_energy(solute):
    system, start = membrane("DOPC", solute)
    phi = solute_phi(system, start.positions, start.box)
    beads = system.select("solute")
    types = tuple(system.types[n] for n in beads)
    energies = solute_epsilons(types, channels(system)) * phi
    expected = 0.0
    for n in beads:
        for m in set(range(system.n_beads)) - set(beads.tolist()):
            d = start.positions[n] - start.positions[m]
            d -= start.box * np.round(d / start.box)
            epsilon, sigma = interaction(system.types[n], system.types[m])
            expected += epsilon * float(unit_lennard_jones(np.linalg.norm(d), sigma))
    assert energies.sum() == pytest.approx(expected, rel=1e-10)


def test_antifreeze_water_has_its_own_sigma():
    kinds = ((water(), 1), (water(antifreeze=True), 1), (parse_solute("P4"), 1))
    system = MartiniSystem(kinds)
    positions = np.array([[1.0, 1, 1], [3.0, 1, 1], [2.0, 1, 1]])
    place = Configuration(positions, np.full(3, 6.0))
    phi = solute_phi(system, place.positions, place.box)
    energy = (solute_epsilons(("P4",), channels(system)) * phi).sum()
    r = np.array(1.0)
    by_hand = 5.0 * unit_lennard_jones(r, 0.47) + 5.6 * unit_lennard_jones(r, 0.57)
    assert energy == pytest.approx(float(by_hand))
