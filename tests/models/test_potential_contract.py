"""What every potential must keep to, whatever its network and backend."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import distorted, load_aimnet, load_with
from contracts import (
    assert_conserves_energy,
    assert_forces_match_energy,
    assert_invariant,
    assert_no_net_force_or_torque,
)
from openmm import unit
from openmm.app import Element

from nnpmm.core.errors import SimulationError
from nnpmm.models.aimnet.backends import BACKENDS as AIMNET_BACKENDS
from nnpmm.models.ani import BACKENDS

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"
# kJ/mol: noise of an energy in float32 and in float64.
NOISE = {"single": 0.01, "double": 1e-6}
POTENTIALS = [
    *(("ANI-1x", backend) for backend in sorted(BACKENDS)),
    *(("AIMNet2", backend) for backend in sorted(AIMNET_BACKENDS)),
]


def load(potential, precision="single", **choices):
    name, backend = potential
    if name == "AIMNet2":
        return load_aimnet(backend=backend, precision=precision, **choices)
    return load_with(name, backend, precision, **choices)


@pytest.fixture(scope="module", params=POTENTIALS, ids="-".join)
def model(request):
    """Each potential in single precision."""
    return load(request.param)


@pytest.fixture(scope="module", params=POTENTIALS, ids="-".join)
def double_model(request):
    """Each potential in double precision."""
    return load(request.param, "double")


def test_forces_are_the_gradient(double_model):
    numbers, positions = distorted("CC(=O)NO")
    evaluator = double_model.bind(numbers)
    assert_forces_match_energy(evaluator, positions, atol=0.01)


def test_invariances(double_model):
    numbers, positions = distorted(PARACETAMOL)
    evaluator = double_model.bind(numbers)
    assert_invariant(evaluator, positions, atol=1e-6)
    assert_no_net_force_or_torque(evaluator(positions)[1], positions, atol=1e-6)


def test_permutation_of_atoms(double_model):
    numbers, positions = distorted(PARACETAMOL)
    order = np.random.default_rng(2).permutation(len(numbers))
    energy, forces = double_model.bind(numbers)(positions)
    permuted = double_model.bind(numbers[order])(positions[order])
    np.testing.assert_allclose(permuted[0], energy, rtol=0, atol=1e-6)
    np.testing.assert_allclose(permuted[1], forces[order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("potential", POTENTIALS, ids="-".join)
def test_dynamics_conserve_energy(potential, precision):
    numbers, positions = distorted("CO")
    masses = np.array([Element.getByAtomicNumber(int(z)).mass._value for z in numbers])
    evaluator = load(potential, precision, members=0).bind(numbers)
    assert_conserves_energy(evaluator, positions, masses, precision=NOISE[precision])


def test_close_contact_is_finite(model):
    energy, forces = model.bind([1, 1])([[0, 0, 0], [0.02, 0, 0]])
    assert np.isfinite(energy)
    assert np.isfinite(forces).all()


def test_single_atom_has_no_forces(model):
    evaluator = model.bind([6])
    energy, forces = evaluator([[0.1, 0.2, 0.3]])
    assert np.isfinite(energy)
    np.testing.assert_array_equal(forces, np.zeros((1, 3)))


@pytest.mark.parametrize("n_geometries", [1, 5])
def test_batch_equals_single_evaluations(model, n_geometries):
    numbers, positions = distorted("CC(=O)NO")
    noise = np.random.default_rng(9).normal(scale=0.003, size=(n_geometries, *positions.shape))
    geometries = positions + noise
    geometries[-1] += 2.0
    evaluator = model.bind(numbers)
    found = evaluator.batch(geometries)
    expected = [evaluator.evaluate(geometry) for geometry in geometries]
    np.testing.assert_allclose(found.energies, [e.energy for e in expected], rtol=0, atol=1e-2)
    np.testing.assert_allclose(found.forces, [e.forces for e in expected], rtol=0, atol=0.1)
    np.testing.assert_allclose(
        found.member_energies, [e.member_energies for e in expected], rtol=0, atol=1e-2
    )
    as_quantity = evaluator.batch(unit.Quantity(geometries * 10, unit.angstrom))
    np.testing.assert_allclose(as_quantity.energies, found.energies, rtol=0, atol=1e-2)


def test_invalid_batches_are_an_error(model):
    evaluator = model.bind([1, 1])
    for shape in ((2, 3), (0, 2, 3), (4, 3, 3)):
        with pytest.raises(SimulationError, match=r"expected \(k, 2, 3\)"):
            evaluator.batch(np.zeros(shape))
    geometries = np.zeros((3, 2, 3))
    geometries[2, 1, 0] = np.nan
    with pytest.raises(SimulationError, match="non-finite position of region atom 1"):
        evaluator.batch(geometries)


def test_quantities_are_accepted(model):
    numbers, positions = distorted("CO")
    evaluator = model.bind(numbers)
    angstrom = unit.Quantity(positions * 10, unit.angstrom)
    np.testing.assert_allclose(evaluator(angstrom)[0], evaluator(positions)[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_positions_are_an_error(model, bad):
    positions = np.array([[0, 0, 0], [0.1, 0, bad]])
    with pytest.raises(SimulationError, match="non-finite position of region atom 1"):
        model.bind([1, 1])(positions)


def test_wrong_shape_is_an_error(model):
    with pytest.raises(SimulationError, match=r"shape \(3, 3\), expected \(2, 3\)"):
        model.bind([1, 1])(np.zeros((3, 3)))
