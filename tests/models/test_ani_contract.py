"""Every ANI backend against the float64 reference, and properties specific to ANI."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import distorted, load_with, model_directory, usable_backends
from contracts import (
    assert_forces_match_energy,
    assert_smooth,
    random_rotation,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from openmm.app import Element
from scipy.spatial.distance import pdist

from nnpmm.core.errors import RegionError, SimulationError
from nnpmm.models import load_model
from nnpmm.models.ani import BACKENDS
from nnpmm.structures import molecule_from_smiles

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"
# Tolerances of every backend, kJ/mol and kJ/mol/nm.
ENERGY_TOLERANCE, FORCE_TOLERANCE = 0.01, 0.5
# In float64, torchani's forces contain the 1 / alpha of torch.celu, which torch rounds to single
# precision on the way back: 1.5e-8 of their size.
DOUBLE_ENERGY, DOUBLE_FORCE = 1e-6, 1e-4


@pytest.fixture(scope="module")
def reference():
    """ANI-1x in float64: what every backend is compared with."""
    return load_model("ANI-1x", backend="reference", precision="double")


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def model(request):
    """Each backend in single precision."""
    return load_with("ANI-1x", request.param)


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def double_model(request):
    """Each backend in double precision."""
    return load_with("ANI-1x", request.param, "double")


def test_equals_float64_reference(model, reference):
    numbers, positions = distorted(PARACETAMOL)
    found = model.bind(numbers).evaluate(positions + 3.0)  # far from the origin, as in a box
    expected = reference.bind(numbers).evaluate(positions)
    assert found.forces.dtype == np.float64
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=ENERGY_TOLERANCE)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=FORCE_TOLERANCE)
    np.testing.assert_allclose(
        found.member_energies, expected.member_energies, rtol=0, atol=ENERGY_TOLERANCE
    )


def test_distant_fragments_add_up(double_model):
    numbers_a, a = distorted("CO")
    numbers_b, b = distorted("CN")
    both = double_model.bind(np.concatenate([numbers_a, numbers_b]))
    energy, forces = both(np.concatenate([a, b + np.array([2.0, 0, 0])]))
    alone_a, alone_b = double_model.bind(numbers_a)(a), double_model.bind(numbers_b)(b)
    np.testing.assert_allclose(energy, alone_a[0] + alone_b[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(forces, np.concatenate([alone_a[1], alone_b[1]]), rtol=0, atol=1e-6)


def assert_smooth_through_the_cutoffs(model):
    """A hydrogen crosses the cutoffs around water's oxygen: radial alone, angular with the other.

    Measured: 4e-6 kJ/mol and 0.014 kJ/mol/nm at the angular cutoff, where energies change by 0.004
    kJ/mol in a step; less at the radial one.
    """
    functions, evaluator = model.parameters.symmetry_functions, model.bind([8, 1, 1])
    for cutoff in (functions.radial_cutoff / 10, functions.angular_cutoff / 10):
        path = np.zeros((32, 3, 3))
        path[:, 1, 0] = 0.096
        path[:, 2, 0] = -(cutoff + 1e-5 * (np.arange(32) - 15.5))
        assert_smooth(evaluator, path, energy_atol=1e-5, force_atol=0.05)


def test_smooth_through_the_cutoffs(double_model):
    assert_smooth_through_the_cutoffs(double_model)


@pytest.mark.data
def test_ani2x_is_smooth_through_its_cutoffs():
    model = load_model("ANI-2x", members=0, weights=model_directory(), precision="double")
    assert_smooth_through_the_cutoffs(model)


@pytest.mark.parametrize("symbols", ["H", "CH", "NO", "HCNO", "O"])
def test_restricting_the_elements_changes_nothing(double_model, symbols):
    """Networks restricted to the elements present give the same energies and forces."""
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
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=DOUBLE_ENERGY)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=DOUBLE_FORCE)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31), n_atoms=st.integers(1, 12))
def test_random_geometries_agree_between_backends(seed, n_atoms):
    generator = np.random.default_rng(seed)
    numbers = generator.choice([1, 6, 7, 8], size=n_atoms)
    positions = generator.uniform(0, 0.5, size=(n_atoms, 3))
    assume(n_atoms == 1 or pdist(positions).min() > 0.02)  # nm; closer is an error
    results = [
        load_model("ANI-1x", backend=name, precision="double").bind(numbers).evaluate(positions)
        for name, precision in usable_backends()
        if precision == "double"
    ]
    for other in results[1:]:
        np.testing.assert_allclose(other.energy, results[0].energy, rtol=0, atol=DOUBLE_ENERGY)
        np.testing.assert_allclose(other.forces, results[0].forces, rtol=3e-8, atol=DOUBLE_FORCE)


def test_members_average_to_the_ensemble(model):
    numbers, positions = distorted("CCO")
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


def water_box(n_side: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atomic numbers, positions and a sheared box (nm) of water molecules on a jittered grid."""
    generator = np.random.default_rng(11)
    water = np.array([[0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]])
    edge = 0.36 * n_side
    box = np.array([[edge, 0, 0], [0.2 * edge, edge, 0], [-0.3 * edge, 0.1 * edge, edge]])
    grid = np.stack(np.meshgrid(*[np.arange(n_side)] * 3), axis=-1).reshape(-1, 3) / n_side
    positions = [
        centre @ box + water @ random_rotation(generator).T + generator.normal(scale=0.01, size=3)
        for centre in grid
    ]
    return np.tile([8, 1, 1], len(grid)), np.concatenate(positions), box


def test_periodic_box_equals_the_reference(model, reference):
    numbers, positions, box = water_box()
    expected = reference.bind(numbers).evaluate(positions, box)
    vacuum = reference.bind(numbers)(positions)
    assert abs(expected.energy - vacuum[0]) > 10.0  # images contribute
    found = model.bind(numbers).evaluate(positions, box)
    # The bound of one ligand, carried over to a system with as many atoms as two of them.
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=2 * ENERGY_TOLERANCE)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=FORCE_TOLERANCE)


def test_periodic_box_in_float64(double_model, reference):
    numbers, positions, box = water_box()
    expected = reference.bind(numbers).evaluate(positions, box)
    found = double_model.bind(numbers).evaluate(positions, box)
    np.testing.assert_allclose(found.energy, expected.energy, rtol=0, atol=DOUBLE_ENERGY)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=DOUBLE_FORCE)
    members = double_model.bind(numbers).member_energies(positions, box)
    np.testing.assert_allclose(members, expected.member_energies, rtol=0, atol=DOUBLE_ENERGY)


def test_alternating_calls_with_and_without_a_box(model):
    """Nothing of one call stays for the next: NNPOps' own objects do not switch."""
    numbers, positions, box = water_box()
    evaluator = model.bind(numbers)
    boxes = [None, box, None, 1.1 * box, box]
    energies = [evaluator(positions, b)[0] for b in boxes]
    fresh = [model.bind(numbers)(positions, b)[0] for b in boxes]
    np.testing.assert_allclose(energies, fresh, rtol=0, atol=2 * ENERGY_TOLERANCE)
    assert min(abs(energies[1] - energies[0]), abs(energies[3] - energies[1])) > 10.0


def test_lattice_translations_of_atoms_change_nothing(double_model):
    numbers, positions, box = water_box()
    evaluator = double_model.bind(numbers)
    energy, forces = evaluator(positions, box)
    images = np.random.default_rng(6).integers(-2, 3, size=(len(numbers), 3))
    moved = evaluator(positions + images @ box, box)
    np.testing.assert_allclose(moved[0], energy, rtol=0, atol=1e-6)
    np.testing.assert_allclose(moved[1], forces, rtol=0, atol=1e-6)


def test_periodic_forces_are_the_gradient(double_model):
    numbers, positions, box = water_box()
    evaluator = double_model.bind(numbers)
    atoms = np.random.default_rng(8).choice(len(numbers), size=4, replace=False)
    assert_forces_match_energy(
        lambda x: evaluator(x, box), positions, step=3e-6, atol=0.01, atoms=atoms
    )


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (np.eye(3), "1.000 nm wide, allowed: twice the range of the network, 1.040"),
        (np.eye(3)[:2] * 2, r"box of shape \(2, 3\)"),
        (2 * np.eye(3) + 0.1 * np.eye(3, k=1), "reduced form"),
        (2 * np.eye(3) + 1.5 * np.eye(3, k=-1), "reduced form"),
        (np.full((3, 3), np.nan), "finite"),
    ],
)
def test_unsuitable_boxes_are_an_error(model, box, message):
    with pytest.raises(SimulationError, match=message):
        model.bind([1, 1])([[0, 0, 0], [0.1, 0, 0]], box)


def test_energy_offset_is_the_sum_of_self_energies(model):
    expected = sum(
        model.parameters.self_energies[Element.getByAtomicNumber(z).symbol] for z in (6, 8, 8)
    )
    np.testing.assert_allclose(
        model.bind([6, 8, 8]).energy_offset, expected * 2625.4996394798, rtol=1e-12
    )


def test_unknown_element_is_an_error(model):
    with pytest.raises(RegionError, match="found the elements Si, but ANI-1x supports H, C, N, O"):
        model.bind([14, 1])
    with pytest.raises(RegionError, match="expected"):
        model.bind([])
