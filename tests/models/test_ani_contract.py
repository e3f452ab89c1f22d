"""Every ANI backend against the float64 reference, finite differences and its symmetries."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from contracts import assert_forces_match_energy, assert_invariant, assert_no_net_force_or_torque
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openmm import unit
from openmm.app import Element

from nnpmm.errors import RegionError, SimulationError
from nnpmm.ligands import molecule_from_smiles
from nnpmm.models import load_model
from nnpmm.models.ani import BACKENDS

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"
# targets.md: what every backend must keep to.
ENERGY_TOLERANCE, FORCE_TOLERANCE = 0.01, 0.5


def molecule(smiles: str) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and positions (nm) of a distorted conformer."""
    mol = molecule_from_smiles(smiles, seed=7)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    positions = mol.GetConformer().GetPositions() / 10
    return numbers, positions + np.random.default_rng(5).normal(scale=0.003, size=positions.shape)


@pytest.fixture(scope="module")
def reference():
    """ANI-1x in float64: what every backend is held against."""
    return load_model("ANI-1x", backend="reference", precision="double")


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def model(request):
    """Each backend in single precision."""
    if BACKENDS[request.param].missing() is not None:
        pytest.skip(BACKENDS[request.param].missing())
    return load_model("ANI-1x", backend=request.param)


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def double_model(request):
    """Each backend in double precision."""
    if BACKENDS[request.param].missing() is not None:
        pytest.skip(BACKENDS[request.param].missing())
    return load_model("ANI-1x", backend=request.param, precision="double")


def test_equals_float64_reference(model, reference):
    numbers, positions = molecule(PARACETAMOL)
    found = model.bind(numbers).evaluate(positions + 3.0)  # far from the origin, as in a box
    expected = reference.bind(numbers).evaluate(positions)
    assert found.forces.dtype == np.float64
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=FORCE_TOLERANCE)
    np.testing.assert_allclose(
        found.member_energies, expected.member_energies, rtol=0, atol=ENERGY_TOLERANCE
    )


def test_forces_are_the_gradient(double_model):
    numbers, positions = molecule("CC(=O)NO")
    evaluator = double_model.bind(numbers)
    assert_forces_match_energy(evaluator, positions, atol=0.01)


def test_invariances(double_model):
    numbers, positions = molecule(PARACETAMOL)
    evaluator = double_model.bind(numbers)
    assert_invariant(evaluator, positions, atol=1e-6)
    assert_no_net_force_or_torque(evaluator(positions)[1], positions, atol=1e-6)


def test_permutation_of_atoms(double_model):
    numbers, positions = molecule(PARACETAMOL)
    order = np.random.default_rng(2).permutation(len(numbers))
    energy, forces = double_model.bind(numbers)(positions)
    permuted = double_model.bind(numbers[order])(positions[order])
    np.testing.assert_allclose(permuted[0], energy, rtol=0, atol=1e-6)
    np.testing.assert_allclose(permuted[1], forces[order], rtol=0, atol=1e-6)


def test_distant_fragments_add_up(double_model):
    numbers_a, a = molecule("CO")
    numbers_b, b = molecule("CN")
    both = double_model.bind(np.concatenate([numbers_a, numbers_b]))
    energy, forces = both(np.concatenate([a, b + np.array([2.0, 0, 0])]))
    alone_a, alone_b = double_model.bind(numbers_a)(a), double_model.bind(numbers_b)(b)
    np.testing.assert_allclose(energy, alone_a[0] + alone_b[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(forces, np.concatenate([alone_a[1], alone_b[1]]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("distance", [0.52, 0.35], ids=["radial cutoff", "angular cutoff"])
def test_smooth_through_the_cutoffs(double_model, distance):
    """A third atom crosses a cutoff: energy and force change by no more than their slopes allow."""
    evaluator = double_model.bind([8, 1, 1])
    water = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])

    def at(x):
        positions = water.copy()
        positions[2] = [-x, 0, 0]  # from the oxygen
        return evaluator(positions)

    step = 1e-6
    (low, f_low), (high, f_high) = at(distance - step), at(distance + step)
    np.testing.assert_allclose(high, low, rtol=0, atol=1e-3)
    np.testing.assert_allclose(f_high, f_low, rtol=0, atol=0.1)


@pytest.mark.parametrize("symbols", ["H", "CH", "NO", "HCNO", "O"])
def test_leaving_out_absent_elements_changes_nothing(double_model, symbols):
    """The cut first layers see what the whole ones see: checked in both orders of leaving out."""
    numbers = [Element.getBySymbol(symbol).atomic_number for symbol in symbols * 2]
    positions = np.random.default_rng(4).uniform(0, 0.3, size=(len(numbers), 3))
    expected = double_model.bind(numbers).evaluate(positions)
    cut = dataclasses.replace(
        double_model, parameters=double_model.parameters.restricted_to(set(symbols))
    )
    assert cut.elements == tuple(e for e in "HCNO" if e in symbols)
    found = cut.bind(numbers).evaluate(positions)
    np.testing.assert_allclose(found.member_energies, expected.member_energies, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=1e-6)


@pytest.mark.parametrize("smiles", ["C#C", "O=C=O", "c1ccccc1", "N", "[H][H]"])
def test_linear_planar_and_tiny_molecules(double_model, reference, smiles):
    """Angles of exactly 0 and 180 degrees, flat rings, two atoms."""
    mol = molecule_from_smiles(smiles, seed=1)
    numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()])
    positions = mol.GetConformer().GetPositions() / 10
    if smiles in ("C#C", "O=C=O"):  # make it exactly linear
        axis = np.argmax(np.ptp(positions, axis=0))
        line = np.zeros_like(positions)
        line[:, 0] = positions[:, axis]
        positions = line
    found = double_model.bind(numbers).evaluate(positions)
    expected = reference.bind(numbers).evaluate(positions)
    assert np.isfinite(found.forces).all()
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=1e-6)


def test_single_atom_has_no_forces(model):
    evaluator = model.bind([6])
    energy, forces = evaluator([[0.1, 0.2, 0.3]])
    assert np.isfinite(energy)
    np.testing.assert_array_equal(forces, np.zeros((1, 3)))


def test_close_contact_is_finite(model):
    energy, forces = model.bind([1, 1])([[0, 0, 0], [0.02, 0, 0]])
    assert np.isfinite(energy)
    assert np.isfinite(forces).all()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31), n_atoms=st.integers(1, 12))
def test_random_geometries_agree_between_backends(seed, n_atoms):
    generator = np.random.default_rng(seed)
    numbers = generator.choice([1, 6, 7, 8], size=n_atoms)
    positions = generator.uniform(0, 0.5, size=(n_atoms, 3))
    results = [
        load_model("ANI-1x", backend=name, precision="double").bind(numbers).evaluate(positions)
        for name in sorted(BACKENDS)
        if BACKENDS[name].missing() is None
    ]
    for other in results[1:]:
        np.testing.assert_allclose(other.energy, results[0].energy, rtol=0, atol=1e-6)
        np.testing.assert_allclose(other.forces, results[0].forces, rtol=1e-9, atol=1e-5)


def test_members_average_to_the_ensemble(model):
    numbers, positions = molecule("CCO")
    whole = model.bind(numbers).evaluate(positions)
    parts = [
        load_model("ANI-1x", members=i, backend=model.backend).bind(numbers).evaluate(positions)
        for i in range(8)
    ]
    np.testing.assert_allclose(
        [part.energy for part in parts], whole.member_energies, rtol=0, atol=1e-3
    )
    np.testing.assert_allclose(np.mean([p.energy for p in parts]), whole.energy, rtol=0, atol=1e-3)
    np.testing.assert_allclose(
        np.mean([p.forces for p in parts], axis=0), whole.forces, rtol=0, atol=0.05
    )
    np.testing.assert_allclose(
        model.bind(numbers).member_energies(positions), whole.member_energies, rtol=0, atol=1e-3
    )


def test_quantities_are_accepted(model):
    numbers, positions = molecule("CO")
    evaluator = model.bind(numbers)
    angstrom = unit.Quantity(positions * 10, unit.angstrom)
    np.testing.assert_allclose(evaluator(angstrom)[0], evaluator(positions)[0], rtol=0, atol=1e-3)


def test_energy_offset_is_the_sum_of_self_energies(model):
    expected = sum(
        model.parameters.self_energies[Element.getByAtomicNumber(z).symbol] for z in (6, 8, 8)
    )
    np.testing.assert_allclose(
        model.bind([6, 8, 8]).energy_offset, expected * 2625.4996394798, rtol=1e-12
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_positions_are_an_error(model, bad):
    positions = np.array([[0, 0, 0], [0.1, 0, bad]])
    with pytest.raises(SimulationError, match="non-finite position of region atom 1"):
        model.bind([1, 1])(positions)


def test_wrong_shape_is_an_error(model):
    with pytest.raises(SimulationError, match=r"shape \(3, 3\), expected \(2, 3\)"):
        model.bind([1, 1])(np.zeros((3, 3)))


def test_unknown_element_is_an_error(model):
    with pytest.raises(RegionError, match="found the elements Si, ANI-1x knows H, C, N, O"):
        model.bind([14, 1])
    with pytest.raises(RegionError, match="expected"):
        model.bind([])
