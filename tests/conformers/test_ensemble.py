"""Populations, their spread over networks, and harmonic free energies."""

from __future__ import annotations

import math

import numpy as np
import openmm
import pytest
import scipy.constants
from openmm import app

from nnpmm.conformers import Ensemble, populations, thermal_correction
from nnpmm.conformers.harmonic import wavenumbers
from nnpmm.core.constants import GAS_CONSTANT
from nnpmm.models import OpenMMPotential
from nnpmm.structures import molecule_from_smiles

T = 298.15


def ensemble(members, weights, corrections=None):
    members = np.array(members, dtype=float)
    return Ensemble(
        molecule_from_smiles("C"),
        np.zeros((len(members), 5, 3)),
        members.mean(axis=1),
        members,
        np.array(weights),
        T,
        corrections,
    )


def test_populations_are_boltzmann_with_weights():
    gap = GAS_CONSTANT * T * math.log(2)
    assert populations(np.array([5.0, 5.0 + gap]), np.array([1.0, 4.0]), T) == pytest.approx(
        [1 / 3, 2 / 3]
    )


def test_the_spread_is_that_of_the_networks():
    found = ensemble([[0.0, 2.0], [2.0, 0.0]], [1.0, 1.0])
    assert found.populations == pytest.approx([0.5, 0.5])
    share = 1 / (1 + math.exp(-2 / (GAS_CONSTANT * T)))
    expected = abs(share - 0.5) * math.sqrt(2)  # of two values around a half
    assert found.population_spread == pytest.approx([expected, expected])
    assert found.energy_spread == pytest.approx([0.0, 2 * math.sqrt(2)])


def test_one_network_has_no_spread():
    assert ensemble([[0.0], [1.0]], [1.0, 1.0]).population_spread.tolist() == [0.0, 0.0]


def test_corrections_decide_on_populations():
    found = ensemble([[0.0], [1.0]], [1.0, 1.0], corrections=np.array([3.0, 0.0]))
    assert found.free_energies == pytest.approx([2.0, 0.0])
    assert found.populations[1] > found.populations[0]


def diatomic(wavenumber, masses, length=0.11):
    """Return a harmonic oscillator of given wavenumber, its positions and masses."""
    system, force = openmm.System(), openmm.HarmonicBondForce()
    for mass in masses:
        system.addParticle(mass)
    reduced = masses[0] * masses[1] / sum(masses)
    constant = reduced * (2 * math.pi * 2.99792458e-2 * wavenumber) ** 2
    force.addBond(0, 1, length, constant)
    system.addForce(force)
    evaluator = OpenMMPotential(system).bind([7, 7])
    return evaluator, np.array([[0.0, 0.0, 0.0], [0.0, 0.0, length]]), np.array(masses)


def test_a_diatomic_has_its_wavenumber_and_textbook_free_energy():
    evaluator, positions, masses = diatomic(800.0, (14.0, 14.0))
    assert wavenumbers(evaluator, positions, masses) == pytest.approx([800.0], abs=0.01)
    quantum = scipy.constants.h * scipy.constants.c * 8e4
    thermal = scipy.constants.k * T
    free = quantum / 2 + thermal * math.log(1 - math.exp(-quantum / thermal))
    vibration = free * scipy.constants.N_A / 1000
    moment = 7.0 * 0.11**2
    rotation = -0.5 * GAS_CONSTANT * T * 2 * math.log(moment)
    found = thermal_correction(evaluator, positions, masses, T)
    assert found.correction == pytest.approx(vibration + rotation, abs=1e-3)
    assert found.softest == pytest.approx(800.0, abs=0.01)


def test_soft_vibrations_count_as_if_they_were_stiffer():
    soft, hard = (
        thermal_correction(*diatomic(number, (14.0, 14.0)), T).correction
        for number in (30.0, 100.0)
    )
    assert soft == pytest.approx(hard, abs=1e-6)
    (*rest,) = diatomic(30.0, (14.0, 14.0))
    assert thermal_correction(*rest, T, lowest=10.0).correction < soft - 1.0


def test_rotation_prefers_the_longer_of_two_equal_molecules():
    mass = app.Element.getByAtomicNumber(7).mass._value
    short, long = (
        thermal_correction(*diatomic(800.0, (mass, mass), length), T).correction
        for length in (0.1, 0.2)
    )
    assert short - long == pytest.approx(GAS_CONSTANT * T * math.log(4), abs=1e-3)
