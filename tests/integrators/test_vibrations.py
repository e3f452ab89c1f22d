"""The fastest vibration of a region."""

from __future__ import annotations

import numpy as np
import pytest

from nnpmm import load_model, structures
from nnpmm.core.errors import SimulationError
from nnpmm.integrators import fastest_vibration
from nnpmm.models import FunctionModel
from nnpmm.models.hessian import network_hessian
from nnpmm.models.minimum import find_minimum

K, REST = 4e5, 0.12
DIATOMIC = np.array([[0.0, 0.0, 0.0], [0.03, 0.04, 0.12]])


def spring(positions, numbers, charge):
    apart = positions[1] - positions[0]
    distance = np.linalg.norm(apart)
    pull = K * (distance - REST) * apart / distance
    return 0.5 * K * (distance - REST) ** 2, np.array([pull, -pull])


def molecule(smiles):
    """An ANI-1x evaluator, the minimum, masses with hydrogens of 3 amu, and the X-H bonds."""
    topology, positions = structures.to_openmm_topology(
        structures.molecule_from_smiles(smiles, seed=1)
    )
    atoms = list(topology.atoms())
    numbers = np.array([atom.element.atomic_number for atom in atoms])
    masses = np.array([atom.element.mass._value for atom in atoms])
    bonds = [(a.index, b.index) for a, b in topology.bonds() if 1 in numbers[[a.index, b.index]]]
    for i, j in bonds:
        heavy, hydrogen = (i, j) if numbers[j] == 1 else (j, i)
        masses[heavy] -= 3 - masses[hydrogen]
        masses[hydrogen] = 3
    evaluator = load_model("ANI-1x", 0, precision="double").bind(numbers)
    return evaluator, find_minimum(evaluator, positions), masses, bonds, atoms


def test_diatomic_has_the_period_of_a_harmonic_oscillator():
    evaluator = FunctionModel(spring, "spring").bind([6, 8])
    masses = np.array([12.0, 16.0])
    found = fastest_vibration(evaluator, DIATOMIC, masses)
    exact = 2 * np.pi * np.sqrt(12 * 16 / 28 / K)
    assert found.period == pytest.approx(exact, rel=1e-4)
    assert found.pair == (0, 1)
    assert found.wavenumber == pytest.approx(1 / (2.99792458e-2 * exact), rel=1e-4)
    assert fastest_vibration(evaluator, DIATOMIC, 4 * masses).period == pytest.approx(
        2 * exact, rel=1e-4
    )


@pytest.mark.parametrize("smiles", ["CC(N)=O", "CC#N"])
@pytest.mark.parametrize("constrained", [False, True])
def test_period_matches_the_full_hessian(smiles, constrained):
    evaluator, positions, masses, bonds, _ = molecule(smiles)
    weight = np.repeat(1 / np.sqrt(masses), 3)
    hessian = network_hessian(evaluator, positions) * np.outer(weight, weight)
    pairs = bonds if constrained else []
    rows = np.zeros((len(pairs), positions.size))
    for row, (i, j) in enumerate(pairs):
        apart = positions[i] - positions[j]
        rows[row, 3 * i : 3 * i + 3], rows[row, 3 * j : 3 * j + 3] = apart, -apart
    free = np.linalg.svd(rows * weight)[2][len(pairs) :].T if pairs else np.eye(positions.size)
    exact = 2 * np.pi / np.sqrt(np.linalg.eigvalsh(free.T @ hessian @ free)[-1])
    found = fastest_vibration(evaluator, positions, masses, pairs)
    assert found.period == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize(("smiles", "bond"), [("CC#N", {"C", "N"}), ("CC(C)=O", {"C", "O"})])
def test_multiple_bond_is_fastest_with_constrained_hydrogens(smiles, bond):
    evaluator, positions, masses, bonds, atoms = molecule(smiles)
    found = fastest_vibration(evaluator, positions, masses, bonds)
    assert {atoms[row].element.symbol for row in found.pair} == bond
    assert 0.012 < found.period < 0.019


def test_redundant_constraints_do_not_change_the_period():
    evaluator, positions, masses, bonds, _ = molecule("CC#N")
    once = fastest_vibration(evaluator, positions, masses, bonds)
    again = fastest_vibration(evaluator, positions, masses, 3 * bonds)
    assert again.period == pytest.approx(once.period, rel=2e-3)


def test_relaxation_does_not_break_bonds_that_start_too_long():
    """A conformer from distance bounds has C=O bonds of 0.14 nm in carbon dioxide."""
    _, positions, *_ = molecule("O=C=O")
    lengths = np.linalg.norm(positions[[0, 2]] - positions[1], axis=1)
    assert lengths == pytest.approx([0.1165, 0.1165], abs=0.002)


def test_constant_potential_does_not_vibrate():
    flat = FunctionModel(lambda positions, *_: (0.0, np.zeros_like(positions)), "flat")
    assert fastest_vibration(flat.bind([6, 8]), DIATOMIC, np.ones(2)).period == np.inf


def test_non_finite_forces_are_refused():
    broken = FunctionModel(lambda positions, *_: (0.0, np.full_like(positions, np.nan)), "broken")
    with pytest.raises(SimulationError, match="not finite"):
        fastest_vibration(broken.bind([6, 8]), DIATOMIC, np.ones(2))
